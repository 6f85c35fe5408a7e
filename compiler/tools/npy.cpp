// numpy's file format, version 1 and 2 (numpy/lib/format.py): a magic, a dictionary in Python's syntax, the elements.
#include "compiler/tools/npy.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <limits>

using namespace mlir;

namespace elah {
namespace {

constexpr llvm::StringLiteral magic("\x93NUMPY");

/// What stands behind 'key': in the header.
StringRef fieldOf(StringRef header, StringRef key) {
  size_t at = header.find(("'" + key + "'").str());
  return at == StringRef::npos ? StringRef() : header.drop_front(at + key.size() + 2).ltrim(" :");
}

/// 'f4' and the like as numpy writes the type of an element.
std::string describe(Type element) {
  if (element.isInteger(1)) {
    return "|b1";
  }
  if (auto integer = dyn_cast<IntegerType>(element)) {
    unsigned bytes = std::max(integer.getWidth() / 8, 1u);
    return (bytes == 1 ? "|" : "<") + std::string(integer.isUnsigned() ? "u" : "i") + std::to_string(bytes);
  }
  return element.isF64() ? "<f8" : element.isF16() ? "<f2" : "<f4";
}

void appendBits(std::string &bytes, uint64_t bits, unsigned count) {
  for (unsigned byte = 0; byte < count; ++byte) {
    bytes.push_back(static_cast<char>(bits >> (8 * byte)));
  }
}

} // namespace

std::string readNpy(StringRef path, HostTensor &tensor) {
  auto fail = [&](const Twine &message) { return (path + ": " + message).str(); };
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file) {
    return fail("cannot read: " + file.getError().message());
  }
  StringRef bytes = (*file)->getBuffer();
  if (!bytes.starts_with(magic) || bytes.size() < 12 || bytes[6] < 1 || bytes[6] > 3) {
    return fail("expected an array that numpy saved (.npy)");
  }
  size_t start = bytes[6] == 1 ? 10 : 12;
  size_t length = bytes[6] == 1 ? llvm::support::endian::read16le(bytes.data() + 8)
                                : llvm::support::endian::read32le(bytes.data() + 8);
  if (length > bytes.size() - start) {
    return fail("ends in its header");
  }
  StringRef header = bytes.substr(start, length), data = bytes.drop_front(start + length);
  StringRef type = fieldOf(header, "descr").ltrim("'\"").take_until([](char character) { return character == '\''; });
  StringRef list = fieldOf(header, "shape");
  if (!fieldOf(header, "fortran_order").starts_with("False")) {
    return fail("expected elements in C order");
  }
  if (!list.consume_front("(") || type.size() < 3) {
    return fail("expected a shape and a type of elements");
  }
  tensor.shape.clear();
  SmallVector<StringRef> sizes;
  list.take_until([](char character) { return character == ')'; }).split(sizes, ',', -1, /*KeepEmpty=*/false);
  uint64_t count = 1;
  for (StringRef size : sizes) {
    int64_t number;
    size = size.trim();
    if (size.empty()) {
      continue;
    }
    if (!llvm::to_integer(size, number, 10) || number < 0 ||
        (number > 0 && count > std::numeric_limits<uint32_t>::max() / static_cast<uint64_t>(number))) {
      return fail("expected sizes of at most 2^32 elements, found (" + llvm::join(sizes, ",") + ")");
    }
    tensor.shape.push_back(number);
    count *= static_cast<uint64_t>(number);
  }
  char kind = type[1];
  uint64_t width;
  bool isKnown = llvm::to_integer(type.drop_front(2), width, 10) && type[0] != '>' &&
                 (width == 1 || width == 2 || width == 4 || width == 8) &&
                 (kind == 'i' || kind == 'u' || (kind == 'b' && width == 1) || (kind == 'f' && width > 1));
  if (!isKnown) {
    return fail("expected little-endian numbers, found elements of '" + type + "'");
  }
  if (data.size() != count * width) {
    return fail("expected " + Twine(count * width) + " bytes of elements, found " + Twine(data.size()));
  }
  Floats floats;
  Integers integers;
  for (uint64_t index = 0; index < count; ++index) {
    uint64_t bits = 0;
    for (uint64_t byte = 0; byte < width; ++byte) {
      bits |= uint64_t(static_cast<uint8_t>(data[index * width + byte])) << (8 * byte);
    }
    if (kind != 'f') {
      integers.push_back(kind == 'i' ? llvm::SignExtend64(bits, static_cast<unsigned>(8 * width))
                                     : static_cast<int64_t>(bits));
      continue;
    }
    const llvm::fltSemantics &semantics = width == 2   ? llvm::APFloat::IEEEhalf()
                                          : width == 4 ? llvm::APFloat::IEEEsingle()
                                                       : llvm::APFloat::IEEEdouble();
    floats.push_back(llvm::APFloat(semantics, llvm::APInt(static_cast<unsigned>(8 * width), bits)).convertToDouble());
  }
  if (kind == 'f') {
    tensor.elements = std::move(floats);
  } else {
    tensor.elements = std::move(integers);
  }
  return "";
}

std::string writeNpy(StringRef path, const HostTensor &tensor, Type element) {
  // As Python writes tuples: "(2, 3)", and "(2,)" of one.
  std::string shape =
      llvm::join(llvm::map_range(tensor.shape, [](int64_t size) { return std::to_string(size); }), ", ");
  shape += tensor.shape.size() == 1 ? "," : "";
  std::string type = describe(element);
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(llvm::alignTo(10 + header.size() + 1, 64) - 10 - 1, ' ');
  header += '\n';
  std::string bytes;
  unsigned width = static_cast<unsigned>(type.back() - '0');
  for (int64_t index = 0; index < tensor.size(); ++index) {
    if (!tensor.isFloat()) {
      appendBits(bytes, static_cast<uint64_t>(tensor.integers()[index]), width);
      continue;
    }
    llvm::APFloat number(tensor.floats()[index]);
    bool isLossy;
    number.convert(width == 8   ? llvm::APFloat::IEEEdouble()
                   : width == 4 ? llvm::APFloat::IEEEsingle()
                                : llvm::APFloat::IEEEhalf(),
                   llvm::APFloat::rmNearestTiesToEven, &isLossy);
    appendBits(bytes, number.bitcastToAPInt().getZExtValue(), width);
  }
  std::error_code code;
  llvm::raw_fd_ostream file(path, code);
  if (!code) {
    file << magic << StringRef("\x01\x00", 2) << static_cast<char>(header.size() & 0xff)
         << static_cast<char>(header.size() >> 8) << header << bytes;
    file.close();
    code = file.error();
    file.clear_error();
  }
  return code ? (path + ": cannot write: " + code.message()).str() : "";
}

} // namespace elah
