// Importers write `?` where a graph's sizes were symbols; once an argument's size is fixed, most of them are known.
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_INFERSHAPESPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// What is known of a type that is `known` and, for another reason, `inferred`.
Type merge(Type known, Type inferred) {
  auto type = dyn_cast<RankedTensorType>(known), other = dyn_cast<RankedTensorType>(inferred);
  if (!type || !other || type.getRank() != other.getRank()) {
    return known;
  }
  SmallVector<int64_t> shape(type.getShape());
  for (auto [size, otherSize] : llvm::zip_equal(shape, other.getShape())) {
    size = ShapedType::isDynamic(size) ? otherSize : size;
  }
  return type.clone(shape);
}

bool mayChangeType(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    return isa<func::ReturnOp>(user) || isa_and_nonnull<r1::R1Dialect>(user->getDialect());
  });
}

struct InferShapesPass : impl::InferShapesPassBase<InferShapesPass> {
  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (!function.getBody().hasOneBlock() || !SymbolTable::symbolKnownUseEmpty(function, getOperation())) {
        continue;
      }
      WalkResult result = function.walk([](InferTypeOpInterface op) {
        return isa_and_nonnull<r1::R1Dialect>(op->getDialect()) ? infer(op) : WalkResult::advance();
      });
      if (result.wasInterrupted()) {
        return signalPassFailure();
      }
      TypeRange results = function.front().getTerminator()->getOperandTypes();
      function.setType(FunctionType::get(&getContext(), function.getArgumentTypes(), results));
    }
  }

private:
  static WalkResult infer(InferTypeOpInterface op) {
    SmallVector<Type> types;
    if (failed(op.inferReturnTypes(op->getContext(), op->getLoc(), op->getOperands(), op->getAttrDictionary(),
                                   op->getPropertiesStorage(), op->getRegions(), types))) {
      return WalkResult::interrupt();
    }
    for (auto [result, type] : llvm::zip_equal(op->getResults(), types)) {
      if (mayChangeType(result)) {
        result.setType(merge(result.getType(), type));
      }
    }
    return WalkResult::advance();
  }
};

} // namespace
} // namespace elah
