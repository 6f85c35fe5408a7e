// Elementwise operations, written as their descriptions say.
#include "codegen/Reference/Evaluate.h"
#include "mlir/Dialect/Traits.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace elah {

double roundTo(Type element, double value) {
  if (element.isF64()) {
    return value;
  }
  if (element.isF32()) {
    return static_cast<float>(value);
  }
  APFloat number(value);
  bool isLossy;
  number.convert(cast<FloatType>(element).getFloatSemantics(), APFloat::rmNearestTiesToEven, &isLossy);
  return number.convertToDouble();
}

int64_t wrapTo(Type element, int64_t value) {
  unsigned width = element.getIntOrFloatBitWidth();
  if (width == 1 || (element.isUnsignedInteger() && width < 64)) {
    return value & static_cast<int64_t>(llvm::maskTrailingOnes<uint64_t>(width));
  }
  return llvm::SignExtend64(static_cast<uint64_t>(value), width);
}

namespace {

/// The shape that operands broadcast to; an error if they do not.
FailureOr<SmallVector<int64_t>> broadcastShape(Operation *op, Operands operands) {
  SmallVector<int64_t> shape(operands[0]->shape);
  for (const HostTensor *operand : operands.drop_front()) {
    SmallVector<int64_t> wider;
    if (!OpTrait::util::getBroadcastedShape(shape, operand->shape, wider)) {
      return op->emitOpError() << "operands must broadcast, found [" << ArrayRef<int64_t>(shape) << "] and ["
                               << ArrayRef<int64_t>(operand->shape) << "]";
    }
    shape = wider;
  }
  return shape;
}

template <typename T> const std::vector<T> &elementsOf(const HostTensor *tensor) {
  return std::get<std::vector<T>>(tensor->elements);
}

template <typename T, typename R, typename Function>
LogicalResult applyBinary(Operation *op, Operands operands, Results &results, Function function) {
  FailureOr<SmallVector<int64_t>> shape = broadcastShape(op, operands);
  if (failed(shape)) {
    return failure();
  }
  Broadcast left(operands[0]->shape, *shape), right(operands[1]->shape, *shape);
  const std::vector<T> &lhs = elementsOf<T>(operands[0]), &rhs = elementsOf<T>(operands[1]);
  results.push_back(
      generate<R>(*shape, [&](int64_t index) -> R { return function(lhs[left[index]], rhs[right[index]]); }));
  return success();
}

double greater(double lhs, double rhs) { return std::isnan(lhs) || lhs > rhs ? lhs : rhs; }
double lesser(double lhs, double rhs) { return std::isnan(lhs) || lhs < rhs ? lhs : rhs; }

LogicalResult divide(Operation *op, Operands operands, Results &results) {
  if (operands[0]->isFloat()) {
    return applyBinary<double, double>(op, operands, results, [](double x, double y) { return x / y; });
  }
  if (llvm::is_contained(operands[1]->integers(), 0)) {
    return op->emitOpError() << "divides an integer by zero";
  }
  if (isWideUnsigned(op->getOperand(0).getType())) {
    return applyBinary<int64_t, int64_t>(op, operands, results, [](int64_t lhs, int64_t rhs) {
      return static_cast<int64_t>(static_cast<uint64_t>(lhs) / static_cast<uint64_t>(rhs));
    });
  }
  // The lowest integer by -1 wraps.
  return applyBinary<int64_t, int64_t>(
      op, operands, results, [](int64_t lhs, int64_t rhs) { return rhs == -1 ? multiply(lhs, rhs) : lhs / rhs; });
}

/// What is left of a division; its sign is that of the divisor with `isFloored`, otherwise that of the dividend.
LogicalResult remainder(Operation *op, Operands operands, Results &results, bool isFloored) {
  if (operands[0]->isFloat()) {
    return applyBinary<double, double>(op, operands, results, [&](double x, double y) {
      double rest = std::fmod(x, y);
      return isFloored && rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
    });
  }
  if (llvm::is_contained(operands[1]->integers(), 0)) {
    return op->emitOpError() << "divides an integer by zero";
  }
  bool isWide = isWideUnsigned(op->getOperand(0).getType());
  return applyBinary<int64_t, int64_t>(op, operands, results, [&](int64_t lhs, int64_t rhs) -> int64_t {
    if (isWide) {
      return static_cast<int64_t>(static_cast<uint64_t>(lhs) % static_cast<uint64_t>(rhs));
    }
    int64_t rest = rhs == -1 ? 0 : lhs % rhs;
    return isFloored && rest != 0 && (rest < 0) != (rhs < 0) ? rest + rhs : rest;
  });
}

LogicalResult shift(Operation *op, Operands operands, Results &results, bool isLeft) {
  unsigned width = cast<RankedTensorType>(op->getOperand(0).getType()).getElementTypeBitWidth();
  return applyBinary<int64_t, int64_t>(op, operands, results, [&](int64_t lhs, int64_t rhs) -> int64_t {
    uint64_t value = static_cast<uint64_t>(lhs), by = static_cast<uint64_t>(rhs);
    return by >= width ? 0 : static_cast<int64_t>(isLeft ? value << by : value >> by);
  });
}

/// Puts the numbers of ui64 in the order that they have as int64_t.
int64_t ordered(int64_t value, bool isWide) {
  return isWide ? static_cast<int64_t>(static_cast<uint64_t>(value) ^ uint64_t(1) << 63) : value;
}

template <typename T> bool compare(r1::Comparison comparison, T lhs, T rhs) {
  switch (comparison) {
  case r1::Comparison::Equal:
    return lhs == rhs;
  case r1::Comparison::NotEqual:
    return lhs != rhs;
  case r1::Comparison::Less:
    return lhs < rhs;
  case r1::Comparison::LessOrEqual:
    return lhs <= rhs;
  case r1::Comparison::Greater:
    return lhs > rhs;
  case r1::Comparison::GreaterOrEqual:
    return lhs >= rhs;
  }
  llvm_unreachable("unknown comparison");
}

LogicalResult select(Operation *op, Operands operands, Results &results) {
  FailureOr<SmallVector<int64_t>> shape = broadcastShape(op, operands);
  if (failed(shape)) {
    return failure();
  }
  Broadcast condition(operands[0]->shape, *shape), onTrue(operands[1]->shape, *shape),
      onFalse(operands[2]->shape, *shape);
  const Integers &holds = operands[0]->integers();
  std::visit(
      [&](const auto &chosen) {
        using T = typename std::decay_t<decltype(chosen)>::value_type;
        const std::vector<T> &other = elementsOf<T>(operands[2]);
        results.push_back(generate<T>(*shape, [&](int64_t index) {
          return holds[condition[index]] ? chosen[onTrue[index]] : other[onFalse[index]];
        }));
      },
      operands[1]->elements);
  return success();
}

/// A float without its fraction, within what the type holds; NaN is 0.
int64_t toInteger(double value, IntegerType type) {
  unsigned width = type.getWidth();
  if (std::isnan(value)) {
    return 0;
  }
  if (type.isUnsigned()) {
    if (value <= 0) {
      return 0;
    }
    return static_cast<int64_t>(value >= std::ldexp(1.0, static_cast<int>(width))
                                    ? llvm::maskTrailingOnes<uint64_t>(width)
                                    : static_cast<uint64_t>(value));
  }
  double limit = std::ldexp(1.0, static_cast<int>(width) - 1);
  if (value >= limit) {
    return llvm::maxIntN(width);
  }
  return value <= -limit ? llvm::minIntN(width) : static_cast<int64_t>(value);
}

HostTensor castTo(Type element, Type from, const HostTensor &input) {
  ArrayRef<int64_t> shape = input.shape;
  if (isa<FloatType>(element)) {
    bool isWide = isWideUnsigned(from);
    return input.isFloat() ? HostTensor(shape, input.floats()) : generate<double>(shape, [&](int64_t index) {
      int64_t value = input.integers()[index];
      return isWide ? double(static_cast<uint64_t>(value)) : double(value);
    });
  }
  auto type = cast<IntegerType>(element);
  bool isTruth = type.getWidth() == 1;
  return generate<int64_t>(shape, [&](int64_t index) -> int64_t {
    if (!input.isFloat()) {
      return isTruth ? input.integers()[index] != 0 : input.integers()[index];
    }
    double value = input.floats()[index];
    return isTruth ? value != 0 : toInteger(value, type);
  });
}

HostTensor constant(DenseElementsAttr value) {
  SmallVector<int64_t> shape(value.getType().getShape());
  if (isa<FloatType>(value.getElementType())) {
    Floats elements;
    for (const APFloat &element : value.getValues<APFloat>()) {
      elements.push_back(element.convertToDouble());
    }
    return HostTensor(shape, std::move(elements));
  }
  Integers elements;
  for (const APInt &element : value.getValues<APInt>()) {
    elements.push_back(wrapTo(value.getElementType(), element.getSExtValue()));
  }
  return HostTensor(shape, std::move(elements));
}

template <typename Function> LogicalResult applyUnary(Operands operands, Results &results, Function function) {
  const Floats &elements = operands[0]->floats();
  results.push_back(generate<double>(operands[0]->shape, [&](int64_t index) { return function(elements[index]); }));
  return success();
}

template <typename Function> LogicalResult applyIntegers(Operands operands, Results &results, Function function) {
  const Integers &elements = operands[0]->integers();
  results.push_back(generate<int64_t>(operands[0]->shape, [&](int64_t index) { return function(elements[index]); }));
  return success();
}

} // namespace

Evaluation evaluateElementwise(Operation *op, Operands operands, Results &results) {
  auto unary = [&](auto function) { return applyUnary(operands, results, function); };
  auto both = [&](auto onFloats, auto onIntegers) -> LogicalResult {
    return operands[0]->isFloat() ? applyBinary<double, double>(op, operands, results, onFloats)
                                  : applyBinary<int64_t, int64_t>(op, operands, results, onIntegers);
  };
  bool isWide = !operands.empty() && isWideUnsigned(op->getOperandTypes()[0]);
  return llvm::TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](r1::ConstantOp constantOp) -> Evaluation {
        auto value = dyn_cast<DenseElementsAttr>(constantOp.getValue());
        if (!value) {
          return op->emitOpError() << "expected dense elements, found " << constantOp.getValue();
        }
        results.push_back(constant(value));
        return success();
      })
      .Case([&](r1::CastOp castOp) {
        results.push_back(castTo(castOp.getTo(), castOp.getInput().getType(), *operands[0]));
        return success();
      })
      .Case([&](r1::AbsOp) {
        return operands[0]->isFloat()
                   ? unary([](double x) { return std::fabs(x); })
                   : applyIntegers(operands, results, [](int64_t x) { return x < 0 ? multiply<int64_t>(x, -1) : x; });
      })
      .Case([&](r1::NegOp) {
        return operands[0]->isFloat()
                   ? unary([](double x) { return -x; })
                   : applyIntegers(operands, results, [](int64_t x) { return multiply<int64_t>(x, -1); });
      })
      .Case([&](r1::NotOp) { return applyIntegers(operands, results, [](int64_t x) -> int64_t { return x == 0; }); })
      .Case([&](r1::CeilOp) { return unary([](double x) { return std::ceil(x); }); })
      .Case([&](r1::CosOp) { return unary([](double x) { return std::cos(x); }); })
      .Case([&](r1::ErfOp) { return unary([](double x) { return std::erf(x); }); })
      .Case([&](r1::ExpOp) { return unary([](double x) { return std::exp(x); }); })
      .Case([&](r1::FloorOp) { return unary([](double x) { return std::floor(x); }); })
      .Case([&](r1::LogOp) { return unary([](double x) { return std::log(x); }); })
      .Case([&](r1::RoundOp) { return unary([](double x) { return std::nearbyint(x); }); })
      .Case([&](r1::RsqrtOp) { return unary([](double x) { return 1 / std::sqrt(x); }); })
      .Case([&](r1::SigmoidOp) { return unary([](double x) { return 1 / (1 + std::exp(-x)); }); })
      .Case([&](r1::SinOp) { return unary([](double x) { return std::sin(x); }); })
      .Case([&](r1::SqrtOp) { return unary([](double x) { return std::sqrt(x); }); })
      .Case([&](r1::TanhOp) { return unary([](double x) { return std::tanh(x); }); })
      .Case([&](r1::AddOp) { return both(add<double>, add<int64_t>); })
      .Case([&](r1::SubOp) {
        return both([](double x, double y) { return x - y; },
                    [](int64_t x, int64_t y) { return add(x, multiply<int64_t>(y, -1)); });
      })
      .Case([&](r1::MulOp) { return both(multiply<double>, multiply<int64_t>); })
      .Case([&](r1::DivOp) { return divide(op, operands, results); })
      .Case([&](r1::MaxOp) {
        return both(greater, [&](int64_t x, int64_t y) {
          return ordered(std::max(ordered(x, isWide), ordered(y, isWide)), isWide);
        });
      })
      .Case([&](r1::MinOp) {
        return both(lesser, [&](int64_t x, int64_t y) {
          return ordered(std::min(ordered(x, isWide), ordered(y, isWide)), isWide);
        });
      })
      .Case([&](r1::ModOp) { return remainder(op, operands, results, /*isFloored=*/true); })
      .Case([&](r1::RemOp) { return remainder(op, operands, results, /*isFloored=*/false); })
      .Case([&](r1::ShiftLeftOp) { return shift(op, operands, results, /*isLeft=*/true); })
      .Case([&](r1::ShiftRightOp) { return shift(op, operands, results, /*isLeft=*/false); })
      .Case([&](r1::PowOp) {
        return applyBinary<double, double>(op, operands, results, [](double x, double y) { return std::pow(x, y); });
      })
      .Case([&](r1::AndOp) {
        return applyBinary<int64_t, int64_t>(op, operands, results, [](int64_t x, int64_t y) { return x & y; });
      })
      .Case([&](r1::OrOp) {
        return applyBinary<int64_t, int64_t>(op, operands, results, [](int64_t x, int64_t y) { return x | y; });
      })
      .Case([&](r1::CompareOp compareOp) {
        r1::Comparison comparison = compareOp.getComparison();
        auto holds = [&](auto x, auto y) -> int64_t { return compare(comparison, x, y); };
        auto integersHold = [&](int64_t x, int64_t y) -> int64_t {
          return compare(comparison, ordered(x, isWide), ordered(y, isWide));
        };
        return operands[0]->isFloat() ? applyBinary<double, int64_t>(op, operands, results, holds)
                                      : applyBinary<int64_t, int64_t>(op, operands, results, integersHold);
      })
      .Case([&](r1::SelectOp) { return select(op, operands, results); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace elah
