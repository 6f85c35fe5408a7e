// Tensors of a model (onnx.proto, TensorProto): elements as raw bytes, in one of six typed fields, or in another file.
#include "frontends/Onnx/Tensors.h"
#include "dialects/R1/R1.h"
#include "frontends/Onnx/Failure.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah::onnx_import {
namespace {

// Integers up to here may be a shape, indices or a mask that is computed with; the weights of a model are floats, and
// every vector of them is worth a name.
constexpr int64_t maxConstantIntegers = 4096;
// Bytes are none of these: they are quantized weights, or a few zero points.
constexpr int64_t maxConstantBytes = 16;
// What passes may want to know of a weight: rotary frequencies, one for two elements of a head.
constexpr int64_t maxKnownFloats = 1024;

bool isSubByte(Type element) { return element.isInteger(4) || element.isUnsignedInteger(4); }

uint64_t byteCount(Type element, int64_t count) {
  unsigned bits = element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
  return llvm::divideCeil(static_cast<uint64_t>(count) * bits, 8);
}

SmallVector<int64_t> shapeOf(const onnx::TensorProto &tensor) {
  SmallVector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  if (llvm::any_of(shape, [](int64_t size) { return size < 0; })) {
    throw Failure(code::tensor, "sizes must not be negative");
  }
  checkSizes(shape);
  return shape;
}

int64_t countOf(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape) {
    count *= size;
  }
  return count;
}

struct ExternalPlace {
  std::string location;
  Span span;
};

ExternalPlace placeOf(const onnx::TensorProto &tensor, ExternalData &external, uint64_t bytes) {
  ExternalPlace place;
  uint64_t offset = 0, length = 0;
  bool hasLength = false;
  for (const onnx::StringStringEntryProto &entry : tensor.external_data()) {
    StringRef key = entry.key(), value = entry.value();
    auto number = [&] {
      uint64_t parsed;
      if (!llvm::to_integer(value, parsed, 10)) {
        throw Failure(code::external,
                      "external data's " + key + " must be a number of bytes, found '" + value.take_front(64) + "'");
      }
      return parsed;
    };
    if (key == "location") {
      place.location = value.str();
    } else if (key == "offset") {
      offset = number();
    } else if (key == "length") {
      length = number();
      hasLength = true;
    } else if (key != "checksum" && key != "basepath") {
      throw Failure(code::external,
                    "external data has location, offset, length and checksum, found '" + key.take_front(64) + "'");
    }
  }
  if (hasLength && length != bytes) {
    throw Failure(code::external, "external data must have the " + Twine(bytes) +
                                      " bytes of the tensor, found length " + Twine(length));
  }
  place.span = external.check(place.location, offset, bytes);
  return place;
}

/// The elements of a typed field as little-endian bytes.
template <typename Field> std::string bytesOf(const Field &field, Type element) {
  std::string bytes;
  // Two numbers of 4 bits stand in one entry, as they would in a byte.
  unsigned width = isSubByte(element) ? 1 : static_cast<unsigned>(byteCount(element, 1));
  bytes.reserve(static_cast<size_t>(field.size()) * width);
  for (auto value : field) {
    uint64_t bits;
    if constexpr (std::is_same_v<decltype(value), float>) {
      bits = llvm::bit_cast<uint32_t>(value);
    } else {
      bits = llvm::bit_cast<uint64_t>(value);
    }
    for (unsigned byte = 0; byte < width; ++byte) {
      bytes.push_back(static_cast<char>(bits >> (8 * byte)));
    }
  }
  return bytes;
}

std::string typedBytes(const onnx::TensorProto &tensor, Type element) {
  if (element.isF32()) {
    return bytesOf(tensor.float_data(), element);
  }
  if (element.isF64()) {
    return bytesOf(tensor.double_data(), element);
  }
  if (element.isSignlessInteger(64)) {
    return bytesOf(std::vector<int64_t>(tensor.int64_data().begin(), tensor.int64_data().end()), element);
  }
  if (element.isUnsignedInteger(32) || element.isUnsignedInteger(64)) {
    return bytesOf(std::vector<uint64_t>(tensor.uint64_data().begin(), tensor.uint64_data().end()), element);
  }
  return bytesOf(std::vector<int64_t>(tensor.int32_data().begin(), tensor.int32_data().end()), element);
}

/// As MLIR holds them: truth values a bit each, numbers of 4 bits a byte each.
DenseElementsAttr denseElements(RankedTensorType type, StringRef bytes) {
  Type element = type.getElementType();
  int64_t count = type.getNumElements();
  if (element.isInteger(1)) {
    SmallVector<bool> values;
    for (char byte : bytes) {
      values.push_back(byte != 0);
    }
    return DenseElementsAttr::get(type, ArrayRef<bool>(values));
  }
  if (isSubByte(element)) {
    SmallVector<APInt> values;
    for (int64_t index = 0; index < count; ++index) {
      values.push_back(APInt(4, static_cast<uint8_t>(bytes[index / 2]) >> (index % 2 * 4) & 15));
    }
    return DenseElementsAttr::get(type, values);
  }
  return DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>(bytes.data(), bytes.size()));
}

} // namespace

Type elementType(MLIRContext *context, int32_t dataType) {
  Builder builder(context);
  auto unsignedType = [&](unsigned width) { return IntegerType::get(context, width, IntegerType::Unsigned); };
  switch (dataType) {
  case 1:
    return builder.getF32Type();
  case 2:
    return unsignedType(8);
  case 3:
    return builder.getIntegerType(8);
  case 4:
    return unsignedType(16);
  case 5:
    return builder.getIntegerType(16);
  case 6:
    return builder.getI32Type();
  case 7:
    return builder.getI64Type();
  case 9:
    return builder.getI1Type();
  case 10:
    return builder.getF16Type();
  case 11:
    return builder.getF64Type();
  case 12:
    return unsignedType(32);
  case 13:
    return unsignedType(64);
  case 16:
    return builder.getBF16Type();
  case 17:
    return Float8E4M3FNType::get(context);
  case 18:
    return Float8E4M3FNUZType::get(context);
  case 19:
    return Float8E5M2Type::get(context);
  case 20:
    return Float8E5M2FNUZType::get(context);
  case 21:
    return unsignedType(4);
  case 22:
    return builder.getIntegerType(4);
  case 8:
    throw Failure(code::unsupported, "tensors of strings are not supported");
  case 14:
  case 15:
    throw Failure(code::unsupported, "tensors of complex numbers are not supported");
  case 23:
  case 24:
  case 25:
  case 26:
    throw Failure(code::unsupported, "tensors of type " + Twine(dataType) + " (float4e2m1, float8e8m0, uint2, int2) " +
                                         "are not supported");
  default:
    throw Failure(code::tensor, "expected an element type of ONNX, found " + Twine(dataType));
  }
}

void checkSizes(ArrayRef<int64_t> shape) {
  if (shape.size() > static_cast<size_t>(maxRank)) {
    throw Failure(code::limit,
                  "a tensor must have at most " + Twine(maxRank) + " dimensions, found " + Twine(shape.size()));
  }
  int64_t product = 1;
  for (int64_t size : shape) {
    if (ShapedType::isDynamic(size) || size == 0) {
      continue;
    }
    if (size < 0 || size > maxElements / product) {
      throw Failure(code::limit, "a tensor must have at most 2^46 elements, found the sizes [" +
                                     llvm::join(llvm::map_range(shape.take_front(16),
                                                                [](int64_t dim) {
                                                                  return ShapedType::isDynamic(dim)
                                                                             ? std::string("?")
                                                                             : std::to_string(dim);
                                                                }),
                                                ", ") +
                                     "]");
    }
    product *= size;
  }
}

DenseElementsAttr TensorReader::read(MLIRContext *context, const onnx::TensorProto &tensor) {
  Type element = elementType(context, tensor.data_type());
  SmallVector<int64_t> shape = shapeOf(tensor);
  int64_t count = countOf(shape);
  uint64_t expected = byteCount(element, count);
  std::string bytes;
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    ExternalPlace place = placeOf(tensor, external, expected);
    bytes = external.read(place.location, place.span);
  } else if (tensor.has_raw_data() && !(tensor.raw_data().empty() && expected != 0)) {
    bytes = tensor.raw_data();
  } else {
    bytes = typedBytes(tensor, element);
  }
  if (bytes.size() != expected) {
    throw Failure(code::tensor, "expected the " + Twine(expected) + " bytes of " + Twine(count) + " elements, found " +
                                    Twine(bytes.size()));
  }
  return denseElements(RankedTensorType::get(shape, element), bytes);
}

Value TensorReader::build(OpBuilder &builder, Location location, const onnx::TensorProto &tensor, Span span) {
  MLIRContext *context = builder.getContext();
  Type element = elementType(context, tensor.data_type());
  SmallVector<int64_t> shape = shapeOf(tensor);
  int64_t count = countOf(shape);
  uint64_t bytes = byteCount(element, count);
  bool isExternal = tensor.data_location() == onnx::TensorProto::EXTERNAL;
  bool isFloat = isa<FloatType>(element);
  int64_t maxConstant = element.isUnsignedInteger(8) ? maxConstantBytes : maxConstantIntegers;
  bool isWeight =
      hasFolder && (isFloat ? count > 1 && !shape.empty() : count > maxConstant) && (isExternal || span.size == bytes);
  if (!isWeight) {
    return r1::ConstantOp::create(builder, location, cast<ElementsAttr>(read(context, tensor)));
  }
  auto type = RankedTensorType::get(shape, element);
  StringAttr file = builder.getStringAttr(fileName);
  if (isExternal) {
    ExternalPlace place = placeOf(tensor, external, bytes);
    file = builder.getStringAttr(place.location);
    span = place.span;
  }
  auto weight =
      r1::WeightAttr::get(context, file, builder.getStringAttr(tensor.name()), span.offset, span.size, type, {});
  ElementsAttr known;
  if (isFloat && count <= maxKnownFloats) {
    known = read(context, tensor);
  }
  return r1::WeightOp::create(builder, location, type, builder.getArrayAttr(weight), known);
}

} // namespace elah::onnx_import
