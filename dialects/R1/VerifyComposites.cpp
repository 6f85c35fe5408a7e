// The composite operations' constraints, beyond what their definitions state. Each check carries
// the number that it has in the operation's description; the test of the same name breaks it.
#include "dialects/R1/R1.h"

using namespace mlir;
using namespace elah::r1;

namespace {

constexpr int64_t anySize = ShapedType::kDynamic;

ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

int64_t dim(Value value, int64_t index) { return shapeOf(value)[index]; }

int64_t lastDim(Value value) { return shapeOf(value).back(); }

/// Whether two sizes may be the same when the program runs.
bool agrees(int64_t found, int64_t expected) {
  return ShapedType::isDynamic(found) || ShapedType::isDynamic(expected) || found == expected;
}

/// Reports that the shape of `what` is not the expected one; a dynamic size agrees with any.
LogicalResult expectShape(Operation *op, StringRef what, Value value, ArrayRef<int64_t> expected) {
  if (llvm::equal(shapeOf(value), expected, agrees)) {
    return success();
  }
  InFlightDiagnostic diagnostic = op->emitOpError() << what << " must be [";
  llvm::interleaveComma(expected, diagnostic, [&](int64_t size) {
    if (ShapedType::isDynamic(size)) {
      diagnostic << "?";
    } else {
      diagnostic << size;
    }
  });
  return diagnostic << "], found " << value.getType();
}

LogicalResult expectPositiveEpsilon(Operation *op, const APFloat &epsilon) {
  if (epsilon.convertToDouble() > 0) {
    return success();
  }
  return op->emitOpError() << "epsilon must be positive, found " << epsilon.convertToDouble();
}

LogicalResult expectCacheResult(Operation *op, Value cache, Value newCache) {
  if (static_cast<bool>(cache) != static_cast<bool>(newCache)) {
    return op->emitOpError() << "must return a cache exactly if it is given one";
  }
  if (cache && newCache.getType() != cache.getType()) {
    return op->emitOpError() << "must return the type of cache that it is given, " << cache.getType() << ", found "
                             << newCache.getType();
  }
  return success();
}

LogicalResult expectCache(Operation *op, Value cache, CacheKind kind, int64_t layer, int64_t keyWidth,
                          int64_t valueWidth) {
  if (!cache) {
    return success();
  }
  auto type = cast<CacheType>(cache.getType());
  if (type.getKind() != kind || type.getKeyWidth() != keyWidth || type.getValueWidth() != valueWidth) {
    return op->emitOpError() << "needs a cache of kind " << stringifyCacheKind(kind) << " with key_width " << keyWidth
                             << " and value_width " << valueWidth << ", found " << type;
  }
  if (layer < 0 || layer >= type.getLayers()) {
    return op->emitOpError() << "layer must be in 0.." << type.getLayers() - 1 << ", found " << layer;
  }
  return success();
}

} // namespace

LogicalResult EmbeddingOp::verify() {
  return expectShape(*this, "the result", getResult(), {dim(getTokens(), 0), lastDim(getTable())}); // embedding_c1
}

LogicalResult LinearOp::verify() {
  int64_t rows = dim(getInput(), 0), outputs = dim(getWeight(), 0);
  if (failed(expectShape(*this, "the input", getInput(), {anySize, dim(getWeight(), 1)}))) { // linear_c1
    return failure();
  }
  if (failed(expectShape(*this, "the result", getResult(), {rows, outputs}))) { // linear_c2
    return failure();
  }
  if (getBias()) { // linear_c3
    return expectShape(*this, "the bias", getBias(), {outputs});
  }
  return success();
}

LogicalResult RmsNormOp::verify() {
  if (failed(expectShape(*this, "the weight", getWeight(), {lastDim(getInput())}))) { // rms_norm_c1
    return failure();
  }
  return expectPositiveEpsilon(*this, getEpsilon()); // rms_norm_c2
}

LogicalResult SoftmaxOp::verify() {
  int64_t axis = getAxis(), rank = static_cast<int64_t>(shapeOf(getInput()).size());
  if (axis < 0 || axis >= rank) { // softmax_c1
    return emitOpError() << "axis must be a dimension of " << getInput().getType() << ", found " << axis;
  }
  return success();
}

LogicalResult RopeOp::verify() {
  int64_t heads = getHeads(), width = lastDim(getInput());
  if (ShapedType::isDynamic(width) || heads < 1 || width % heads != 0) { // rope_op_c1
    return emitOpError() << "heads must divide the input's last dimension, found " << heads << " and "
                         << getInput().getType();
  }
  if (getRope().getDim() > width / heads) { // rope_op_c2
    return emitOpError() << "rope must rotate at most the " << width / heads << " elements of a head, found "
                         << getRope().getDim();
  }
  return expectShape(*this, "positions", getPositions(), {dim(getInput(), 0)}); // rope_op_c3
}

LogicalResult AttentionOp::verify() {
  int64_t heads = getHeads(), kvHeads = getKvHeads(), tokens = dim(getQuery(), 0);
  if (kvHeads <= 0 || heads <= 0 || heads % kvHeads != 0) { // attention_c1
    return emitOpError() << "heads must be a multiple of kv_heads, found " << heads << " and " << kvHeads;
  }
  int64_t keyWidth = kvHeads * getHeadDim(), valueWidth = kvHeads * getValueDim();
  if (failed(expectShape(*this, "query", getQuery(), {tokens, heads * static_cast<int64_t>(getHeadDim())})) ||
      failed(expectShape(*this, "key", getKey(), {tokens, keyWidth})) || // attention_c2
      failed(expectShape(*this, "value", getValue(), {tokens, valueWidth})) ||
      failed(expectShape(*this, "positions", getPositions(), {tokens})) ||
      failed(expectShape(*this, "the result", getResult(), {tokens, heads * static_cast<int64_t>(getValueDim())}))) {
    return failure();
  }
  if (RopeAttr rope = getRopeAttr(); rope && rope.getDim() > static_cast<int64_t>(getHeadDim())) { // attention_c3
    return emitOpError() << "rope must rotate at most head_dim = " << getHeadDim() << " elements, found "
                         << rope.getDim();
  }
  if (failed(expectCache(*this, getCache(), CacheKind::KeyValue, getLayer(), keyWidth,
                         valueWidth))) { // attention_c4
    return failure();
  }
  return expectCacheResult(*this, getCache(), getNewCache()); // attention_c5
}

LogicalResult LatentAttentionOp::verify() {
  int64_t heads = getHeads(), nope = getNopeDim(), rope = getRopeDim(), value = getValueDim(), rank = getRank();
  int64_t tokens = dim(getQuery(), 0);
  if (failed(expectShape(*this, "query", getQuery(), {tokens, heads * (nope + rope)})) || // latent_attention_c1
      failed(expectShape(*this, "latent", getLatent(), {tokens, rank + rope})) ||
      failed(expectShape(*this, "norm_weight", getNormWeight(), {rank})) ||
      failed(expectShape(*this, "expand", getExpand(), {heads * (nope + value), rank})) ||
      failed(expectShape(*this, "positions", getPositions(), {tokens})) ||
      failed(expectShape(*this, "the result", getResult(), {tokens, heads * value}))) {
    return failure();
  }
  if (getRope().getDim() != rope) { // latent_attention_c2
    return emitOpError() << "rope must rotate rope_dim = " << rope << " elements, found " << getRope().getDim();
  }
  if (failed(expectCache(*this, getCache(), CacheKind::Latent, getLayer(), rank + rope,
                         0)) ||                                      // latent_attention_c3
      failed(expectCacheResult(*this, getCache(), getNewCache()))) { // latent_attention_c4
    return failure();
  }
  return expectPositiveEpsilon(*this, getEpsilon()); // latent_attention_c5
}

LogicalResult RouteOp::verify() {
  RoutingAttr routing = getRouting();
  int64_t tokens = dim(getLogits(), 0), experts = lastDim(getLogits());
  if (ShapedType::isDynamic(experts)) { // route_c1
    return emitOpError() << "must know the number of experts, found " << getLogits().getType();
  }
  if (getBias() && failed(expectShape(*this, "the bias", getBias(), {experts}))) { // route_c1
    return failure();
  }
  int64_t groups = routing.getGroups(), topGroups = routing.getTopGroups();
  if (groups < 1 || experts % groups != 0 || topGroups < 1 || topGroups > groups) { // route_c3
    return emitOpError() << "groups must divide the " << experts
                         << " experts and top_groups lie in 1..groups, found groups " << groups << " and top_groups "
                         << topGroups;
  }
  if (routing.getTopK() < 1 || routing.getTopK() > experts / groups * topGroups) { // route_c2
    return emitOpError() << "top_k must lie in 1.." << experts / groups * topGroups << ", found " << routing.getTopK();
  }
  if (failed(expectShape(*this, "experts", getExperts(), {tokens, routing.getTopK()}))) { // route_c4
    return failure();
  }
  return expectShape(*this, "weights", getWeights(), {tokens, routing.getTopK()}); // route_c4
}

LogicalResult ExpertsOp::verify() {
  int64_t hidden = lastDim(getInput()), experts = dim(getGate(), 0), intermediate = dim(getGate(), 1);
  if (failed(expectShape(*this, "gate", getGate(), {experts, intermediate, hidden})) || // experts_c1
      failed(expectShape(*this, "up", getUp(), {experts, intermediate, hidden})) ||
      failed(expectShape(*this, "down", getDown(), {experts, hidden, intermediate}))) {
    return failure();
  }
  int64_t tokens = dim(getInput(), 0), chosen = lastDim(getExperts());
  if (ShapedType::isDynamic(chosen)) { // experts_c2
    return emitOpError() << "must know the number of experts of a token, found " << getExperts().getType();
  }
  if (failed(expectShape(*this, "experts", getExperts(), {tokens, chosen}))) { // experts_c2
    return failure();
  }
  return expectShape(*this, "weights", getWeights(), {tokens, chosen}); // experts_c2
}

LogicalResult NextTokenBlockOp::verify() {
  int64_t tokens = dim(getHidden(), 0), hidden = lastDim(getHidden());
  if (failed(expectShape(*this, "embedded", getEmbedded(), {tokens, hidden})) || // next_token_block_c1
      failed(expectShape(*this, "the result", getResult(), {tokens, hidden})) ||
      failed(expectShape(*this, "hidden_norm", getHiddenNorm(), {hidden})) ||
      failed(expectShape(*this, "embedding_norm", getEmbeddingNorm(), {hidden})) ||
      failed(expectShape(*this, "positions", getPositions(), {tokens}))) {
    return failure();
  }
  int64_t both = ShapedType::isDynamic(hidden) ? anySize : 2 * hidden;
  if (failed(expectShape(*this, "projection", getProjection(), {hidden, both}))) { // next_token_block_c2
    return failure();
  }
  return expectPositiveEpsilon(*this, getEpsilon()); // next_token_block_c3
}
