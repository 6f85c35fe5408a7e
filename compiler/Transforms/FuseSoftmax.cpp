// Softmax written out, with the maximum taken off: what a decomposition leaves, and what some exporters write.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSESOFTMAXPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// A reduction along one axis that stays as 1.
r1::ReduceOp reductionOf(Value value, r1::Reduction reduction) {
  auto reduce = value.getDefiningOp<r1::ReduceOp>();
  bool fits = reduce && reduce.getReduction() == reduction && reduce.getKeepDims() && reduce.getAxes().size() == 1;
  return fits ? reduce : r1::ReduceOp();
}

struct FuseSoftmaxPass : impl::FuseSoftmaxPassBase<FuseSoftmaxPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::SoftmaxOp::getOperationName());
    fusion.forEach<r1::DivOp>([&](r1::DivOp root) { std::ignore = fuse(fusion, root); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, r1::DivOp root) {
    auto exp = root.getLhs().getDefiningOp<r1::ExpOp>();
    r1::ReduceOp sum = reductionOf(root.getRhs(), r1::Reduction::Sum);
    if (!exp || !sum || sum.getInput() != exp.getResult()) {
      return failure();
    }
    auto sub = exp.getInput().getDefiningOp<r1::SubOp>();
    r1::ReduceOp max = sub ? reductionOf(sub.getRhs(), r1::Reduction::Max) : r1::ReduceOp();
    if (!max || max.getInput() != sub.getLhs() || max.getAxes() != sum.getAxes()) {
      return fusion.miss(root, "the maximum along the same axis is not taken off before the powers",
                         "subtract the maximum, as a softmax that does not overflow does");
    }
    Value input = sub.getLhs();
    if (!cast<RankedTensorType>(input.getType()).getElementType().isF32()) {
      return fusion.miss(root, "the softmax is not computed in f32", "cast its input to f32");
    }
    OpBuilder builder(root);
    fusion.replace(root.getResult(), r1::SoftmaxOp::create(builder, root.getLoc(), input.getType(), input,
                                                           static_cast<uint64_t>(sum.getAxes().front())));
    return success();
  }
};

} // namespace
} // namespace elah
