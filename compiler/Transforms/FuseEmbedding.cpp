// The row of each token in a table: a gather in every exporter. Tokens become a list, as a step has them.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSEEMBEDDINGPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

struct FuseEmbeddingPass : impl::FuseEmbeddingPassBase<FuseEmbeddingPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::EmbeddingOp::getOperationName());
    fusion.forEach<r1::GatherOp>([&](r1::GatherOp gather) { std::ignore = fuse(fusion, gather); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, r1::GatherOp gather) {
    Value table = withoutFloatCasts(gather.getInput());
    auto tableType = cast<RankedTensorType>(table.getType());
    bool isTable =
        isa<BlockArgument>(table) ? tableType.hasStaticShape() : table.getDefiningOp<r1::WeightOp>() != nullptr;
    Type element = tableType.getElementType();
    if (!isTable || tableType.getRank() != 2 || gather.getAxis() != 0 || tableType.getEncoding() ||
        !(element.isF32() || element.isF16() || element.isBF16())) {
      return failure();
    }
    // Tokens are an input: a table that positions are looked up in is one of cosines.
    Value tokens = gather.getIndices();
    while (Operation *op = tokens.getDefiningOp()) {
      if (!isa<r1::CastOp, r1::ReshapeOp>(op)) {
        return failure();
      }
      tokens = op->getOperand(0);
    }
    Value root = gather;
    if (gather->hasOneUse()) {
      if (auto cast_ = dyn_cast<r1::CastOp>(*gather->getUsers().begin()); cast_ && cast_.getTo().isF32()) {
        root = cast_;
      }
    }
    auto type = cast<RankedTensorType>(root.getType());
    if (!type.getElementType().isF32()) {
      return fusion.miss(gather, "the rows are not used as f32", "export the model in f32");
    }
    OpBuilder builder(root.getDefiningOp());
    Location location = gather.getLoc();
    auto tokensType = cast<RankedTensorType>(tokens.getType());
    if (!tokensType.getElementType().isInteger(32)) {
      tokens = r1::CastOp::create(builder, location, tokens, builder.getI32Type());
    }
    if (tokensType.getRank() != 1) {
      tokens = r1::ReshapeOp::create(builder, location, tokens, ArrayRef<int64_t>{-1});
    }
    auto rows = RankedTensorType::get({cast<RankedTensorType>(tokens.getType()).getDimSize(0), type.getShape().back()},
                                      builder.getF32Type());
    Value result = r1::EmbeddingOp::create(builder, location, rows, tokens, table);
    fusion.replace(root, reshapeTo(builder, location, result, type, gather.getIndices()));
    return success();
  }
};

} // namespace
} // namespace elah
