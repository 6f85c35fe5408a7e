// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1) arrives expanded: keys and values of every
// head, computed from a latent by one projection, with a rotated part that all heads share. What follows from the
// latent need not be kept: the fused operation caches the normalized latent and the rotated part alone, whatever the
// graph kept.
#include "compiler/Transforms/AttentionPattern.h"
#include "compiler/Transforms/Passes.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSELATENTATTENTIONPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// [rows, heads, elements]
constexpr int64_t rowsDim = 0, headsDim = 1, elementsDim = 2;

/// The dimensions of a product's operand as rows, heads (all batch dimensions) and elements.
TensorView byHeads(const TensorView &view, int64_t rows, int64_t elements, const TensorView::Dimension &heads) {
  TensorView result = view;
  result.dims = {view.dims[rows], heads, view.dims[elements]};
  mergeFactors(result.dims[headsDim]);
  return result;
}

/// The parts that the view's elements are computed as: concatenations and the cache are looked through, since a row of
/// the cache is computed as every other row is. The caches' operations are added to `cached`.
SmallVector<TensorView, 0> partsOf(const TensorView &view, SmallVectorImpl<CachedRows> &cached) {
  SmallVector<TensorView, 0> all, worklist = {view};
  while (!worklist.empty()) {
    TensorView part = worklist.pop_back_val();
    if (std::optional<CachedRows> rows = CachedRows::of(part.source)) {
      // The rows of this step stand for those of all steps; only their number differs.
      TensorView same = part;
      for (Factor &factor : same.dims[rowsDim]) {
        if (factor.axis == 0 && ShapedType::isDynamic(factor.size)) {
          r1::CacheAppendOp append = rows->append;
          factor.size = typeOf(append.getRows()).getDimSize(0);
        }
      }
      same.source = rows->append.getRows();
      if (std::optional<TensorView> inside = same.through(same.source)) {
        cached.push_back(*rows);
        worklist.push_back(*inside);
        continue;
      }
    }
    std::vector<TensorView> parts = part.parts(elementsDim);
    if (parts.size() == 1 && parts.front().source == part.source) {
      all.push_back(part);
      continue;
    }
    for (const TensorView &inner : llvm::reverse(parts)) {
      worklist.push_back(inner);
    }
  }
  return all;
}

/// Columns `start` to `start + size` of rows, of each head `stride` columns from the last, or of all heads the same.
struct Slice {
  Value rows;
  int64_t start = 0, size = 0, stride = 0; ///< A stride of 0: heads share the columns.
};

std::optional<Slice> sliceOf(const TensorView &view) {
  if (view.sourceType().getRank() != 2 || !view.isWholeAxis(rowsDim, 0)) {
    return {};
  }
  Slice slice{view.source, view.starts[1], 1, 0};
  const TensorView::Dimension &elements = view.dims[elementsDim], &heads = view.dims[headsDim];
  if (elements.size() == 1 && elements.front().axis == 1 && elements.front().stride == 1) {
    slice.size = elements.front().size;
  } else if (!elements.empty()) {
    return {};
  }
  if (heads.size() == 1) {
    slice.stride = heads.front().isRepeated() ? 0 : heads.front().stride;
  } else if (!heads.empty()) {
    return {};
  }
  return slice;
}

/// What a rotation does behind the first `elements`, if it leaves these as they are; null if it does not. Which
/// elements are pairs shows that only where pairs are neighbours.
r1::RopeAttr rotationBehind(int64_t elements, r1::RopeAttr rope) {
  ArrayRef<double> frequencies = rope.getFrequencies().asArrayRef();
  int64_t pairs = elements / 2;
  bool isInPlace = elements % 2 == 0 && pairs < static_cast<int64_t>(frequencies.size()) &&
                   rope.getLayout() == r1::RopeLayout::Interleaved && rope.getScale().getValueAsDouble() == 1 &&
                   llvm::all_of(frequencies.take_front(pairs), [](double frequency) { return frequency == 0; });
  return isInPlace ? r1::RopeAttr::get(rope.getContext(), rope.getLayout(),
                                       DenseF64ArrayAttr::get(rope.getContext(), frequencies.drop_front(pairs)),
                                       rope.getScale())
                   : r1::RopeAttr();
}

/// Two dimensions of rows, with all columns as elements of one head.
TensorView rowsView(Value rows) {
  TensorView view = TensorView::of(rows);
  if (view.rank() == 2) {
    view.dims.insert(view.dims.begin() + 1, TensorView::Dimension());
  }
  return view;
}

/// What latent attention is made of, recognised in a graph.
struct LatentPattern {
  r1::MatmulOp sums;
  int64_t heads = 0, nope = 0, ropeDim = 0, valueDim = 0, rank = 0;
  double scale = 1;
  Value query, latentRows, sharedRows; ///< The last two: the latent before its norm, the shared part before rotation.
  int64_t latentStart = 0, sharedStart = 0;
  r1::RmsNormOp norm;
  Value expand, positions;
  r1::RopeAttr rope;
  SmallVector<CachedRows> cached;
};

struct FuseLatentAttentionPass : impl::FuseLatentAttentionPassBase<FuseLatentAttentionPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::LatentAttentionOp::getOperationName());
    Positional positional(getOperation());
    // The cache changes its type for all layers or for none.
    SmallVector<LatentPattern> patterns;
    fusion.forEach<r1::MatmulOp>([&](r1::MatmulOp sums) {
      if (FailureOr<LatentPattern> pattern = match(fusion, positional, sums); succeeded(pattern)) {
        patterns.push_back(*pattern);
      }
    });
    if (patterns.empty() || failed(adoptCache(fusion, patterns))) {
      return;
    }
    for (LatentPattern &pattern : patterns) {
      rewrite(fusion, pattern);
    }
    eraseReadersOfOldCache();
    TypeRange results = getOperation().front().getTerminator()->getOperandTypes();
    getOperation().setType(FunctionType::get(&getContext(), getOperation().front().getArgumentTypes(), results));
  }

private:
  static FailureOr<LatentPattern> match(Fusion &fusion, const Positional &positional, r1::MatmulOp sums) {
    // Only what has a part that all heads share is reported when it nearly matches: the rest is other attention.
    if (!softmaxOf(sums.getLhs())) {
      return failure();
    }
    LatentPattern latent;
    latent.sums = sums;
    TensorView values = TensorView::of(sums.getRhs());
    std::optional<Heads> valueHeads = Heads::align(TensorView::whole(sums.getLhs()), values);
    if (!valueHeads) {
      return failure();
    }
    SmallVector<CachedRows> cached;
    auto valueParts = partsOf(byHeads(values, values.rank() - 2, values.rank() - 1, valueHeads->right), cached);
    std::optional<Slice> value = valueParts.size() == 1 ? sliceOf(valueParts.front()) : std::nullopt;
    auto expand = value ? value->rows.getDefiningOp<r1::LinearOp>() : r1::LinearOp();
    if (!expand) {
      return failure();
    }
    // The projection's input is a normalized latent, which may have been through the cache.
    auto latentParts = partsOf(rowsView(expand.getInput()), cached);
    std::optional<Slice> normalized = latentParts.size() == 1 ? sliceOf(latentParts.front()) : std::nullopt;
    latent.norm = normalized ? normalized->rows.getDefiningOp<r1::RmsNormOp>() : r1::RmsNormOp();
    if (!latent.norm) {
      return failure();
    }
    fusion.setQuiet(true);
    FailureOr<AttentionPattern> attention = AttentionPattern::match(fusion, sums, positional);
    fusion.setQuiet(false);
    if (failed(attention)) {
      return failure(); // r1-fuse-attention says why.
    }
    auto miss = [&](const Twine &rule, const Twine &fix) { return fusion.miss(sums, rule, fix); };
    latent.scale = attention->scale;
    latent.expand = expand.getWeight();
    latent.rank = typeOf(latent.norm).getDimSize(1);
    latent.valueDim = value->size;
    latent.heads = valueHeads->count();

    // The parts of queries and keys that are multiplied with one another.
    SmallVector<std::pair<TensorView, TensorView>, 2> products;
    std::optional<Slice> wholeQuery; // One that was rotated in place.
    for (r1::MatmulOp score : attention->scores) {
      double scale = 1;
      TensorView left = TensorView::of(score.getLhs(), &scale), right = TensorView::of(score.getRhs(), &scale);
      int64_t leftRank = left.rank(), rightRank = right.rank();
      std::swap(right.dims[rightRank - 1], right.dims[rightRank - 2]);
      std::optional<Heads> heads = Heads::align(left, right);
      if (!heads || heads->count() != latent.heads) {
        return miss("queries and values do not have the same heads", "fix the batch to 1");
      }
      if (scale != 1 && attention->scores.size() > 1) {
        return miss("one of the products that make the scores is scaled", "scale the sum of the products");
      }
      latent.scale *= scale;
      auto lefts = partsOf(byHeads(left, leftRank - 2, leftRank - 1, heads->left), cached);
      auto rights = partsOf(byHeads(right, rightRank - 2, rightRank - 1, heads->right), cached);
      if (rights.size() == 1 && attention->scores.size() == 1) {
        return failure(); // Attention whose values come from a norm, too, but not latent attention.
      }
      if (lefts.size() == 1 && rights.size() == 2) {
        wholeQuery = sliceOf(lefts.front());
        lefts.push_back(lefts.front());
      }
      if (lefts.size() != rights.size()) {
        return miss("queries and keys are put together from other parts", "split both where the rotated part begins");
      }
      for (auto [lhs, rhs] : llvm::zip_equal(lefts, rights)) {
        products.push_back({lhs, rhs});
      }
    }
    if (products.size() != 2) {
      return miss("the scores come from " + Twine(products.size()) +
                      " products, not from a part of each head and a shared one",
                  "keep the rotated part of keys apart from the expanded one");
    }
    // The rotated product is the one whose key does not come from the expanded latent.
    std::optional<Slice> keys[2] = {sliceOf(products[0].second), sliceOf(products[1].second)};
    if (!wholeQuery && keys[0] && keys[0]->rows != expand.getResult()) {
      std::swap(keys[0], keys[1]);
      std::swap(products[0], products[1]);
    }
    std::optional<Slice> queryNope = sliceOf(products[0].first), queryRotated = sliceOf(products[1].first);
    if (!keys[0] || !keys[1] || !queryNope || !queryRotated || keys[0]->rows != expand.getResult()) {
      return miss("the keys of the heads do not come from the projection that the values come from",
                  "compute keys and values by one projection of the latent (kv_b_proj)");
    }
    latent.nope = keys[0]->size;
    latent.ropeDim = keys[1]->size;
    int64_t expanded = latent.nope + latent.valueDim, queryDim = latent.nope + latent.ropeDim;
    bool isOneHead = latent.heads == 1;
    if (keys[0]->start != 0 || value->start != latent.nope ||
        (!isOneHead && (keys[0]->stride != expanded || value->stride != expanded)) ||
        typeOf(expand).getDimSize(1) != latent.heads * expanded || expand.getBias()) {
      return miss("a head's key and value do not lie side by side in the expanded latent",
                  "order the rows of the expanding weight as each head's key, then its value, without a bias");
    }
    auto queryRope = queryRotated->rows.getDefiningOp<r1::RopeOp>(),
         keyRope = keys[1]->rows.getDefiningOp<r1::RopeOp>();
    r1::RopeAttr queryRotation = queryRope ? queryRope.getRope() : r1::RopeAttr();
    if (wholeQuery && queryRope && keyRope) {
      queryRotation = rotationBehind(latent.nope, queryRotation);
    }
    if (!queryRope || !keyRope || queryRotation != keyRope.getRope() ||
        queryRope.getPositions() != keyRope.getPositions()) {
      return miss("the rotary embedding of queries and shared keys was not recognised, or is not the same",
                  "look for near misses of r1.rope in this layer");
    }
    int64_t rotatedDim = wholeQuery ? queryDim : latent.ropeDim;
    if (keys[1]->stride != 0 || keyRope.getHeads() != 1 || static_cast<int64_t>(queryRope.getHeads()) != latent.heads ||
        queryRotated->start != 0 || keys[1]->start != 0 || queryRope.getRope().getDim() != rotatedDim ||
        (!isOneHead && queryRotated->stride != rotatedDim) || keyRope.getRope().getDim() != latent.ropeDim) {
      return miss("the rotated part of the keys is not one that all heads share", "");
    }
    latent.positions = keyRope.getPositions();

    // What is rotated: a part of each query, and the columns behind the latent.
    TensorView rotatedQuery = TensorView::of(queryRope.getInput()), rotatedKey = TensorView::of(keyRope.getInput());
    if (wholeQuery) {
      latent.rope = keyRope.getRope();
      latent.query = queryRope.getInput();
      // As if its unrotated part had not been through the rotation.
      rotatedQuery = TensorView::whole(latent.query);
      rotatedQuery.starts[1] = latent.nope;
      rotatedQuery.dims[1] = {{1, latent.heads, queryDim}, {1, latent.ropeDim, 1}};
      mergeFactors(rotatedQuery.dims[1]);
      queryNope->size = queryNope->size == queryDim ? latent.nope : 0;
    } else {
      latent.rope = withoutPermutation(queryRope.getRope(), rotatedQuery, rotatedKey, 1, 1);
      latent.query = queryNope->rows;
    }
    latent.sharedRows = rotatedKey.source;
    latent.sharedStart = rotatedKey.starts.size() == 2 ? rotatedKey.starts[1] : -1;
    TensorView::Dimension expectedKey = {{1, latent.ropeDim, 1}};
    TensorView::Dimension expectedQuery = {{1, latent.heads, queryDim}, {1, latent.ropeDim, 1}};
    mergeFactors(expectedKey);
    mergeFactors(expectedQuery);
    if (rotatedQuery.source != latent.query || rotatedQuery.starts.size() != 2 || queryNope->start != 0 ||
        rotatedQuery.starts[1] != latent.nope || rotatedQuery.dims[1] != expectedQuery ||
        (!isOneHead && queryNope->stride != queryDim) || queryNope->size != latent.nope ||
        typeOf(latent.query).getRank() != 2 || typeOf(latent.query).getDimSize(1) != latent.heads * queryDim) {
      return miss("a head's unrotated and rotated query do not lie side by side",
                  "order the rows of the query's weight as each head's unrotated part, then its rotated one");
    }
    if (latent.sharedStart < 0 || rotatedKey.dims[1] != expectedKey) {
      return miss("the shared key's elements do not lie side by side", "");
    }
    std::optional<Slice> before = sliceOf(rowsView(latent.norm.getInput()));
    if (!before || before->size != latent.rank) {
      return miss("the latent is no run of a row's columns", "");
    }
    latent.latentRows = before->rows;
    latent.latentStart = before->start;
    llvm::DenseSet<Operation *> known;
    for (CachedRows rows : cached) {
      if (known.insert(rows.append).second) {
        latent.cached.push_back(rows);
      }
    }
    if (failed(attention->expectCausal(fusion, latent.positions, !latent.cached.empty()))) {
      return failure();
    }
    return latent;
  }

  /// What nobody needs any more still has the types of the cache that was.
  void eraseReadersOfOldCache() {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(getOperation().front()))) {
      if (isOpTriviallyDead(&op)) {
        op.erase();
      }
    }
  }

  /// Gives the function a latent cache, if that is not what it has. All that the cache keeps must be a layer's that was
  /// recognised.
  LogicalResult adoptCache(Fusion &fusion, ArrayRef<LatentPattern> patterns) {
    llvm::DenseSet<Operation *> known;
    int64_t width = 0;
    for (const LatentPattern &pattern : patterns) {
      for (CachedRows rows : pattern.cached) {
        known.insert(rows.append);
        known.insert(rows.read);
      }
      if (!pattern.cached.empty()) {
        width = pattern.rank + pattern.ropeDim;
      }
    }
    if (known.empty()) {
      return success();
    }
    Value argument;
    for (Value value : getOperation().getArguments()) {
      argument = isa<r1::CacheType>(value.getType()) ? value : argument;
    }
    if (!argument) {
      return failure();
    }
    // How many rows there are may be asked of any part of the cache.
    SmallVector<r1::CacheReadOp> counted;
    Operation *left = nullptr;
    getOperation().walk([&](Operation *op) {
      bool usesCache = isa<r1::CacheAppendOp, r1::CacheReadOp, r1::AttentionOp>(op) &&
                       llvm::any_of(op->getOperandTypes(), llvm::IsaPred<r1::CacheType>);
      if (auto read = dyn_cast<r1::CacheReadOp>(op);
          read && !known.contains(op) && llvm::all_of(op->getUsers(), llvm::IsaPred<r1::DimOp>)) {
        counted.push_back(read);
        return;
      }
      left = usesCache && !known.contains(op) && !left ? op : left;
    });
    auto type = cast<r1::CacheType>(argument.getType());
    bool isLatent = type.getKind() == r1::CacheKind::Latent && type.getKeyWidth() == width;
    if (left && !isLatent) {
      return fusion.miss(left, "this layer keeps something else in the cache, and all layers share one kind of it",
                         "look for near misses of r1.latent_attention in this layer");
    }
    for (r1::CacheReadOp read : counted) {
      read.setPart(r1::CachePart::Key);
      read.getResult().setType(RankedTensorType::get({ShapedType::kDynamic, width}, Float32Type::get(&getContext())));
    }
    argument.setType(
        r1::CacheType::get(&getContext(), r1::CacheKind::Latent, type.getLayers(), width, /*valueWidth=*/0));
    return success();
  }

  static void rewrite(Fusion &fusion, LatentPattern &pattern) {
    r1::MatmulOp sums = pattern.sums;
    OpBuilder builder(sums);
    Location location = sums.getLoc();
    int64_t width = pattern.rank + pattern.ropeDim;
    Value latent;
    if (pattern.latentRows == pattern.sharedRows && pattern.sharedStart == pattern.latentStart + pattern.rank) {
      latent = sliceColumns(builder, location, pattern.latentRows, pattern.latentStart, width);
    } else {
      Value parts[] = {sliceColumns(builder, location, pattern.latentRows, pattern.latentStart, pattern.rank),
                       sliceColumns(builder, location, pattern.sharedRows, pattern.sharedStart, pattern.ropeDim)};
      latent = r1::ConcatOp::create(builder, location, ValueRange(parts), 1);
    }
    Value cache, lastCache;
    int64_t layer = 0;
    for (CachedRows rows : pattern.cached) {
      layer = static_cast<int64_t>(rows.append.getLayer());
      if (!lastCache || lastCache.getDefiningOp()->isBeforeInBlock(rows.append)) {
        lastCache = rows.append.getNewCache();
      }
      if (!cache || rows.append->isBeforeInBlock(cache.getDefiningOp() ? cache.getDefiningOp() : rows.append)) {
        cache = rows.append.getNewCache();
      }
    }
    if (cache) {
      cache = cache.getDefiningOp<r1::CacheAppendOp>().getCache();
    }
    auto type = RankedTensorType::get({typeOf(pattern.query).getDimSize(0), pattern.heads * pattern.valueDim},
                                      builder.getF32Type());
    r1::RmsNormOp norm = pattern.norm;
    auto attention = r1::LatentAttentionOp::create(
        builder, location, type, cache ? cache.getType() : Type(), pattern.query, latent, norm.getWeight(),
        pattern.expand, pattern.positions, cache, static_cast<uint64_t>(pattern.heads),
        static_cast<uint64_t>(pattern.nope), static_cast<uint64_t>(pattern.ropeDim),
        static_cast<uint64_t>(pattern.valueDim), static_cast<uint64_t>(pattern.rank),
        APFloat(exactScale(pattern.scale, pattern.nope + pattern.ropeDim)), norm.getEpsilon(),
        static_cast<uint64_t>(layer), pattern.rope);
    if (cache) {
      lastCache.replaceUsesWithIf(attention.getNewCache(),
                                  [&](OpOperand &use) { return !isa<r1::CacheReadOp>(use.getOwner()); });
    }
    fusion.replace(sums.getResult(), asHeads(builder, location, attention.getResult(), typeOf(sums)));
  }
};

} // namespace
} // namespace elah
