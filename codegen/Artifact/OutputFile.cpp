// An artifact takes minutes to write and may be what a server starts from tomorrow: a crash, a full
// disk or Ctrl-C half way must leave the previous file as it was. So: a temporary in the same
// folder, fsync, rename, fsync of the folder. Who writes a temporary holds a lock on it, which ends
// with the process however it ends; so a temporary that nobody holds is what a killed one left, and
// it may be large.
#include "codegen/Artifact/OutputFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace elah {
namespace {

/// Blocks of zeros that are not written.
constexpr size_t zeroBlock = 1 << 20;

// This process's unfinished outputs, for the signal handler: a handler may not take locks or allocate, so names lie in
// fixed places. There is one at a time, or a few in tests; one beyond the table only misses the handler's cleaning.
struct UnfinishedOutput {
  enum State { Free, Claimed, Named };
  std::atomic<State> state{Free};
  char path[4096];
};
std::array<UnfinishedOutput, 8> unfinishedOutputs;

void registerUnfinished(const std::string &temporary) {
  if (temporary.size() >= sizeof(UnfinishedOutput::path)) {
    return;
  }
  for (UnfinishedOutput &output : unfinishedOutputs) {
    UnfinishedOutput::State free = UnfinishedOutput::Free;
    if (output.state.compare_exchange_strong(free, UnfinishedOutput::Claimed)) {
      std::memcpy(output.path, temporary.c_str(), temporary.size() + 1);
      output.state = UnfinishedOutput::Named;
      return;
    }
  }
}

void unregisterUnfinished(const std::string &temporary) {
  for (UnfinishedOutput &output : unfinishedOutputs) {
    if (output.state == UnfinishedOutput::Named && temporary == output.path) {
      output.state = UnfinishedOutput::Free;
    }
  }
}

llvm::Error systemError(const char *action, llvm::StringRef path, int code) {
  return llvm::createStringError(std::error_code(code, std::generic_category()), "%s: cannot %s: %s",
                                 path.str().c_str(), action, std::strerror(code));
}

/// What all temporaries of an output begin with, whoever writes them.
std::string temporaryPrefix(llvm::StringRef path) {
  llvm::SmallString<256> prefix(llvm::sys::path::parent_path(path));
  // Of a very long name a part, so that the whole stays a file name.
  llvm::StringRef name = llvm::sys::path::filename(path).take_front(200);
  llvm::sys::path::append(prefix, "." + name + ".partial-");
  return prefix.str().str();
}

void removeAbandoned(const std::string &prefix) {
  llvm::StringRef folder = llvm::sys::path::parent_path(prefix);
  std::error_code code;
  for (llvm::sys::fs::directory_iterator entry(folder.empty() ? "." : folder, code), end; entry != end && !code;
       entry.increment(code)) {
    const std::string &found = entry->path();
    if (!llvm::sys::path::filename(found).starts_with(llvm::sys::path::filename(prefix))) {
      continue;
    }
    int descriptor = ::open(found.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) {
      continue;
    }
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
      ::unlink(found.c_str());
    }
    ::close(descriptor);
  }
}

/// Creates a temporary and locks it; gives its descriptor, or -1 with errno.
int createTemporary(const std::string &prefix, std::string &temporary) {
  static std::atomic<unsigned> counter{0};
  while (true) {
    temporary = prefix + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    int descriptor = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0 && errno == EEXIST) {
      continue;
    }
    if (descriptor < 0) {
      return descriptor;
    }
    struct stat status;
    bool isLocked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (isLocked && ::fstat(descriptor, &status) == 0 && status.st_nlink > 0) {
      return descriptor;
    }
    ::close(descriptor); // Another process took it for abandoned, before it was locked.
  }
}

} // namespace

llvm::Expected<OutputFile> OutputFile::create(llvm::StringRef requested) {
  std::string path = requested.str();
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
    char *target = ::realpath(path.c_str(), nullptr);
    if (!target) {
      return systemError("follow the link to the output", path, errno);
    }
    path = target;
    std::free(target);
  }
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return llvm::createStringError(std::make_error_code(std::errc::invalid_argument),
                                   "%s: cannot write: expected a regular file or none, found %s", path.c_str(),
                                   S_ISDIR(status.st_mode) ? "a folder" : "a special file");
  }
  if (path.empty() || path.back() == '/') {
    return llvm::createStringError(std::make_error_code(std::errc::invalid_argument),
                                   "'%s': cannot write: expected the name of a file", path.c_str());
  }
  std::string prefix = temporaryPrefix(path);
  removeAbandoned(prefix);
  std::string temporary;
  int descriptor = createTemporary(prefix, temporary);
  if (descriptor < 0) {
    return systemError("create the output", path, errno);
  }
  return OutputFile(descriptor, std::move(path), std::move(temporary));
}

OutputFile::OutputFile(int descriptor, std::string path, std::string temporary)
    : descriptor(descriptor), path(std::move(path)), temporary(std::move(temporary)) {
  registerUnfinished(this->temporary);
}

OutputFile::OutputFile(OutputFile &&other)
    : descriptor(other.descriptor), reserved(other.reserved), path(std::move(other.path)),
      temporary(std::move(other.temporary)) {
  other.descriptor = -1;
}

OutputFile::~OutputFile() {
  if (descriptor < 0) {
    return;
  }
  ::unlink(temporary.c_str());
  ::close(descriptor);
  unregisterUnfinished(temporary);
}

llvm::Error OutputFile::write(uint64_t offset, llvm::ArrayRef<char> bytes) {
  while (!bytes.empty()) {
    // What was reserved reads as zeros: experts that nobody has filled take no time, and no pages.
    if (bytes.size() >= zeroBlock && offset + zeroBlock <= reserved && bytes.front() == 0 &&
        std::memcmp(bytes.data(), bytes.data() + 1, zeroBlock - 1) == 0) {
      bytes = bytes.drop_front(zeroBlock);
      offset += zeroBlock;
      continue;
    }
    ssize_t written =
        ::pwrite(descriptor, bytes.data(), std::min<size_t>(bytes.size(), zeroBlock), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return systemError("write", path, errno);
    }
    bytes = bytes.drop_front(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return llvm::Error::success();
}

llvm::Error OutputFile::read(uint64_t offset, llvm::MutableArrayRef<char> bytes) const {
  while (!bytes.empty()) {
    ssize_t got = ::pread(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return systemError("read back", path, got < 0 ? errno : EIO);
    }
    bytes = bytes.drop_front(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return llvm::Error::success();
}

llvm::Error OutputFile::reserve(uint64_t size) {
  // Not posix_fallocate, which writes into every block where the file system cannot reserve: such a
  // one reports a full disk when it is written.
  if (size && ::fallocate(descriptor, 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
    return systemError("reserve space", path, errno);
  }
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) {
    return systemError("reserve space", path, errno);
  }
  reserved = size;
  return llvm::Error::success();
}

llvm::Error OutputFile::makeExecutable() {
  struct stat status;
  // Who may read it may run it.
  bool done =
      ::fstat(descriptor, &status) == 0 && ::fchmod(descriptor, status.st_mode | (status.st_mode & 0444) >> 2) == 0;
  return done ? llvm::Error::success() : systemError("make executable", path, errno);
}

llvm::Error OutputFile::commit() {
  if (::fsync(descriptor) != 0) {
    return systemError("flush", path, errno);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return systemError("put in place", path, errno);
  }
  unregisterUnfinished(temporary);
  ::close(descriptor);
  descriptor = -1;
  // The rename itself is durable once its folder is. Not every file system can flush a folder, and
  // the output is in place whatever comes of it.
  llvm::StringRef folder = llvm::sys::path::parent_path(path);
  int folderDescriptor = ::open(folder.empty() ? "." : folder.str().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folderDescriptor >= 0) {
    ::fsync(folderDescriptor);
    ::close(folderDescriptor);
  }
  return llvm::Error::success();
}

void removeUnfinishedOutputs() {
  for (UnfinishedOutput &output : unfinishedOutputs) {
    if (output.state == UnfinishedOutput::Named) {
      ::unlink(output.path);
    }
  }
}

} // namespace elah
