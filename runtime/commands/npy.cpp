#include "commands/npy.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace {

constexpr char magic[] = "\x93NUMPY";
constexpr size_t magicBytes = 6, maxHeaderBytes = 1 << 20;

struct Name {
  const char *descr;
  elah_element_type type;
};

// What a type is called when it is written comes first; the rest is read as well.
constexpr Name names[] = {{"<f4", ELAH_F32}, {"<f8", ELAH_F64}, {"<f2", ELAH_F16}, {"|b1", ELAH_BOOL},
                          {"|i1", ELAH_I8},  {"<i2", ELAH_I16}, {"<i4", ELAH_I32}, {"<i8", ELAH_I64},
                          {"|u1", ELAH_U8},  {"<u2", ELAH_U16}, {"<u4", ELAH_U32}, {"<u8", ELAH_U64}};

int fail(const std::string &path, const std::string &what, int status = 65) {
  std::fprintf(stderr, "error: %s: %s\n", path.c_str(), what.c_str());
  return status;
}

/// What stands behind 'key': in the header, a Python dictionary in one line.
std::string valueOf(const std::string &header, const std::string &key) {
  size_t at = header.find("'" + key + "'");
  at = at == std::string::npos ? at : header.find(':', at);
  at = at == std::string::npos ? at : header.find_first_not_of(' ', at + 1);
  if (at == std::string::npos) {
    return "";
  }
  char open = header[at];
  size_t end = open == '\''  ? header.find('\'', at + 1)
               : open == '(' ? header.find(')', at)
                             : header.find_first_of(",}", at);
  return end == std::string::npos ? "" : header.substr(at, end - at + (open == '\'' || open == '('));
}

} // namespace

int readNpy(const std::string &path, elah_element_type expected, NpyTensor &tensor) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(path, std::string("cannot open: ") + std::strerror(errno), 66);
  }
  char start[8];
  if (!file.read(start, sizeof(start)) || std::memcmp(start, magic, magicBytes) != 0) {
    return fail(path, "expected a NumPy file (.npy), found another beginning");
  }
  unsigned version = static_cast<unsigned char>(start[6]);
  unsigned char sizes[4] = {};
  if (version < 1 || version > 3 || !file.read(reinterpret_cast<char *>(sizes), version == 1 ? 2 : 4)) {
    return fail(path, "expected version 1, 2 or 3 of the .npy format, found " + std::to_string(version));
  }
  size_t headerBytes = sizes[0] | size_t(sizes[1]) << 8 | size_t(sizes[2]) << 16 | size_t(sizes[3]) << 24;
  std::string header(std::min(headerBytes, maxHeaderBytes), ' ');
  if (headerBytes > maxHeaderBytes || !file.read(header.data(), static_cast<std::streamsize>(header.size()))) {
    return fail(path, "the header of " + std::to_string(headerBytes) + " bytes does not fit the file");
  }
  std::string descr = valueOf(header, "descr"), order = valueOf(header, "fortran_order"),
              shape = valueOf(header, "shape");
  if (descr.size() < 3 || shape.size() < 2 || (order != "False" && order != "True")) {
    return fail(path, "the header has no descr, fortran_order and shape");
  }
  descr = descr.substr(1, descr.size() - 2);
  size_t wanted = elah_element_bytes(expected);
  auto named = std::find_if(std::begin(names), std::end(names), [&](const Name &name) {
    return descr.substr(1) == name.descr + 1 &&
           (descr[0] == name.descr[0] || (descr[0] == '=' && name.descr[0] == '<') ||
            (descr[0] != '>' && name.descr[2] == '1'));
  });
  bool isBits = (expected == ELAH_BF16 || expected == ELAH_F8E4M3) && descr[0] != '>' &&
                (descr.substr(1) == "V" + std::to_string(wanted) || descr.substr(1) == "u" + std::to_string(wanted));
  if (named == std::end(names) && !isBits) {
    return fail(path, "elements of NumPy's type '" + descr + "' are not supported");
  }
  tensor.type = isBits ? expected : named->type;
  tensor.dims.clear();
  uint64_t elements = 1;
  for (size_t at = 1; at < shape.size();) {
    size_t end = shape.find_first_of(",)", at);
    std::string number = shape.substr(at, end - at);
    number.erase(std::remove(number.begin(), number.end(), ' '), number.end());
    if (!number.empty()) {
      bool isNumber =
          number.size() < 19 && std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (!isNumber) {
        return fail(path, "the header's shape is " + shape);
      }
      tensor.dims.push_back(std::stoll(number));
      if (__builtin_mul_overflow(elements, static_cast<uint64_t>(tensor.dims.back()), &elements)) {
        return fail(path, "a tensor of shape " + shape + " is too large");
      }
    }
    at = end == std::string::npos ? shape.size() : end + 1;
  }
  uint64_t elementBytes = elah_element_bytes(tensor.type), bytes;
  auto begin = file.tellg();
  file.seekg(0, std::ios::end);
  uint64_t found = static_cast<uint64_t>(file.tellg() - begin);
  if (__builtin_mul_overflow(elements, elementBytes, &bytes) || bytes != found) {
    return fail(path, "expected the elements of shape " + shape + ", found " + std::to_string(found) + " bytes");
  }
  file.seekg(begin);
  tensor.bytes.resize(bytes);
  if (!file.read(tensor.bytes.data(), static_cast<std::streamsize>(bytes))) {
    return fail(path, std::string("cannot read: ") + std::strerror(errno), 74);
  }
  if (order == "True" && tensor.dims.size() > 1) {
    // Column-major: element (i, j, ...) is at i + j * rows + ...
    std::vector<char> rowMajor(bytes);
    std::vector<int64_t> index(tensor.dims.size(), 0);
    for (uint64_t place = 0; place < elements; ++place) {
      uint64_t from = 0;
      for (size_t axis = tensor.dims.size(); axis-- > 0;) {
        from = from * static_cast<uint64_t>(tensor.dims[axis]) + static_cast<uint64_t>(index[axis]);
      }
      std::memcpy(&rowMajor[place * elementBytes], &tensor.bytes[from * elementBytes], elementBytes);
      for (size_t axis = tensor.dims.size(); axis-- > 0 && ++index[axis] == tensor.dims[axis];) {
        index[axis] = 0;
      }
    }
    tensor.bytes = std::move(rowMajor);
  }
  return 0;
}

int writeNpy(const std::string &path, const elah_tensor &tensor) {
  elah_element_type stored = tensor.type == ELAH_BF16 ? ELAH_U16 : tensor.type == ELAH_F8E4M3 ? ELAH_U8 : tensor.type;
  auto named = std::find_if(std::begin(names), std::end(names), [&](const Name &name) { return name.type == stored; });
  std::string shape;
  uint64_t bytes = elah_element_bytes(tensor.type);
  for (size_t axis = 0; axis < tensor.rank; ++axis) {
    shape += std::to_string(tensor.dims[axis]) + (axis + 1 < tensor.rank ? ", " : tensor.rank == 1 ? "," : "");
    bytes *= static_cast<uint64_t>(tensor.dims[axis]);
  }
  std::string header =
      std::string("{'descr': '") + named->descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The elements begin at a multiple of 64 bytes.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  char sizes[2] = {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  std::ofstream file(path, std::ios::binary);
  if (!file) {
    return fail(path, std::string("cannot create: ") + std::strerror(errno), 74);
  }
  file.write(magic, magicBytes)
      .write("\1\0", 2)
      .write(sizes, 2)
      .write(header.data(), static_cast<std::streamsize>(header.size()));
  file.write(static_cast<const char *>(tensor.data), static_cast<std::streamsize>(bytes));
  file.flush();
  return file ? 0 : fail(path, "cannot write", 74);
}
