// Fusions leave reshapes and transposes that undo one another, and graphs that had a batch keep it as a size of 1 in
// every tensor. What a step computes are rows.
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/Probe.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"
#include <map>

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

/// A scatter that assigns its updates to a slice, from `first` on along `axis`.
struct SliceAssignment {
  int64_t axis = 0, first = 0;

  bool operator==(const SliceAssignment &) const = default;
};

/// The slice that a scatter assigns to in a step. Indices are rows [n, 1], or the whole place of each element.
std::optional<SliceAssignment> assignmentOf(r1::ScatterNdOp scatter, Probe probe) {
  int64_t rank = typeOf(scatter).getRank(), depth = typeOf(scatter.getIndices()).getShape().back();
  std::optional<SmallVector<HostTensor>> indices = probe.evaluate(scatter.getIndices());
  std::optional<RankedTensorType> updates = probe.typeOf(scatter.getUpdates());
  if (!indices || !updates || updates->getRank() != rank || indices->front().size() == 0 ||
      (depth != 1 && depth != rank)) {
    return {};
  }
  const Integers &found = indices->front().integers();
  std::optional<SliceAssignment> slice;
  for (int64_t row = 0; row < indices->front().size() / depth; ++row) {
    // The place of the update among the updates.
    int64_t rest = row;
    for (int64_t axis = depth - 1; axis >= 0; --axis) {
      int64_t shift = found[row * depth + axis] - rest % updates->getDimSize(axis);
      rest /= updates->getDimSize(axis);
      bool isOnlyAxis = depth == 1;
      if (shift != 0 || isOnlyAxis) {
        SliceAssignment own{axis, shift};
        if (slice && *slice != own) {
          return {};
        }
        slice = own;
      }
    }
  }
  return slice;
}

/// Assignments to slices that overwrite all of a tensor, one behind the other, are a concatenation.
Value asConcat(OpBuilder &builder, r1::ScatterNdOp last) {
  std::map<int64_t, Value> runs;
  std::optional<int64_t> axis;
  for (auto scatter = last; scatter; scatter = scatter.getInput().getDefiningOp<r1::ScatterNdOp>()) {
    if (scatter.getScatter() != r1::Scatter::Replace) {
      break;
    }
    std::optional<SliceAssignment> slice = assignmentOf(scatter, Probe(2, 0)),
                                   other = assignmentOf(scatter, Probe(5, 3));
    if (slice != other) {
      break;
    }
    if (!slice) {
      // From the beginning on nothing is shifted: the axis is that of the others.
      if (!axis) {
        break;
      }
      slice = SliceAssignment{*axis, 0};
    }
    if (axis && *axis != slice->axis) {
      break;
    }
    axis = slice->axis;
    runs.try_emplace(slice->first, scatter.getUpdates()); // The last assignment counts.
  }
  SmallVector<Value> parts;
  int64_t next = 0;
  for (auto [first, updates] : runs) {
    int64_t size = typeOf(updates).getDimSize(*axis);
    if (first != next || ShapedType::isDynamic(size)) {
      return {};
    }
    for (int64_t other = 0; other < typeOf(updates).getRank(); ++other) {
      int64_t own = typeOf(updates).getDimSize(other), all = typeOf(last).getDimSize(other);
      if (other != *axis && own != all) {
        return {};
      }
    }
    next += size;
    parts.push_back(updates);
  }
  return parts.size() > 1 && next == typeOf(last).getDimSize(*axis)
             ? r1::ConcatOp::create(builder, last.getLoc(), parts, *axis).getResult()
             : Value();
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
      } else if (auto scatter = dyn_cast<r1::ScatterNdOp>(op)) {
        OpBuilder builder(op);
        if (Value concat = asConcat(builder, scatter)) {
          scatter.getResult().replaceAllUsesWith(concat);
        }
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
