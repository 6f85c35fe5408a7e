// Exporters compute shapes in the graph: the sizes of a tensor, some of them replaced, as the shape of another. What is
// static in such a computation is followed here, so that types keep it.
#include "dialects/R1/R1.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace elah::r1;

namespace {

constexpr int64_t dynamic = ShapedType::kDynamic;
constexpr int64_t maxElements = 64; // Of a shape, more than any model has.
constexpr int maxDepth = 12;        // Each caller follows a few operations alone; those before had the same chance.

using Elements = std::optional<SmallVector<int64_t>>;

Elements known(Value value, int depth);

Elements picked(Value from, Value indices, int depth) {
  Elements elements = known(from, depth), at = known(indices, depth);
  if (!elements || !at) {
    return {};
  }
  int64_t count = static_cast<int64_t>(elements->size());
  SmallVector<int64_t> result;
  for (int64_t index : *at) {
    bool isKnown = !ShapedType::isDynamic(index);
    index = isKnown && index < 0 ? index + count : index;
    result.push_back(isKnown && index >= 0 && index < count ? (*elements)[index] : dynamic);
  }
  return result;
}

Elements sliced(SliceOp op, int depth) {
  Elements elements = known(op.getInput(), depth);
  if (!elements) {
    return {};
  }
  int64_t count = static_cast<int64_t>(elements->size());
  auto inRange = [&](int64_t bound) { return std::clamp<int64_t>(bound < 0 ? bound + count : bound, 0, count); };
  int64_t limit = op.getLimit() ? inRange(*op.getLimit()) : count, step = std::min<int64_t>(op.getStep(), maxElements);
  SmallVector<int64_t> result;
  for (int64_t index = inRange(op.getStart()); index < limit; index += step) {
    result.push_back((*elements)[index]);
  }
  return result;
}

Elements concatenated(ConcatOp op, int depth) {
  SmallVector<int64_t> result;
  for (Value input : op.getInputs()) {
    Elements part = known(input, depth);
    if (!part) {
      return {};
    }
    llvm::append_range(result, *part);
  }
  return result;
}

Elements known(Value value, int depth) {
  auto type = cast<RankedTensorType>(value.getType());
  if (depth > maxDepth || type.getRank() > 1 || !type.getElementType().isSignlessInteger() ||
      type.getElementType().isInteger(1) || !type.hasStaticShape() || type.getNumElements() > maxElements) {
    return {};
  }
  DenseIntElementsAttr constant;
  if (matchPattern(value, m_Constant(&constant))) {
    return llvm::map_to_vector(constant, [](const APInt &element) { return element.getSExtValue(); });
  }
  Operation *op = value.getDefiningOp();
  Elements result;
  if (auto shape = dyn_cast_or_null<ShapeOp>(op)) {
    result = llvm::to_vector(cast<RankedTensorType>(shape.getInput().getType()).getShape());
  } else if (auto dim = dyn_cast_or_null<DimOp>(op)) {
    result = SmallVector<int64_t>{cast<RankedTensorType>(dim.getInput().getType()).getDimSize(dim.getAxis())};
  } else if (auto reshape = dyn_cast_or_null<ReshapeOp>(op)) {
    result = known(reshape.getInput(), depth + 1);
  } else if (auto concat = dyn_cast_or_null<ConcatOp>(op)) {
    result = concatenated(concat, depth + 1);
  } else if (auto slice = dyn_cast_or_null<SliceOp>(op)) {
    result = sliced(slice, depth + 1);
  } else if (auto gather = dyn_cast_or_null<GatherOp>(op)) {
    result = picked(gather.getInput(), gather.getIndices(), depth + 1);
  } else if (auto castOp = dyn_cast_or_null<CastOp>(op)) {
    unsigned width = type.getElementTypeBitWidth();
    result = known(castOp.getInput(), depth + 1);
    for (int64_t index = 0, count = result ? static_cast<int64_t>(result->size()) : 0; index < count; ++index) {
      int64_t &element = (*result)[index];
      element = llvm::isIntN(width, element) ? element : dynamic;
    }
  }
  bool fits = result && static_cast<int64_t>(result->size()) == type.getNumElements();
  return fits ? result : SmallVector<int64_t>(type.getNumElements(), dynamic);
}

} // namespace

std::optional<SmallVector<int64_t>> elah::r1::knownElements(Value value) { return known(value, 0); }
