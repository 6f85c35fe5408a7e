// Reshapes, slices and the like that change nothing, or that move the few integers of a computed shape.
#include "dialects/R1/R1.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace elah::r1;

namespace {

constexpr int64_t maxFoldedElements = 4096;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Whether tensors of this type have one shape if they have one number of elements.
bool settlesShape(RankedTensorType type) {
  return llvm::count_if(type.getShape(), ShapedType::isDynamic) <= 1 && !llvm::is_contained(type.getShape(), 0);
}

/// The constant, if its elements are few integers.
DenseIntElementsAttr smallIntegers(Attribute constant) {
  auto elements = dyn_cast_or_null<DenseIntElementsAttr>(constant);
  return elements && elements.getNumElements() <= maxFoldedElements ? elements : DenseIntElementsAttr();
}

/// A constant of static type `type` whose element at index i is element `sources[i]` of `from`.
Attribute permuted(DenseIntElementsAttr from, RankedTensorType type, ArrayRef<int64_t> sources) {
  SmallVector<APInt> values;
  for (int64_t source : sources) {
    values.push_back(from.getValues<APInt>()[source]);
  }
  return DenseIntElementsAttr::get(type, values);
}

/// The sizes that a constant shape stands for.
std::optional<SmallVector<int64_t>> constantShape(Value shape) {
  DenseIntElementsAttr elements;
  if (!shape || !matchPattern(shape, m_Constant(&elements))) {
    return {};
  }
  return llvm::map_to_vector(elements, [](const APInt &size) { return size.getSExtValue(); });
}

/// Writes a computed shape that turned out to be constant as sizes.
template <typename Op> LogicalResult spellSizes(Op op, PatternRewriter &rewriter) {
  std::optional<SmallVector<int64_t>> sizes = constantShape(op.getShape());
  if (!sizes) {
    return rewriter.notifyMatchFailure(op, "the shape is not constant");
  }
  rewriter.replaceOpWithNewOp<Op>(op, op.getType(), op.getInput(), Value(), rewriter.getDenseI64ArrayAttr(*sizes));
  return success();
}

} // namespace

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  RankedTensorType type = typeOf(getResult());
  if (getInput().getType() == type && settlesShape(type)) {
    return getInput();
  }
  if (DenseIntElementsAttr constant = smallIntegers(adaptor.getInput());
      constant && type.hasStaticShape() && type.getNumElements() == constant.getNumElements()) {
    return constant.reshape(type);
  }
  return {};
}

LogicalResult ReshapeOp::canonicalize(ReshapeOp op, PatternRewriter &rewriter) {
  if (op.getShape()) {
    return spellSizes(op, rewriter);
  }
  auto inner = op.getInput().getDefiningOp<ReshapeOp>();
  if (!inner) {
    return rewriter.notifyMatchFailure(op, "the input is no reshape");
  }
  rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner.getInput(), Value(), op.getSizesAttr());
  return success();
}

OpFoldResult BroadcastToOp::fold(FoldAdaptor) {
  bool isSame = getInput().getType() == getType() &&
                (typeOf(getResult()).hasStaticShape() ||
                 (getSizes() && llvm::all_of_zip(*getSizes(), typeOf(getInput()).getShape(),
                                                 [](int64_t to, int64_t from) { return to == -1 || to == from; })));
  return isSame ? getInput() : Value();
}

LogicalResult BroadcastToOp::canonicalize(BroadcastToOp op, PatternRewriter &rewriter) {
  return spellSizes(op, rewriter);
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  if (llvm::equal(getPermutation(), llvm::seq<int64_t>(0, getPermutation().size())) &&
      getInput().getType() == getType()) {
    return getInput();
  }
  auto inner = getInput().getDefiningOp<TransposeOp>();
  if (!inner) {
    return {};
  }
  SmallVector<int64_t> both =
      llvm::map_to_vector(getPermutation(), [&](int64_t from) { return inner.getPermutation()[from]; });
  getInputMutable().assign(inner.getInput());
  setPermutation(both);
  return getResult();
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  int64_t axis = getAxis(), size = typeOf(getInput()).getDimSize(axis);
  bool isWhole = getStart() == 0 && getStep() == 1 &&
                 (!getLimit() || (!ShapedType::isDynamic(size) && static_cast<int64_t>(*getLimit()) >= size));
  if (isWhole && getInput().getType() == getType()) {
    return getInput();
  }
  DenseIntElementsAttr constant = smallIntegers(adaptor.getInput());
  RankedTensorType type = typeOf(getResult());
  if (!constant || typeOf(getInput()).getRank() != 1 || !type.hasStaticShape() || ShapedType::isDynamic(size)) {
    return {};
  }
  int64_t start = getStart(), first = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size);
  SmallVector<int64_t> sources;
  for (int64_t index = 0; index < type.getDimSize(0); ++index) {
    sources.push_back(first + index * static_cast<int64_t>(getStep()));
  }
  if (!sources.empty() && sources.back() >= size) {
    return {};
  }
  return permuted(constant, type, sources);
}

OpFoldResult ConcatOp::fold(FoldAdaptor adaptor) {
  if (getInputs().size() == 1 && getInputs().front().getType() == getType()) {
    return getInputs().front();
  }
  RankedTensorType type = typeOf(getResult());
  if (type.getRank() != 1 || !type.hasStaticShape()) {
    return {};
  }
  SmallVector<APInt> values;
  for (Attribute input : adaptor.getInputs()) {
    DenseIntElementsAttr constant = smallIntegers(input);
    if (!constant) {
      return {};
    }
    llvm::append_range(values, constant.getValues<APInt>());
  }
  if (static_cast<int64_t>(values.size()) != type.getNumElements()) {
    return {};
  }
  return DenseIntElementsAttr::get(type, values);
}

OpFoldResult GatherOp::fold(FoldAdaptor adaptor) {
  // One size of a shape that is not known in whole.
  if (auto shape = getInput().getDefiningOp<ShapeOp>(); shape && typeOf(getResult()).hasStaticShape()) {
    ArrayRef<int64_t> sizes = typeOf(shape.getInput()).getShape();
    if (DenseIntElementsAttr indices = smallIntegers(adaptor.getIndices())) {
      SmallVector<int64_t> values;
      for (const APInt &number : indices) {
        int64_t index = number.getSExtValue(), rank = static_cast<int64_t>(sizes.size());
        index = index < 0 ? index + rank : index;
        if (index < 0 || index >= rank || ShapedType::isDynamic(sizes[index])) {
          return {};
        }
        values.push_back(sizes[index]);
      }
      if (typeOf(getResult()).getNumElements() == static_cast<int64_t>(values.size())) {
        return DenseIntElementsAttr::get(typeOf(getResult()), values);
      }
    }
  }
  DenseIntElementsAttr constant = smallIntegers(adaptor.getInput()), indices = smallIntegers(adaptor.getIndices());
  RankedTensorType type = typeOf(getResult());
  if (!constant || !indices || typeOf(getInput()).getRank() != 1 || !type.hasStaticShape() ||
      type.getShape() != indices.getType().getShape()) {
    return {};
  }
  SmallVector<int64_t> sources;
  for (const APInt &index : indices) {
    int64_t size = constant.getNumElements(), value = index.getSExtValue();
    sources.push_back(value < 0 ? value + size : value);
    if (sources.back() < 0 || sources.back() >= size) {
      return {};
    }
  }
  return permuted(constant, type, sources);
}

OpFoldResult ReduceOp::fold(FoldAdaptor) {
  return getAxes().empty() && getInput().getType() == getType() ? getInput() : Value();
}
