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

/// The bits of element `index`, little-endian.
uint64_t bitsAt(const char *bytes, int64_t index, unsigned width) {
  if (width == 4) {
    return static_cast<uint8_t>(bytes[index / 2]) >> (index % 2 * 4) & 15;
  }
  uint64_t bits = 0;
  for (unsigned byte = 0; byte < width / 8; ++byte) {
    bits |= uint64_t(static_cast<uint8_t>(bytes[index * (width / 8) + byte])) << (8 * byte);
  }
  return bits;
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
  int64_t count = weight.getType().getNumElements();
  unsigned width = storedBits(type);
  if constexpr (std::is_same_v<T, int64_t>) {
    for (int64_t index = 0; index < count; ++index) {
      elements.push_back(wrapTo(type, static_cast<int64_t>(bitsAt(bytes, index, width))));
    }
    return success();
  } else {
    const Floats table = width <= 16 ? makeTable(cast<FloatType>(type)) : Floats();
    for (int64_t index = 0; index < count; ++index) {
      uint64_t bits = bitsAt(bytes, index, width);
      elements.push_back(width <= 16   ? table[bits]
                         : width == 32 ? llvm::bit_cast<float>(static_cast<uint32_t>(bits))
                                       : llvm::bit_cast<double>(bits));
    }
    return success();
  }
}

LogicalResult readWeight(r1::WeightOp op, StringRef folder, Results &results) {
  auto type = cast<RankedTensorType>(op.getType());
  if (!isa<FloatType>(type.getElementType())) {
    Integers integers;
    for (Attribute part : op.getParts()) {
      if (failed(readElements(op, folder, cast<r1::WeightAttr>(part), integers))) {
        return failure();
      }
    }
    results.push_back(HostTensor(type.getShape(), std::move(integers)));
    return success();
  }
  Floats elements, scaleElements;
  SmallVector<int64_t> scaleShape;
  elements.reserve(type.getNumElements());
  for (Attribute part : op.getParts()) {
    auto weight = cast<r1::WeightAttr>(part);
    size_t first = elements.size();
    if (failed(readElements(op, folder, weight, elements))) {
      return failure();
    }
    if (weight.getTransposed()) {
      int64_t rows = weight.getType().getDimSize(0), columns = weight.getType().getDimSize(1);
      Floats lying(elements.begin() + static_cast<ptrdiff_t>(first), elements.end());
      for (size_t index = 0; index < lying.size(); ++index) {
        int64_t row = static_cast<int64_t>(index) / columns, column = static_cast<int64_t>(index) % columns;
        elements[first + index] = lying[column * rows + row];
      }
    }
    if (r1::WeightAttr scales = weight.getScales()) {
      scaleShape.assign(scales.getType().getShape().begin(), scales.getType().getShape().end());
      if (failed(readElements(op, folder, scales, scaleElements))) {
        return failure();
      }
    }
  }
  HostTensor result(type.getShape(), std::move(elements));
  if (!scaleShape.empty()) {
    if (op.getParts().size() > 1) {
      scaleShape.insert(scaleShape.begin(), static_cast<int64_t>(op.getParts().size()));
    }
    result.scales = std::make_shared<HostTensor>(scaleShape, std::move(scaleElements));
  }
  results.push_back(std::move(result));
  return success();
}

LogicalResult dequantize(r1::DequantizeOp op, const HostTensor &input, Results &results) {
  auto blocks = cast<r1::BlocksAttr>(cast<RankedTensorType>(op.getInput().getType()).getEncoding());
  if (!input.scales) {
    return op.emitOpError() << "needs a weight with block scales, found none";
  }
  int64_t rows = input.shape[input.shape.size() - 2], columns = input.shape.back();
  ArrayRef<int64_t> scaleShape = input.scales->shape;
  int64_t scaleRows = scaleShape[scaleShape.size() - 2], scaleColumns = scaleShape.back();
  const Floats &elements = input.floats(), &scales = input.scales->floats();
  results.push_back(generate<double>(input.shape, [&](int64_t index) {
    int64_t column = index % columns, row = index / columns % rows, matrix = index / columns / rows;
    int64_t block = (matrix * scaleRows + row / blocks.getRows()) * scaleColumns + column / blocks.getColumns();
    return elements[index] * scales[block];
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
