// Gathers, scatters, top-k: where the data says which element.
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace elah {

/// An index from 0 on; one out of range ends the run.
Value GraphEmitter::resolved(Operation *op, Value index, Value size) {
  Value wide = cast(index, index.getType(), b.builder.getI64Type()); // Indices are signed.
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

Value GraphEmitter::meet(r1::Scatter scatter, Value there, Value update, Type element) {
  switch (scatter) {
  case r1::Scatter::Replace:
    return update;
  case r1::Scatter::Add:
    return sum(there, update);
  case r1::Scatter::Multiply:
    return times(there, update);
  case r1::Scatter::Maximum:
    return greater(there, update, element);
  case r1::Scatter::Minimum:
    return lesser(there, update, element);
  }
  llvm_unreachable("unknown scatter");
}

void GraphEmitter::emitScatterElements(r1::ScatterElementsOp op) {
  Value input = op.getInput(), indices = op.getIndices(), result = op.getResult();
  Type type = elementTypeOf(input);
  Values sizes = dimsOf(input);
  fill(result, [&](ArrayRef<Value> at) { return element(input, at); });
  Value memory = held.lookup(result);
  b.loops(dimsOf(indices), [&](ArrayRef<Value> at) {
    Values to(at);
    to[op.getAxis()] = resolved(op, element(indices, at), sizes[op.getAxis()]);
    Value place = linear(sizes, to), update = element(op.getUpdates(), at);
    b.store(b.round(meet(op.getScatter(), b.load(memory, place, type), update, type), type), memory, place, type);
  });
}

GraphEmitter::Values GraphEmitter::resolvedRow(Operation *op, Value indices, ArrayRef<Value> row, ArrayRef<Value> sizes,
                                               size_t first) {
  auto depth = cast<RankedTensorType>(indices.getType()).getShape().back();
  Values result;
  for (int64_t step = 0; step < depth; ++step) {
    Values at(row);
    at.push_back(b.integer(step));
    result.push_back(resolved(op, element(indices, at), sizes[first + static_cast<size_t>(step)]));
  }
  return result;
}

void GraphEmitter::emitGatherNd(r1::GatherNdOp op) {
  Value input = op.getInput(), indices = op.getIndices(), memory = hold(op.getResult());
  Values sizes = dimsOf(input), counts = dimsOf(indices), whole = dimsOf(op.getResult());
  auto batch = static_cast<size_t>(op.getBatchDims());
  auto depth = static_cast<size_t>(cast<RankedTensorType>(indices.getType()).getShape().back());
  b.loops(ArrayRef<Value>(counts).drop_back(), [&](ArrayRef<Value> row) {
    Values from(row.take_front(batch));
    llvm::append_range(from, resolvedRow(op, indices, row, sizes, batch));
    b.loops(ArrayRef<Value>(sizes).drop_front(batch + depth), [&](ArrayRef<Value> behind) {
      Values all(from), to(row);
      all.append(behind.begin(), behind.end());
      to.append(behind.begin(), behind.end());
      b.store(element(input, all), memory, linear(whole, to), elementTypeOf(input));
    });
  });
}

void GraphEmitter::emitScatterNd(r1::ScatterNdOp op) {
  Value input = op.getInput(), indices = op.getIndices(), result = op.getResult();
  Type type = elementTypeOf(input);
  Values sizes = dimsOf(input), counts = dimsOf(indices);
  auto depth = static_cast<size_t>(cast<RankedTensorType>(indices.getType()).getShape().back());
  fill(result, [&](ArrayRef<Value> at) { return element(input, at); });
  Value memory = held.lookup(result);
  b.loops(ArrayRef<Value>(counts).drop_back(), [&](ArrayRef<Value> row) {
    Values to = resolvedRow(op, indices, row, sizes, 0);
    b.loops(ArrayRef<Value>(sizes).drop_front(depth), [&](ArrayRef<Value> behind) {
      Values all(to), from(row);
      all.append(behind.begin(), behind.end());
      from.append(behind.begin(), behind.end());
      Value place = linear(sizes, all), update = element(op.getUpdates(), from);
      b.store(b.round(meet(op.getScatter(), b.load(memory, place, type), update, type), type), memory, place, type);
    });
  });
}

/// The first of a dimension's elements in their order, and where they stood: as many as the results hold.
void GraphEmitter::emitRanking(Operation *op, Value input, int64_t axis, bool smallestFirst) {
  Value valueResult = op->getResult(0), indexResult = op->getResult(1);
  Value values = hold(valueResult), indices = hold(indexResult);
  Type type = elementTypeOf(input), i64 = b.builder.getI64Type(), indexType = elementTypeOf(indexResult);
  Values sizes = dimsOf(input), whole = dimsOf(valueResult);
  Value length = sizes[axis];
  Values outer(sizes);
  outer.erase(outer.begin() + axis);
  bool isFloat = isa<FloatType>(type);
  // NaN, which alone is not itself, is greater than all.
  auto isGreater = [&](Value lhs, Value rhs) -> Value {
    if (!isFloat) {
      return compare(r1::Comparison::Greater, lhs, rhs, type);
    }
    Value isNan = compare(r1::Comparison::NotEqual, lhs, lhs, type),
          isNumber = compare(r1::Comparison::Equal, rhs, rhs, type);
    Value above = arith::OrIOp::create(b.builder, b.location, isNan, compare(r1::Comparison::Greater, lhs, rhs, type));
    return arith::AndIOp::create(b.builder, b.location, isNumber, above);
  };
  auto stands = [&](Value lhs, Value rhs) { return smallestFirst ? isGreater(rhs, lhs) : isGreater(lhs, rhs); };
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
      b.store(cast(best[0], i64, indexType), indices, place, indexType);
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
