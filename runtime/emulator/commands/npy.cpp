#include "commands/npy.h"
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

namespace emulator {

namespace {
struct TypeName {
  const char *type;  ///< ours
  const char *descr; ///< numpy's, without the byte order
  unsigned bytes;
};
} // namespace

// The first with a `descr` is what a file of it is read as; the last four are written as integers.
static constexpr TypeName typeNames[] = {
    {"bool", "b1", 1}, {"i8", "i1", 1},  {"u8", "u1", 1},   {"i16", "i2", 2},  {"u16", "u2", 2},
    {"i32", "i4", 4},  {"u32", "u4", 4}, {"i64", "i8", 8},  {"u64", "u8", 8},  {"f16", "f2", 2},
    {"f32", "f4", 4},  {"f64", "f8", 8}, {"bf16", "u2", 2}, {"e4m3", "u1", 1}, {"e5m2", "u1", 1},
};

unsigned elementBytes(const std::string &type) {
  for (const TypeName &name : typeNames) {
    if (type == name.type) {
      return name.bytes;
    }
  }
  return 0;
}

/// What stands behind `key` in the header's dictionary, up to the end of the value.
static std::string_view valueOf(std::string_view header, std::string_view key) {
  const size_t at = header.find(key);
  if (at == std::string_view::npos) {
    return {};
  }
  const size_t colon = header.find(':', at + key.size());
  if (colon == std::string_view::npos) {
    return {};
  }
  size_t begin = header.find_first_not_of(' ', colon + 1);
  if (begin == std::string_view::npos) {
    return {};
  }
  const char closing = header[begin] == '(' ? ')' : header[begin] == '\'' ? '\'' : ',';
  const size_t end = header.find(closing, begin + 1);
  return header.substr(begin, end == std::string_view::npos ? end : end - begin + (closing == ',' ? 0 : 1));
}

std::variant<Array, std::string> readNpy(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return path + ": " + std::strerror(errno);
  }
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) {
    return path + ": found no .npy file";
  }
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const bool wide = byte(6) >= 2;
  const size_t length = wide ? byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24 : byte(8) | byte(9) << 8;
  const size_t begin = wide ? 12 : 10;
  if (length > bytes.size() - begin) {
    return path + ": the header is cut off";
  }
  const std::string_view header = std::string_view(bytes).substr(begin, length);
  const std::string_view descr = valueOf(header, "'descr'"), shape = valueOf(header, "'shape'");
  if (valueOf(header, "'fortran_order'") != "False") {
    return path + ": found an array in Fortran's order, expected C's";
  }
  Array array;
  if (descr.size() < 5 || (descr[1] != '<' && descr[1] != '|')) {
    return path + ": found elements of type " + std::string(descr) + ", expected little endian numbers";
  }
  const std::string_view word = descr.substr(2, descr.size() - 3);
  unsigned size = 0;
  for (const TypeName &name : typeNames) {
    if (word == name.descr && array.type.empty()) {
      array.type = name.type;
      size = name.bytes;
    }
  }
  if (array.type.empty()) {
    return path + ": found elements of type " + std::string(descr) + ", expected b1, i1 to i8, u1 to u8, f2 to f8";
  }
  uint64_t elements = 1;
  for (size_t at = 1; at < shape.size();) {
    if (shape[at] < '0' || shape[at] > '9') {
      ++at;
      continue;
    }
    uint64_t dim = 0;
    for (; at < shape.size() && shape[at] >= '0' && shape[at] <= '9'; ++at) {
      dim = dim * 10 + static_cast<uint64_t>(shape[at] - '0');
    }
    array.shape.push_back(dim);
    if (dim != 0 && elements > bytes.size() / dim) {
      elements = bytes.size() + 1; // More than there can be.
      break;
    }
    elements *= dim;
  }
  const size_t data = begin + length;
  if (elements > bytes.size() || bytes.size() - data != elements * size) {
    return path + ": found " + std::to_string(bytes.size() - data) + " bytes of elements, expected those of its shape";
  }
  array.bytes.resize(elements * size);
  std::memcpy(array.bytes.data(), bytes.data() + data, array.bytes.size());
  return array;
}

std::string writeNpy(const std::string &path, const Array &array) {
  std::string header = "{'descr': '";
  for (const TypeName &name : typeNames) {
    if (array.type == name.type) {
      header += (name.bytes == 1 ? "|" : "<") + std::string(name.descr);
    }
  }
  header += "', 'fortran_order': False, 'shape': (";
  for (uint64_t dim : array.shape) {
    header += std::to_string(dim) + ", ";
  }
  header += "), }";
  // The data begins at a multiple of 64 bytes.
  header.append((64 - (10 + header.size() + 1) % 64) % 64, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char *>(array.bytes.data()), array.bytes.size());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file ? std::string() : path + ": " + std::strerror(errno);
}

} // namespace emulator
