#include "codegen/Reference/EvaluateBody.h"
#include "dialects/Kernel/Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace elah {
namespace {

double evaluate(Operation *op, ArrayRef<double> x) {
  return llvm::TypeSwitch<Operation *, double>(op)
      .Case([&](arith::ConstantOp constant) { return cast<FloatAttr>(constant.getValue()).getValueAsDouble(); })
      .Case([&](arith::AddFOp) { return x[0] + x[1]; })
      .Case([&](arith::SubFOp) { return x[0] - x[1]; })
      .Case([&](arith::MulFOp) { return x[0] * x[1]; })
      .Case([&](arith::DivFOp) { return x[0] / x[1]; })
      .Case([&](arith::NegFOp) { return -x[0]; })
      .Case([&](arith::MaximumFOp) { return std::isnan(x[0]) || x[0] > x[1] ? x[0] : x[1]; })
      .Case([&](arith::MinimumFOp) { return std::isnan(x[0]) || x[0] < x[1] ? x[0] : x[1]; })
      .Case([&](math::AbsFOp) { return std::fabs(x[0]); })
      .Case([&](math::CeilOp) { return std::ceil(x[0]); })
      .Case([&](math::ErfOp) { return std::erf(x[0]); })
      .Case([&](math::ExpOp) { return std::exp(x[0]); })
      .Case([&](math::FloorOp) { return std::floor(x[0]); })
      .Case([&](math::LogOp) { return std::log(x[0]); })
      .Case([&](math::RoundEvenOp) { return std::nearbyint(x[0]); })
      .Case([&](math::SqrtOp) { return std::sqrt(x[0]); })
      .Case([&](math::TanhOp) { return std::tanh(x[0]); });
}

} // namespace

double evaluateBody(Block &body, ArrayRef<double> arguments) {
  llvm::SmallDenseMap<Value, double> values;
  for (auto [argument, value] : llvm::zip_equal(body.getArguments(), arguments)) {
    values[argument] = value;
  }
  for (Operation &op : body.without_terminator()) {
    SmallVector<double> operands;
    for (Value operand : op.getOperands()) {
      operands.push_back(values.lookup(operand));
    }
    values[op.getResult(0)] = evaluate(&op, operands);
  }
  return values.lookup(cast<kernel::YieldOp>(body.getTerminator()).getValue());
}

} // namespace elah
