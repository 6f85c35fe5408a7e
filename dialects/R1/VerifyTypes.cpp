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

LogicalResult WeightAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr, StringAttr, uint64_t,
                                 uint64_t, RankedTensorType type, WeightAttr, bool transposed) {
  if (transposed && (type.getRank() != 2 || type.getEncoding())) { // weight_attr_c1
    return emitError() << "expected a matrix without blocks to be transposed, found " << type;
  }
  return success();
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
uint64_t byteCount(RankedTensorType type) {
  uint64_t bits = std::max<uint64_t>(type.getElementTypeBitWidth(), type.getElementType().isInteger(1) ? 8 : 4);
  return llvm::divideCeil(static_cast<uint64_t>(type.getNumElements()) * bits, 8);
}

LogicalResult verifyPart(WeightOp op, WeightAttr part) {
  RankedTensorType type = part.getType();
  if (!type.hasStaticShape() || !type.getElementType().isIntOrFloat() ||
      part.getSize() != byteCount(type)) { // weight_c3
    return op.emitOpError() << "part " << part.getName() << " must have the bytes of " << type << ", found "
                            << part.getSize();
  }
  auto blocks = dyn_cast_or_null<BlocksAttr>(type.getEncoding());
  WeightAttr scales = part.getScales();
  bool fits = !blocks && !scales;
  if (blocks && scales && type.getRank() >= 2) {
    RankedTensorType found = scales.getType();
    fits = found.getElementType().isF32() && found.getShape() == ArrayRef<int64_t>(scaleShape(type, blocks)) &&
           scales.getSize() == static_cast<uint64_t>(found.getNumElements()) * 4;
  }
  if (!fits) { // weight_c4
    InFlightDiagnostic diagnostic = op.emitOpError() << "part " << part.getName() << " of " << type << " must have ";
    if (blocks) {
      diagnostic << "one f32 scale for each of its blocks";
    } else {
      diagnostic << "no scales";
    }
    if (scales) {
      return diagnostic << ", found " << scales.getType();
    }
    return diagnostic << ", found none";
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
