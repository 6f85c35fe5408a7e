// A router's choice is written with masks, one-hot matrices, scatters and fills that differ from exporter to exporter,
// around the few numbers that matter: how many groups, how many of them, how many experts. Those are read off the top-k
// operations; whether the rest means `#r1.routing` is computed for random logits.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/Probe.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>
#include <map>
#include <random>

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSEROUTEPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

constexpr int64_t probedTokens = 24;
constexpr size_t maxRegion = 256;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The operations from logits to chosen experts and their weights.
struct RouterPattern {
  r1::TopkOp chosen;
  Value scores, logits, bias;
  Value weights; ///< The end of the weights: what is read outside of the router.
  r1::Scoring scoring = r1::Scoring::Sigmoid;
  int64_t groups = 1, topGroups = 1;
  r1::GroupScore groupScore = r1::GroupScore::Top2;
};

/// The values computed from `from` and numbers alone, which keep its rows.
Value endOfWeights(Value from) {
  llvm::SetVector<Value> own;
  own.insert(from);
  Value end = from;
  for (size_t index = 0; index < own.size() && own.size() < maxRegion; ++index) {
    for (Operation *user : own[index].getUsers()) {
      bool isOwn = isa<r1::AddOp, r1::MulOp, r1::DivOp, r1::ReduceOp, r1::MaxOp, r1::CastOp>(user) &&
                   isa<FloatType>(typeOf(user->getResult(0)).getElementType()) &&
                   llvm::all_of(user->getOperands(),
                                [&](Value operand) { return own.contains(operand) || numberOf(operand); }) &&
                   typeOf(user->getResult(0)).getRank() == typeOf(from).getRank();
      if (isOwn) {
        own.insert(user->getResult(0));
      }
    }
  }
  for (Value value : own) {
    bool isRead = llvm::any_of(value.getUsers(), [&](Operation *user) {
      return user->getNumResults() == 0 || !own.contains(user->getResult(0));
    });
    // Of several ends the last one is the whole.
    if (isRead && value.getType() == from.getType() &&
        (end == from || end.getDefiningOp()->isBeforeInBlock(value.getDefiningOp()))) {
      end = value;
    }
  }
  return end;
}

struct FuseRoutePass : impl::FuseRoutePassBase<FuseRoutePass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::RouteOp::getOperationName());
    fusion.forEach<r1::TopkOp>([&](r1::TopkOp chosen) { std::ignore = fuse(fusion, chosen); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, r1::TopkOp chosen) {
    RouterPattern router;
    router.chosen = chosen;
    int64_t rank = typeOf(chosen.getInput()).getRank();
    if (static_cast<int64_t>(chosen.getAxis()) != rank - 1 || chosen.getSmallest()) {
      return failure();
    }
    // The weights are gathered by the indices, or are the values themselves.
    Value gathered;
    for (Value indices = chosen.getIndices(); indices;) {
      Value next;
      for (Operation *user : indices.getUsers()) {
        if (auto gather = dyn_cast<r1::GatherElementsOp>(user); gather && gather.getIndices() == indices) {
          gathered = gather.getResult();
          router.scores = gather.getInput();
        } else if (isa<r1::CastOp, r1::ReshapeOp>(user)) {
          next = user->getResult(0);
        }
      }
      indices = gathered ? Value() : next;
    }
    if (!gathered) {
      gathered = chosen.getValues();
      router.scores = chosen.getInput();
      if (gathered.use_empty()) {
        return failure(); // The choice of groups, say.
      }
    }
    Value scored = withoutFloatCasts(TensorView::of(router.scores).isReshape() ? TensorView::of(router.scores).source
                                                                               : router.scores);
    if (auto sigmoid = scored.getDefiningOp<r1::SigmoidOp>()) {
      router.logits = sigmoid.getInput();
    } else if (auto softmax = scored.getDefiningOp<r1::SoftmaxOp>()) {
      router.logits = softmax.getInput();
      router.scoring = r1::Scoring::Softmax;
    } else {
      return failure(); // Some other choice.
    }
    auto miss = [&](const Twine &rule, const Twine &fix) { return fusion.miss(chosen, rule, fix); };
    int64_t experts = typeOf(router.logits).getShape().back();
    if (ShapedType::isDynamic(experts) || !typeOf(router.logits).getElementType().isF32()) {
      return miss("the logits are not f32, or the number of experts is not known", "compute the router in f32");
    }
    if (!hasOneUnknownSize(typeOf(chosen.getIndices()))) {
      return miss("tokens are spread over several dimensions of unknown size", "fix the batch to 1");
    }
    if (failed(readRegion(router, experts))) {
      return miss("the choice depends on more than the scores and one bias for each expert",
                  "export the model in evaluation mode");
    }
    router.weights = endOfWeights(gathered);

    OpBuilder builder(chosen);
    for (bool normalize : {false, true}) {
      auto route = makeRoute(builder, router, normalize, 1);
      std::optional<double> scale = compare(router, route);
      if (!scale) {
        Value logits = route.getLogits();
        route.erase();
        if (Operation *rows = logits.getDefiningOp(); rows && isOpTriviallyDead(rows)) {
          rows->erase();
        }
        continue;
      }
      r1::RoutingAttr old = route.getRouting();
      route.setRoutingAttr(r1::RoutingAttr::get(old.getContext(), old.getScoring(), old.getTopK(), old.getGroups(),
                                                old.getTopGroups(), old.getGroupScore(), old.getNormalize(),
                                                builder.getF64FloatAttr(*scale)));
      replace(fusion, builder, router, route);
      return success();
    }
    return miss("for random logits the experts or their weights are not those of a top-" + Twine(chosen.getK()) +
                    " choice among " + Twine(router.topGroups) + " of " + Twine(router.groups) + " groups",
                "compare the graph with the rule in #r1.routing");
  }

  /// Reads bias and groups off the operations between scores and choice.
  static LogicalResult readRegion(RouterPattern &router, int64_t experts) {
    llvm::DenseSet<Value> seen;
    SmallVector<Value> worklist = {router.chosen.getInput()};
    bool hasPairs = false, hasGroups = false;
    while (!worklist.empty()) {
      Value value = worklist.pop_back_val();
      if (!seen.insert(value).second || value == router.scores || value == router.logits || numberOf(value)) {
        continue;
      }
      if (seen.size() > maxRegion) {
        return failure();
      }
      if (Value bias = weightVectorOf(value, experts)) {
        if (router.bias && router.bias != bias) {
          return failure();
        }
        router.bias = bias;
        continue;
      }
      Operation *op = value.getDefiningOp();
      if (!op) {
        return failure();
      }
      if (auto topk = dyn_cast<r1::TopkOp>(op)) {
        int64_t size = typeOf(topk.getInput()).getShape().back();
        if (value == topk.getIndices() && experts % size == 0) {
          router.groups = size;
          router.topGroups = static_cast<int64_t>(topk.getK());
          hasGroups = true;
        }
        hasPairs |= value == topk.getValues();
      }
      if (!isa<r1::DimOp, r1::ShapeOp>(op)) {
        llvm::append_range(worklist, op->getOperands());
      }
    }
    router.groupScore = hasGroups && hasPairs ? r1::GroupScore::Top2 : r1::GroupScore::Max;
    return success();
  }

  static r1::RouteOp makeRoute(OpBuilder &builder, const RouterPattern &router, bool normalize, double scale) {
    Location location = Value(router.weights).getLoc();
    Value logits = asRows(builder, location, router.logits);
    r1::TopkOp chosen = router.chosen;
    auto type = RankedTensorType::get({typeOf(logits).getDimSize(0), static_cast<int64_t>(chosen.getK())},
                                      builder.getF32Type());
    auto routing =
        r1::RoutingAttr::get(builder.getContext(), router.scoring, static_cast<int64_t>(chosen.getK()), router.groups,
                             router.topGroups, router.groupScore, normalize, builder.getF64FloatAttr(scale));
    return r1::RouteOp::create(builder, location, type.clone(builder.getI32Type()), type, logits, router.bias, routing);
  }

  /// Computes both for random logits. Returns how much larger the graph's weights are, if all else is the same.
  static std::optional<double> compare(const RouterPattern &router, r1::RouteOp route) {
    Probe probe(probedTokens, 0);
    std::optional<RankedTensorType> logitsType = probe.typeOf(router.logits);
    if (!logitsType || failed(verify(route))) {
      return {};
    }
    std::mt19937 engine(1);
    std::normal_distribution<double> normal(0, 2);
    std::uniform_real_distribution<double> positive(0, 1); // Graphs fill with 0 what R1 fills with -inf.
    Floats logits(logitsType->getNumElements());
    for (double &logit : logits) {
      logit = normal(engine);
    }
    if (route.getLogits() != router.logits) {
      probe.bind(route.getLogits(), HostTensor({logitsType->getNumElements() / logitsType->getShape().back(),
                                                logitsType->getShape().back()},
                                               logits));
    }
    probe.bind(router.logits, HostTensor(logitsType->getShape(), logits));
    if (router.bias) {
      Floats bias(typeOf(router.bias).getNumElements());
      for (double &element : bias) {
        // Exact in every format that a bias has.
        element = std::floor(positive(engine) * 64) / 64;
      }
      probe.bind(router.bias, HostTensor(typeOf(router.bias).getShape(), bias));
    }
    r1::TopkOp chosen = router.chosen;
    std::optional<SmallVector<HostTensor>> own = probe.evaluate({chosen.getIndices(), router.weights});
    std::optional<SmallVector<HostTensor>> expected = probe.evaluate({route.getExperts(), route.getWeights()});
    if (!own || !expected || (*own)[0].size() != (*expected)[0].size() || (*own)[1].size() != (*expected)[1].size()) {
      return {};
    }
    int64_t topK = static_cast<int64_t>(chosen.getK()), rows = (*own)[0].size() / topK;
    std::optional<double> scale;
    for (int64_t row = 0; row < rows; ++row) {
      auto weightsOf = [&](ArrayRef<HostTensor> tensors) {
        std::map<int64_t, double> weights;
        for (int64_t index = row * topK; index < (row + 1) * topK; ++index) {
          weights[tensors[0].integers()[index]] = tensors[1].floats()[index];
        }
        return weights;
      };
      auto found = weightsOf(*own), wanted = weightsOf(*expected);
      for (auto [expert, weight] : wanted) {
        auto at = found.find(expert);
        double ratio = at == found.end() || weight == 0 ? 0 : at->second / weight;
        if (!(ratio > 0) || (scale && std::abs(ratio - *scale) > 1e-6 * *scale)) {
          return {};
        }
        scale = scale ? scale : ratio;
      }
    }
    return scale ? std::optional(shortestDecimal(static_cast<float>(*scale))) : std::nullopt;
  }

  static LogicalResult verify(r1::RouteOp route) {
    // A rule that does not hold together is no match, not an error.
    ScopedDiagnosticHandler quiet(route.getContext(), [](Diagnostic &) { return success(); });
    return mlir::verify(route, /*verifyRecursively=*/false);
  }

  static void replace(Fusion &fusion, OpBuilder &builder, RouterPattern &router, r1::RouteOp route) {
    Value indices = router.chosen.getIndices();
    Location location = route.getLoc();
    builder.setInsertionPointAfter(route);
    // Readers of i32 rows take the experts as they are.
    for (Operation *user : llvm::make_early_inc_range(indices.getUsers())) {
      if (auto cast_ = dyn_cast<r1::CastOp>(user); cast_ && cast_.getType() == route.getExperts().getType()) {
        cast_.getResult().replaceAllUsesWith(route.getExperts());
      }
    }
    Value wide = r1::CastOp::create(builder, location, route.getExperts(), builder.getI64Type());
    wide = reshapeTo(builder, location, wide, typeOf(indices), wide);
    Value weights = reshapeTo(builder, location, route.getWeights(), typeOf(router.weights), route.getWeights());
    fusion.replace({{router.weights, weights}, {indices, wide}});
  }
};

} // namespace
} // namespace elah
