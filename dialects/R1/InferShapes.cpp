// Result types of the primitives that move elements: reshapes, slices, gathers, top-k. Inference is where the
// constraints are checked, so that a builder, the verifier and `r1-infer-shapes` cannot disagree. Each check carries
// the number that it has in the operation's description; the test of the same name breaks it.
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Traits.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace elah::r1;

namespace {

constexpr int64_t dynamic = ShapedType::kDynamic;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

template <typename Op, typename... Args> LogicalResult reject(std::optional<Location> location, Args &&...args) {
  return emitOptionalError(location, "'", Op::getOperationName(), "' op ", std::forward<Args>(args)...);
}

bool agrees(int64_t lhs, int64_t rhs) { return ShapedType::isDynamic(lhs) || ShapedType::isDynamic(rhs) || lhs == rhs; }

template <typename Op> LogicalResult expectAxis(std::optional<Location> location, int64_t axis, RankedTensorType type) {
  if (axis >= 0 && axis < type.getRank()) {
    return success();
  }
  return reject<Op>(location, "axis must be a dimension of ", type, ", found ", axis);
}

/// Checks that a shape is given once, and takes its rank, and what is known of its sizes, from the computed one.
template <typename Op>
LogicalResult expectOneShape(std::optional<Location> location, typename Op::Adaptor adaptor,
                             SmallVectorImpl<int64_t> &sizes) {
  Value shape = adaptor.getShape();
  if (static_cast<bool>(shape) == adaptor.getSizes().has_value()) { // reshape_c1, broadcast_to_c1
    return reject<Op>(location, "needs either sizes or a shape, found ", shape ? "both" : "none");
  }
  if (!shape) {
    llvm::append_range(sizes, *adaptor.getSizes());
    return success();
  }
  int64_t rank = typeOf(shape).getDimSize(0);
  if (ShapedType::isDynamic(rank)) { // reshape_c4, broadcast_to_c4
    return reject<Op>(location, "must know how many sizes the shape has, found ", typeOf(shape));
  }
  sizes.assign(rank, dynamic);
  if (std::optional<SmallVector<int64_t>> known = knownElements(shape); known && known->size() == sizes.size()) {
    // -1 stands for what is left, or the input's own size: not for a size that is known here.
    llvm::transform(*known, sizes.begin(), [](int64_t size) { return size < 0 ? dynamic : size; });
  }
  return success();
}

} // namespace

LogicalResult ReshapeOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  SmallVector<int64_t> sizes;
  if (failed(expectOneShape<ReshapeOp>(location, adaptor, sizes))) {
    return failure();
  }
  if (!adaptor.getSizes()) {
    types.push_back(input.clone(sizes));
    return success();
  }
  int64_t known = 1, *left = nullptr;
  for (int64_t &size : sizes) {
    if (size < -1 || (size == -1 && left)) { // reshape_c2
      return reject<ReshapeOp>(location, "sizes must not be negative but for one -1, found [", *adaptor.getSizes(),
                               "]");
    }
    if (size == -1) {
      left = &size;
    } else if (llvm::MulOverflow(known, size, known)) { // reshape_c2
      return reject<ReshapeOp>(location, "sizes must be those of a tensor, found [", *adaptor.getSizes(), "]");
    }
  }
  if (input.hasStaticShape()) {
    int64_t elements = input.getNumElements();
    bool fits = left ? known != 0 && elements % known == 0 : elements == known;
    if (!fits) { // reshape_c3
      return reject<ReshapeOp>(location, "must keep the ", elements, " elements of ", input, ", found [",
                               *adaptor.getSizes(), "]");
    }
    if (left) {
      *left = elements / known;
    }
  } else if (left) {
    *left = dynamic;
  }
  types.push_back(input.clone(sizes));
  return success();
}

LogicalResult BroadcastToOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  SmallVector<int64_t> sizes;
  if (failed(expectOneShape<BroadcastToOp>(location, adaptor, sizes))) {
    return failure();
  }
  int64_t added = static_cast<int64_t>(sizes.size()) - input.getRank();
  for (auto [index, size] : llvm::enumerate(sizes)) {
    int64_t own = static_cast<int64_t>(index) - added;
    if (ShapedType::isDynamic(size)) {
      continue;
    }
    if (size < -1 || (size == -1 && own < 0)) { // broadcast_to_c2
      return reject<BroadcastToOp>(location, "sizes must be positive or the input's own (-1), found [",
                                   *adaptor.getSizes(), "] for ", input);
    }
    if (size == -1) {
      size = input.getDimSize(own);
    }
  }
  bool fits =
      added >= 0 && llvm::all_of_zip(input.getShape(), ArrayRef<int64_t>(sizes).drop_front(std::max<int64_t>(added, 0)),
                                     [](int64_t from, int64_t to) { return from == 1 || agrees(from, to); });
  if (!fits) { // broadcast_to_c3
    return reject<BroadcastToOp>(location, input, " must broadcast to the result, found ", input.clone(sizes));
  }
  types.push_back(input.clone(sizes));
  return success();
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  ArrayRef<int64_t> permutation = adaptor.getPermutation();
  SmallVector<int64_t> sorted(permutation);
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, input.getRank()))) { // transpose_c1
    return reject<TransposeOp>(location, "permutation must name each dimension of ", input, " once, found [",
                               permutation, "]");
  }
  types.push_back(input.clone(llvm::map_to_vector(permutation, [&](int64_t from) { return input.getDimSize(from); })));
  return success();
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  int64_t axis = adaptor.getAxis(), step = adaptor.getStep();
  if (failed(expectAxis<SliceOp>(location, axis, input))) { // slice_c1
    return failure();
  }
  if (step <= 0) { // slice_c2
    return reject<SliceOp>(location, "step must be positive, found ", step);
  }
  SmallVector<int64_t> shape(input.getShape());
  int64_t size = shape[axis];
  if (!ShapedType::isDynamic(size)) {
    auto inRange = [&](int64_t bound) { return std::clamp<int64_t>(bound < 0 ? bound + size : bound, 0, size); };
    int64_t first = inRange(adaptor.getStart()), end = adaptor.getLimit() ? inRange(*adaptor.getLimit()) : size;
    shape[axis] = llvm::divideCeil(std::max<int64_t>(end - first, 0), step);
  }
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  if (adaptor.getInputs().empty()) { // concat_c1
    return reject<ConcatOp>(location, "needs at least one input");
  }
  RankedTensorType first = typeOf(adaptor.getInputs().front());
  int64_t axis = adaptor.getAxis();
  if (failed(expectAxis<ConcatOp>(location, axis, first))) { // concat_c3
    return failure();
  }
  SmallVector<int64_t> shape(first.getShape());
  for (Value input : adaptor.getInputs().drop_front()) {
    RankedTensorType type = typeOf(input);
    bool fits = type.getElementType() == first.getElementType() && type.getRank() == first.getRank();
    for (int64_t index = 0; fits && index < type.getRank(); ++index) {
      int64_t size = type.getDimSize(index);
      if (index == axis) {
        bool isKnown = !ShapedType::isDynamic(shape[axis]) && !ShapedType::isDynamic(size);
        shape[axis] = isKnown ? shape[axis] + size : dynamic;
      } else {
        fits = agrees(shape[index], size);
        shape[index] = ShapedType::isDynamic(shape[index]) ? size : shape[index];
      }
    }
    if (!fits) { // concat_c2
      return reject<ConcatOp>(location, "inputs must agree in all dimensions but ", axis, ", found ", first, " and ",
                              type);
    }
  }
  types.push_back(first.clone(shape));
  return success();
}

LogicalResult GatherOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  int64_t axis = adaptor.getAxis();
  if (failed(expectAxis<GatherOp>(location, axis, input))) { // gather_c1
    return failure();
  }
  SmallVector<int64_t> shape(input.getShape().take_front(axis));
  llvm::append_range(shape, typeOf(adaptor.getIndices()).getShape());
  llvm::append_range(shape, input.getShape().drop_front(axis + 1));
  types.push_back(input.clone(shape));
  return success();
}

namespace {

template <typename Op> LogicalResult expectIndices(std::optional<Location> location, typename Op::Adaptor adaptor) {
  RankedTensorType input = typeOf(adaptor.getInput()), indices = typeOf(adaptor.getIndices());
  int64_t axis = adaptor.getAxis();
  if (failed(expectAxis<Op>(location, axis, input))) { // gather_elements_c1, scatter_elements_c1
    return failure();
  }
  if (indices.getRank() != input.getRank()) { // gather_elements_c1, scatter_elements_c1
    return reject<Op>(location, "indices must have as many dimensions as ", input, ", found ", indices);
  }
  for (int64_t index = 0; index < input.getRank(); ++index) {
    int64_t have = input.getDimSize(index), need = indices.getDimSize(index);
    if (index != axis && !ShapedType::isDynamic(have) && !ShapedType::isDynamic(need) &&
        need > have) { // gather_elements_c2, scatter_elements_c2
      return reject<Op>(location, "indices must not be larger than ", input, " but along axis ", axis, ", found ",
                        indices);
    }
  }
  return success();
}

} // namespace

LogicalResult GatherElementsOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                                 SmallVectorImpl<Type> &types) {
  if (failed(expectIndices<GatherElementsOp>(location, adaptor))) {
    return failure();
  }
  types.push_back(typeOf(adaptor.getIndices()).clone(typeOf(adaptor.getInput()).getElementType()));
  return success();
}

LogicalResult ScatterElementsOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                                  SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput()), updates = typeOf(adaptor.getUpdates());
  if (failed(expectIndices<ScatterElementsOp>(location, adaptor))) {
    return failure();
  }
  RankedTensorType expected = typeOf(adaptor.getIndices()).clone(input.getElementType());
  if (updates.getElementType() != input.getElementType() || !mayBeSame(expected, updates)) { // scatter_elements_c3
    return reject<ScatterElementsOp>(location, "updates must be ", expected, ", found ", updates);
  }
  if (input.getElementType().isInteger(1) && adaptor.getScatter() != Scatter::Replace) { // scatter_elements_c4
    return reject<ScatterElementsOp>(location, "elements of i1 are replaced only, found ",
                                     stringifyScatter(adaptor.getScatter()));
  }
  types.push_back(input);
  return success();
}

LogicalResult TopkOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  int64_t axis = adaptor.getAxis(), k = adaptor.getK();
  if (failed(expectAxis<TopkOp>(location, axis, input))) { // topk_c1
    return failure();
  }
  SmallVector<int64_t> shape(input.getShape());
  if (k < 1 || (!ShapedType::isDynamic(shape[axis]) && k > shape[axis])) { // topk_c2
    return reject<TopkOp>(location, "k must be positive and at most dimension ", axis, " of ", input, ", found ", k);
  }
  shape[axis] = k;
  types.push_back(input.clone(shape));
  types.push_back(RankedTensorType::get(shape, IntegerType::get(context, 64)));
  return success();
}

LogicalResult SortOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  if (failed(expectAxis<SortOp>(location, adaptor.getAxis(), input))) { // sort_c1
    return failure();
  }
  types.push_back(input);
  types.push_back(input.clone(IntegerType::get(context, 64)));
  return success();
}

LogicalResult GatherNdOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput()), indices = typeOf(adaptor.getIndices());
  int64_t batch = adaptor.getBatchDims();
  if (batch < 0 || batch >= indices.getRank() || batch > input.getRank() ||
      !llvm::all_of_zip(input.getShape().take_front(batch), indices.getShape().take_front(batch),
                        agrees)) { // gather_nd_c1
    return reject<GatherNdOp>(location, "batch_dims must be leading dimensions that ", input, " and ", indices,
                              " share, found ", batch);
  }
  int64_t depth = indices.getShape().back();
  if (ShapedType::isDynamic(depth) || depth > input.getRank() - batch) { // gather_nd_c2
    return reject<GatherNdOp>(location, "rows of indices must name at most ", input.getRank() - batch,
                              " dimensions of ", input, ", found ", indices);
  }
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  llvm::append_range(shape, input.getShape().drop_front(batch + depth));
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult ScatterNdOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput()), indices = typeOf(adaptor.getIndices()),
                   updates = typeOf(adaptor.getUpdates());
  int64_t depth = indices.getRank() == 0 ? dynamic : indices.getShape().back();
  if (ShapedType::isDynamic(depth) || depth > input.getRank()) { // scatter_nd_c1
    return reject<ScatterNdOp>(location, "rows of indices must name at most ", input.getRank(), " dimensions of ",
                               input, ", found ", indices);
  }
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  llvm::append_range(shape, input.getShape().drop_front(depth));
  RankedTensorType expected = input.clone(shape);
  if (updates.getElementType() != input.getElementType() || !mayBeSame(expected, updates)) { // scatter_nd_c2
    return reject<ScatterNdOp>(location, "updates must be ", expected, ", found ", updates);
  }
  if (input.getElementType().isInteger(1) && adaptor.getScatter() != Scatter::Replace) { // scatter_nd_c3
    return reject<ScatterNdOp>(location, "elements of i1 are replaced only, found ",
                               stringifyScatter(adaptor.getScatter()));
  }
  types.push_back(input);
  return success();
}

LogicalResult NonzeroOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  if (input.getRank() == 0) { // nonzero_c1
    return reject<NonzeroOp>(location, "the input must have at least one dimension, found ", input);
  }
  types.push_back(RankedTensorType::get({input.getRank(), dynamic}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult DequantizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  RankedTensorType input = typeOf(adaptor.getInput());
  if (!isa_and_nonnull<BlocksAttr>(input.getEncoding()) || input.getRank() < 2) { // dequantize_c1
    return reject<DequantizeOp>(location, "the input must be matrices in blocks, found ", input);
  }
  types.push_back(RankedTensorType::get(input.getShape(), Float32Type::get(context)));
  return success();
}
