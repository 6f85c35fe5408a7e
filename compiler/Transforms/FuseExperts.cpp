// A mixture's experts come as a loop over experts that picks tokens and scatters results, as all experts on all tokens
// with a mask, or as products with stacked or gathered weights. What an expert is, is matched: a gated MLP. How tokens
// reach experts and results come together is not: each expert is replaced by a multiple of its input that tells it from
// the others, and the graph is computed for a few tokens. Their results must be what the router's choice and weights
// say.
#include "compiler/Transforms/ExpertBranches.h"
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSEEXPERTSPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

struct FuseExpertsPass : impl::FuseExpertsPassBase<FuseExpertsPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::ExpertsOp::getOperationName());
    bool isComplete = true;
    fusion.forEach<r1::RouteOp>([&](r1::RouteOp route) { isComplete &= succeeded(fuse(fusion, route)); });
    if (!isComplete) {
      signalPassFailure();
    }
  }

private:
  /// Fails only if the graph has lost experts.
  LogicalResult fuse(Fusion &fusion, r1::RouteOp route) {
    int64_t experts = cast<RankedTensorType>(route.getLogits().getType()).getDimSize(1);
    ExpertBranches branches(getOperation(), route);
    if (branches.count() == 0) {
      if (!llvm::all_of(route->getUsers(), llvm::IsaPred<r1::ExpertsOp>)) {
        std::ignore = fusion.miss(route, "no expert was found that the router's choice reaches",
                                  "write experts as down(silu(gate(x)) * up(x)) with weights of their own");
      }
      return success();
    }
    if (branches.count() < experts) {
      return emitError(route.getLoc())
             << "the router chooses among " << experts << " experts, but the graph has branches of " << branches.count()
             << " only: the others were lost when it was traced; export the model with a form that "
             << "runs all experts, or trace it with tokens that reach each of them";
    }
    // The last value that needs no more than the choice and the experts is their sum, if it is one.
    SmallVector<Value> ends = branches.candidates();
    for (Value end : llvm::reverse(ends)) {
      if (!hasOneUnknownSize(cast<RankedTensorType>(end.getType()))) {
        continue;
      }
      if (std::optional<SmallVector<int64_t>> order = branches.orderAt(end)) {
        OpBuilder builder(end.getDefiningOp());
        Location location = end.getLoc();
        Value input = branches.input();
        ExpertBranches::Weights weights = branches.stack(builder, *order);
        if (!weights.gate || !weights.up || !weights.down) {
          std::ignore = fusion.miss(route, "the experts' weights do not have one type and shape",
                                    "store the weights of all experts in one format");
          return success();
        }
        Value result = r1::ExpertsOp::create(builder, location, input.getType(), input, route.getExperts(),
                                             route.getWeights(), weights.gate, weights.up, weights.down);
        fusion.replace(end, reshapeTo(builder, location, result, cast<RankedTensorType>(end.getType()), result));
        return success();
      }
    }
    std::ignore = fusion.miss(route, "the experts' results are not summed with the router's weights",
                              "compare how results are put together with r1.experts");
    return success();
  }
};

} // namespace
} // namespace elah
