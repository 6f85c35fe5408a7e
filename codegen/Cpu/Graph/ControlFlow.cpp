// Branches and loops. A tensor that leaves a region is memory of its own, so that both branches, and each iteration,
// leave the same kind of thing: its address, then its sizes; a sequence is its handle.
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace elah {

void GraphEmitter::partTypes(Type type, SmallVectorImpl<Type> &types) {
  types.push_back(b.pointerType());
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    types.append(tensor.getRank(), b.builder.getI64Type());
  }
}

GraphEmitter::Values GraphEmitter::leave(Value value, unsigned order) {
  // What the block owns, and would release here, goes as it is.
  Owned *found = llvm::find_if(
      owned, [&](const Owned &memory) { return memory.lastUse == order && memory.memory == held.lookup(value); });
  Values parts;
  if (found != owned.end()) {
    parts.push_back(found->memory);
    owned.erase(found);
  } else if (isSequence(value)) {
    parts.push_back(b.copySequence(held.lookup(value)));
  } else {
    Type type = elementTypeOf(value);
    Values sizes = dimsOf(value);
    Value memory = b.allocate(b.bytesOf(countOf(value), type));
    b.loops(sizes,
            [&](ArrayRef<Value> indices) { b.store(element(value, indices), memory, linear(sizes, indices), type); });
    parts.push_back(memory);
  }
  if (!isSequence(value)) {
    llvm::append_range(parts, dimsOf(value));
  }
  return parts;
}

void GraphEmitter::arrive(Value value, ArrayRef<Value> parts) {
  held[value] = parts.front();
  if (!isSequence(value)) {
    setDims(value, parts.drop_front());
  }
}

FailureOr<GraphEmitter::Values> GraphEmitter::emitRegion(Block &block) {
  SmallVector<Owned> around;
  std::swap(around, owned);
  LogicalResult written = emitBlock(block);
  Values parts;
  if (succeeded(written)) {
    unsigned last = orders[block.getTerminator()];
    for (Value value : block.getTerminator()->getOperands()) {
      llvm::append_range(parts, leave(value, last));
    }
    releaseAfter(last);
  }
  std::swap(around, owned);
  if (failed(written)) {
    return failure();
  }
  return parts;
}

LogicalResult GraphEmitter::emitIf(r1::IfOp op) {
  SmallVector<Type> types;
  for (Type type : op.getResultTypes()) {
    partTypes(type, types);
  }
  bool failedInside = false;
  auto branch = [&](Region &region) {
    FailureOr<Values> parts = emitRegion(region.front());
    if (failed(parts)) {
      failedInside = true;
      Values nothing;
      for (Type type : types) {
        nothing.push_back(isa<IntegerType>(type) ? b.integer(0) : b.nullPointer());
      }
      return nothing;
    }
    return *parts;
  };
  Values parts = b.ifElse(
      scalar(op.getCondition()), types, [&] { return branch(op.getThenRegion()); },
      [&] { return branch(op.getElseRegion()); });
  if (failedInside) {
    return failure();
  }
  ArrayRef<Value> rest(parts);
  for (Value result : op.getResults()) {
    size_t count = isSequence(result) ? 1 : 1 + cast<RankedTensorType>(result.getType()).getRank();
    own(result, rest.front());
    arrive(result, rest.take_front(count));
    rest = rest.drop_front(count);
  }
  return success();
}

LogicalResult GraphEmitter::emitLoop(r1::LoopOp op) {
  Block &body = op.getBody().front();
  Type i64 = b.builder.getI64Type();
  size_t carriedCount = op.getInitial().size();
  // Carried: the number of the iteration, whether to go on, the carried values, and for each stack its memory, the
  // tensors that it has room for, and a tensor's sizes.
  Values initial{b.integer(0), scalar(op.getCondition())};
  SmallVector<size_t> counts; ///< Parts of each carried value.
  for (Value value : op.getInitial()) {
    Values parts = leave(value, /*order=*/0);
    counts.push_back(parts.size());
    llvm::append_range(initial, parts);
  }
  size_t stacksBegin = initial.size();
  auto stacks = op.getResults().drop_front(carriedCount);
  for (Value stack : stacks) {
    initial.push_back(b.nullPointer());
    auto type = cast<RankedTensorType>(stack.getType());
    initial.push_back(b.integer(0));
    for (int64_t axis = 1; axis < type.getRank(); ++axis) {
      initial.push_back(b.integer(type.isDynamicDim(axis) ? 0 : type.getDimSize(axis)));
    }
  }
  Value limit = scalar(op.getLimit());
  bool failedInside = false;
  auto holds = [&](ArrayRef<Value> parts) { return b.both(parts[1], b.less(parts[0], limit)); };
  auto iterate = [&](ArrayRef<Value> parts) {
    Value iteration = parts[0];
    // The iteration's number is a tensor for the region: a cell of memory.
    Value number = body.getArgument(0);
    Value cell = b.allocate(b.integer(8));
    b.store(iteration, cell, b.integer(0), i64);
    held[number] = cell;
    setDims(number, {});
    ArrayRef<Value> rest = parts.drop_front(2);
    for (auto [argument, count] : llvm::zip_equal(body.getArguments().drop_front(), counts)) {
      arrive(argument, rest.take_front(count));
      rest = rest.drop_front(count);
    }
    FailureOr<Values> yielded = emitRegion(body);
    if (failed(yielded)) {
      failedInside = true;
      return Values(parts);
    }
    b.release(cell);
    for (auto argument : body.getArguments().drop_front()) {
      isSequence(argument) ? b.releaseSequence(held.lookup(argument)) : b.release(held.lookup(argument));
    }
    // What is yielded: the condition, a scalar in memory, then the carried values, then the tensors to stack.
    ArrayRef<Value> left(*yielded);
    Value goesOn = b.load(left.front(), b.integer(0), b.builder.getI1Type());
    b.release(left.front());
    left = left.drop_front();
    Values next{b.add(iteration, b.integer(1)), goesOn};
    for (size_t count : counts) {
      next.append(left.begin(), left.begin() + count);
      left = left.drop_front(count);
    }
    for (Value stack : stacks) {
      auto type = cast<RankedTensorType>(stack.getType());
      size_t rank = type.getRank() - 1;
      Type element = type.getElementType();
      Value memory = rest[0], room = rest[1];
      Values sizes(left.begin() + 1, left.begin() + 1 + rank);
      Value isFirst = b.equal(iteration, b.integer(0));
      for (size_t axis = 0; axis < rank; ++axis) {
        Value before = b.select(isFirst, sizes[axis], rest[2 + axis]);
        b.check(b.equal(before, sizes[axis]),
                describe(op) + "iterations must yield tensors of one shape, found %lld and %lld", before, sizes[axis]);
      }
      Value count = b.product(sizes);
      Values grown = b.ifElse(
          b.equal(iteration, room), {b.pointerType(), i64},
          [&] {
            Value larger = b.max(b.mul(room, b.integer(2)), b.integer(4));
            Value moved = b.allocate(b.bytesOf(b.mul(larger, count), element));
            b.copyBytes(moved, memory, b.bytesOf(b.mul(iteration, count), element));
            b.release(memory);
            return Values{moved, larger};
          },
          [&] { return Values{memory, room}; });
      Value begin = b.mul(iteration, count);
      b.loop(b.integer(0), count,
             [&](Value index) { b.store(b.load(left[0], index, element), grown[0], b.add(begin, index), element); });
      b.release(left[0]);
      next.append({grown[0], grown[1]});
      llvm::append_range(next, sizes);
      rest = rest.drop_front(2 + rank);
      left = left.drop_front(1 + rank);
    }
    return next;
  };
  Values parts = b.whileLoop(initial, holds, iterate);
  if (failedInside) {
    return failure();
  }
  ArrayRef<Value> rest = ArrayRef<Value>(parts).drop_front(2);
  for (auto [result, count] : llvm::zip_equal(op.getResults().take_front(carriedCount), counts)) {
    own(result, rest.front());
    arrive(result, rest.take_front(count));
    rest = rest.drop_front(count);
  }
  assert(rest.data() == parts.data() + stacksBegin && "stacks stand behind the carried values");
  for (Value stack : stacks) {
    size_t rank = cast<RankedTensorType>(stack.getType()).getRank() - 1;
    own(stack, rest.front());
    Values sizes{parts[0]};
    llvm::append_range(sizes, rest.slice(2, rank));
    setDims(stack, sizes);
    rest = rest.drop_front(2 + rank);
  }
  return success();
}

} // namespace elah
