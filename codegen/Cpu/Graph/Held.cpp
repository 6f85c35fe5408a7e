// Tensors that are made by more than a formula for each element: concatenations, contractions, sums along an axis.
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {

Value GraphEmitter::linear(ArrayRef<Value> dims, ArrayRef<Value> indices) {
  Value place = b.integer(0);
  for (auto [size, index] : llvm::zip_equal(dims, indices)) {
    place = b.add(b.mul(place, size), index);
  }
  return place;
}

Value GraphEmitter::hold(Value value) {
  Value memory = b.allocate(b.bytesOf(countOf(value), elementTypeOf(value)));
  own(value, memory);
  return memory;
}

void GraphEmitter::fill(Value value, llvm::function_ref<Value(ArrayRef<Value>)> element) {
  // The value becomes held when it is whole: while it is filled, its elements are still computed.
  Value memory = b.allocate(b.bytesOf(countOf(value), elementTypeOf(value)));
  Values sizes = dimsOf(value);
  b.loops(sizes, [&](ArrayRef<Value> indices) {
    b.store(element(indices), memory, linear(sizes, indices), elementTypeOf(value));
  });
  own(value, memory);
}

LogicalResult GraphEmitter::emitHeld(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<r1::ConcatOp>([&](r1::ConcatOp concat) { return emitConcat(concat), success(); })
      .Case<r1::MatmulOp>([&](r1::MatmulOp matmul) { return emitMatmul(matmul), success(); })
      .Case<r1::ReduceOp>([&](r1::ReduceOp reduce) { return emitReduce(reduce), success(); })
      .Case<r1::CumsumOp>([&](r1::CumsumOp cumsum) { return emitCumsum(cumsum), success(); })
      .Case<r1::GatherOp>([&](r1::GatherOp gather) { return emitGather(gather), success(); })
      .Case<r1::GatherElementsOp>([&](r1::GatherElementsOp gather) { return emitGatherElements(gather), success(); })
      .Case<r1::ScatterElementsOp>(
          [&](r1::ScatterElementsOp scatter) { return emitScatterElements(scatter), success(); })
      .Case<r1::GatherNdOp>([&](r1::GatherNdOp gather) { return emitGatherNd(gather), success(); })
      .Case<r1::ScatterNdOp>([&](r1::ScatterNdOp scatter) { return emitScatterNd(scatter), success(); })
      .Case<r1::TopkOp>([&](r1::TopkOp topk) {
        return emitRanking(topk, topk.getInput(), topk.getAxis(), topk.getSmallest()), success();
      })
      .Case<r1::SortOp>([&](r1::SortOp sort) {
        return emitRanking(sort, sort.getInput(), sort.getAxis(), !sort.getFalling()), success();
      })
      .Case<r1::NonzeroOp>([&](r1::NonzeroOp nonzero) { return emitNonzero(nonzero), success(); })
      .Default([&](Operation *) {
        Value result = op->getResult(0);
        fill(result, [&](ArrayRef<Value> indices) { return element(result, indices); });
        return success();
      });
}

void GraphEmitter::emitConcat(r1::ConcatOp op) {
  Value memory = hold(op.getResult()), begin = b.integer(0);
  const Values whole = dimsOf(op.getResult());
  int64_t axis = op.getAxis();
  for (Value input : op.getInputs()) {
    const Values sizes = dimsOf(input);
    b.loops(sizes, [&](ArrayRef<Value> indices) {
      Values there(indices);
      there[axis] = b.add(begin, there[axis]);
      b.store(element(input, indices), memory, linear(whole, there), elementTypeOf(input));
    });
    begin = b.add(begin, sizes[axis]);
  }
}

void GraphEmitter::emitMatmul(r1::MatmulOp op) {
  Value lhs = op.getLhs(), rhs = op.getRhs();
  const Values sizes = dimsOf(op.getResult());
  Value inner = dimsOf(lhs).back();
  Type element = elementTypeOf(op.getResult()), scalar = b.scalarType(element);
  Value memory = hold(op.getResult());
  // Sums of narrow floats are rounded once, at the end, so a row of sums has a place of its own.
  Value row = b.allocate(b.bytesOf(sizes.back(), scalar));
  auto at = [&](Value operand, ArrayRef<Value> outer, Value first, Value second) {
    const Values own = dimsOf(operand);
    Values indices;
    for (size_t axis = 0; axis + 2 < own.size(); ++axis) {
      Value index = outer[outer.size() - (own.size() - 2) + axis];
      indices.push_back(b.select(b.equal(own[axis], b.integer(1)), b.integer(0), index));
    }
    indices.append({first, second});
    return this->element(operand, indices);
  };
  b.loops(ArrayRef<Value>(sizes).drop_back(), [&](ArrayRef<Value> indices) {
    ArrayRef<Value> outer = indices.drop_back();
    Value m = indices.back();
    b.loop(b.integer(0), sizes.back(), [&](Value n) { b.store(b.number(0, scalar), row, n, scalar); });
    b.loop(b.integer(0), inner, [&](Value k) {
      Value left = at(lhs, outer, m, k);
      b.loop(b.integer(0), sizes.back(), [&](Value n) {
        Value product = times(left, at(rhs, outer, k, n));
        b.store(sum(b.load(row, n, scalar), product), row, n, scalar);
      });
    });
    Value begin = b.mul(linear(ArrayRef<Value>(sizes).drop_back(), indices), sizes.back());
    b.loop(b.integer(0), sizes.back(),
           [&](Value n) { b.store(b.round(b.load(row, n, scalar), element), memory, b.add(begin, n), element); });
  });
  b.release(row);
}

void GraphEmitter::emitReduce(r1::ReduceOp op) {
  Value input = op.getInput(), result = op.getResult();
  Type type = elementTypeOf(input), scalar = b.scalarType(type);
  const Values sizes = dimsOf(input);
  Values outer, inner;
  for (auto [axis, size] : llvm::enumerate(sizes)) {
    bool isReduced = llvm::is_contained(op.getAxes(), static_cast<int64_t>(axis));
    (isReduced ? inner : outer).push_back(size);
  }
  Value memory = hold(result), count = b.product(inner);
  auto initial = [&]() -> Value {
    OpBuilder &builder = b.builder;
    bool isFloat = isa<FloatType>(type);
    unsigned width = type.getIntOrFloatBitWidth();
    auto integer = [&](APInt value) -> Value {
      return arith::ConstantOp::create(builder, b.location, builder.getIntegerAttr(scalar, value));
    };
    bool isUnsigned = type.isUnsignedInteger();
    switch (op.getReduction()) {
    case r1::Reduction::Sum:
    case r1::Reduction::Mean:
      return b.number(0, type);
    case r1::Reduction::Prod:
      return b.number(1, type);
    case r1::Reduction::Max:
      return isFloat      ? b.number(-std::numeric_limits<double>::infinity(), type)
             : width == 1 ? integer(APInt(1, 0))
                          : integer(isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width));
    case r1::Reduction::Min:
      return isFloat      ? b.number(std::numeric_limits<double>::infinity(), type)
             : width == 1 ? integer(APInt(1, 1))
                          : integer(isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
    }
    llvm_unreachable("unknown reduction");
  };
  b.loops(outer, [&](ArrayRef<Value> outerIndices) {
    Values indices(sizes.size());
    size_t next = 0;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      if (!llvm::is_contained(op.getAxes(), static_cast<int64_t>(axis))) {
        indices[axis] = outerIndices[next++];
      }
    }
    std::function<Value(size_t, Value)> reduce = [&](size_t axis, Value before) -> Value {
      while (axis < sizes.size() && !llvm::is_contained(op.getAxes(), static_cast<int64_t>(axis))) {
        ++axis;
      }
      if (axis < sizes.size()) {
        return b.loop(b.integer(0), sizes[axis], {before}, [&](Value index, ArrayRef<Value> soFar) {
          indices[axis] = index;
          return Values{reduce(axis + 1, soFar[0])};
        })[0];
      }
      Value value = element(input, indices);
      switch (op.getReduction()) {
      case r1::Reduction::Sum:
      case r1::Reduction::Mean:
        return sum(before, value);
      case r1::Reduction::Prod:
        return times(before, value);
      case r1::Reduction::Max:
        return greater(before, value, type);
      case r1::Reduction::Min:
        return lesser(before, value, type);
      }
      llvm_unreachable("unknown reduction");
    };
    Value reduced = reduce(0, initial());
    if (op.getReduction() == r1::Reduction::Mean) {
      Value divisor = arith::SIToFPOp::create(b.builder, b.location, scalar, count);
      reduced = arith::DivFOp::create(b.builder, b.location, reduced, divisor);
    }
    // Sizes of 1 that keep_dims leaves change no place.
    b.store(b.round(reduced, type), memory, linear(outer, outerIndices), type);
  });
}

void GraphEmitter::emitCumsum(r1::CumsumOp op) {
  Value input = op.getInput(), memory = hold(op.getResult());
  Type type = elementTypeOf(input);
  const Values sizes = dimsOf(input);
  int64_t axis = op.getAxis();
  Values outer(sizes);
  outer.erase(outer.begin() + axis);
  Value length = sizes[axis];
  b.loops(outer, [&](ArrayRef<Value> outerIndices) {
    Values indices(outerIndices);
    indices.insert(indices.begin() + axis, Value());
    b.loop(b.integer(0), length, {b.number(0, type)}, [&](Value step, ArrayRef<Value> before) {
      indices[axis] = op.getReverse() ? b.sub(b.sub(length, b.integer(1)), step) : step;
      Value after = sum(before[0], element(input, indices));
      b.store(b.round(op.getExclusive() ? before[0] : after, type), memory, linear(sizes, indices), type);
      return Values{after};
    });
  });
}

} // namespace elah
