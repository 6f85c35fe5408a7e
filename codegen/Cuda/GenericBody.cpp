// One operation, one statement. Functions are CUDA's own in full precision, but where those return the other operand
// for NaN.
#include "codegen/Cuda/GenericBody.h"
#include "codegen/Cuda/KernelText.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace elah {
namespace {

std::string literalOf(const APFloat &value) {
  if (value.isFinite()) {
    return cuda::floatLiteral(value.convertToDouble());
  }
  return "__uint_as_float(" + std::to_string(value.bitcastToAPInt().getZExtValue()) + "u)";
}

std::string call(const char *function, ArrayRef<std::string> operands) {
  return function + ("(" + llvm::join(operands, ", ") + ")");
}

std::string expressionOf(Operation *op, ArrayRef<std::string> x) {
  return llvm::TypeSwitch<Operation *, std::string>(op)
      .Case([&](arith::ConstantOp constant) { return literalOf(cast<FloatAttr>(constant.getValue()).getValue()); })
      .Case([&](arith::AddFOp) { return x[0] + " + " + x[1]; })
      .Case([&](arith::SubFOp) { return x[0] + " - " + x[1]; })
      .Case([&](arith::MulFOp) { return x[0] + " * " + x[1]; })
      .Case([&](arith::DivFOp) { return x[0] + " / " + x[1]; })
      .Case([&](arith::NegFOp) { return "-" + x[0]; })
      .Case([&](arith::MaximumFOp) { return call("ptx::max_nan_f32", x); })
      .Case([&](arith::MinimumFOp) { return call("ptx::min_nan_f32", x); })
      .Case([&](math::AbsFOp) { return call("fabsf", x); })
      .Case([&](math::CeilOp) { return call("ceilf", x); })
      .Case([&](math::ErfOp) { return call("erff", x); })
      .Case([&](math::ExpOp) { return call("expf", x); })
      .Case([&](math::FloorOp) { return call("floorf", x); })
      .Case([&](math::LogOp) { return call("logf", x); })
      .Case([&](math::RoundEvenOp) { return call("rintf", x); })
      .Case([&](math::SqrtOp) { return call("sqrtf", x); })
      .Case([&](math::TanhOp) { return call("tanhf", x); });
}

} // namespace

std::vector<std::string> cudaStatementsOf(Block &body) {
  llvm::DenseMap<Value, std::string> names;
  for (BlockArgument argument : body.getArguments()) {
    names[argument] = "x" + std::to_string(argument.getArgNumber());
  }
  std::vector<std::string> statements;
  for (Operation &op : body.without_terminator()) {
    std::vector<std::string> operands;
    for (Value operand : op.getOperands()) {
      operands.push_back(names[operand]);
    }
    std::string name = "v" + std::to_string(statements.size());
    statements.push_back("const float " + name + " = " + expressionOf(&op, operands) + ";");
    names[op.getResult(0)] = name;
  }
  statements.push_back("y = " + names[cast<kernel::YieldOp>(body.getTerminator()).getValue()] + ";");
  return statements;
}

} // namespace elah
