// Attention is recognised by what its two products read and write, not by how: heads may be split, transposed, expanded
// and repeated in any spelling (TensorView), and scale and mask are what the scores come to (AttentionPattern).
#include "compiler/Transforms/AttentionPattern.h"
#include "compiler/Transforms/Passes.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSEATTENTIONPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Rows that attention reads, and the cache that they went through.
struct Rows {
  Value rows;
  std::optional<CachedRows> cached;
};

/// The number of elements of a head, if these are `size` neighbours in columns.
bool isHead(const TensorView &view, int64_t dim, int64_t size) {
  return size == 1 ? view.dims[dim].empty() : view.dims[dim] == TensorView::Dimension{{1, size, 1}};
}

struct FuseAttentionPass : impl::FuseAttentionPassBase<FuseAttentionPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::AttentionOp::getOperationName());
    Positional positional(getOperation());
    fusion.forEach<r1::MatmulOp>([&](r1::MatmulOp sums) { std::ignore = fuse(fusion, positional, sums); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, const Positional &positional, r1::MatmulOp sums) {
    FailureOr<AttentionPattern> pattern = AttentionPattern::match(fusion, sums, positional);
    if (failed(pattern)) {
      return failure();
    }
    auto miss = [&](const Twine &rule, const Twine &fix) { return fusion.miss(sums, rule, fix); };
    if (pattern->scores.size() != 1) {
      return miss("the scores are a sum of " + Twine(pattern->scores.size()) + " products",
                  "run r1-fuse-latent-attention before, which knows such sums");
    }
    r1::MatmulOp score = pattern->scores.front();
    double scale = pattern->scale;
    TensorView query = TensorView::of(score.getLhs(), &scale), key = TensorView::of(score.getRhs(), &scale);
    TensorView value = TensorView::of(sums.getRhs(), &scale);
    for (const TensorView *view : {&query, &key, &value}) {
      if (view->sourceType().getRank() != 2 || view->sourceType().isDynamicDim(1) ||
          !view->sourceType().getElementType().isF32()) {
        return miss("query, key and value do not all come from rows of f32, one for each token",
                    "fix the batch to 1, and let projections compute them");
      }
    }
    int64_t queryRank = query.rank(), keyRank = key.rank(), valueRank = value.rank();
    if (!query.isWholeAxis(queryRank - 2, 0) || !key.isWholeAxis(keyRank - 1, 0) ||
        !value.isWholeAxis(valueRank - 2, 0)) {
      return miss("a row of the scores is not one token's", "fix the batch to 1");
    }
    int64_t headDim = typeOf(score.getLhs()).getShape().back(), valueDim = typeOf(sums).getShape().back();
    if (ShapedType::isDynamic(headDim) || ShapedType::isDynamic(valueDim)) {
      return miss("the size of a head is not known", "run canonicalize and r1-infer-shapes before");
    }

    // Query heads that follow one another share a key head.
    TensorView keyByRows = key;
    std::swap(keyByRows.dims[keyRank - 1], keyByRows.dims[keyRank - 2]);
    std::optional<Heads> heads = Heads::align(query, keyByRows);
    std::optional<Heads> valueHeads = Heads::align(TensorView::whole(sums.getLhs()), value);
    if (!heads || !valueHeads) {
      return miss("the heads of query, key and value do not fit", "fix the batch to 1");
    }
    // A permutation of pairs that query and key share is the rotation's.
    r1::RopeOp queryRope = query.source.getDefiningOp<r1::RopeOp>();
    Rows keys = rowsOf(key.source), values = rowsOf(value.source);
    r1::RopeOp keyRope = keys.rows.getDefiningOp<r1::RopeOp>();
    std::optional<int64_t> kvHeads = heads->rightHeads(headDim), valueKvHeads = valueHeads->rightHeads(valueDim);
    if (!kvHeads || !valueKvHeads || !heads->isLeftDense(headDim) || !isHead(query, queryRank - 1, headDim) ||
        !isHead(keyByRows, keyRank - 1, headDim) || !isHead(value, valueRank - 1, valueDim)) {
      return miss("the elements of a head, or the heads that share a key, do not lie side by side",
                  "repeat each key head for the query heads that follow one another (repeat_kv)");
    }
    int64_t count = heads->count();
    if (*kvHeads != *valueKvHeads || count % *kvHeads != 0) {
      return miss("there are " + Twine(*kvHeads) + " key heads and " + Twine(*valueKvHeads) + " value heads",
                  "give keys and values the same heads");
    }
    if (keys.cached.has_value() != values.cached.has_value()) {
      return miss("only one of keys and values goes through the cache", "export both past keys and past values");
    }

    OpBuilder builder(sums);
    Location location = sums.getLoc();
    Value queryRows = sliceColumns(builder, location, query.source, query.starts[1], count * headDim);
    Value keyRows = sliceColumns(builder, location, keys.rows, key.starts[1], *kvHeads * headDim);
    Value valueRows = sliceColumns(builder, location, values.rows, value.starts[1], *kvHeads * valueDim);
    r1::RopeAttr rope;
    Value positions;
    if (queryRope && keyRope && queryRope.getResult() == queryRows && keyRope.getResult() == keyRows &&
        queryRope.getPositions() == keyRope.getPositions() && queryRope.getRope() == keyRope.getRope() &&
        static_cast<int64_t>(queryRope.getHeads()) == count && static_cast<int64_t>(keyRope.getHeads()) == *kvHeads) {
      positions = queryRope.getPositions();
      rope = queryRope.getRope();
      TensorView queryView = TensorView::of(queryRope.getInput()), keyView = TensorView::of(keyRope.getInput());
      r1::RopeAttr unpermuted = withoutPermutation(rope, queryView, keyView, 1, 1);
      if (unpermuted != rope && queryView.isReshape() && keyView.isReshape()) {
        rope = unpermuted;
        queryRows = queryView.source;
        keyRows = keyView.source;
      } else {
        queryRows = queryRope.getInput();
        keyRows = keyRope.getInput();
      }
    } else {
      positions = positional.positionsOf(builder, location, pattern->positional, queryRows);
    }
    if (failed(pattern->expectCausal(fusion, positions, keys.cached.has_value()))) {
      return failure();
    }

    Value cache, lastCache;
    int64_t layer = 0;
    if (keys.cached) {
      r1::CacheAppendOp first = keys.cached->append, second = values.cached->append;
      if (!first->isBeforeInBlock(second)) {
        std::swap(first, second);
      }
      layer = static_cast<int64_t>(first.getLayer());
      if (second.getCache() != first.getNewCache() || first.getLayer() != second.getLayer() ||
          first.getPart() == second.getPart()) {
        return miss("keys and values are not appended to the cache one after the other", "");
      }
      cache = first.getCache();
      lastCache = second.getNewCache();
      for (Operation *user : lastCache.getUsers()) {
        if (user->getBlock() == sums->getBlock() && user->isBeforeInBlock(sums) && !isa<r1::CacheReadOp>(user)) {
          return miss("another layer uses the cache before this one is done", "");
        }
      }
    }
    auto type = RankedTensorType::get({typeOf(queryRows).getDimSize(0), count * valueDim}, builder.getF32Type());
    auto attention = r1::AttentionOp::create(
        builder, location, type, cache ? cache.getType() : Type(), queryRows, keyRows, valueRows, positions, cache,
        static_cast<uint64_t>(count), static_cast<uint64_t>(*kvHeads), static_cast<uint64_t>(headDim),
        static_cast<uint64_t>(valueDim), APFloat(exactScale(scale, headDim)), static_cast<uint64_t>(layer), rope);
    Value result = asHeads(builder, location, attention.getResult(), typeOf(sums));
    if (cache) {
      lastCache.replaceUsesWithIf(attention.getNewCache(),
                                  [&](OpOperand &use) { return !isa<r1::CacheReadOp>(use.getOwner()); });
    }
    fusion.replace(sums.getResult(), result);
    return success();
  }

  static Rows rowsOf(Value source) {
    std::optional<CachedRows> cached = CachedRows::of(source);
    if (!cached) {
      return {source, {}};
    }
    // What is appended may be spelled as a view of rows.
    TensorView view = TensorView::of(cached->append.getRows());
    bool isSame = view.isReshape() && view.source.getType() == cached->append.getRows().getType();
    return {isSame ? view.source : cached->append.getRows(), cached};
  }
};

} // namespace
} // namespace elah
