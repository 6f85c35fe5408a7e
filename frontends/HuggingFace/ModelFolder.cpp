// A model's folder comes from strangers, and so do the names in its index and the links in it. Every file of it is
// opened through here, so that none of them can point at the rest of the machine, and none can make us wait.
#include "frontends/HuggingFace/ModelFolder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using llvm::formatv;
namespace path = llvm::sys::path;

namespace elah {
namespace {

// R1's own index is 9 MB. A parsed text takes some ten times its size.
constexpr off_t maxTextBytes = 64 << 20;

llvm::Error folderError(const std::string &message) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s", message.c_str());
}

std::string containmentRoot(llvm::StringRef realFolder) {
  for (llvm::StringRef parent = realFolder; !parent.empty(); parent = path::parent_path(parent)) {
    if (path::filename(parent).starts_with("models--")) {
      return parent.str();
    }
  }
  return realFolder.str();
}

bool isPlainName(llvm::StringRef name) {
  return !name.empty() && name != "." && name != ".." && llvm::none_of(name, [](char character) {
    return character == '/' || character == '\\' || static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
  });
}

/// `name`, with what a terminal would act on written out.
std::string printable(llvm::StringRef name) {
  std::string result;
  for (char character : name) {
    bool isControl = static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
    result += isControl ? formatv("\\x{0:x-2}", static_cast<unsigned>(character)).str() : std::string(1, character);
  }
  return result;
}

} // namespace

llvm::Expected<ModelFolder> ModelFolder::open(llvm::StringRef folderPath) {
  llvm::SmallString<256> real;
  if (std::error_code code = llvm::sys::fs::real_path(folderPath, real)) {
    return folderError(formatv("{0}: cannot open the model's folder: {1}", folderPath, code.message()).str());
  }
  if (!llvm::sys::fs::is_directory(real)) {
    return folderError(formatv("{0}: expected the folder of a model, found a file", folderPath).str());
  }
  ModelFolder result;
  result.folder = folderPath.str();
  result.root = containmentRoot(real);
  return result;
}

std::string ModelFolder::pathOf(llvm::StringRef name) const {
  llvm::SmallString<256> whole(folder);
  path::append(whole, name);
  return whole.str().str();
}

bool ModelFolder::has(llvm::StringRef name) const {
  struct stat status;
  return ::lstat(pathOf(name).c_str(), &status) == 0;
}

llvm::Expected<std::string> ModelFolder::find(llvm::StringRef name, llvm::StringRef namedBy) const {
  if (!isPlainName(name)) {
    return folderError(
        formatv("{0}: expected the plain name of a file in the folder, found '{1}'", namedBy, printable(name)).str());
  }
  std::string whole = pathOf(name);
  llvm::SmallString<256> real;
  if (std::error_code code = llvm::sys::fs::real_path(whole, real)) {
    return folderError(formatv("{0}: cannot open (named by {1}): {2}", whole, namedBy, code.message()).str());
  }
  if (!llvm::StringRef(real).starts_with(root + "/")) {
    return folderError(formatv("{0}: links to {1}, outside of the model's folder {2}", whole, real, root).str());
  }
  struct stat status;
  if (::stat(real.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return folderError(formatv("{0}: expected a regular file", whole).str());
  }
  return whole;
}

llvm::Expected<std::string> ModelFolder::read(llvm::StringRef name) const {
  llvm::Expected<std::string> file = find(name, folder);
  if (!file) {
    return file.takeError();
  }
  int descriptor = ::open(file->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return folderError(formatv("{0}: cannot open: {1}", *file, std::strerror(errno)).str());
  }
  std::string text;
  auto readAll = [&]() -> llvm::Error {
    struct stat status;
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
      return folderError(formatv("{0}: expected a regular file", *file).str());
    }
    if (status.st_size > maxTextBytes) {
      return folderError(
          formatv("{0}: expected at most {1} bytes, found {2}", *file, maxTextBytes, status.st_size).str());
    }
    text.resize(static_cast<size_t>(status.st_size));
    for (size_t done = 0; done < text.size();) {
      ssize_t got = ::pread(descriptor, text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (got <= 0) {
        return folderError(formatv("{0}: cannot read: {1}", *file, std::strerror(got < 0 ? errno : EIO)).str());
      }
      done += static_cast<size_t>(got);
    }
    return llvm::Error::success();
  };
  llvm::Error error = readAll();
  ::close(descriptor);
  if (error) {
    return std::move(error);
  }
  return text;
}

} // namespace elah
