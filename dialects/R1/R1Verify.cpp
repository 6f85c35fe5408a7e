// The r1 operations' constraints, beyond what their definitions state. Each check carries the number that it has in the
// operation's description; the test of the same name breaks it.
#include "dialects/R1/R1.h"

using namespace mlir;
using namespace elah::r1;

namespace {

/// The size of the last dimension, or kDynamic for an unranked tensor.
int64_t lastDim(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 ? type.getDimSize(type.getRank() - 1) : ShapedType::kDynamic;
}

int64_t dim(Value value, int64_t index) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && index < type.getRank() ? type.getDimSize(index) : ShapedType::kDynamic;
}

bool agrees(int64_t found, int64_t expected) {
  return ShapedType::isDynamic(found) || ShapedType::isDynamic(expected) || found == expected;
}

/// Reports that `what` is `found` wide where `expected` was needed.
LogicalResult expectWidth(Operation *op, StringRef what, Value value, int64_t expected) {
  int64_t found = lastDim(value);
  if (agrees(found, expected)) {
    return success();
  }
  return op->emitOpError() << what << " must be " << expected << " wide, found " << found;
}

LogicalResult expectCache(Operation *op, Value cache, Value newCache, CacheKind kind, int64_t layer, int64_t keyWidth,
                          int64_t valueWidth) {
  if (static_cast<bool>(cache) != static_cast<bool>(newCache)) {
    return op->emitOpError() << "must return a cache exactly if it is given one";
  }
  if (!cache) {
    return success();
  }
  auto type = cast<CacheType>(cache.getType());
  if (newCache.getType() != type) {
    return op->emitOpError() << "must return the type of cache that it is given, " << type << ", found "
                             << newCache.getType();
  }
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

LogicalResult WeightOp::verify() {
  if (getParts().empty()) {
    return emitOpError() << "must have at least one part";
  }
  auto first = cast<WeightAttr>(getParts()[0]).getType();
  for (Attribute part : getParts()) { // weight_c1
    auto weight = cast<WeightAttr>(part);
    if (weight.getType() != first) {
      return emitOpError() << "parts must have one type, found " << first << " and " << weight.getType();
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
  return success();
}

LogicalResult EmbeddingOp::verify() {
  return expectWidth(*this, "the result", getResult(), lastDim(getTable())); // embedding_c1
}

LogicalResult LinearOp::verify() {
  if (failed(expectWidth(*this, "the input", getInput(), lastDim(getWeight())))) { // linear_c1
    return failure();
  }
  if (failed(expectWidth(*this, "the result", getResult(), dim(getWeight(), 0)))) { // linear_c2
    return failure();
  }
  if (getBias()) { // linear_c3
    return expectWidth(*this, "the bias", getBias(), dim(getWeight(), 0));
  }
  return success();
}

LogicalResult RmsNormOp::verify() {
  if (failed(expectWidth(*this, "the weight", getWeight(), lastDim(getInput())))) { // rms_norm_c1
    return failure();
  }
  if (!(getEpsilon().convertToDouble() > 0)) { // rms_norm_c2
    return emitOpError() << "epsilon must be positive, found " << getEpsilon().convertToDouble();
  }
  return success();
}

LogicalResult AttentionOp::verify() {
  int64_t heads = getHeads(), kvHeads = getKvHeads();
  if (kvHeads <= 0 || heads <= 0 || heads % kvHeads != 0) { // attention_c1
    return emitOpError() << "heads must be a multiple of kv_heads, found " << heads << " and " << kvHeads;
  }
  if (failed(expectWidth(*this, "query", getQuery(), heads * getHeadDim())) || // attention_c2
      failed(expectWidth(*this, "key", getKey(), kvHeads * getHeadDim())) ||
      failed(expectWidth(*this, "value", getValue(), kvHeads * getValueDim())) ||
      failed(expectWidth(*this, "the result", getResult(), heads * getValueDim()))) {
    return failure();
  }
  if (RopeAttr rope = getRopeAttr(); rope && rope.getDim() > static_cast<int64_t>(getHeadDim())) { // attention_c3
    return emitOpError() << "rope must rotate at most head_dim = " << getHeadDim() << " elements, found "
                         << rope.getDim();
  }
  return expectCache(*this, getCache(), getNewCache(), CacheKind::KeyValue, getLayer(), // attention_c4, attention_c5
                     kvHeads * getHeadDim(), kvHeads * getValueDim());
}

LogicalResult LatentAttentionOp::verify() {
  int64_t heads = getHeads(), nope = getNopeDim(), rope = getRopeDim(), value = getValueDim(), rank = getRank();
  if (failed(expectWidth(*this, "query", getQuery(), heads * (nope + rope))) || // latent_attention_c1
      failed(expectWidth(*this, "latent", getLatent(), rank + rope)) ||
      failed(expectWidth(*this, "norm_weight", getNormWeight(), rank)) ||
      failed(expectWidth(*this, "expand", getExpand(), rank)) ||
      failed(expectWidth(*this, "the result", getResult(), heads * value))) {
    return failure();
  }
  if (!agrees(dim(getExpand(), 0), heads * (nope + value))) { // latent_attention_c1
    return emitOpError() << "expand must have " << heads * (nope + value) << " rows, found " << dim(getExpand(), 0);
  }
  if (getRope().getDim() != rope) { // latent_attention_c2
    return emitOpError() << "rope must rotate rope_dim = " << rope << " elements, found " << getRope().getDim();
  }
  return expectCache(*this, getCache(), getNewCache(), CacheKind::Latent, getLayer(), // latent_attention_c3, _c4
                     rank + rope, 0);
}

LogicalResult RouteOp::verify() {
  RoutingAttr routing = getRouting();
  int64_t experts = lastDim(getLogits());
  if (getBias() && failed(expectWidth(*this, "the bias", getBias(), experts))) { // route_c1
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
  if (failed(expectWidth(*this, "experts", getExperts(), routing.getTopK()))) { // route_c4
    return failure();
  }
  return expectWidth(*this, "weights", getWeights(), routing.getTopK()); // route_c4
}

LogicalResult ExpertsOp::verify() {
  int64_t hidden = lastDim(getInput()), experts = dim(getGate(), 0), intermediate = dim(getGate(), 1);
  auto hasShape = [&](Value value, int64_t rows, int64_t columns) {
    return agrees(dim(value, 0), experts) && agrees(dim(value, 1), rows) && agrees(dim(value, 2), columns);
  };
  if (!hasShape(getGate(), intermediate, hidden) || !hasShape(getUp(), intermediate, hidden) || // experts_c1
      !hasShape(getDown(), hidden, intermediate)) {
    return emitOpError() << "gate and up must be [E, I, H] and down [E, H, I] with H = " << hidden << ", found "
                         << getGate().getType() << ", " << getUp().getType() << " and " << getDown().getType();
  }
  if (!agrees(lastDim(getExperts()), lastDim(getWeights()))) { // experts_c2
    return emitOpError() << "experts and weights must have one shape, found " << getExperts().getType() << " and "
                         << getWeights().getType();
  }
  return success();
}
