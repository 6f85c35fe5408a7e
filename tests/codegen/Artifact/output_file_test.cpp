// An output appears whole or not at all, whatever fails on the way.
#include "artifact_fixture.h"
#include "codegen/Artifact/OutputFile.h"
#include "system_calls.h"
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace elah;
using testing::Test;
namespace fs = std::filesystem;

namespace {

llvm::ArrayRef<char> bytesOf(llvm::StringRef text) { return {text.data(), text.size()}; }

class OutputFileTest : public Test {
protected:
  OutputFileTest() { std::ofstream(path) << "old"; }

  /// Writes `text` as an output is written.
  std::string write(const std::string &text, const fs::path &to) {
    llvm::Expected<OutputFile> output = OutputFile::create(to.string());
    if (!output) {
      return messageOf(output.takeError());
    }
    std::string message = messageOf(output->reserve(text.size() + 2));
    message = message.empty() ? messageOf(output->write(2, bytesOf(text))) : message;
    message = message.empty() ? messageOf(output->write(0, bytesOf("# "))) : message;
    return message.empty() ? messageOf(output->commit()) : message;
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const fs::directory_entry &entry : fs::directory_iterator(folder.path)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  ShardFolder folder; ///< For its folder alone.
  fs::path path = folder.path / "model.elah";
  const std::vector<std::string> onlyModel = {"model.elah"};
};

TEST_F(OutputFileTest, FlushesBeforeItReplaces) {
  SystemCalls calls;
  EXPECT_EQ(write("new", path), "");
  EXPECT_EQ(calls.order(), (std::vector<std::string>{"fallocate", "ftruncate", "pwrite", "fsync", "rename", "fsync"}));
  EXPECT_EQ(readFile(path), "# new");
  EXPECT_EQ(files(), onlyModel);
}

TEST_F(OutputFileTest, KeepsTheOldFileUntilTheEnd) {
  {
    llvm::Expected<OutputFile> output = OutputFile::create(path.string());
    ASSERT_TRUE(static_cast<bool>(output));
    EXPECT_EQ(messageOf(output->write(0, bytesOf("new file"))), "");
    EXPECT_EQ(readFile(path), "old");
    std::vector<char> bytes(3);
    EXPECT_EQ(messageOf(output->read(5, bytes)), "");
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "ile");
    bytes.resize(4);
    EXPECT_EQ(messageOf(output->read(5, bytes)), path.string() + ": cannot read back: Input/output error");
    ASSERT_EQ(files().size(), 2u);
    EXPECT_TRUE(llvm::StringRef(files()[0]).starts_with(".model.elah.partial-" + std::to_string(::getpid())));
  }
  EXPECT_EQ(readFile(path), "old");
  EXPECT_EQ(files(), onlyModel);
}

// A disk may fill up, or break, at any call.
TEST_F(OutputFileTest, SurvivesEveryFailingCall) {
  unsigned total;
  {
    SystemCalls calls;
    ASSERT_EQ(write("new", path), "");
    total = calls.count();
  }
  std::ofstream(path) << "old";
  for (int code : {ENOSPC, EIO, EDQUOT}) {
    for (unsigned i = 0; i + 1 < total; ++i) { // the last one flushes the folder, when the new file is in place
      SystemCalls calls;
      calls.failAt(i, code);
      std::string message = write("new", path);
      EXPECT_TRUE(llvm::StringRef(message).starts_with(path.string() + ": cannot ")) << message;
      EXPECT_TRUE(llvm::StringRef(message).ends_with(std::strerror(code))) << message;
      EXPECT_EQ(readFile(path), "old");
      EXPECT_EQ(files(), onlyModel);
    }
  }
}

TEST_F(OutputFileTest, DoesWithoutReservation) {
  SystemCalls calls;
  calls.failAll("fallocate", EOPNOTSUPP);
  EXPECT_EQ(write("new", path), "");
  EXPECT_EQ(readFile(path), "# new");
}

TEST_F(OutputFileTest, WritesNoBlocksOfZeros) {
  SystemCalls calls;
  calls.failAll("fallocate", EOPNOTSUPP); // Which would give them blocks.
  const std::string text = std::string(5 << 20, '\0') + "end";
  EXPECT_EQ(write(text, path), "");
  EXPECT_EQ(readFile(path), "# " + text);
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 2 << 20);
}

TEST_F(OutputFileTest, RefusesWhatItCannotReplace) {
  fs::path inner = folder.path / "folder", missing = folder.path / "missing" / "file";
  fs::create_directory(inner);
  EXPECT_EQ(write("new", inner), inner.string() + ": cannot write: expected a regular file or none, found a folder");
  EXPECT_EQ(write("new", "/dev/null"),
            "/dev/null: cannot write: expected a regular file or none, found a special file");
  EXPECT_EQ(write("new", missing), missing.string() + ": cannot create the output: No such file or directory");
  EXPECT_EQ(write("new", folder.path / "new" / ""),
            "'" + (folder.path / "new" / "").string() + "': cannot write: expected the name of a file");
  EXPECT_EQ(write("new", path / "file"), (path / "file").string() + ": cannot create the output: Not a directory");
  EXPECT_EQ(write("new", ""), "'': cannot write: expected the name of a file");
}

TEST_F(OutputFileTest, NeedsAFolderThatItMayWrite) {
  if (::geteuid() == 0) { // Root may write everywhere but in a file system of the kernel's.
    EXPECT_EQ(write("new", "/proc/elah"), "/proc/elah: cannot create the output: No such file or directory");
    return;
  }
  ::chmod(folder.path.c_str(), 0500);
  EXPECT_EQ(write("new", path), path.string() + ": cannot create the output: Permission denied");
  ::chmod(folder.path.c_str(), 0700);
  EXPECT_EQ(readFile(path), "old");
}

TEST_F(OutputFileTest, FollowsALink) {
  fs::path link = folder.path / "link", dangling = folder.path / "dangling";
  fs::create_symlink("model.elah", link);
  EXPECT_EQ(write("new", link), "");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(readFile(path), "# new");
  fs::create_symlink("nowhere", dangling);
  EXPECT_EQ(write("new", dangling),
            dangling.string() + ": cannot follow the link to the output: No such file or directory");
}

TEST_F(OutputFileTest, WritesWhereItStands) {
  fs::path before = fs::current_path();
  fs::current_path(folder.path);
  EXPECT_EQ(write("new", "model.elah"), "");
  fs::current_path(before);
  EXPECT_EQ(readFile(path), "# new");
  EXPECT_EQ(files(), onlyModel);
}

TEST_F(OutputFileTest, MakesProgramsForWhoMayRead) {
  llvm::Expected<OutputFile> output = OutputFile::create(path.string());
  ASSERT_TRUE(static_cast<bool>(output));
  EXPECT_EQ(messageOf(output->makeExecutable()), "");
  EXPECT_EQ(messageOf(output->commit()), "");
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ((status.st_mode & 0111) << 2, status.st_mode & 0444);
  EXPECT_TRUE(status.st_mode & 0100);
}

TEST_F(OutputFileTest, RemovesWhatAKilledWriterLeft) {
  std::ofstream(folder.path / ".model.elah.partial-1-0") << "left behind";
  std::ofstream(folder.path / ".model.elah.partial-999999999-7") << "left behind";
  std::ofstream(folder.path / ".other.elah.partial-1-0") << "another output's";
  std::ofstream(folder.path / "model.elah.partial-1-0") << "the user's";
  EXPECT_EQ(write("new", path), "");
  EXPECT_EQ(files(), (std::vector<std::string>{".other.elah.partial-1-0", "model.elah", "model.elah.partial-1-0"}));
}

TEST_F(OutputFileTest, LeavesALivingWriterAlone) {
  llvm::Expected<OutputFile> slow = OutputFile::create(path.string());
  ASSERT_TRUE(static_cast<bool>(slow));
  EXPECT_EQ(messageOf(slow->write(0, bytesOf("slow"))), "");
  EXPECT_EQ(write("fast", path), "");
  EXPECT_EQ(readFile(path), "# fast");
  EXPECT_EQ(messageOf(slow->commit()), "");
  EXPECT_EQ(readFile(path), "slow");
  EXPECT_EQ(files(), onlyModel);
}

TEST_F(OutputFileTest, TheSignalHandlersCleaningRemovesAll) {
  llvm::Expected<OutputFile> first = OutputFile::create(path.string());
  llvm::Expected<OutputFile> second = OutputFile::create((folder.path / "second").string());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(files().size(), 3u);
  removeUnfinishedOutputs();
  EXPECT_EQ(files(), onlyModel);
  EXPECT_EQ(messageOf(first->commit()), path.string() + ": cannot put in place: No such file or directory");
}

TEST_F(OutputFileTest, TakesTheLongestNames) {
  fs::path longest = folder.path / std::string(255, 'x');
  EXPECT_EQ(write("new", longest), "");
  EXPECT_EQ(readFile(longest), "# new");
  EXPECT_NE(write("new", folder.path / std::string(256, 'x')), "");
}

} // namespace
