#include "compiler/Transforms/Positional.h"
#include "compiler/Transforms/Probe.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

Positional::Positional(func::FuncOp function) {
  for (Value argument : function.getArguments()) {
    if (holdsPositions(argument)) {
      values.insert(argument);
    }
  }
  function.walk([&](Operation *op) {
    if (!isa_and_nonnull<r1::R1Dialect>(op->getDialect()) || isa<r1::DecomposableOpInterface, r1::WeightOp>(op) ||
        !llvm::all_of(op->getResultTypes(), llvm::IsaPred<RankedTensorType>)) {
      return;
    }
    bool isPositional =
        isa<r1::DimOp>(op) || llvm::all_of(op->getOperands(), [&](Value operand) { return values.contains(operand); });
    if (isPositional && !isa<r1::CacheReadOp>(op)) {
      values.insert_range(op->getResults());
    }
  });
}

Value Positional::positionsOf(OpBuilder &builder, Location location, ValueRange from, Value rows) const {
  // Back to the argument, or to the last integers before floats are made of them.
  llvm::DenseSet<Value> seen;
  SmallVector<Value> worklist(from);
  Value computed;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second) {
      continue;
    }
    if (holdsPositions(value)) {
      return value;
    }
    auto type = dyn_cast<RankedTensorType>(value.getType());
    Operation *op = value.getDefiningOp();
    if (!op || isa<r1::DimOp, r1::ConstantOp>(op)) {
      continue;
    }
    if (type.getElementType().isInteger(64) && llvm::is_contained(type.getShape(), ShapedType::kDynamic) && !computed) {
      computed = value;
    }
    llvm::append_range(worklist, op->getOperands());
  }
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  if (!computed) {
    auto scalar = [&](int64_t number) -> Value {
      auto type = RankedTensorType::get({}, i64);
      return r1::ConstantOp::create(builder, location, cast<ElementsAttr>(DenseElementsAttr::get(type, number)));
    };
    Value count = r1::DimOp::create(builder, location, rows, 0);
    computed = r1::RangeOp::create(builder, location, scalar(0), count, scalar(1));
  }
  if (cast<RankedTensorType>(computed.getType()).getRank() != 1) {
    computed = r1::ReshapeOp::create(builder, location, computed, ArrayRef<int64_t>{-1});
  }
  return r1::CastOp::create(builder, location, computed, i32);
}

} // namespace elah
