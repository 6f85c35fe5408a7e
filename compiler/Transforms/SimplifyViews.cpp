// Fusions leave reshapes and transposes that undo one another, and graphs that had a batch keep it as a size of 1 in
// every tensor. What a step computes are rows.
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_SIMPLIFYVIEWSPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Whether the value is the rows of a tensor that has sizes of 1 besides: [1, rows, columns].
Value rowsBehind(Value value) {
  auto reshape = value.getDefiningOp<r1::ReshapeOp>();
  if (!reshape || typeOf(reshape.getInput()).getRank() != 2 || typeOf(value).getRank() <= 2) {
    return {};
  }
  auto from = typeOf(reshape.getInput()), to = typeOf(value);
  bool isRows = to.getShape().back() == from.getShape().back() && !to.isDynamicDim(to.getRank() - 1) &&
                llvm::all_of(to.getShape().drop_back(2), [](int64_t size) { return size == 1; });
  return isRows ? reshape.getInput() : Value();
}

struct SimplifyViewsPass : impl::SimplifyViewsPassBase<SimplifyViewsPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa_and_nonnull<r1::R1Dialect>(op->getDialect())) {
        ops.push_back(op);
      }
    });
    for (Operation *op : ops) {
      if (isa<r1::ReshapeOp, r1::TransposeOp, r1::SliceOp, r1::BroadcastToOp>(op)) {
        simplify(op);
      } else {
        sinkReshapes(op);
      }
    }
    for (Operation *op : llvm::reverse(ops)) {
      if (isOpTriviallyDead(op)) {
        op->erase();
      }
    }
  }

private:
  static void simplify(Operation *op) {
    Value result = op->getResult(0);
    TensorView view = TensorView::of(result);
    if (view.source == result) {
      return;
    }
    if (!view.isReshape()) {
      return sliceRows(op, view);
    }
    if (view.source.getType() == result.getType()) {
      result.replaceAllUsesWith(view.source);
      return;
    }
    // One reshape for all that lies between.
    if (view.source == op->getOperand(0) && isa<r1::ReshapeOp>(op)) {
      return;
    }
    if (hasOneUnknownSize(typeOf(result))) {
      OpBuilder builder(op);
      result.replaceAllUsesWith(reshapeTo(builder, op->getLoc(), view.source, typeOf(result), {}));
    }
  }

  /// Columns of rows that were given sizes of 1 are taken before instead of after.
  static void sliceRows(Operation *op, const TensorView &view) {
    auto type = typeOf(op->getResult(0));
    int64_t rank = type.getRank();
    if (rank <= 2 || view.sourceType().getRank() != 2 || !view.isWholeAxis(rank - 2, 0) ||
        !llvm::all_of(type.getShape().drop_back(2), [](int64_t size) { return size == 1; }) ||
        view.dims.back() != TensorView::Dimension{{1, type.getShape().back(), 1}}) {
      return;
    }
    OpBuilder builder(op);
    int64_t first = view.starts[1];
    Value columns = r1::SliceOp::create(builder, op->getLoc(), view.source, 1, first, first + type.getShape().back());
    op->getResult(0).replaceAllUsesWith(reshapeTo(builder, op->getLoc(), columns, type, op->getResult(0)));
  }

  /// Rows that were given sizes of 1 get them after the operation instead of before.
  static void sinkReshapes(Operation *op) {
    bool isRowwise = isa<r1::RmsNormOp, r1::SwigluOp>(op) || op->hasTrait<OpTrait::Elementwise>() ||
                     isa<r1::AddOp, r1::MulOp, r1::SubOp, r1::DivOp>(op);
    if (!isRowwise || op->getNumResults() != 1 || typeOf(op->getResult(0)).getRank() <= 2) {
      return;
    }
    auto type = typeOf(op->getResult(0));
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      Value rows = rowsBehind(operand);
      if (rows && operand.getType() == type) {
        operands.push_back(rows);
      } else if (typeOf(operand).getRank() <= 1) {
        operands.push_back(operand);
      } else {
        return;
      }
    }
    const auto *widest = llvm::find_if(operands, [&](Value operand) { return typeOf(operand).getRank() == 2; });
    if (widest == operands.end()) {
      return;
    }
    OpBuilder builder(op);
    Operation *rows = builder.clone(*op);
    rows->setOperands(operands);
    rows->getResult(0).setType(type.clone(typeOf(*widest).getShape()));
    Value result = reshapeTo(builder, op->getLoc(), rows->getResult(0), type, op->getResult(0));
    op->getResult(0).replaceAllUsesExcept(result, result.getDefiningOp());
  }
};

} // namespace
} // namespace elah
