// Elementwise arithmetic that no family has: the body of kernel.generic, on vectors.
#include "codegen/Cpu/Families.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/DenseMap.h"

namespace elah {
namespace {

/// One operation of the body on `lanes` elements at once.
mlir::Value onVectors(mlir::Operation &op, llvm::ArrayRef<mlir::Value> operands, int64_t lanes, KernelBuilder &k) {
  if (auto constant = mlir::dyn_cast<mlir::arith::ConstantOp>(op)) {
    return k.splat(mlir::cast<mlir::FloatAttr>(constant.getValue()).getValueAsDouble(), lanes);
  }
  if (mlir::isa<mlir::math::ExpOp>(op)) {
    return k.exp(operands[0]);
  }
  mlir::OperationState state(k.location, op.getName());
  state.addOperands(operands);
  state.addTypes(k.vectorType(lanes, k.f32Type()));
  return k.builder.create(state)->getResult(0);
}

/// There is no library to call: functions without an instruction become polynomials.
void approximateFunctions(KernelBuilder &k) {
  mlir::RewritePatternSet patterns(k.builder.getContext());
  mlir::populateMathPolynomialApproximationPatterns(
      patterns, [](llvm::StringRef name) { return name == "math.erf" || name == "math.log" || name == "math.tanh"; });
  bool isDone = mlir::succeeded(mlir::applyPatternsGreedily(k.function, std::move(patterns)));
  assert(isDone && "each function is replaced once");
  static_cast<void>(isDone);
}

} // namespace

uint64_t emitGeneric(kernel::GenericOp op, KernelBuilder &k) {
  using Value = mlir::Value;
  mlir::Block &body = op.getBody().front();
  auto output = static_cast<unsigned>(op.getInputs().size());
  int64_t width = rowWidth(op.getOutput());
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value row) {
    k.forEachPiece(width, [&](Value i, int64_t lanes) {
      llvm::DenseMap<Value, Value> values;
      for (auto [argument, input] : llvm::zip_equal(body.getArguments(), op.getInputs())) {
        bool isVector = mlir::cast<mlir::MemRefType>(input.getType()).getRank() == 1;
        Value place = isVector ? i : k.add(k.mul(row, k.integer(rowStride(input))), i);
        values[argument] = k.load(k.buffer(argument.getArgNumber()), place, elementOf(input), lanes);
      }
      for (mlir::Operation &inner : body.without_terminator()) {
        llvm::SmallVector<Value> operands;
        for (Value operand : inner.getOperands()) {
          operands.push_back(values.lookup(operand));
        }
        values[inner.getResult(0)] = onVectors(inner, operands, lanes, k);
      }
      Value result = values.lookup(mlir::cast<kernel::YieldOp>(body.getTerminator()).getValue());
      Value place = k.add(k.mul(row, k.integer(rowStride(op.getOutput()))), i);
      k.store(result, k.buffer(output), place, elementOf(op.getOutput()));
    });
  });
  approximateFunctions(k);
  return 0;
}

} // namespace elah
