// Reads safetensors headers (format: huggingface/safetensors, README). A checkpoint comes from strangers, so the header
// is checked against every rule of the format before a single offset in it is believed.
#include "frontends/HuggingFace/Safetensors.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#define JSON_NOEXCEPTION
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

using llvm::formatv;

namespace elah {
namespace {

constexpr uint64_t maxHeaderBytes = 100'000'000; // the format's own limit
constexpr unsigned maxRank = 64;

template <typename... Args> llvm::Error headerError(llvm::StringRef file, const char *format, Args &&...args) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s: %s", file.str().c_str(),
                                 formatv(format, std::forward<Args>(args)...).str().c_str());
}

/// Bits of one element, or 0 for a type that the format does not know.
unsigned elementBits(llvm::StringRef dtype) {
  return llvm::StringSwitch<unsigned>(dtype)
      .Case("F4", 4)
      .Cases({"F6_E2M3", "F6_E3M2"}, 6)
      .Cases({"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}, 8)
      .Cases({"I16", "U16", "F16", "BF16"}, 16)
      .Cases({"I32", "U32", "F32"}, 32)
      .Cases({"C64", "F64", "I64", "U64"}, 64)
      .Default(0);
}

/// Walks the header's JSON event by event. The tree is fixed: an object of tensors, each an object of three known
/// members, so a position is a depth and the keys above it.
class HeaderReader {
public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  explicit HeaderReader(llvm::StringRef file) : file(file.str()) {}

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) { return unexpected(formatv("the negative number {0}", value).str()); }
  bool number_float(number_float_t, const string_t &text) {
    return unexpected(formatv("the number {0}, which is no 64-bit integer", text).str());
  }
  bool binary(binary_t &) { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) {
    if (inArray && member == "shape") {
      if (value > static_cast<uint64_t>(INT64_MAX)) {
        return fail(formatv("tensor '{0}': a dimension must be below 2^63, found {1}", tensor.name, value).str());
      }
      if (tensor.shape.size() == maxRank) {
        return fail(formatv("tensor '{0}': expected at most {1} dimensions", tensor.name, maxRank).str());
      }
      tensor.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (inArray && member == "data_offsets") {
      offsets.push_back(value);
      return offsets.size() <= 2 ||
             fail(formatv("tensor '{0}': data_offsets must be two numbers, found more", tensor.name).str());
    }
    return unexpected(formatv("the number {0}", value).str());
  }

  bool string(string_t &value) {
    if (inMetadata && depth == 2) {
      return true;
    }
    if (depth == 2 && !inArray && member == "dtype") {
      tensor.dtype = value;
      return true;
    }
    return unexpected(formatv("the string '{0}'", value).str());
  }

  bool start_object(std::size_t) {
    if (inArray || depth >= 2) {
      return unexpected("an object");
    }
    ++depth;
    if (depth == 2) {
      memberNames.clear();
      member.clear();
    }
    return true;
  }

  bool key(string_t &name) {
    if (depth == 1) {
      if (!tensorNames.insert(name).second) {
        return fail(formatv("the key '{0}' stands twice", name).str());
      }
      inMetadata = name == "__metadata__";
      tensor = TensorEntry();
      tensor.name = name;
      offsets.clear();
      return true;
    }
    if (!memberNames.insert(name).second) {
      return fail(formatv("'{0}': the key '{1}' stands twice", tensor.name, name).str());
    }
    if (!inMetadata && name != "dtype" && name != "shape" && name != "data_offsets") {
      return fail(
          formatv("tensor '{0}': expected the keys dtype, shape and data_offsets, found '{1}'", tensor.name, name)
              .str());
    }
    member = name;
    return true;
  }

  bool end_object() {
    if (depth-- == 2 && !inMetadata) {
      for (const char *name : {"dtype", "shape", "data_offsets"}) {
        if (!memberNames.contains(name)) {
          return fail(formatv("tensor '{0}': the key {1} is missing", tensor.name, name).str());
        }
      }
      if (offsets.size() != 2) {
        return fail(
            formatv("tensor '{0}': data_offsets must be two numbers, found {1}", tensor.name, offsets.size()).str());
      }
      if (offsets[1] < offsets[0]) {
        return fail(formatv("tensor '{0}': data_offsets must not decrease, found [{1}, {2}]", tensor.name, offsets[0],
                            offsets[1])
                        .str());
      }
      tensor.offset = offsets[0];
      tensor.size = offsets[1] - offsets[0];
      tensors.push_back(std::move(tensor));
    }
    return true;
  }

  bool start_array(std::size_t) {
    if (depth != 2 || inArray || inMetadata || (member != "shape" && member != "data_offsets")) {
      return unexpected("an array");
    }
    inArray = true;
    return true;
  }

  bool end_array() {
    inArray = false;
    return true;
  }

  bool parse_error(std::size_t position, const std::string &token, const nlohmann::detail::exception &error) {
    return fail(formatv("the header is not valid JSON at its byte {0}: {1}", position, error.what()).str());
  }

  std::string message;
  std::vector<TensorEntry> tensors;

private:
  bool fail(std::string text) {
    message = std::move(text);
    return false;
  }

  bool unexpected(llvm::StringRef found) {
    if (depth == 0) {
      return fail(formatv("the header must be a JSON object, found {0}", found).str());
    }
    if (depth == 1) {
      return fail(formatv("'{0}': expected an object, found {1}", tensor.name, found).str());
    }
    if (inMetadata) {
      return fail(formatv("__metadata__: expected a string for '{0}', found {1}", member, found).str());
    }
    return fail(formatv("tensor '{0}': unexpected value of {1}: {2}", tensor.name, member, found).str());
  }

  std::string file;
  int depth = 0;
  bool inArray = false;
  bool inMetadata = false;
  std::string member;
  TensorEntry tensor;
  llvm::SmallVector<uint64_t, 2> offsets;
  llvm::StringSet<> tensorNames;
  llvm::StringSet<> memberNames;
};

llvm::Error checkSize(const TensorEntry &tensor, llvm::StringRef file) {
  unsigned bits = elementBits(tensor.dtype);
  if (bits == 0) {
    return headerError(file, "tensor '{0}': unknown dtype '{1}'", tensor.name, tensor.dtype);
  }
  uint64_t total = bits;
  for (int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(total, static_cast<uint64_t>(size), &total)) {
      return headerError(file, "tensor '{0}': the number of bits in shape [{1:$[, ]}] does not fit 64 bits",
                         tensor.name, llvm::make_range(tensor.shape.begin(), tensor.shape.end()));
    }
  }
  if (total % 8 != 0) {
    return headerError(file, "tensor '{0}': its {1} bits are no whole number of bytes", tensor.name, total);
  }
  if (total / 8 != tensor.size) {
    return headerError(file, "tensor '{0}': {1} of shape [{2:$[, ]}] needs {3} bytes, found data_offsets of {4} bytes",
                       tensor.name, tensor.dtype, llvm::make_range(tensor.shape.begin(), tensor.shape.end()), total / 8,
                       tensor.size);
  }
  return llvm::Error::success();
}

} // namespace

llvm::Expected<std::vector<TensorEntry>> parseSafetensorsHeader(llvm::StringRef header, uint64_t fileSize,
                                                                llvm::StringRef file) {
  uint64_t dataStart = 8 + header.size();
  if (header.size() > maxHeaderBytes || dataStart > fileSize) {
    return headerError(file, "a header of {0} bytes does not fit the file of {1} bytes", header.size(), fileSize);
  }
  if (!header.starts_with("{")) {
    return headerError(file, "the header must begin with '{{', found {0}",
                       header.empty() ? std::string("nothing") : formatv("byte {0}", +uint8_t(header[0])).str());
  }
  HeaderReader reader(file);
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) {
    return headerError(file, "{0}", reader.message);
  }
  std::vector<TensorEntry> tensors = std::move(reader.tensors);
  llvm::sort(tensors, [](const TensorEntry &a, const TensorEntry &b) {
    return std::tie(a.offset, a.size, a.name) < std::tie(b.offset, b.size, b.name);
  });
  uint64_t dataSize = fileSize - dataStart;
  uint64_t expected = 0;
  for (TensorEntry &tensor : tensors) {
    if (llvm::Error error = checkSize(tensor, file)) {
      return std::move(error);
    }
    if (tensor.offset != expected) {
      return headerError(file, "tensor '{0}': its data must begin at byte {1}, where the tensor before it ends; found {2}",
                         tensor.name, expected, tensor.offset);
    }
    if (tensor.size > dataSize - expected) {
      return headerError(file, "tensor '{0}': its data ends at byte {1}, the file's data at byte {2}", tensor.name,
                         formatv("{0}", expected + tensor.size), dataSize);
    }
    expected += tensor.size;
    tensor.offset += dataStart;
  }
  if (expected != dataSize) {
    return headerError(file, "the tensors cover {0} bytes of data, the file has {1}", expected, dataSize);
  }
  return tensors;
}

llvm::Expected<std::vector<TensorEntry>> readSafetensorsHeader(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return headerError(path, "cannot open: {0}", std::strerror(errno));
  }
  struct stat status;
  std::string header;
  auto readAll = [&]() -> llvm::Error {
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
      return headerError(path, "expected a regular file");
    }
    uint64_t fileSize = static_cast<uint64_t>(status.st_size);
    char lengthBytes[8];
    if (fileSize < 8 || ::pread(descriptor, lengthBytes, 8, 0) != 8) {
      return headerError(path, "expected at least the 8 bytes of the header's length, found {0}", fileSize);
    }
    uint64_t length = llvm::support::endian::read64le(lengthBytes);
    if (length > maxHeaderBytes) {
      return headerError(path, "the header's length must be at most {0}, found {1}", maxHeaderBytes, length);
    }
    if (length > fileSize - 8) {
      return headerError(path, "a header of {0} bytes does not fit the file of {1} bytes", length, fileSize);
    }
    header.resize(length);
    for (uint64_t done = 0; done < length;) {
      ssize_t got = ::pread(descriptor, header.data() + done, length - done, static_cast<off_t>(8 + done));
      if (got <= 0) {
        return headerError(path, "cannot read the header: {0}", std::strerror(got < 0 ? errno : EIO));
      }
      done += got;
    }
    return llvm::Error::success();
  };
  llvm::Error error = readAll();
  ::close(descriptor);
  if (error) {
    return std::move(error);
  }
  return parseSafetensorsHeader(header, static_cast<uint64_t>(status.st_size), path);
}

} // namespace elah
