// Gathers, scatters, top-k: where the data says which element.
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace elah {

/// An index from 0 on; one out of range ends the run.
Value GraphEmitter::resolved(Operation *op, Value index, Value size) {
  Value wide = cast(index, index.getType(), b.builder.getI64Type());
  Value place = b.select(b.less(wide, b.integer(0)), b.add(wide, size), wide);
  // Below zero is far above as an unsigned number.
  Value holds = b.builder.createOrFold<arith::CmpIOp>(b.location, arith::CmpIPredicate::ult, place, size);
  b.check(holds, describe(op) + "index %lld is out of the range of a dimension of %lld", wide, size);
  return place;
}

void GraphEmitter::emitGather(r1::GatherOp op) {
  Value input = op.getInput(), indices = op.getIndices(), memory = hold(op.getResult());
  const Values sizes = dimsOf(input), counts = dimsOf(indices), whole = dimsOf(op.getResult());
  size_t axis = op.getAxis();
  ArrayRef<Value> all(sizes);
  b.loops(all.take_front(axis), [&](ArrayRef<Value> before) {
    b.loops(counts, [&](ArrayRef<Value> which) {
      Value place = resolved(op, element(indices, which), sizes[axis]);
      b.loops(all.drop_front(axis + 1), [&](ArrayRef<Value> behind) {
        Values from(before), to(before);
        from.push_back(place);
        from.append(behind.begin(), behind.end());
        to.append(which.begin(), which.end());
        to.append(behind.begin(), behind.end());
        b.store(element(input, from), memory, linear(whole, to), elementTypeOf(input));
      });
    });
  });
}

void GraphEmitter::emitGatherElements(r1::GatherElementsOp op) {
  Value input = op.getInput(), indices = op.getIndices(), memory = hold(op.getResult());
  const Values whole = dimsOf(indices);
  b.loops(whole, [&](ArrayRef<Value> at) {
    Values from(at);
    from[op.getAxis()] = resolved(op, element(indices, at), dimsOf(input)[op.getAxis()]);
    b.store(element(input, from), memory, linear(whole, at), elementTypeOf(input));
  });
}

void GraphEmitter::emitScatterElements(r1::ScatterElementsOp op) {
  Value input = op.getInput(), indices = op.getIndices(), result = op.getResult();
  Type type = elementTypeOf(input);
  const Values sizes = dimsOf(input);
  fill(result, [&](ArrayRef<Value> at) { return element(input, at); });
  Value memory = held.lookup(result);
  b.loops(dimsOf(indices), [&](ArrayRef<Value> at) {
    Values to(at);
    to[op.getAxis()] = resolved(op, element(indices, at), sizes[op.getAxis()]);
    Value place = linear(sizes, to), update = element(op.getUpdates(), at);
    auto met = [&]() -> Value {
      Value there = b.load(memory, place, type);
      switch (op.getScatter()) {
      case r1::Scatter::Replace:
        return update;
      case r1::Scatter::Add:
        return sum(there, update);
      case r1::Scatter::Multiply:
        return times(there, update);
      case r1::Scatter::Maximum:
        return greater(there, update);
      case r1::Scatter::Minimum:
        return lesser(there, update);
      }
      llvm_unreachable("unknown scatter");
    };
    b.store(b.round(met(), type), memory, place, type);
  });
}

void GraphEmitter::emitTopk(r1::TopkOp op) {
  Value input = op.getInput(), values = hold(op.getValues()), indices = hold(op.getIndices());
  Type type = elementTypeOf(input), i64 = b.builder.getI64Type();
  const Values sizes = dimsOf(input), whole = dimsOf(op.getValues());
  int64_t axis = op.getAxis();
  Value length = sizes[axis];
  Values outer(sizes);
  outer.erase(outer.begin() + axis);
  bool isFloat = isa<FloatType>(type);
  // NaN, which alone is not itself, is greater than all.
  auto isGreater = [&](Value lhs, Value rhs) -> Value {
    if (!isFloat) {
      return compare(r1::Comparison::Greater, lhs, rhs);
    }
    Value isNan = compare(r1::Comparison::NotEqual, lhs, lhs), isNumber = compare(r1::Comparison::Equal, rhs, rhs);
    Value above = arith::OrIOp::create(b.builder, b.location, isNan, compare(r1::Comparison::Greater, lhs, rhs));
    return arith::AndIOp::create(b.builder, b.location, isNumber, above);
  };
  auto stands = [&](Value lhs, Value rhs) { return op.getSmallest() ? isGreater(rhs, lhs) : isGreater(lhs, rhs); };
  // An index is taken if it stands among those chosen; k rounds over the dimension, which are few for routers' k.
  Value taken = b.allocate(length);
  Type truth = b.builder.getI1Type();
  b.loops(outer, [&](ArrayRef<Value> outerIndices) {
    Values at(outerIndices);
    at.insert(at.begin() + axis, Value());
    b.loop(b.integer(0), length, [&](Value index) { b.store(b.number(0, truth), taken, index, truth); });
    b.loop(b.integer(0), whole[axis], [&](Value rank) {
      Value none = b.integer(-1);
      Values best = b.loop(b.integer(0), length, {none, b.number(0, type)}, [&](Value index, ArrayRef<Value> soFar) {
        at[axis] = index;
        Value candidate = element(input, at);
        Value isFree =
            b.equal(arith::ExtUIOp::create(b.builder, b.location, i64, b.load(taken, index, truth)), b.integer(0));
        Value isBetter =
            arith::OrIOp::create(b.builder, b.location, b.less(soFar[0], b.integer(0)), stands(candidate, soFar[1]));
        isBetter = b.both(isFree, isBetter);
        return Values{b.select(isBetter, index, soFar[0]), b.select(isBetter, candidate, soFar[1])};
      });
      b.store(b.number(1, truth), taken, best[0], truth);
      at[axis] = rank;
      Value place = linear(whole, at);
      b.store(best[1], values, place, type);
      b.store(cast(best[0], i64, elementTypeOf(op.getIndices())), indices, place, elementTypeOf(op.getIndices()));
    });
  });
  b.release(taken);
}

void GraphEmitter::emitNonzero(r1::NonzeroOp op) {
  Value input = op.getInput(), memory = hold(op.getResult());
  const Values sizes = dimsOf(input);
  Value count = dimsOf(op.getResult())[1];
  Type i64 = b.builder.getI64Type();
  b.loop(b.integer(0), countOf(input), {b.integer(0)}, [&](Value place, ArrayRef<Value> before) {
    Values indices(sizes.size());
    Value rest = place;
    for (size_t axis = sizes.size(); axis-- > 0;) {
      indices[axis] = b.rem(rest, sizes[axis]);
      rest = b.div(rest, sizes[axis]);
    }
    Value isSet = cast(element(input, indices), elementTypeOf(input), b.builder.getI1Type());
    b.ifThen(isSet, [&] {
      for (auto [axis, index] : llvm::enumerate(indices)) {
        Value row = b.mul(b.integer(static_cast<int64_t>(axis)), count);
        b.store(index, memory, b.add(row, before[0]), i64);
      }
    });
    return Values{b.add(before[0], arith::ExtUIOp::create(b.builder, b.location, i64, isSet))};
  });
}

} // namespace elah
