// What attention means: rotary embedding, the cache, and causal softmax over all that came before. Multi-head latent
// attention stands here in its naive form, which expands each latent to keys and values; that the absorbed form says
// the same is the lowering's business (DeepSeek-V2, appendix; r1's meaning is the shorter one).
#include "dialects/R1/Decompose.h"
#include <limits>

using namespace mlir;
using namespace elah::r1;

namespace {

/// Rotates the first `rope.getDim()` elements of the last dimension of [T, heads, width].
Value rotate(const Composer &c, Value input, Value positions, RopeAttr rope) {
  auto type = cast<RankedTensorType>(input.getType());
  int64_t heads = type.getDimSize(1), width = type.getDimSize(2), dim = rope.getDim(), pairs = dim / 2;
  double scale = rope.getScale().getValueAsDouble();
  Value angles = c.make<MulOp>(c.reshape(c.make<CastOp>(positions, type.getElementType()), {-1, 1, 1}),
                               c.vector(rope.getFrequencies().asArrayRef()));
  Value cosine = c.make<CosOp>(angles), sine = c.make<SinOp>(angles);
  if (scale != 1) {
    cosine = c.make<MulOp>(cosine, c.scalar(scale));
    sine = c.make<MulOp>(sine, c.scalar(scale));
  }
  Value rotated = dim == width ? input : c.slice(input, 2, 0, dim);
  Value first, second;
  if (rope.getLayout() == RopeLayout::Interleaved) {
    Value paired = c.reshape(rotated, {-1, heads, pairs, 2});
    first = c.reshape(c.slice(paired, 3, 0, 1), {-1, heads, pairs});
    second = c.reshape(c.slice(paired, 3, 1, 2), {-1, heads, pairs});
  } else {
    first = c.slice(rotated, 2, 0, pairs);
    second = c.slice(rotated, 2, pairs, dim);
  }
  Value newFirst = c.make<SubOp>(c.make<MulOp>(first, cosine), c.make<MulOp>(second, sine));
  Value newSecond = c.make<AddOp>(c.make<MulOp>(first, sine), c.make<MulOp>(second, cosine));
  if (rope.getLayout() == RopeLayout::Interleaved) {
    SmallVector<int64_t> each = {-1, heads, pairs, 1};
    Value paired = c.concat({c.reshape(newFirst, each), c.reshape(newSecond, each)}, 3);
    rotated = c.reshape(paired, {-1, heads, dim});
  } else {
    rotated = c.concat({newFirst, newSecond}, 2);
  }
  return dim == width ? rotated : c.concat({rotated, c.slice(input, 2, dim, width)}, 2);
}

/// Rows behind those that the cache has; all of them. Without a cache these are the rows.
Value remember(const Composer &c, Value rows, Value &cache, int64_t layer, CachePart part) {
  if (!cache) {
    return rows;
  }
  cache = c.make<CacheAppendOp>(cache, rows, layer, part);
  return c.make<CacheReadOp>(cache, layer, part);
}

/// softmax(scores * scale) over the keys at or before each query's position; scores are [..., T, P] for P rows of keys,
/// whose positions are 0, 1, ... in a cache and those of the queries without.
Value causalSoftmax(const Composer &c, Value scores, double scale, Value positions, Value rows, bool isCached) {
  Value keyPositions = isCached ? c.iota(c.make<DimOp>(rows, 0), 32) : positions;
  Value isVisible =
      c.make<CompareOp>(Comparison::LessOrEqual, c.reshape(keyPositions, {1, -1}), c.reshape(positions, {-1, 1}));
  Value scaled = c.make<MulOp>(scores, c.scalar(scale));
  Value masked = c.make<SelectOp>(isVisible, scaled, c.scalar(-std::numeric_limits<double>::infinity()));
  return c.make<SoftmaxOp>(masked, cast<RankedTensorType>(masked.getType()).getRank() - 1);
}

SmallVector<Value> withCache(Operation *op, Value result, Value cache) {
  return results(op, cache ? ValueRange{result, cache} : ValueRange{result});
}

} // namespace

SmallVector<Value> RopeOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  int64_t heads = getHeads(), columns = cast<RankedTensorType>(getInput().getType()).getDimSize(1);
  Value rotated = rotate(c, c.reshape(getInput(), {-1, heads, columns / heads}), getPositions(), getRope());
  return results(*this, ValueRange{c.reshape(rotated, {-1, columns})});
}

SmallVector<Value> AttentionOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  int64_t heads = getHeads(), kvHeads = getKvHeads(), shared = heads / kvHeads;
  int64_t headDim = getHeadDim(), valueDim = getValueDim();
  Value query = getQuery(), key = getKey();
  if (RopeAttr rope = getRopeAttr()) {
    query = c.make<RopeOp>(query, getPositions(), heads, rope);
    key = c.make<RopeOp>(key, getPositions(), kvHeads, rope);
  }
  Value cache = getCache();
  Value keys = remember(c, key, cache, getLayer(), CachePart::Key);
  Value values = remember(c, getValue(), cache, getLayer(), CachePart::Value);

  // [kv_heads, heads of each, T, head_dim] x [kv_heads, 1, head_dim, P]
  Value left = c.transpose(c.reshape(query, {-1, kvHeads, shared, headDim}), {1, 2, 0, 3});
  Value right = c.transpose(c.reshape(keys, {-1, kvHeads, 1, headDim}), {1, 2, 3, 0});
  Value scores = c.make<MatmulOp>(left, right);
  Value probabilities =
      causalSoftmax(c, scores, getScale().convertToDouble(), getPositions(), keys, static_cast<bool>(cache));
  // [kv_heads, heads of each, T, P] x [kv_heads, 1, P, value_dim]
  Value columns = c.transpose(c.reshape(values, {-1, kvHeads, 1, valueDim}), {1, 2, 0, 3});
  Value sums = c.transpose(c.make<MatmulOp>(probabilities, columns), {2, 0, 1, 3});
  return withCache(*this, c.reshape(sums, {-1, heads * valueDim}), cache);
}

SmallVector<Value> LatentAttentionOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  int64_t heads = getHeads(), nope = getNopeDim(), rope = getRopeDim(), valueDim = getValueDim(), rank = getRank();
  Value query = c.reshape(getQuery(), {-1, heads, nope + rope});
  Value queryRotated = c.make<RopeOp>(c.reshape(c.slice(query, 2, nope, nope + rope), {-1, heads * rope}),
                                      getPositions(), heads, getRope());
  queryRotated = c.reshape(queryRotated, {-1, heads, rope});
  Value latent = c.make<RmsNormOp>(c.slice(getLatent(), 1, 0, rank), getNormWeight(), getEpsilon());
  Value shared = c.slice(getLatent(), 1, rank, rank + rope);
  Value sharedRotated = c.make<RopeOp>(shared, getPositions(), 1, getRope());
  Value cache = getCache();
  Value rows = remember(c, c.concat({latent, sharedRotated}, 1), cache, getLayer(), CachePart::Key);

  Value expanded = c.make<LinearOp>(c.slice(rows, 1, 0, rank), getExpand(), Value());
  Value keysAndValues = c.reshape(expanded, {-1, heads, nope + valueDim});
  // [heads, T, nope_dim] x [heads, nope_dim, P], and the part that the heads share, [heads, T, rope_dim] x [rope_dim,
  // P]
  Value left = c.transpose(c.slice(query, 2, 0, nope), {1, 0, 2});
  Value right = c.transpose(c.slice(keysAndValues, 2, 0, nope), {1, 2, 0});
  Value sharedKeys = c.transpose(c.slice(rows, 1, rank, rank + rope), {1, 0});
  Value scores =
      c.make<AddOp>(c.make<MatmulOp>(left, right), c.make<MatmulOp>(c.transpose(queryRotated, {1, 0, 2}), sharedKeys));
  Value probabilities =
      causalSoftmax(c, scores, getScale().convertToDouble(), getPositions(), rows, static_cast<bool>(cache));
  Value values = c.transpose(c.slice(keysAndValues, 2, nope, nope + valueDim), {1, 0, 2});
  Value sums = c.transpose(c.make<MatmulOp>(probabilities, values), {1, 0, 2});
  return withCache(*this, c.reshape(sums, {-1, heads * valueDim}), cache);
}
