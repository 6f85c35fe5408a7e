// What stands in an artifact, byte for byte, and what happens when it cannot be written.
#include "artifact_fixture.h"
#include "artifact_parts.h"
#include "codegen/Artifact/Manifest.h"
#include "codegen/Artifact/OutputFile.h"
#include "runtime/packing/weight_packer.h"
#include "system_calls.h"
#include "llvm/Support/JSON.h"
#include <chrono>
#include <csignal>
#include <cstring>
#include <elah/elah.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace elah;
namespace fs = std::filesystem;

namespace {

class WriteTest : public ArtifactFixture {
protected:
  WriteOptions optionsFor(const fs::path &output) {
    WriteOptions options;
    options.outputPath = output.string();
    return options;
  }

  std::string messageOfWriting(WriteOptions options) { return messageOf(writeArtifact(contents(), options)); }

  std::vector<std::string> outputNames() const {
    std::vector<std::string> names;
    for (const fs::directory_entry &entry : fs::directory_iterator(outputs.path)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
};

TEST_F(WriteTest, FollowsTheFormat) {
  ArtifactParts parts = ArtifactParts::read(write());
  EXPECT_EQ(parts.sections.size(), 5u);
  EXPECT_EQ(parts.sections[ELAH_SECTION_CPU_OBJECT], readFile(ELAH_TEST_KERNELS));
  EXPECT_EQ(parts.sections[ELAH_SECTION_TOKENIZER], "{\"model\": {}}");
  EXPECT_EQ(parts.sections[ELAH_SECTION_GENERATION_CONFIG], "{}");
  EXPECT_EQ(parts.manifest.shards_size(), 0);
  EXPECT_EQ(parts.manifest.model_folder(), "");
  for (const proto::Weight &weight : parts.manifest.weights()) {
    EXPECT_FALSE(weight.has_recipe());
  }
  elah_artifact *artifact;
  ASSERT_EQ(elah_artifact_open(outputPath().c_str(), &artifact), ELAH_OK) << elah_last_error();
  EXPECT_EQ(elah_artifact_verify(artifact), ELAH_OK) << elah_last_error();
  elah_artifact_close(artifact);
}

TEST_F(WriteTest, HoldsThePackedWeightsAndZerosBetweenThem) {
  std::string section = ArtifactParts::read(write()).sections[ELAH_SECTION_WEIGHTS];
  ArtifactContents all = contents();
  proto::Manifest manifest = buildManifest(all.module, all.target, all.scratchBytes);
  ASSERT_EQ(section.size(), weightsSectionSize(manifest));
  std::string expected(section.size(), '\0');
  ShardFiles shards(model.path.string());
  for (proto::Shard &shard : *manifest.mutable_shards()) {
    ASSERT_TRUE(shards.open(shard.name()).ok());
  }
  for (const proto::Weight &weight : manifest.weights()) {
    WeightPacker packer(weight.recipe(), shards);
    for (const WeightPacker::Piece &piece : packer.pieces()) {
      ASSERT_TRUE(
          packer.pack(piece, {reinterpret_cast<uint8_t *>(&expected[weight.offset() + piece.offset]), piece.size})
              .ok());
    }
  }
  EXPECT_TRUE(section == expected);
}

TEST_F(WriteTest, IsTheSameWithAnyNumberOfThreadsInAnyFolder) {
  std::string first = write();
  for (unsigned threads : {1, 2, 3, 7}) {
    WriteOptions options = optionsFor(outputPath("other name"));
    options.threads = threads;
    EXPECT_TRUE(write(options) == first) << threads << " threads";
  }
  fs::path moved = outputs.path / "another" / "folder";
  fs::create_directories(moved.parent_path());
  fs::copy(model.path, moved, fs::copy_options::recursive);
  ArtifactContents all = contents();
  all.modelFolder = moved.string() + "/";
  ASSERT_EQ(messageOf(writeArtifact(all, optionsFor(outputPath("third")))), "");
  EXPECT_TRUE(readFile(outputPath("third")) == first);

  // And not the same if anything else differs.
  all.flags[0].second = "65";
  ASSERT_EQ(messageOf(writeArtifact(all, optionsFor(outputPath("third")))), "");
  EXPECT_FALSE(readFile(outputPath("third")) == first);
}

TEST_F(WriteTest, TheReceiptNamesToolsFlagsAndInputs) {
  std::string text = ArtifactParts::read(write()).sections[ELAH_SECTION_RECEIPT];
  llvm::Expected<llvm::json::Value> receipt = llvm::json::parse(text);
  ASSERT_TRUE(static_cast<bool>(receipt)) << text;
  const llvm::json::Object &object = *receipt->getAsObject();
  EXPECT_EQ(object.getString("elah"), llvm::StringRef(elah_version()));
  EXPECT_EQ(object.getInteger("format"), 1);
  EXPECT_TRUE(object.getString("llvm")->starts_with("22."));
  EXPECT_EQ(object.getObject("flags")->getString("max-context"), llvm::StringRef("64"));
  EXPECT_EQ(object.getObject("inputs")->size(), 3u);
  EXPECT_EQ(object.getObject("inputs")->getString("config.json"),
            llvm::StringRef("0cc2584ed92b65a9ac0aff6ca5389104ea41e39684657ad3d21858b52e0e7254"));
  // "{}" and 52 blanks.
  EXPECT_EQ(object.getObject("shard_headers")->getString("model-0.safetensors"),
            llvm::StringRef("c73cebbe18642fa7756b358f50c074cacfa1f09a5b53ab95abb34a079ce52e75"));
  EXPECT_EQ(object.getObject("shard_headers")->size(), 2u);
  EXPECT_EQ(object.size(), 6u);
  // Neither folder occurs in the whole file; a time would have broken the test of sameness.
  std::string all = readFile(outputPath());
  EXPECT_EQ(all.find(model.path.filename().string()), std::string::npos);
  EXPECT_EQ(all.find(outputs.path.filename().string()), std::string::npos);
}

TEST_F(WriteTest, ProgressNeverFallsAndEndsAtTheEnd) {
  WriteOptions options;
  options.threads = 3;
  std::vector<std::pair<uint64_t, uint64_t>> calls;
  options.progress = [&](uint64_t done, uint64_t total) { calls.emplace_back(done, total); };
  write(options);
  ASSERT_FALSE(calls.empty());
  for (size_t i = 1; i < calls.size(); ++i) {
    EXPECT_GT(calls[i].first, calls[i - 1].first);
    EXPECT_EQ(calls[i].second, calls[0].second);
  }
  EXPECT_EQ(calls.back().first, calls.back().second);
}

TEST_F(WriteTest, AProgramIsARunnerWithTheArtifactBehindIt) {
  std::string artifact = write();
  fs::path runner = outputs.path / "runner", program = outputPath("program");
  for (size_t size : {1, 4095, 4096, 4097}) {
    std::string runnerBytes(size, 'R');
    std::ofstream(runner, std::ios::binary) << runnerBytes;
    WriteOptions options = optionsFor(program);
    options.runnerPath = runner.string();
    std::string bytes = write(options);
    uint64_t start = (size + 4095) / 4096 * 4096;
    ASSERT_EQ(bytes.size(), start + artifact.size() + 24);
    EXPECT_EQ(bytes.substr(0, size), runnerBytes);
    EXPECT_EQ(bytes.find_first_not_of('\0', size), start);
    EXPECT_TRUE(bytes.substr(start, artifact.size()) == artifact);
    elah_artifact_trailer trailer;
    std::memcpy(&trailer, &bytes[bytes.size() - 24], 24);
    EXPECT_EQ(trailer.artifact_offset, start);
    EXPECT_EQ(trailer.artifact_size, artifact.size());
    EXPECT_EQ(std::memcmp(trailer.magic, ELAH_ARTIFACT_MAGIC, 8), 0);
    EXPECT_EQ(fs::status(program).permissions() & fs::perms::owner_exec, fs::perms::owner_exec);
    elah_artifact *opened;
    ASSERT_EQ(elah_artifact_open(program.c_str(), &opened), ELAH_OK) << elah_last_error();
    EXPECT_EQ(elah_artifact_verify(opened), ELAH_OK) << elah_last_error();
    elah_artifact_close(opened);
  }
  WriteOptions options = optionsFor(program);
  options.runnerPath = (outputs.path / "missing").string();
  EXPECT_EQ(messageOfWriting(options), options.runnerPath + ": cannot read: No such file or directory");
}

TEST_F(WriteTest, RefusesToReplaceAnInput) {
  for (const char *name : {"model-0.safetensors", "config.json", "tokenizer.json"}) {
    std::string before = readFile(model.path / name);
    WriteOptions options = optionsFor(model.path / "." / name);
    EXPECT_EQ(messageOfWriting(options),
              options.outputPath + ": the output would replace the input " + (model.path / name).string());
    fs::create_hard_link(model.path / name, outputPath(name));
    options.outputPath = outputPath(name).string();
    EXPECT_EQ(messageOfWriting(options),
              options.outputPath + ": the output would replace the input " + (model.path / name).string());
    EXPECT_EQ(readFile(model.path / name), before);
  }
}

TEST_F(WriteTest, SaysWhichShardFailed) {
  std::string shard = (model.path / "model-1.safetensors").string();
  std::ofstream(outputPath()) << "old";
  auto expectMessage = [&](const std::string &message) {
    EXPECT_EQ(messageOfWriting(optionsFor(outputPath())), message);
    EXPECT_EQ(readFile(outputPath()), "old");
    EXPECT_EQ(outputNames(), std::vector<std::string>{"model.elah"});
  };
  fs::rename(shard, shard + "~");
  expectMessage(shard + ": cannot open: No such file or directory");
  fs::rename(shard + "~", shard);

  // Shorter than its header promised when the model was imported.
  fs::resize_file(shard, 4'000'000);
  std::string message = messageOfWriting(optionsFor(outputPath()));
  EXPECT_TRUE(llvm::StringRef(message).starts_with("weight 'tensor.7': a source of 6400000 bytes at offset "))
      << message;
  EXPECT_TRUE(llvm::StringRef(message).ends_with(" lies outside its shard of 4000000 bytes")) << message;

  // Or while it is read.
  model.write();
  WriteOptions options = optionsFor(outputPath());
  options.progress = [&](uint64_t, uint64_t) { fs::resize_file(shard, 4'000'000); };
  message = messageOfWriting(options);
  EXPECT_TRUE(llvm::StringRef(message).starts_with(shard + ": expected ")) << message;
  EXPECT_TRUE(llvm::StringRef(message).ends_with(", found the end of the file at 4000000")) << message;
  EXPECT_EQ(readFile(outputPath()), "old");
  EXPECT_EQ(outputNames(), std::vector<std::string>{"model.elah"});
}

TEST_F(WriteTest, SurvivesEveryFailingCall) {
  WriteOptions options = optionsFor(outputPath());
  unsigned total;
  {
    SystemCalls calls;
    write(options);
    total = calls.count();
  }
  ASSERT_GT(total, 15u);
  std::ofstream(outputPath()) << "old";
  for (unsigned threads : {1, 2}) {
    options.threads = threads;
    for (unsigned i = 0; i + 1 < total; ++i) {
      SystemCalls calls;
      calls.failAt(i, ENOSPC);
      std::string message = messageOfWriting(options);
      EXPECT_TRUE(llvm::StringRef(message).starts_with(options.outputPath + ": cannot ")) << message;
      EXPECT_TRUE(llvm::StringRef(message).ends_with(": No space left on device")) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      ASSERT_EQ(readFile(outputPath()), "old");
      ASSERT_EQ(outputNames(), std::vector<std::string>{"model.elah"});
    }
  }
}

/// Runs `body` in a child and gives what it returns.
template <typename Body> int inChild(Body body) {
  pid_t child = ::fork();
  if (child == 0) {
    ::_exit(body());
  }
  int status;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(WriteTest, ALimitOnFileSizesIsAnError) {
  std::ofstream(outputPath()) << "old";
  for (bool reserves : {true, false}) {
    int code = inChild([&] {
      SystemCalls calls;
      if (!reserves) {
        calls.failAll("fallocate", EOPNOTSUPP);
      }
      std::signal(SIGXFSZ, SIG_IGN);
      rlimit limit = {1 << 20, 1 << 20};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      std::string message = messageOfWriting(optionsFor(outputPath()));
      return message == outputPath().string() + ": cannot reserve space: File too large" ? 3 : 4;
    });
    EXPECT_EQ(code, 3);
    EXPECT_EQ(readFile(outputPath()), "old");
    EXPECT_EQ(outputNames(), std::vector<std::string>{"model.elah"});
  }
}

TEST_F(WriteTest, ADiskOfAnySizeThatIsTooSmallIsAnError) {
  fs::path disk = outputs.path / "disk", output = disk / "model.elah";
  fs::create_directory(disk);
  uint64_t need = write().size();
  for (uint64_t size = 1 << 16; size < need; size += need / 24) {
    std::string data = "size=" + std::to_string(size);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, data.c_str()) != 0) {
      GTEST_SKIP() << "may not mount a file system: " << std::strerror(errno);
    }
    std::ofstream(output) << "old";
    std::string message = messageOfWriting(optionsFor(output));
    EXPECT_EQ(message, output.string() + ": cannot reserve space: No space left on device") << size;
    EXPECT_EQ(readFile(output), "old");
    EXPECT_EQ(std::distance(fs::directory_iterator(disk), fs::directory_iterator()), 1);
    {
      SystemCalls calls;
      calls.failAll("fallocate", EOPNOTSUPP);
      message = messageOfWriting(optionsFor(output));
    }
    EXPECT_EQ(message, output.string() + ": cannot write: No space left on device") << size;
    EXPECT_EQ(readFile(output), "old");
    EXPECT_EQ(std::distance(fs::directory_iterator(disk), fs::directory_iterator()), 1);
    ASSERT_EQ(::umount(disk.c_str()), 0);
  }
}

/// Starts a writer, lets it run for a while and ends it by `signal`; whether it had ended by itself.
class KilledWriter : public WriteTest {
protected:
  bool writeUntil(useconds_t delay, int signal) {
    pid_t child = ::fork();
    if (child == 0) {
      std::signal(SIGTERM, [](int) {
        removeUnfinishedOutputs();
        ::_exit(143);
      });
      WriteOptions options = optionsFor(outputPath());
      options.threads = 2;
      ::_exit(messageOfWriting(options).empty() ? 0 : 1);
    }
    ::usleep(delay);
    ::kill(child, signal);
    int status;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 143);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  useconds_t timeOfWriting() {
    auto begin = std::chrono::steady_clock::now();
    writeUntil(10'000'000, 0); // the sleep ends with SIGCHLD
    return static_cast<useconds_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin).count());
  }
};

TEST_F(KilledWriter, LeavesTheOldFileOrTheNewOne) {
  std::signal(SIGCHLD, [](int) {});
  useconds_t whole = std::min<useconds_t>(timeOfWriting(), 500'000);
  std::string complete = readFile(outputPath());
  ASSERT_EQ(ArtifactParts::read(complete).sections.size(), 5u);
  std::mt19937 random(50);
  unsigned killed = 0;
  for (int i = 0; i < 50; ++i) {
    bool hasOld = i % 2 == 0;
    fs::remove(outputPath());
    if (hasOld) {
      std::ofstream(outputPath()) << "old";
    }
    killed += !writeUntil(static_cast<useconds_t>(random() % (whole + whole / 4)), SIGKILL);
    if (fs::exists(outputPath())) {
      std::string bytes = readFile(outputPath());
      EXPECT_TRUE(bytes == complete || (hasOld && bytes == "old")) << bytes.size() << " bytes";
    } else {
      EXPECT_FALSE(hasOld);
    }
    EXPECT_LE(outputNames().size(), 2u); // what one killed writer left; its predecessor's is gone
  }
  EXPECT_GT(killed, 10u);
  EXPECT_TRUE(write() == complete);
  EXPECT_EQ(outputNames(), std::vector<std::string>{"model.elah"});
}

TEST_F(KilledWriter, CleansUpWhenItIsAsked) {
  std::signal(SIGCHLD, [](int) {});
  useconds_t whole = std::min<useconds_t>(timeOfWriting(), 500'000);
  std::string complete = readFile(outputPath());
  std::mt19937 random(51);
  for (int i = 0; i < 20; ++i) {
    // Later than the child needs to set its handler.
    writeUntil(static_cast<useconds_t>(whole / 4 + random() % whole), SIGTERM);
    EXPECT_EQ(outputNames(), std::vector<std::string>{"model.elah"});
    EXPECT_TRUE(readFile(outputPath()) == complete);
  }
}

TEST_F(WriteTest, OfTwoWritersAtOnceOneWins) {
  std::string versions[2];
  auto writeVersion = [&](int version) {
    ArtifactContents all = contents();
    all.flags[0].second = std::to_string(version);
    return messageOf(writeArtifact(all, optionsFor(outputPath())));
  };
  for (int version : {0, 1}) {
    ASSERT_EQ(writeVersion(version), "");
    versions[version] = readFile(outputPath());
  }
  ASSERT_FALSE(versions[0] == versions[1]);
  for (int round = 0; round < 10; ++round) {
    pid_t children[2];
    for (int version : {0, 1}) {
      children[version] = ::fork();
      if (children[version] == 0) {
        ::_exit(writeVersion(version).empty() ? 0 : 1);
      }
    }
    for (pid_t child : children) {
      int status;
      ::waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
    }
    std::string bytes = readFile(outputPath());
    EXPECT_TRUE(bytes == versions[0] || bytes == versions[1]);
    EXPECT_EQ(outputNames(), std::vector<std::string>{"model.elah"});
  }
}

} // namespace
