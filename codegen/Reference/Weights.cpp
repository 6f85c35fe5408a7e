// Weights as they lie in a checkpoint. Elements are decoded by LLVM's own arithmetic, not by the packer of the targets
// that are held against this.
#include "codegen/Reference/Evaluate.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace elah {
namespace {

/// The value of each bit pattern of a format of at most 16 bits.
Floats makeTable(FloatType type) {
  unsigned width = type.getWidth();
  Floats table(size_t(1) << width);
  for (size_t bits = 0; bits < table.size(); ++bits) {
    table[bits] = APFloat(type.getFloatSemantics(), APInt(width, bits)).convertToDouble();
  }
  return table;
}

/// How many bits an element takes in a file: a truth value takes a byte.
unsigned storedBits(Type element) { return element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth(); }

/// The `width` bits from bit `place` on, little-endian.
uint64_t bitsAt(const char *bytes, uint64_t place, unsigned width) {
  if (width == 4) {
    return static_cast<uint8_t>(bytes[place / 8]) >> (place % 8) & 15;
  }
  uint64_t bits = 0;
  for (unsigned byte = 0; byte < width / 8; ++byte) {
    bits |= uint64_t(static_cast<uint8_t>(bytes[place / 8 + byte])) << (8 * byte);
  }
  return bits;
}

/// Calls `take` with the place in a file of each element of a tensor, in the order of its type.
void forEachElement(r1::WeightAttr weight, llvm::function_ref<void(uint64_t firstBit)> take) {
  ArrayRef<int64_t> shape = weight.getType().getShape();
  uint64_t bits = storedBits(weight.getType().getElementType());
  int64_t count = weight.getType().getNumElements();
  if (weight.getTransposed()) {
    int64_t rows = shape[0], columns = shape[1];
    for (int64_t index = 0; index < count; ++index) {
      take(static_cast<uint64_t>(index % columns * rows + index / columns) * bits);
    }
    return;
  }
  for (int64_t index = 0; index < count; ++index) {
    uint64_t place = static_cast<uint64_t>(index) * bits;
    if (uint64_t pitch = weight.getPitch()) {
      place =
          static_cast<uint64_t>(index / shape.back()) * pitch * 8 + static_cast<uint64_t>(index % shape.back()) * bits;
    }
    take(place);
  }
}

/// Appends the elements of one tensor on disk.
template <typename T>
LogicalResult readElements(Operation *op, StringRef folder, r1::WeightAttr weight, std::vector<T> &elements) {
  SmallString<256> path(folder);
  llvm::sys::path::append(path, weight.getFile().getValue());
  // A slice of a file that ends too early would be filled with zeros.
  uint64_t fileSize;
  std::error_code code = llvm::sys::fs::file_size(path, fileSize);
  if (!code && (fileSize < weight.getOffset() || fileSize - weight.getOffset() < weight.getSize())) {
    return op->emitOpError() << "'" << path << "' must have " << weight.getSize() << " bytes at offset "
                             << weight.getOffset() << " for " << weight.getName() << ", found a file of " << fileSize;
  }
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      code ? code : llvm::MemoryBuffer::getFileSlice(path, weight.getSize(), weight.getOffset());
  if (!buffer) {
    return op->emitOpError() << "cannot read '" << path << "': " << buffer.getError().message();
  }
  const char *bytes = (*buffer)->getBufferStart();
  Type type = weight.getType().getElementType();
  unsigned width = storedBits(type);
  elements.reserve(elements.size() + static_cast<size_t>(weight.getType().getNumElements()));
  if constexpr (std::is_same_v<T, int64_t>) {
    forEachElement(weight, [&](uint64_t place) {
      elements.push_back(wrapTo(type, static_cast<int64_t>(bitsAt(bytes, place, width))));
    });
  } else {
    const Floats table = width <= 16 ? makeTable(cast<FloatType>(type)) : Floats();
    forEachElement(weight, [&](uint64_t place) {
      uint64_t bits = bitsAt(bytes, place, width);
      elements.push_back(width <= 16   ? table[bits]
                         : width == 32 ? llvm::bit_cast<float>(static_cast<uint32_t>(bits))
                                       : llvm::bit_cast<double>(bits));
    });
  }
  return success();
}

/// The tensors that `choose` names of all parts, stacked if there are several; nothing, without elements, if it names
/// none.
FailureOr<HostTensor> readParts(r1::WeightOp op, StringRef folder,
                                llvm::function_ref<r1::WeightAttr(r1::WeightAttr)> choose) {
  HostTensor result;
  Floats floats;
  Integers integers;
  for (Attribute part : op.getParts()) {
    r1::WeightAttr weight = choose(cast<r1::WeightAttr>(part));
    if (!weight) {
      continue;
    }
    bool isFloat = isa<FloatType>(weight.getType().getElementType());
    if (failed(isFloat ? readElements(op, folder, weight, floats) : readElements(op, folder, weight, integers))) {
      return failure();
    }
    result.shape.assign(weight.getType().getShape().begin(), weight.getType().getShape().end());
  }
  if (op.getParts().size() > 1) {
    result.shape.insert(result.shape.begin(), static_cast<int64_t>(op.getParts().size()));
  }
  if (integers.empty()) {
    result.elements = std::move(floats);
  } else {
    result.elements = std::move(integers);
  }
  return result;
}

LogicalResult readWeight(r1::WeightOp op, StringRef folder, Results &results) {
  auto first = cast<r1::WeightAttr>(op.getParts()[0]);
  FailureOr<HostTensor> result = readParts(op, folder, [](r1::WeightAttr part) { return part; });
  if (failed(result)) {
    return failure();
  }
  result->shape.assign(op.getType().getShape().begin(), op.getType().getShape().end());
  if (!isa<FloatType>(first.getType().getElementType()) && result->isFloat()) {
    result->elements = Integers(); // Of a tensor without elements.
  }
  if (first.getScales()) {
    FailureOr<HostTensor> scales = readParts(op, folder, [](r1::WeightAttr part) { return part.getScales(); });
    if (failed(scales)) {
      return failure();
    }
    result->scales = std::make_shared<HostTensor>(std::move(*scales));
  }
  if (first.getZeros()) {
    FailureOr<HostTensor> zeros = readParts(op, folder, [](r1::WeightAttr part) { return part.getZeros(); });
    if (failed(zeros)) {
      return failure();
    }
    result->zeros = std::make_shared<HostTensor>(std::move(*zeros));
  }
  results.push_back(std::move(*result));
  return success();
}

LogicalResult dequantize(r1::DequantizeOp op, const HostTensor &input, Results &results) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  auto blocks = cast<r1::BlocksAttr>(type.getEncoding());
  if (!input.scales) {
    return op.emitOpError() << "needs a weight with block scales, found none";
  }
  int64_t rows = input.shape[input.shape.size() - 2], columns = input.shape.back();
  ArrayRef<int64_t> scaleShape = input.scales->shape;
  int64_t scaleRows = scaleShape[scaleShape.size() - 2], scaleColumns = scaleShape.back();
  const Floats &scales = input.scales->floats();
  // Integers count from the middle of what they can be, unless there are zero points.
  int64_t middle = input.isFloat() ? 0 : int64_t(1) << (type.getElementTypeBitWidth() - 1);
  results.push_back(generate<double>(input.shape, [&](int64_t index) {
    int64_t column = index % columns, row = index / columns % rows, matrix = index / columns / rows;
    int64_t block = (matrix * scaleRows + row / blocks.getRows()) * scaleColumns + column / blocks.getColumns();
    if (input.isFloat()) {
      return input.floats()[index] * scales[block];
    }
    int64_t zero = input.zeros ? input.zeros->integers()[block] : middle;
    return static_cast<double>(input.integers()[index] - zero) * scales[block];
  }));
  return success();
}

} // namespace

Evaluation evaluateWeight(Operation *op, Operands operands, StringRef folder, Results &results) {
  return llvm::TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](r1::WeightOp weightOp) { return readWeight(weightOp, folder, results); })
      .Case([&](r1::DequantizeOp dequantizeOp) { return dequantize(dequantizeOp, *operands[0], results); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace elah
