// What the r1 dialect's attributes and types may say, how the parts of a weight fit together, and what a cache takes.
// Each check carries the number that it has in the description; the test of the same name breaks
// it.
#include "dialects/R1/R1.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace elah::r1;

LogicalResult BlocksAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows, int64_t columns) {
  if (rows <= 0 || columns <= 0) { // blocks_c1
    return emitError() << "expected blocks of positive size, found " << rows << " x " << columns;
  }
  return success();
}

uint64_t WeightAttr::rowBytes(RankedTensorType type) {
  Type element = type.getElementType();
  uint64_t bits = element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
  uint64_t count = type.getRank() == 0 ? 1 : static_cast<uint64_t>(type.getShape().back());
  return llvm::divideCeil(count * bits, 8);
}

/// Whether rows of whole bytes, `pitch` apart, lie one after the other: those of an odd number of 4 bits do not.
static bool isDense(RankedTensorType rows, uint64_t pitch) {
  return static_cast<uint64_t>(rows.getShape().back()) * rows.getElementTypeBitWidth() == pitch * 8;
}

LogicalResult WeightAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr, StringAttr, uint64_t,
                                 uint64_t, RankedTensorType type, WeightAttr, WeightAttr, bool transposed,
                                 uint64_t pitch) {
  if (transposed && (type.getRank() != 2 || type.getEncoding() || pitch != 0)) { // weight_attr_c1
    return emitError() << "expected a matrix without blocks and pitch to be transposed, found " << type
                       << " and a pitch of " << pitch;
  }
  bool isKnown = type.hasStaticShape() && type.getElementType().isIntOrFloat();
  if (pitch != 0 && (type.getRank() < 2 || !isKnown || pitch < rowBytes(type))) { // weight_attr_c2
    return emitError() << "expected a pitch of at least the bytes of a row of " << type << ", found " << pitch;
  }
  return success();
}

WeightAttr WeightAttr::matrix(int64_t index) const {
  RankedTensorType type = getType();
  assert(type.getRank() == 3 && "a stack of matrices");
  auto part = RankedTensorType::get(type.getShape().drop_front(), type.getElementType(), type.getEncoding());
  uint64_t rows = static_cast<uint64_t>(part.getDimSize(0)), pitch = getRowPitch();
  return get(getContext(), getFile(), getName(), getOffset() + static_cast<uint64_t>(index) * rows * pitch,
             (rows - 1) * pitch + rowBytes(part), part, getScales() ? getScales().matrix(index) : WeightAttr(),
             getZeros() ? getZeros().matrix(index) : WeightAttr(), false, getPitch());
}

WeightAttr WeightAttr::rows(int64_t first, int64_t count, int64_t step) const {
  RankedTensorType type = getType();
  [[maybe_unused]] auto blocks = dyn_cast_or_null<BlocksAttr>(type.getEncoding());
  assert(type.getRank() == 2 && !getTransposed() && (!blocks || blocks.getRows() == 1) && "rows that stand alone");
  auto part = RankedTensorType::get({count, type.getDimSize(1)}, type.getElementType(), type.getEncoding());
  uint64_t pitch = getRowPitch(), stride = pitch * static_cast<uint64_t>(step);
  return get(getContext(), getFile(), getName(), getOffset() + static_cast<uint64_t>(first) * pitch,
             static_cast<uint64_t>(count - 1) * stride + rowBytes(part), part,
             getScales() ? getScales().rows(first, count, step) : WeightAttr(),
             getZeros() ? getZeros().rows(first, count, step) : WeightAttr(), false,
             isDense(part, stride) ? 0 : stride);
}

LogicalResult RopeAttr::verify(function_ref<InFlightDiagnostic()> emitError, RopeLayout, DenseF64ArrayAttr frequencies,
                               FloatAttr) {
  if (frequencies.empty()) { // rope_c1
    return emitError() << "expected at least one frequency, found none";
  }
  return success();
}

LogicalResult CacheType::verify(function_ref<InFlightDiagnostic()> emitError, CacheKind kind, int64_t layers,
                                int64_t keyWidth, int64_t valueWidth) {
  bool hasValues = kind == CacheKind::KeyValue;
  if (layers <= 0 || keyWidth <= 0 || valueWidth < 0 || (valueWidth > 0) != hasValues) { // cache_c1
    return emitError() << "expected positive layers and key_width and value_width " << (hasValues ? "positive" : "0")
                       << ", found " << layers << ", " << keyWidth << " and " << valueWidth;
  }
  return success();
}

namespace {

/// The shape of the scales of a weight with blocks, for its last two dimensions.
SmallVector<int64_t> scaleShape(RankedTensorType type, BlocksAttr blocks) {
  SmallVector<int64_t> shape(type.getShape());
  size_t rank = shape.size();
  shape[rank - 2] = llvm::divideCeil(shape[rank - 2], blocks.getRows());
  shape[rank - 1] = llvm::divideCeil(shape[rank - 1], blocks.getColumns());
  return shape;
}

/// How many bytes the elements of a tensor lie in: a truth value takes one, two of 4 bits share one.
uint64_t byteCount(RankedTensorType type, uint64_t pitch) {
  uint64_t count = static_cast<uint64_t>(type.getNumElements());
  if (pitch != 0 && count != 0) {
    uint64_t rows = count / static_cast<uint64_t>(type.getShape().back());
    return (rows - 1) * pitch + WeightAttr::rowBytes(type);
  }
  uint64_t bits = type.getElementType().isInteger(1) ? 8 : type.getElementTypeBitWidth();
  return llvm::divideCeil(count * bits, 8);
}

/// Whether a weight holds one element of `shape` for each block.
bool holdsBlocks(WeightAttr weight, ArrayRef<int64_t> shape) {
  return weight.getType().getShape() == shape && weight.getSize() == byteCount(weight.getType(), weight.getPitch()) &&
         !weight.getScales() && !weight.getZeros() && !weight.getTransposed();
}

LogicalResult verifyPart(WeightOp op, WeightAttr part) {
  RankedTensorType type = part.getType();
  if (!type.hasStaticShape() || !type.getElementType().isIntOrFloat() ||
      part.getSize() != byteCount(type, part.getPitch())) { // weight_c3
    return op.emitOpError() << "part " << part.getName() << " must have the bytes of " << type << ", found "
                            << part.getSize();
  }
  auto blocks = dyn_cast_or_null<BlocksAttr>(type.getEncoding());
  WeightAttr scales = part.getScales();
  bool fits = !blocks && !scales;
  if (blocks && scales && type.getRank() >= 2) {
    Type found = scales.getType().getElementType();
    fits = (found.isF32() || found.isBF16() || found.isF16()) && holdsBlocks(scales, scaleShape(type, blocks));
  }
  if (!fits) { // weight_c4
    InFlightDiagnostic diagnostic = op.emitOpError() << "part " << part.getName() << " of " << type << " must have ";
    if (blocks) {
      diagnostic << "one scale of f32, bf16 or f16 for each of its blocks";
    } else {
      diagnostic << "no scales";
    }
    if (scales) {
      return diagnostic << ", found " << scales.getType();
    }
    return diagnostic << ", found none";
  }
  if (WeightAttr zeros = part.getZeros()) { // weight_c6
    Type element = type.getElementType();
    bool isCounted = blocks && (element.isUnsignedInteger(4) || element.isUnsignedInteger(8));
    if (!isCounted || zeros.getType().getElementType() != element || !holdsBlocks(zeros, scaleShape(type, blocks))) {
      return op.emitOpError() << "part " << part.getName() << " of " << type
                              << " must have zero points of its own type for each block of ui4 or ui8, found "
                              << zeros.getType();
    }
  }
  return success();
}

} // namespace

LogicalResult WeightOp::verify() {
  if (getParts().empty()) { // weight_c1
    return emitOpError() << "must have at least one part";
  }
  auto first = cast<WeightAttr>(getParts()[0]).getType();
  for (Attribute part : getParts()) { // weight_c1
    auto weight = cast<WeightAttr>(part);
    if (weight.getType() != first) {
      return emitOpError() << "parts must have one type, found " << first << " and " << weight.getType();
    }
    if (failed(verifyPart(*this, weight))) {
      return failure();
    }
  }
  SmallVector<int64_t> shape(first.getShape()); // weight_c2
  if (getParts().size() > 1) {
    shape.insert(shape.begin(), getParts().size());
  }
  auto expected = RankedTensorType::get(shape, first.getElementType(), first.getEncoding());
  if (getResult().getType() != expected) {
    return emitOpError() << "must return " << expected << ", found " << getResult().getType();
  }
  if (getValueAttr() && getValueAttr().getType() != expected) { // weight_c5
    return emitOpError() << "value must be " << expected << ", found " << getValueAttr().getType();
  }
  return success();
}

LogicalResult CacheAppendOp::verify() {
  auto cache = cast<CacheType>(getCache().getType());
  int64_t layer = getLayer();
  if (layer < 0 || layer >= cache.getLayers()) { // cache_append_c1
    return emitOpError() << "layer must be in 0.." << cache.getLayers() - 1 << ", found " << layer;
  }
  bool isKey = getPart() == CachePart::Key;
  if (!isKey && cache.getKind() == CacheKind::Latent) { // cache_append_c2
    return emitOpError() << "a latent cache has keys alone, found value";
  }
  int64_t width = isKey ? cache.getKeyWidth() : cache.getValueWidth();
  int64_t found = cast<RankedTensorType>(getRows().getType()).getDimSize(1);
  if (!ShapedType::isDynamic(found) && found != width) { // cache_append_c3
    return emitOpError() << "rows must be " << width << " wide, found " << getRows().getType();
  }
  return success();
}
