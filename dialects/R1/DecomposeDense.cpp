// What the composites of a dense decoder mean: embedding, projections, norms, activations, and the block in front of a
// multi-token prediction layer.
#include "dialects/R1/Decompose.h"

using namespace mlir;
using namespace elah::r1;

Value Composer::floats(ArrayRef<double> values, ArrayRef<int64_t> shape) const {
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  SmallVector<float> narrowed = llvm::map_to_vector(values, [](double value) { return static_cast<float>(value); });
  return make<ConstantOp>(cast<ElementsAttr>(DenseElementsAttr::get(type, ArrayRef<float>(narrowed))));
}

Value Composer::integer(int64_t value, unsigned bits) const {
  auto type = RankedTensorType::get({}, builder.getIntegerType(bits));
  return make<ConstantOp>(cast<ElementsAttr>(DenseElementsAttr::get(type, APInt(bits, value, /*isSigned=*/true))));
}

Value Composer::iota(Value limit, unsigned bits) const {
  Value range = make<RangeOp>(integer(0, 64), limit, integer(1, 64));
  return bits == 64 ? range : make<CastOp>(range, builder.getIntegerType(bits)).getResult();
}

Value Composer::iota(int64_t limit, unsigned bits) const {
  return make<RangeOp>(integer(0, bits), integer(limit, bits), integer(1, bits));
}

Value Composer::widened(Value weight) const {
  auto type = cast<RankedTensorType>(weight.getType());
  if (type.getEncoding()) {
    return make<DequantizeOp>(weight);
  }
  return type.getElementType().isF32() ? weight : make<CastOp>(weight, builder.getF32Type()).getResult();
}

SmallVector<Value> elah::r1::results(Operation *composite, ValueRange values) {
  for (auto [value, result] : llvm::zip_equal(values, composite->getResults())) {
    assert(value.getDefiningOp() && "a composite's result is computed");
    value.setType(result.getType());
  }
  return SmallVector<Value>(values);
}

SmallVector<Value> EmbeddingOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  Value rows = c.make<GatherOp>(getTable(), getTokens(), /*axis=*/0);
  return results(*this, c.widened(rows));
}

SmallVector<Value> LinearOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  Value product = c.make<MatmulOp>(getInput(), c.transpose(c.widened(getWeight()), {1, 0}));
  if (getBias()) {
    product = c.make<AddOp>(product, c.widened(getBias()));
  }
  return results(*this, product);
}

SmallVector<Value> RmsNormOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  int64_t last = cast<RankedTensorType>(getType()).getRank() - 1;
  Value squares = c.make<MulOp>(getInput(), getInput());
  Value mean = c.make<ReduceOp>(Reduction::Mean, squares, ArrayRef<int64_t>(last), /*keep_dims=*/true);
  Value length = c.make<RsqrtOp>(c.make<AddOp>(mean, c.scalar(getEpsilon().convertToDouble())));
  Value normalized = c.make<MulOp>(getInput(), length);
  return results(*this, ValueRange{c.make<MulOp>(normalized, c.widened(getWeight()))});
}

SmallVector<Value> SoftmaxOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  int64_t axis = getAxis();
  Value powers = c.make<ExpOp>(c.make<SubOp>(getInput(), c.max(getInput(), axis, /*keepDims=*/true)));
  return results(*this, ValueRange{c.make<DivOp>(powers, c.sum(powers, axis, /*keepDims=*/true))});
}

SmallVector<Value> SwigluOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  Value activated = c.make<MulOp>(getGate(), c.make<SigmoidOp>(getGate()));
  return results(*this, ValueRange{c.make<MulOp>(activated, getUp())});
}

SmallVector<Value> NextTokenBlockOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  Value isFollowed = c.make<CompareOp>(Comparison::NotEqual, getPositions(), c.integer(0, 32));
  Value embedded = c.make<SelectOp>(c.reshape(isFollowed, {-1, 1}), getEmbedded(), c.scalar(0));
  embedded.setType(getEmbedded().getType());
  Value first = c.make<RmsNormOp>(embedded, getEmbeddingNorm(), getEpsilon());
  Value second = c.make<RmsNormOp>(getHidden(), getHiddenNorm(), getEpsilon());
  return results(*this, ValueRange{c.make<LinearOp>(c.concat({first, second}, 1), getProjection(), Value())});
}
