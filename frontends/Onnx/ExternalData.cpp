// A model's tensors name files, and models come from strangers. The rules are those of ONNX
// (docs/ExternalDataSecurity.md, after CVE-2022-25882, CVE-2024-27318, CVE-2026-27489 and CVE-2026-34446): a plain
// relative path that stays in the model's folder, no link of either kind on the way, a regular file, and every size
// checked on the file that was opened. One way out is allowed, since it is how the Hugging Face hub's cache looks: a
// link in `snapshots/` to `../../blobs/`, where both belong to the same `models--...` folder.
#include "frontends/Onnx/ExternalData.h"
#include "frontends/Onnx/Failure.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
namespace path = llvm::sys::path;

namespace elah::onnx_import {
namespace {

constexpr size_t maxOpenFiles = 256;

/// The folder of a model in the hub's cache (`models--owner--name`) that `real` lies in; empty if it lies in none.
std::string cacheRoot(StringRef real) {
  for (StringRef parent = real; !parent.empty(); parent = path::parent_path(parent)) {
    if (path::filename(parent).starts_with("models--")) {
      return parent.str();
    }
  }
  return "";
}

/// The components of a location; throws a Failure if it is none that stays below its folder.
SmallVector<StringRef> componentsOf(StringRef location) {
  bool isPlain = !location.empty() && llvm::none_of(location, [](char character) {
    return character == '\\' || static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
  });
  SmallVector<StringRef> components;
  location.split(components, '/');
  for (StringRef component : components) {
    isPlain &= !component.empty() && component != "." && component != "..";
  }
  if (!isPlain || components.size() > 64 || location.size() > 4096) {
    throw Failure(code::external, "external data must lie at a relative path below the model's folder, found '" +
                                      location.take_front(256) + "'");
  }
  return components;
}

/// A file descriptor that closes.
struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0) {
      ::close(number);
    }
  }
};

/// Whether the link at `whole` is one of the hub's cache: it ends in a blob of the same model.
bool isCacheLink(StringRef folder, StringRef whole, SmallVectorImpl<char> &real) {
  SmallString<256> realFolder;
  if (sys::fs::real_path(folder, realFolder) || sys::fs::real_path(whole, real)) {
    return false;
  }
  std::string root = cacheRoot(realFolder);
  StringRef target(real.data(), real.size());
  return !root.empty() && target.starts_with(root + "/blobs/");
}

} // namespace

ExternalData::File::~File() { ::close(descriptor); }

std::shared_ptr<ExternalData::File> ExternalData::open(StringRef location) {
  if (std::shared_ptr<File> known = files.lookup(location)) {
    return known;
  }
  SmallVector<StringRef> components = componentsOf(location);
  if (folder.empty()) {
    throw Failure(code::external, "external data has no folder to lie in, found '" + location + "'");
  }
  auto fail = [&](const Twine &message) -> std::shared_ptr<File> {
    throw Failure(code::external, "external data '" + location + "' " + message);
  };
  SmallString<256> whole(folder);
  path::append(whole, location);
  // Component by component from the folder's descriptor: nothing that is swapped in between can lead elsewhere. A pipe
  // must not make us wait.
  Descriptor current;
  current.number = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (auto [index, component] : llvm::enumerate(components)) {
    bool isLast = index + 1 == components.size();
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (isLast ? O_NONBLOCK : O_DIRECTORY);
    int next = current.number < 0 ? -1 : ::openat(current.number, component.str().c_str(), flags);
    SmallString<256> real;
    if (next < 0 && errno == ELOOP && isLast && isCacheLink(folder, whole, real)) {
      next = ::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    }
    if (next < 0) {
      int error = errno;
      bool isLink = error == ELOOP || (error == ENOTDIR && !isLast);
      return fail(
          isLink ? Twine("is, or lies behind, a link or a file: it must be a regular file below the model's folder")
                 : "cannot be opened: " + Twine(std::strerror(error)));
    }
    std::swap(current.number, next);
    ::close(next);
  }
  struct stat status;
  if (::fstat(current.number, &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail("must be a regular file");
  }
  if (status.st_nlink > 1) {
    return fail("has " + Twine(status.st_nlink) + " names (hard links), which could be another's file");
  }
  if (files.size() >= maxOpenFiles) {
    files.clear();
  }
  auto file = std::make_shared<File>(current.number, static_cast<uint64_t>(status.st_size));
  current.number = -1;
  files[location] = file;
  return file;
}

Span ExternalData::check(StringRef location, uint64_t offset, uint64_t size) {
  std::shared_ptr<File> file = open(location);
  if (offset > file->size || size > file->size - offset) {
    throw Failure(code::external, "external data '" + location + "' must have " + Twine(size) + " bytes at offset " +
                                      Twine(offset) + ", found a file of " + Twine(file->size));
  }
  return {offset, size};
}

std::string ExternalData::read(StringRef location, Span span) {
  std::shared_ptr<File> file = open(location);
  std::string bytes(span.size, '\0');
  for (size_t done = 0; done < bytes.size();) {
    ssize_t got =
        ::pread(file->descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(span.offset + done));
    if (got <= 0) {
      throw Failure(code::external,
                    "external data '" + location + "' cannot be read: " + std::strerror(got < 0 ? errno : EIO));
    }
    done += static_cast<size_t>(got);
  }
  return bytes;
}

} // namespace elah::onnx_import
