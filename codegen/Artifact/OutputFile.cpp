// An artifact takes minutes to write and may be what a server starts from tomorrow: a crash, a full disk or Ctrl-C
// half way must leave the previous file as it was. So: a temporary in the same folder, fsync, rename, fsync of the
// folder.
#include "codegen/Artifact/OutputFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace elah {
namespace {

// The one unfinished output of this process, for the signal handler: a handler may not take locks or allocate.
std::atomic<const char *> unfinishedOutput{nullptr};

llvm::Error systemError(const char *action, llvm::StringRef path, int code) {
  return llvm::createStringError(std::error_code(code, std::generic_category()), "%s: cannot %s: %s",
                                 path.str().c_str(), action, std::strerror(code));
}

} // namespace

llvm::Expected<OutputFile> OutputFile::create(llvm::StringRef path) {
  struct stat status;
  if (::stat(path.str().c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return llvm::createStringError(std::make_error_code(std::errc::invalid_argument),
                                   "%s: cannot write: expected a regular file or none, found %s", path.str().c_str(),
                                   S_ISDIR(status.st_mode) ? "a folder" : "a special file");
  }
  std::string temporary = (path + ".partial-" + llvm::Twine(::getpid())).str();
  int descriptor = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return systemError("create the output", path, errno);
  }
  OutputFile file(descriptor, path.str(), std::move(temporary));
  unfinishedOutput.store(::strdup(file.temporary.c_str()));
  return file;
}

OutputFile::OutputFile(OutputFile &&other)
    : descriptor(other.descriptor), path(std::move(other.path)), temporary(std::move(other.temporary)) {
  other.descriptor = -1;
}

OutputFile::~OutputFile() {
  if (descriptor < 0) {
    return;
  }
  ::close(descriptor);
  ::unlink(temporary.c_str());
  unfinishedOutput.store(nullptr);
}

llvm::Error OutputFile::write(uint64_t offset, llvm::ArrayRef<char> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return systemError("write", path, errno);
    }
    bytes = bytes.drop_front(written);
    offset += written;
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
    bytes = bytes.drop_front(got);
    offset += got;
  }
  return llvm::Error::success();
}

llvm::Error OutputFile::reserve(uint64_t size) {
  int code = size ? ::posix_fallocate(descriptor, 0, static_cast<off_t>(size)) : 0;
  if (code == EOPNOTSUPP || code == EINVAL) {
    return llvm::Error::success(); // A file system without reservation reports a full disk when it is written.
  }
  return code ? systemError("reserve space", path, code) : llvm::Error::success();
}

llvm::Error OutputFile::makeExecutable() {
  return ::fchmod(descriptor, 0755) == 0 ? llvm::Error::success() : systemError("make executable", path, errno);
}

llvm::Error OutputFile::commit() {
  if (::fsync(descriptor) != 0) {
    return systemError("flush", path, errno);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return systemError("put in place", path, errno);
  }
  unfinishedOutput.store(nullptr);
  ::close(descriptor);
  descriptor = -1;
  // The rename itself is durable once its folder is.
  llvm::SmallString<128> folder(llvm::sys::path::parent_path(path));
  if (folder.empty()) {
    folder = ".";
  }
  int folderDescriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folderDescriptor >= 0) {
    ::fsync(folderDescriptor);
    ::close(folderDescriptor);
  }
  return llvm::Error::success();
}

void removeUnfinishedOutputs() {
  if (const char *temporary = unfinishedOutput.load()) {
    ::unlink(temporary);
  }
}

} // namespace elah
