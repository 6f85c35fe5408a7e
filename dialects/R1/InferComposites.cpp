// Result types of the composites and of the cache: rows as many as the input has, widths from weights and attributes.
#include "dialects/R1/R1.h"

using namespace mlir;
using namespace elah::r1;

namespace {

int64_t rowsOf(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(0); }

RankedTensorType rows(MLIRContext *context, int64_t count, int64_t width) {
  return RankedTensorType::get({count, width}, Float32Type::get(context));
}

} // namespace

LogicalResult EmbeddingOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto table = cast<RankedTensorType>(adaptor.getTable().getType());
  types.push_back(rows(context, rowsOf(adaptor.getTokens()), table.getDimSize(1)));
  return success();
}

LogicalResult LinearOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  types.push_back(rows(context, rowsOf(adaptor.getInput()), rowsOf(adaptor.getWeight())));
  return success();
}

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  types.push_back(rows(context, rowsOf(adaptor.getQuery()), adaptor.getHeads() * adaptor.getValueDim()));
  if (Value cache = adaptor.getCache()) {
    types.push_back(cache.getType());
  }
  return success();
}

LogicalResult LatentAttentionOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                                  SmallVectorImpl<Type> &types) {
  types.push_back(rows(context, rowsOf(adaptor.getQuery()), adaptor.getHeads() * adaptor.getValueDim()));
  if (Value cache = adaptor.getCache()) {
    types.push_back(cache.getType());
  }
  return success();
}

LogicalResult RouteOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  RankedTensorType weights = rows(context, rowsOf(adaptor.getLogits()), adaptor.getRouting().getTopK());
  types.push_back(weights.clone(IntegerType::get(context, 32)));
  types.push_back(weights);
  return success();
}

LogicalResult NextTokenBlockOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                                 SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getHidden().getType());
  return success();
}

LogicalResult CacheReadOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto cache = cast<CacheType>(adaptor.getCache().getType());
  int64_t layer = adaptor.getLayer();
  if (layer < 0 || layer >= cache.getLayers()) { // cache_read_c1
    return emitOptionalError(location, "'", getOperationName(), "' op layer must be in 0..", cache.getLayers() - 1,
                             ", found ", layer);
  }
  bool isKey = adaptor.getPart() == CachePart::Key;
  if (!isKey && cache.getKind() == CacheKind::Latent) { // cache_read_c2
    return emitOptionalError(location, "'", getOperationName(), "' op a latent cache has keys alone, found value");
  }
  types.push_back(rows(context, ShapedType::kDynamic, isKey ? cache.getKeyWidth() : cache.getValueWidth()));
  return success();
}
