// One element of a tensor, computed where it is read.
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <elah/cpu_graph.h>

using namespace mlir;

namespace elah {

Value GraphEmitter::broadcastElement(Value operand, ArrayRef<Value> indices) {
  const Values sizes = dimsOf(operand);
  Values own;
  for (auto [axis, size] : llvm::enumerate(sizes)) {
    Value index = indices[indices.size() - sizes.size() + axis];
    std::optional<int64_t> constant = b.constant(size);
    if (constant == 1) {
      own.push_back(b.integer(0));
    } else if (constant) {
      own.push_back(index);
    } else {
      own.push_back(b.select(b.equal(size, b.integer(1)), b.integer(0), index));
    }
  }
  return element(operand, own);
}

Value GraphEmitter::element(Value value, ArrayRef<Value> indices) {
  if (Value memory = held.lookup(value)) {
    return b.load(memory, linear(dimsOf(value), indices), elementTypeOf(value));
  }
  Operation *op = value.getDefiningOp();
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<r1::ConstantOp>([&](r1::ConstantOp constant) -> Value {
        auto splat = mlir::cast<DenseElementsAttr>(constant.getValue());
        Type type = splat.getElementType();
        if (isa<FloatType>(type)) {
          return b.number(splat.getSplatValue<APFloat>().convertToDouble(), type);
        }
        APInt number = splat.getSplatValue<APInt>();
        if (number.getBitWidth() == 4) {
          number = type.isUnsignedInteger() ? number.zext(8) : number.sext(8);
        }
        return arith::ConstantOp::create(b.builder, b.location, b.builder.getIntegerAttr(b.scalarType(type), number));
      })
      .Case<r1::DimOp>([&](r1::DimOp dim) -> Value {
        return cast(dimsOf(dim.getInput())[dim.getAxis()], b.builder.getI64Type(), elementTypeOf(value));
      })
      .Case<r1::ShapeOp>([&](r1::ShapeOp shape) -> Value {
        Values sizes = dimsOf(shape.getInput());
        if (sizes.empty()) {
          return b.integer(0);
        }
        Value size = sizes.back();
        for (size_t axis = sizes.size() - 1; axis-- > 0;) {
          size = b.select(b.equal(indices[0], b.integer(static_cast<int64_t>(axis))), sizes[axis], size);
        }
        return size;
      })
      .Case<r1::RangeOp>([&](r1::RangeOp range) -> Value {
        Type type = elementTypeOf(value);
        Value step = cast(indices[0], b.builder.getI64Type(), type);
        return b.round(sum(scalar(range.getStart()), b.round(times(step, scalar(range.getStep())), type)), type);
      })
      .Case<r1::BroadcastToOp>(
          [&](r1::BroadcastToOp broadcast) { return broadcastElement(broadcast.getInput(), indices); })
      .Case<r1::TransposeOp>([&](r1::TransposeOp transpose) {
        Values own(indices.size());
        for (auto [axis, from] : llvm::enumerate(transpose.getPermutation())) {
          own[from] = indices[axis];
        }
        return element(transpose.getInput(), own);
      })
      .Case<r1::SliceOp>([&](r1::SliceOp slice) {
        Values own(indices);
        int64_t axis = slice.getAxis();
        Value size = dimsOf(slice.getInput())[axis];
        int64_t bound = slice.getStart();
        Value start = bound < 0 ? b.max(b.add(size, b.integer(bound)), b.integer(0)) : b.min(b.integer(bound), size);
        own[axis] = b.add(start, b.mul(indices[axis], b.integer(slice.getStep())));
        return element(slice.getInput(), own);
      })
      .Case<r1::CastOp>([&](r1::CastOp castOp) {
        return cast(element(castOp.getInput(), indices), elementTypeOf(castOp.getInput()), elementTypeOf(value));
      })
      .Default([&](Operation *) {
        Values operands;
        for (Value operand : op->getOperands()) {
          operands.push_back(broadcastElement(operand, indices));
        }
        return b.round(computeElementwise(op, operands), elementTypeOf(value));
      });
}

//===--- Arithmetic ----------------------------------------------------------------------------------------------===//

Value GraphEmitter::sum(Value lhs, Value rhs) {
  return isa<FloatType>(lhs.getType()) ? Value(arith::AddFOp::create(b.builder, b.location, lhs, rhs))
                                       : Value(arith::AddIOp::create(b.builder, b.location, lhs, rhs));
}

Value GraphEmitter::times(Value lhs, Value rhs) {
  return isa<FloatType>(lhs.getType()) ? Value(arith::MulFOp::create(b.builder, b.location, lhs, rhs))
                                       : Value(arith::MulIOp::create(b.builder, b.location, lhs, rhs));
}

Value GraphEmitter::greater(Value lhs, Value rhs, Type element) {
  if (element.isUnsignedInteger()) {
    return arith::MaxUIOp::create(b.builder, b.location, lhs, rhs);
  }
  if (element.isInteger(1)) {
    return arith::OrIOp::create(b.builder, b.location, lhs, rhs);
  }
  return isa<FloatType>(lhs.getType()) ? Value(arith::MaximumFOp::create(b.builder, b.location, lhs, rhs))
                                       : Value(arith::MaxSIOp::create(b.builder, b.location, lhs, rhs));
}

Value GraphEmitter::lesser(Value lhs, Value rhs, Type element) {
  if (element.isUnsignedInteger()) {
    return arith::MinUIOp::create(b.builder, b.location, lhs, rhs);
  }
  if (element.isInteger(1)) {
    return arith::AndIOp::create(b.builder, b.location, lhs, rhs);
  }
  return isa<FloatType>(lhs.getType()) ? Value(arith::MinimumFOp::create(b.builder, b.location, lhs, rhs))
                                       : Value(arith::MinSIOp::create(b.builder, b.location, lhs, rhs));
}

Value GraphEmitter::compare(r1::Comparison comparison, Value lhs, Value rhs, Type element) {
  bool isUnsigned = element.isUnsignedInteger();
  bool isFloat = isa<FloatType>(lhs.getType());
  auto make = [&](arith::CmpFPredicate onFloats, arith::CmpIPredicate onIntegers) -> Value {
    return isFloat ? Value(arith::CmpFOp::create(b.builder, b.location, onFloats, lhs, rhs))
                   : Value(arith::CmpIOp::create(b.builder, b.location, onIntegers, lhs, rhs));
  };
  switch (comparison) {
  case r1::Comparison::Equal:
    return make(arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq);
  case r1::Comparison::NotEqual:
    return make(arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne);
  case r1::Comparison::Less:
    return make(arith::CmpFPredicate::OLT, isUnsigned ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt);
  case r1::Comparison::LessOrEqual:
    return make(arith::CmpFPredicate::OLE, isUnsigned ? arith::CmpIPredicate::ule : arith::CmpIPredicate::sle);
  case r1::Comparison::Greater:
    return make(arith::CmpFPredicate::OGT, isUnsigned ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt);
  case r1::Comparison::GreaterOrEqual:
    return make(arith::CmpFPredicate::OGE, isUnsigned ? arith::CmpIPredicate::uge : arith::CmpIPredicate::sge);
  }
  llvm_unreachable("unknown comparison");
}

/// As r1.cast says: floats without their fraction, the nearest integer that there is, 0 for NaN; truth is not zero.
Value GraphEmitter::cast(Value value, Type from, Type to) {
  OpBuilder &builder = b.builder;
  if (from == to) {
    return value;
  }
  bool isFloat = isa<FloatType>(from);
  bool isUnsigned = from.isInteger(1) || from.isUnsignedInteger();
  if (to.isInteger(1)) {
    return isFloat
               ? Value(arith::CmpFOp::create(builder, b.location, arith::CmpFPredicate::UNE, value, b.number(0, from)))
               : Value(arith::CmpIOp::create(builder, b.location, arith::CmpIPredicate::ne, value, b.number(0, from)));
  }
  Type scalar = b.scalarType(to);
  if (isa<FloatType>(to)) {
    if (!isFloat) {
      Value number = isUnsigned ? Value(arith::UIToFPOp::create(builder, b.location, scalar, value))
                                : Value(arith::SIToFPOp::create(builder, b.location, scalar, value));
      return b.round(number, to);
    }
    if (value.getType() != scalar) {
      value = scalar.isF64() ? Value(arith::ExtFOp::create(builder, b.location, scalar, value))
                             : Value(arith::TruncFOp::create(builder, b.location, scalar, value));
    }
    return b.round(value, to);
  }
  unsigned wanted = scalar.getIntOrFloatBitWidth();
  if (!isFloat) {
    unsigned width = value.getType().getIntOrFloatBitWidth();
    Value wide = value;
    if (wanted < width) {
      wide = arith::TruncIOp::create(builder, b.location, scalar, value);
    } else if (wanted > width) {
      wide = isUnsigned ? Value(arith::ExtUIOp::create(builder, b.location, scalar, value))
                        : Value(arith::ExtSIOp::create(builder, b.location, scalar, value));
    }
    return narrowed(wide, to);
  }
  // Beyond the integers that there are, and for NaN, conversions have no meaning: those are chosen by comparison.
  unsigned width = to.getIntOrFloatBitWidth();
  bool toUnsigned = to.isUnsignedInteger();
  double limit = std::ldexp(1.0, static_cast<int>(width) - (toUnsigned ? 0 : 1)), lowest = toUnsigned ? 0 : -limit;
  Type type = value.getType();
  auto holds = [&](arith::CmpFPredicate predicate, double bound) -> Value {
    return arith::CmpFOp::create(builder, b.location, predicate, value, b.number(bound, type));
  };
  Value isPlain = arith::AndIOp::create(builder, b.location, holds(arith::CmpFPredicate::OGE, lowest),
                                        holds(arith::CmpFPredicate::OLT, limit));
  Value plain = arith::SelectOp::create(builder, b.location, isPlain, value, b.number(0, type));
  Value integer = toUnsigned ? Value(arith::FPToUIOp::create(builder, b.location, scalar, plain))
                             : Value(arith::FPToSIOp::create(builder, b.location, scalar, plain));
  auto edge = [&](APInt number) -> Value {
    APInt wide = toUnsigned ? number.zext(wanted) : number.sext(wanted);
    return arith::ConstantOp::create(builder, b.location, builder.getIntegerAttr(scalar, wide));
  };
  APInt least = toUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width);
  APInt greatest = toUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  integer =
      arith::SelectOp::create(builder, b.location, holds(arith::CmpFPredicate::OGE, limit), edge(greatest), integer);
  return arith::SelectOp::create(builder, b.location, holds(arith::CmpFPredicate::OLT, lowest), edge(least), integer);
}

/// A four bit integer's eight as they are after it was cut off.
Value GraphEmitter::narrowed(Value value, Type to) {
  if (to.getIntOrFloatBitWidth() != 4) {
    return value;
  }
  Value four = arith::ConstantIntOp::create(b.builder, b.location, 4, 8);
  Value up = arith::ShLIOp::create(b.builder, b.location, value, four);
  return to.isUnsignedInteger() ? Value(arith::ShRUIOp::create(b.builder, b.location, up, four))
                                : Value(arith::ShRSIOp::create(b.builder, b.location, up, four));
}

Value GraphEmitter::checkedDivisor(Operation *op, Value divisor, Type element) {
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(b.builder, b.location, b.builder.getIntegerAttr(divisor.getType(), value));
  };
  Value isZero = arith::CmpIOp::create(b.builder, b.location, arith::CmpIPredicate::eq, divisor, number(0));
  Value holds =
      arith::XOrIOp::create(b.builder, b.location, isZero, arith::ConstantIntOp::create(b.builder, b.location, 1, 1));
  b.check(holds, describe(op) + "divides an integer by zero", b.integer(0), b.integer(0));
  Value isUnsafe = isZero;
  if (!element.isUnsignedInteger()) {
    // The lowest integer by -1, which the processor would stop at, is for the caller to choose.
    Value isMinusOne = arith::CmpIOp::create(b.builder, b.location, arith::CmpIPredicate::eq, divisor, number(-1));
    isUnsafe = arith::OrIOp::create(b.builder, b.location, isZero, isMinusOne);
  }
  return arith::SelectOp::create(b.builder, b.location, isUnsafe, number(1), divisor);
}

Value GraphEmitter::divide(Operation *op, Value lhs, Value rhs, Type element) {
  OpBuilder &builder = b.builder;
  if (isa<FloatType>(element)) {
    return arith::DivFOp::create(builder, b.location, lhs, rhs);
  }
  Value divisor = checkedDivisor(op, rhs, element);
  if (element.isUnsignedInteger()) {
    return arith::DivUIOp::create(builder, b.location, lhs, divisor);
  }
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(builder, b.location, builder.getIntegerAttr(lhs.getType(), value));
  };
  Value quotient = arith::DivSIOp::create(builder, b.location, lhs, divisor);
  Value negated = arith::SubIOp::create(builder, b.location, number(0), lhs);
  Value isMinusOne = arith::CmpIOp::create(builder, b.location, arith::CmpIPredicate::eq, rhs, number(-1));
  return arith::SelectOp::create(builder, b.location, isMinusOne, negated, quotient);
}

/// What is left of lhs after trunc(lhs / rhs) times rhs.
Value GraphEmitter::remainder(Operation *op, Value lhs, Value rhs, Type element) {
  OpBuilder &builder = b.builder;
  if (isa<FloatType>(element)) {
    return b.floatRemainder(lhs, rhs);
  }
  Value divisor = checkedDivisor(op, rhs, element);
  // By 1, which stands for -1 as well, nothing is left.
  return element.isUnsignedInteger() ? Value(arith::RemUIOp::create(builder, b.location, lhs, divisor))
                                     : Value(arith::RemSIOp::create(builder, b.location, lhs, divisor));
}

Value GraphEmitter::computeElementwise(Operation *op, ArrayRef<Value> operands) {
  OpBuilder &builder = b.builder;
  Location location = b.location;
  Value x = operands[0];
  Type type = x.getType(), kind = elementTypeOf(op->getOperand(0));
  bool isFloat = isa<FloatType>(type);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<r1::AbsOp>([&](r1::AbsOp) -> Value {
        if (isFloat) {
          return math::AbsFOp::create(builder, location, x);
        }
        return kind.isUnsignedInteger() ? x : Value(math::AbsIOp::create(builder, location, x));
      })
      .Case<r1::CeilOp>([&](r1::CeilOp) { return math::CeilOp::create(builder, location, x); })
      .Case<r1::FloorOp>([&](r1::FloorOp) { return math::FloorOp::create(builder, location, x); })
      .Case<r1::RoundOp>([&](r1::RoundOp) { return math::RoundEvenOp::create(builder, location, x); })
      .Case<r1::SqrtOp>([&](r1::SqrtOp) { return math::SqrtOp::create(builder, location, x); })
      .Case<r1::RsqrtOp>([&](r1::RsqrtOp) {
        return arith::DivFOp::create(builder, location, b.number(1, type), math::SqrtOp::create(builder, location, x));
      })
      .Case<r1::CosOp>([&](r1::CosOp) { return b.call(ELAH_GRAPH_COS, x); })
      .Case<r1::ErfOp>([&](r1::ErfOp) { return b.call(ELAH_GRAPH_ERF, x); })
      .Case<r1::ExpOp>([&](r1::ExpOp) { return b.call(ELAH_GRAPH_EXP, x); })
      .Case<r1::LogOp>([&](r1::LogOp) { return b.call(ELAH_GRAPH_LOG, x); })
      .Case<r1::SinOp>([&](r1::SinOp) { return b.call(ELAH_GRAPH_SIN, x); })
      .Case<r1::TanhOp>([&](r1::TanhOp) { return b.call(ELAH_GRAPH_TANH, x); })
      .Case<r1::SigmoidOp>([&](r1::SigmoidOp) {
        Value power = b.call(ELAH_GRAPH_EXP, arith::NegFOp::create(builder, location, x));
        return arith::DivFOp::create(builder, location, b.number(1, type), sum(b.number(1, type), power));
      })
      .Case<r1::NegOp>([&](r1::NegOp) -> Value {
        if (isFloat) {
          return arith::NegFOp::create(builder, location, x);
        }
        return arith::SubIOp::create(builder, location, b.number(0, type), x);
      })
      .Case<r1::NotOp>([&](r1::NotOp) {
        return arith::XOrIOp::create(builder, location, x, arith::ConstantIntOp::create(builder, location, 1, 1));
      })
      .Case<r1::AddOp>([&](r1::AddOp) { return sum(x, operands[1]); })
      .Case<r1::SubOp>([&](r1::SubOp) -> Value {
        return isFloat ? Value(arith::SubFOp::create(builder, location, x, operands[1]))
                       : Value(arith::SubIOp::create(builder, location, x, operands[1]));
      })
      .Case<r1::MulOp>([&](r1::MulOp) { return times(x, operands[1]); })
      .Case<r1::DivOp>([&](r1::DivOp) { return divide(op, x, operands[1], kind); })
      .Case<r1::RemOp>([&](r1::RemOp) { return remainder(op, x, operands[1], kind); })
      .Case<r1::ModOp>([&](r1::ModOp) -> Value {
        Value left = remainder(op, x, operands[1], kind);
        if (kind.isUnsignedInteger()) {
          return left;
        }
        // The sign becomes that of the divisor.
        Value zero = b.number(0, kind);
        Value isLeft = compare(r1::Comparison::NotEqual, left, zero, kind);
        Value isNegative = compare(r1::Comparison::Less, left, zero, kind);
        Value shouldBe = compare(r1::Comparison::Less, operands[1], zero, kind);
        Value differs = arith::XOrIOp::create(builder, location, isNegative, shouldBe);
        Value moves = arith::AndIOp::create(builder, location, isLeft, differs);
        return arith::SelectOp::create(builder, location, moves, sum(left, operands[1]), left);
      })
      .Case<r1::ShiftLeftOp, r1::ShiftRightOp>([&](auto shift) -> Value {
        auto width = static_cast<int64_t>(type.getIntOrFloatBitWidth());
        auto number = [&](int64_t value) -> Value {
          return arith::ConstantOp::create(builder, location, builder.getIntegerAttr(type, value));
        };
        Value isAll = arith::CmpIOp::create(builder, location, arith::CmpIPredicate::uge, operands[1], number(width));
        Value by = arith::SelectOp::create(builder, location, isAll, number(0), operands[1]);
        Value moved = isa<r1::ShiftLeftOp>(op) ? Value(arith::ShLIOp::create(builder, location, x, by))
                                               : Value(arith::ShRUIOp::create(builder, location, x, by));
        return arith::SelectOp::create(builder, location, isAll, number(0), moved);
      })
      .Case<r1::MaxOp>([&](r1::MaxOp) { return greater(x, operands[1], kind); })
      .Case<r1::MinOp>([&](r1::MinOp) { return lesser(x, operands[1], kind); })
      .Case<r1::PowOp>([&](r1::PowOp) {
        Type f64 = builder.getF64Type();
        return cast(b.power(cast(x, type, f64), cast(operands[1], type, f64)), f64, type);
      })
      .Case<r1::AndOp>([&](r1::AndOp) { return arith::AndIOp::create(builder, location, x, operands[1]); })
      .Case<r1::OrOp>([&](r1::OrOp) { return arith::OrIOp::create(builder, location, x, operands[1]); })
      .Case<r1::CompareOp>([&](r1::CompareOp op) { return compare(op.getComparison(), x, operands[1], kind); })
      .Case<r1::SelectOp>(
          [&](r1::SelectOp) { return arith::SelectOp::create(builder, location, x, operands[1], operands[2]); })
      .Default([](Operation *) -> Value { llvm_unreachable("isElementwise names it"); });
}

} // namespace elah
