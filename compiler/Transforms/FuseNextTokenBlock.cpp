// What stands in front of a multi-token prediction layer (DeepSeek-V3 technical report, section 2.2): two norms side by
// side under one projection, where the embedding of the token behind position 0 counts as zeros.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSENEXTTOKENBLOCKPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

struct FuseNextTokenBlockPass : impl::FuseNextTokenBlockPassBase<FuseNextTokenBlockPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::NextTokenBlockOp::getOperationName());
    fusion.forEach<r1::LinearOp>([&](r1::LinearOp projection) { std::ignore = fuse(fusion, projection); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, r1::LinearOp projection) {
    auto concat = projection.getInput().getDefiningOp<r1::ConcatOp>();
    if (!concat || concat.getInputs().size() != 2 || projection.getBias()) {
      return failure();
    }
    auto embedding = concat.getInputs()[0].getDefiningOp<r1::RmsNormOp>();
    auto hidden = concat.getInputs()[1].getDefiningOp<r1::RmsNormOp>();
    auto select = embedding ? embedding.getInput().getDefiningOp<r1::SelectOp>() : r1::SelectOp();
    if (!hidden || !select || numberOf(select.getOnFalse()) != 0.0) {
      return failure();
    }
    Value condition = select.getCondition();
    if (auto column = condition.getDefiningOp<r1::ReshapeOp>()) {
      condition = column.getInput();
    }
    auto compare = condition.getDefiningOp<r1::CompareOp>();
    if (!compare || compare.getComparison() != r1::Comparison::NotEqual || numberOf(compare.getRhs()) != 0.0 ||
        !cast<RankedTensorType>(compare.getLhs().getType()).getElementType().isInteger(32) ||
        cast<RankedTensorType>(compare.getLhs().getType()).getRank() != 1) {
      return fusion.miss(projection, "the embedding is not left out exactly where the position is 0",
                         "select zeros where positions are 0");
    }
    if (embedding.getEpsilon() != hidden.getEpsilon()) {
      return fusion.miss(projection, "the two norms do not have one epsilon", "give both norms the same epsilon");
    }
    OpBuilder builder(projection);
    fusion.replace(projection.getResult(),
                   r1::NextTokenBlockOp::create(builder, projection.getLoc(), projection.getType(), hidden.getInput(),
                                                select.getOnTrue(), compare.getLhs(), hidden.getWeight(),
                                                embedding.getWeight(), projection.getWeight(), hidden.getEpsilon()));
    return success();
  }
};

} // namespace
} // namespace elah
