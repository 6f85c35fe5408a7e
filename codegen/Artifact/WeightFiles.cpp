// A checkpoint's weights are far larger than memory (R1: 641 GiB), so they are read in pieces as the artifact is
// written, never mapped whole and never kept.
#include "codegen/Artifact/WeightFiles.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace elah {

WeightFiles::~WeightFiles() {
  for (const auto &entry : descriptors) {
    ::close(entry.second);
  }
}

llvm::Expected<int> WeightFiles::descriptorOf(llvm::StringRef file) {
  std::lock_guard<std::mutex> lock(mutex);
  auto [entry, isNew] = descriptors.try_emplace(file, -1);
  if (isNew) {
    llvm::SmallString<256> path(folder);
    llvm::sys::path::append(path, file);
    int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      int code = errno;
      descriptors.erase(entry);
      return llvm::createStringError(std::error_code(code, std::generic_category()), "%s: cannot open: %s",
                                     path.c_str(), std::strerror(code));
    }
    entry->second = descriptor;
  }
  return entry->second;
}

llvm::Error WeightFiles::read(llvm::StringRef file, uint64_t offset, llvm::MutableArrayRef<char> bytes) {
  llvm::Expected<int> descriptor = descriptorOf(file);
  if (!descriptor) {
    return descriptor.takeError();
  }
  while (!bytes.empty()) {
    ssize_t got = ::pread(*descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      int code = errno;
      return llvm::createStringError(std::error_code(code, std::generic_category()), "%s/%s: cannot read: %s",
                                     folder.c_str(), file.str().c_str(), std::strerror(code));
    }
    if (got == 0) {
      return llvm::createStringError(std::make_error_code(std::errc::io_error),
                                     "%s/%s: expected %zu more bytes at offset %llu, found the end of the file",
                                     folder.c_str(), file.str().c_str(), bytes.size(),
                                     static_cast<unsigned long long>(offset));
    }
    bytes = bytes.drop_front(got);
    offset += got;
  }
  return llvm::Error::success();
}

} // namespace elah
