#include "compiler/Transforms/AttentionPattern.h"
#include "compiler/Transforms/Probe.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;

namespace elah {
namespace {

/// What hides a key: exporters write -inf, the lowest number of a type, or -10000.
constexpr double hidden = -9999;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The logits for a step, with scores that are all `score`.
std::optional<HostTensor> logitsFor(const AttentionPattern &pattern, Probe &probe, ArrayRef<double> scores) {
  for (auto [matmul, score] : llvm::zip_equal(pattern.scores, scores)) {
    r1::MatmulOp product = matmul;
    std::optional<RankedTensorType> type = probe.typeOf(product.getResult());
    if (!type) {
      return {};
    }
    probe.bind(product.getResult(), HostTensor(type->getShape(), Floats(type->getNumElements(), score)));
  }
  r1::SoftmaxOp softmax = pattern.softmax;
  std::optional<SmallVector<HostTensor>> values = probe.evaluate(softmax.getInput());
  return values ? std::optional(std::move(values->front())) : std::nullopt;
}

/// Whether `condition` holds for rows of the softmax that see no key: their greatest score is -inf, or they are no
/// number.
bool isOfBlindRows(Value condition, r1::SoftmaxOp softmax) {
  while (isa_and_nonnull<r1::ReshapeOp, r1::BroadcastToOp>(condition.getDefiningOp())) {
    condition = condition.getDefiningOp()->getOperand(0);
  }
  auto compare = condition.getDefiningOp<r1::CompareOp>();
  if (compare && compare.getLhs() == compare.getRhs()) {
    return compare.getComparison() == r1::Comparison::NotEqual && withoutFloatCasts(compare.getLhs()) == softmax;
  }
  auto greatest = compare ? withoutFloatCasts(compare.getLhs()).getDefiningOp<r1::ReduceOp>() : r1::ReduceOp();
  std::optional<double> lowest = greatest ? numberOf(compare.getRhs()) : std::nullopt;
  return lowest && *lowest < hidden && compare.getComparison() == r1::Comparison::Equal &&
         greatest.getReduction() == r1::Reduction::Max && greatest.getInput() == softmax.getInput();
}

} // namespace

r1::SoftmaxOp softmaxOf(Value probabilities) {
  Value value = withoutFloatCasts(probabilities);
  // Under a causal mask there are no such rows: each query sees its own key.
  if (auto guard = value.getDefiningOp<r1::SelectOp>(); guard && numberOf(guard.getOnTrue()) == 0.0) {
    auto softmax = withoutFloatCasts(guard.getOnFalse()).getDefiningOp<r1::SoftmaxOp>();
    return softmax && isOfBlindRows(guard.getCondition(), softmax) ? softmax : r1::SoftmaxOp();
  }
  return value.getDefiningOp<r1::SoftmaxOp>();
}

FailureOr<AttentionPattern> AttentionPattern::match(Fusion &fusion, r1::MatmulOp sums, const Positional &positional) {
  AttentionPattern pattern;
  pattern.sums = sums;
  pattern.softmax = softmaxOf(sums.getLhs());
  if (!pattern.softmax) {
    return failure();
  }
  int64_t rank = typeOf(pattern.softmax).getRank();
  if (static_cast<int64_t>(pattern.softmax.getAxis()) != rank - 1) {
    return fusion.miss(sums, "the softmax before the product is not over the keys", "take it over the last dimension");
  }
  llvm::DenseSet<Value> seen;
  SmallVector<Value> worklist = {pattern.softmax.getInput()};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second) {
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (positional.contains(value)) {
      pattern.positional.push_back(value);
    } else if (auto matmul = dyn_cast_or_null<r1::MatmulOp>(op)) {
      pattern.scores.push_back(matmul);
    } else if (op &&
               isa<r1::AddOp, r1::SubOp, r1::MulOp, r1::DivOp, r1::SelectOp, r1::CastOp, r1::MaxOp, r1::ReshapeOp>(
                   op)) {
      llvm::append_range(worklist, op->getOperands());
    } else if (!numberOf(value)) {
      return fusion.miss(pattern.softmax, "the scores depend on more than products, numbers, sizes and positions",
                         op ? "leave out what " + op->getName().getStringRef() + " adds to the scores"
                            : Twine("export the model without an input that is added to the scores"));
    }
  }
  if (pattern.scores.empty()) {
    return fusion.miss(pattern.softmax, "no product of queries and keys was found before the softmax",
                       "compute the scores by a matrix product");
  }
  llvm::sort(pattern.scores, [](r1::MatmulOp lhs, r1::MatmulOp rhs) { return lhs->isBeforeInBlock(rhs); });

  // How much each product counts. The first key of the first query is visible under any causal mask.
  SmallVector<double> scores(pattern.scores.size(), 0);
  Probe empty(1, 0);
  std::optional<HostTensor> zeros = logitsFor(pattern, empty, scores);
  if (!zeros || zeros->size() == 0) {
    return fusion.miss(pattern.softmax, "the mask cannot be computed from sizes and positions",
                       "fix the batch to 1 and the attention mask to ones");
  }
  std::optional<double> scale;
  for (double &score : scores) {
    score = 1;
    Probe probe(1, 0);
    std::optional<HostTensor> ones = logitsFor(pattern, probe, scores);
    double own = ones ? ones->floats().front() - zeros->floats().front() : 0;
    if (!std::isfinite(own) || (scale && *scale != own)) {
      return fusion.miss(pattern.softmax,
                         "the products that make the scores are not scaled alike, or all keys are hidden",
                         "scale the sum of the products");
    }
    scale = own;
    score = 0;
  }
  pattern.scale = *scale;
  return pattern;
}

LogicalResult AttentionPattern::expectCausal(Fusion &fusion, Value positions, bool isCached) const {
  // A window would show only beyond its size, which is a constant of the mask's.
  SmallVector<std::pair<int64_t, int64_t>> steps = {{1, 0}, {4, 0}, {3, 5}};
  llvm::DenseSet<Value> seen;
  SmallVector<Value> worklist(positional);
  while (isCached && !worklist.empty()) {
    Value value = worklist.pop_back_val();
    DenseIntElementsAttr number;
    if (!seen.insert(value).second) {
      continue;
    }
    if (matchPattern(value, m_Constant(&number)) && number.isSplat()) {
      int64_t size = number.getSplatValue<APInt>().getSExtValue();
      if (size > 8 && size < (1 << 20)) {
        steps.push_back({1, size + 2});
      }
    } else if (Operation *op = value.getDefiningOp(); op && !isa<r1::DimOp, r1::ShapeOp>(op)) {
      llvm::append_range(worklist, op->getOperands());
    }
  }
  for (auto [tokens, past] : steps) {
    Probe probe(tokens, past);
    std::optional<HostTensor> logits = logitsFor(*this, probe, SmallVector<double>(scores.size(), 0));
    std::optional<SmallVector<HostTensor>> own = probe.evaluate(positions);
    if (!logits || !own) {
      return fusion.miss(sums, "the mask cannot be computed from sizes and positions",
                         "fix the batch to 1 and the attention mask to ones");
    }
    int64_t keys = logits->shape.back(), queries = logits->shape[logits->shape.size() - 2];
    const Integers &of = own->front().integers();
    if (queries != tokens || keys != (isCached ? past + tokens : tokens) || own->front().size() != tokens) {
      return fusion.miss(sums, "the scores do not have a row for each token and a column for each key",
                         "fix the batch to 1");
    }
    for (int64_t index = 0; index < logits->size(); ++index) {
      int64_t key = index % keys, query = index / keys % queries;
      int64_t keyPosition = isCached ? key : of[key];
      bool isVisible = keyPosition <= of[query];
      double value = logits->floats()[index];
      if (isVisible ? value != 0 : !(value < hidden)) {
        return fusion.miss(sums,
                           "the mask is not causal: for " + Twine(tokens) + " tokens behind " + Twine(past) + ", key " +
                               Twine(key) + (isVisible ? " is hidden from" : " is seen by") + " query " + Twine(query),
                           isVisible ? "export the model without a sliding window or a bias on its scores"
                                     : "export the model with its causal mask");
      }
    }
  }
  return success();
}

std::optional<CachedRows> CachedRows::of(Value rows) {
  auto read = rows.getDefiningOp<r1::CacheReadOp>();
  if (!read) {
    return {};
  }
  Value cache = read.getCache();
  while (auto append = cache.getDefiningOp<r1::CacheAppendOp>()) {
    if (append.getLayer() == read.getLayer() && append.getPart() == read.getPart()) {
      return CachedRows{append, read};
    }
    cache = append.getCache();
  }
  return {};
}

std::optional<Heads> Heads::align(const TensorView &left, const TensorView &right) {
  Heads heads;
  int64_t batches = std::max(left.rank(), right.rank()) - 2;
  for (int64_t batch = 0; batch < batches; ++batch) {
    auto dimOf = [&](const TensorView &view) {
      int64_t dim = batch - batches + view.rank() - 2;
      return dim < 0 ? TensorView::Dimension() : view.dims[dim];
    };
    TensorView::Dimension lhs = dimOf(left), rhs = dimOf(right);
    auto repeat = [](TensorView::Dimension &dim, ArrayRef<Factor> like) {
      for (const Factor &factor : like) {
        dim.push_back({Factor::repeated, factor.size, 1});
      }
    };
    if (lhs.empty()) {
      repeat(lhs, rhs);
    } else if (rhs.empty()) {
      repeat(rhs, lhs);
    }
    if (!alignFactors(lhs, rhs)) {
      return {};
    }
    heads.left.append(lhs);
    heads.right.append(rhs);
  }
  auto isKnown = [](const Factor &factor) { return !ShapedType::isDynamic(factor.size); };
  return llvm::all_of(heads.left, isKnown) ? std::optional(heads) : std::nullopt;
}

int64_t Heads::count() const {
  int64_t count = 1;
  for (const Factor &factor : left) {
    count *= factor.size;
  }
  return count;
}

bool Heads::isDense(ArrayRef<Factor> factors, int64_t stride) {
  for (const Factor &factor : llvm::reverse(factors)) {
    if (factor.axis != 1 || factor.stride != stride) {
      return false;
    }
    stride *= factor.size;
  }
  return true;
}

std::optional<int64_t> Heads::rightHeads(int64_t stride) const {
  ArrayRef<Factor> own = right;
  while (!own.empty() && own.back().isRepeated()) {
    own = own.drop_back();
  }
  if (!isDense(own, stride)) {
    return {};
  }
  int64_t count = 1;
  for (const Factor &factor : own) {
    count *= factor.size;
  }
  return count;
}

Value sliceColumns(OpBuilder &builder, Location location, Value rows, int64_t first, int64_t width) {
  if (first == 0 && typeOf(rows).getDimSize(1) == width) {
    return rows;
  }
  return r1::SliceOp::create(builder, location, rows, 1, first, first + width);
}

Value asHeads(OpBuilder &builder, Location location, Value rows, RankedTensorType type) {
  int64_t rank = type.getRank();
  SmallVector<int64_t> sizes = {-1}, permutation;
  for (int64_t axis = 0; axis < rank; ++axis) {
    permutation.push_back(axis == rank - 2 ? 0 : axis < rank - 2 ? axis + 1 : axis);
    if (axis != rank - 2) {
      sizes.push_back(type.getDimSize(axis));
    }
  }
  Value split = r1::ReshapeOp::create(builder, location, rows, sizes);
  return r1::TransposeOp::create(builder, location, split, permutation);
}

r1::RopeAttr withoutPermutation(r1::RopeAttr rope, TensorView &query, TensorView &key, int64_t queryDim,
                                int64_t keyDim) {
  int64_t pairs = rope.getDim() / 2;
  // [evens | odds]
  auto isPermuted = [&](const TensorView::Dimension &dim) {
    return dim.size() >= 2 && dim[dim.size() - 2].size == 2 && dim[dim.size() - 2].stride == 1 &&
           dim.back().size == pairs && dim.back().stride == 2;
  };
  TensorView::Dimension &queryFactors = query.dims[queryDim], &keyFactors = key.dims[keyDim];
  if (rope.getLayout() != r1::RopeLayout::Half || pairs < 2 || !isPermuted(queryFactors) || !isPermuted(keyFactors)) {
    return rope;
  }
  for (TensorView::Dimension *factors : {&queryFactors, &keyFactors}) {
    int64_t axis = factors->back().axis;
    factors->truncate(factors->size() - 2);
    factors->push_back({axis, 2 * pairs, 1});
    mergeFactors(*factors);
  }
  return r1::RopeAttr::get(rope.getContext(), r1::RopeLayout::Interleaved, rope.getFrequencies(), rope.getScale());
}

double exactScale(double scale, int64_t headDim) {
  double usual = 1 / std::sqrt(static_cast<double>(headDim));
  bool isUsual = std::abs(scale - usual) < 1e-7 * usual;
  return isUsual ? usual : shortestDecimal(scale);
}

} // namespace elah
