// Reads safetensors headers (format: huggingface/safetensors, README). A checkpoint comes from strangers, so the header
// is checked against every rule of the format before a single offset in it is believed.
#include "frontends/HuggingFace/Safetensors.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#define JSON_NOEXCEPTION
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sys/stat.h>
#include <unistd.h>

using llvm::formatv;

namespace elah {
namespace {

constexpr uint64_t maxHeaderBytes = 100'000'000; // the format's own limit
constexpr unsigned maxRank = 64;
constexpr size_t maxNameBytes = 1024;
// {"":{"dtype":"F4","shape":[],"data_offsets":[0,0]}} without the braces around it.
constexpr size_t minEntryBytes = 48;

template <typename... Args> llvm::Error headerError(llvm::StringRef file, const char *format, Args &&...args) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s: %s", file.str().c_str(),
                                 formatv(format, std::forward<Args>(args)...).str().c_str());
}

struct ElementType {
  llvm::StringLiteral name;
  unsigned bits;
};

constexpr ElementType elementTypes[] = {
    {"BF16", 16},       {"BOOL", 8},    {"C64", 64},    {"F16", 16},    {"F32", 32},        {"F4", 4},
    {"F64", 64},        {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2", 8},
    {"F8_E5M2FNUZ", 8}, {"F8_E8M0", 8}, {"I16", 16},    {"I32", 32},    {"I64", 64},        {"I8", 8},
    {"U16", 16},        {"U32", 32},    {"U64", 64},    {"U8", 8},
};

const ElementType *findElementType(llvm::StringRef name) {
  const ElementType *place = llvm::lower_bound(
      elementTypes, name, [](const ElementType &type, llvm::StringRef name) { return type.name < name; });
  return place != std::end(elementTypes) && place->name == name ? place : nullptr;
}

bool hasControlCharacter(llvm::StringRef text) {
  return llvm::any_of(text,
                      [](char character) { return static_cast<unsigned char>(character) < 0x20 || character == 0x7f; });
}

/// A text of the file's, fit for a message.
std::string inQuotes(llvm::StringRef text) {
  if (text.size() > 60 || hasControlCharacter(text)) {
    return formatv("of {0} bytes", text.size()).str();
  }
  return ("'" + text + "'").str();
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

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) { return unexpected(formatv("the negative number {0}", value).str()); }
  bool number_float(number_float_t, const string_t &text) {
    return unexpected(formatv("the number {0}, which is no 64-bit integer", text).str());
  }
  bool binary(binary_t &) { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) {
    if (inArray && member == Member::Shape) {
      if (value > static_cast<uint64_t>(INT64_MAX)) {
        return fail(formatv("tensor '{0}': a dimension must be below 2^63, found {1}", tensor.name, value).str());
      }
      if (tensor.shape.size() == maxRank) {
        return fail(formatv("tensor '{0}': expected at most {1} dimensions", tensor.name, maxRank).str());
      }
      tensor.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (inArray && member == Member::DataOffsets) {
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
    if (depth == 2 && !inArray && member == Member::Dtype) {
      const ElementType *type = findElementType(value);
      if (!type) {
        return fail(formatv("tensor '{0}': unknown dtype {1}", tensor.name, inQuotes(value)).str());
      }
      tensor.dtype = type->name;
      return true;
    }
    return unexpected(formatv("the string {0}", inQuotes(value)).str());
  }

  bool start_object(std::size_t) {
    if (inArray || depth >= 2) {
      return unexpected("an object");
    }
    ++depth;
    return true;
  }

  bool key(string_t &name) {
    if (depth == 1) {
      return beginTensor(name);
    }
    if (inMetadata) {
      metadataKey = inQuotes(name);
      return metadataKeys.insert(name).second ||
             fail(formatv("__metadata__: the key {0} stands twice", metadataKey).str());
    }
    member = llvm::StringSwitch<Member>(name)
                 .Case("dtype", Member::Dtype)
                 .Case("shape", Member::Shape)
                 .Case("data_offsets", Member::DataOffsets)
                 .Default(Member::None);
    if (member == Member::None) {
      return fail(formatv("tensor '{0}': expected the keys dtype, shape and data_offsets, found {1}", tensor.name,
                          inQuotes(name))
                      .str());
    }
    bool &isSeen = hasMember[static_cast<int>(member)];
    if (isSeen) {
      return fail(formatv("tensor '{0}': the key '{1}' stands twice", tensor.name, name).str());
    }
    isSeen = true;
    return true;
  }

  bool end_object() {
    if (depth-- == 2 && !inMetadata) {
      for (Member needed : {Member::Dtype, Member::Shape, Member::DataOffsets}) {
        if (!hasMember[static_cast<int>(needed)]) {
          return fail(formatv("tensor '{0}': the key {1} is missing", tensor.name, nameOf(needed)).str());
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
    if (depth != 2 || inArray || inMetadata || (member != Member::Shape && member != Member::DataOffsets)) {
      return unexpected("an array");
    }
    inArray = true;
    return true;
  }

  bool end_array() {
    inArray = false;
    return true;
  }

  bool parse_error(std::size_t position, const std::string &, const nlohmann::detail::exception &error) {
    bool isEncoding = llvm::StringRef(error.what()).contains("UTF-8");
    return fail(formatv("the header is not valid {0} at its byte {1}", isEncoding ? "UTF-8" : "JSON", position).str());
  }

  std::string message;
  std::vector<TensorEntry> tensors;

private:
  enum class Member { None, Dtype, Shape, DataOffsets };

  static const char *nameOf(Member member) {
    const char *names[] = {"a member", "dtype", "shape", "data_offsets"};
    return names[static_cast<int>(member)];
  }

  bool beginTensor(const std::string &name) {
    inMetadata = name == "__metadata__";
    if (inMetadata) {
      bool isFirst = !hasMetadata;
      hasMetadata = true;
      tensor.name = name;
      return isFirst || fail("the key '__metadata__' stands twice");
    }
    // Names end up in messages, listings and manifests: none may speak to a terminal, or fill it.
    if (name.size() > maxNameBytes || hasControlCharacter(name)) {
      return fail(formatv("tensor {0}: a name must be at most {1} bytes without control characters", tensors.size(),
                          maxNameBytes)
                      .str());
    }
    tensor = TensorEntry();
    tensor.name = name;
    offsets.clear();
    std::fill(std::begin(hasMember), std::end(hasMember), false);
    member = Member::None;
    return true;
  }

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
      return fail(formatv("__metadata__: expected a string for {0}, found {1}", metadataKey, found).str());
    }
    return fail(formatv("tensor '{0}': unexpected value of {1}: {2}", tensor.name, nameOf(member), found).str());
  }

  int depth = 0;
  bool inArray = false;
  bool inMetadata = false;
  bool hasMetadata = false;
  Member member = Member::None;
  bool hasMember[4] = {};
  TensorEntry tensor;
  llvm::SmallVector<uint64_t, 2> offsets;
  std::string metadataKey; ///< Quoted.
  llvm::StringSet<> metadataKeys;
};

llvm::Error checkSize(const TensorEntry &tensor, llvm::StringRef file) {
  uint64_t total = findElementType(tensor.dtype)->bits;
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

/// The name that two of `tensors` have, if there is one.
const std::string *findDuplicate(const std::vector<TensorEntry> &tensors) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
  auto place = std::adjacent_find(order.begin(), order.end(),
                                  [&](uint32_t a, uint32_t b) { return tensors[a].name == tensors[b].name; });
  return place == order.end() ? nullptr : &tensors[*place].name;
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
  // The parser takes a zero byte for the end of the text, whatever stands behind it.
  if (size_t zero = header.find('\0'); zero != llvm::StringRef::npos) {
    return headerError(file, "the header is not valid JSON at its byte {0}: a zero byte", zero + 1);
  }
  HeaderReader reader;
  // Untouched pages cost nothing, growing would hold all entries twice.
  reader.tensors.reserve(header.size() / minEntryBytes + 1);
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) {
    return headerError(file, "{0}", reader.message);
  }
  std::vector<TensorEntry> tensors = std::move(reader.tensors);
  if (const std::string *name = findDuplicate(tensors)) {
    return headerError(file, "the key '{0}' stands twice", *name);
  }
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
      return headerError(file,
                         "tensor '{0}': its data must begin at byte {1}, where the tensor before it ends; found {2}",
                         tensor.name, expected, tensor.offset);
    }
    if (tensor.size > dataSize - expected) {
      return headerError(file, "tensor '{0}': its data ends at byte {1}, the file's data at byte {2}", tensor.name,
                         expected + tensor.size, dataSize);
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
