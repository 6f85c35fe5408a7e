// Sequences of tensors, which the runtime keeps: an operation makes a new one out of the elements of others.
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {

void GraphEmitter::appendTensor(Value sequence, Value tensor) {
  Type type = elementTypeOf(tensor);
  Values sizes = dimsOf(tensor);
  Value bytes = b.bytesOf(countOf(tensor), type), memory = held.lookup(tensor);
  if (memory) {
    b.append(sequence, memory, bytes, sizes);
    return;
  }
  memory = b.allocate(bytes);
  b.loops(sizes,
          [&](ArrayRef<Value> indices) { b.store(element(tensor, indices), memory, linear(sizes, indices), type); });
  b.append(sequence, memory, bytes, sizes);
  b.release(memory);
}

/// A position from the start; one that is not below `limit` ends the run.
Value GraphEmitter::positionIn(Operation *op, Value position, Value length, Value limit) {
  Value given = scalar(position);
  Value place = b.select(b.less(given, b.integer(0)), b.add(given, length), given);
  Value holds = b.builder.createOrFold<arith::CmpIOp>(b.location, arith::CmpIPredicate::ult, place, limit);
  b.check(holds, describe(op) + "position must be in a sequence of %lld, found %lld", length, given);
  return place;
}

LogicalResult GraphEmitter::emitSequence(Operation *op) {
  auto takeAll = [&](Value to, Value from, Value begin, Value end) {
    b.loop(begin, end, [&](Value position) { b.take(to, from, position); });
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<r1::SequenceOp>([&](r1::SequenceOp sequence) {
        Value made = b.createSequence();
        for (Value element : sequence.getElements()) {
          appendTensor(made, element);
        }
        own(sequence, made);
        return success();
      })
      .Case<r1::SequenceInsertOp>([&](r1::SequenceInsertOp insert) {
        Value from = held.lookup(insert.getSequence()), length = b.lengthOf(from), made = b.createSequence();
        Value place =
            insert.getPosition() ? positionIn(op, insert.getPosition(), length, b.add(length, b.integer(1))) : length;
        takeAll(made, from, b.integer(0), place);
        appendTensor(made, insert.getElement());
        takeAll(made, from, place, length);
        own(insert, made);
        return success();
      })
      .Case<r1::SequenceEraseOp>([&](r1::SequenceEraseOp erase) {
        Value from = held.lookup(erase.getSequence()), length = b.lengthOf(from), made = b.createSequence();
        Value place;
        if (erase.getPosition()) {
          place = positionIn(op, erase.getPosition(), length, length);
        } else {
          b.check(b.less(b.integer(0), length), describe(op) + "there is no tensor in a sequence of %lld", length,
                  length);
          place = b.sub(length, b.integer(1));
        }
        takeAll(made, from, b.integer(0), place);
        takeAll(made, from, b.add(place, b.integer(1)), length);
        own(erase, made);
        return success();
      })
      .Case<r1::SequenceAtOp>([&](r1::SequenceAtOp at) {
        Value from = held.lookup(at.getSequence()), length = b.lengthOf(from);
        size_t rank = cast<RankedTensorType>(at.getType()).getRank();
        GraphBuilder::Element element = b.at(from, positionIn(op, at.getPosition(), length, length), rank);
        setDims(at, element.dims);
        Value memory = hold(at);
        b.copyBytes(memory, element.data, b.bytesOf(countOf(at), elementTypeOf(at)));
        return success();
      })
      .Case<r1::SequenceLengthOp>([&](r1::SequenceLengthOp length) {
        setDims(length, {});
        Value memory = hold(length);
        b.store(b.lengthOf(held.lookup(length.getSequence())), memory, b.integer(0), b.builder.getI64Type());
        return success();
      })
      .Case<r1::SequenceConcatOp>([&](r1::SequenceConcatOp concat) {
        Value from = held.lookup(concat.getSequence()), length = b.lengthOf(from);
        Type type = elementTypeOf(concat);
        bool isStacked = concat.getStacked();
        int64_t axis = concat.getAxis();
        size_t rank = cast<RankedTensorType>(concat.getType()).getRank(), own = rank - (isStacked ? 1 : 0);
        b.check(b.less(b.integer(0), length), describe(op) + "joins the tensors of a sequence of %lld", length, length);
        Values sizes = b.at(from, b.integer(0), own).dims;
        Value total = length;
        if (isStacked) {
          sizes.insert(sizes.begin() + axis, b.integer(1));
        } else {
          total = b.loop(b.integer(0), length, {b.integer(0)}, [&](Value position, ArrayRef<Value> before) {
            return Values{b.add(before[0], b.at(from, position, own).dims[axis])};
          })[0];
        }
        Values whole = sizes;
        whole[axis] = total;
        setDims(concat, whole);
        Value memory = hold(concat);
        b.loop(b.integer(0), length, {b.integer(0)}, [&](Value position, ArrayRef<Value> before) {
          GraphBuilder::Element part = b.at(from, position, own);
          Values partSizes = part.dims;
          if (isStacked) {
            partSizes.insert(partSizes.begin() + axis, b.integer(1));
          }
          for (size_t other = 0; other < rank; ++other) {
            if (static_cast<int64_t>(other) != axis) {
              b.check(b.equal(partSizes[other], sizes[other]),
                      describe(op) + "tensors must agree in all other dimensions, found %lld and %lld", sizes[other],
                      partSizes[other]);
            }
          }
          b.loops(partSizes, [&](ArrayRef<Value> indices) {
            Values there(indices);
            there[axis] = b.add(there[axis], before[0]);
            b.store(b.load(part.data, linear(partSizes, indices), type), memory, linear(whole, there), type);
          });
          return Values{b.add(before[0], partSizes[axis])};
        });
        return success();
      })
      .Case<r1::SequenceSplitOp>([&](r1::SequenceSplitOp split) {
        Value input = split.getInput(), sizes = split.getSizes(), made = b.createSequence();
        Type type = elementTypeOf(input);
        int64_t axis = split.getAxis();
        Values whole = dimsOf(input);
        Value length = whole[axis];
        bool isOne = cast<RankedTensorType>(sizes.getType()).getRank() == 0;
        Value size = isOne ? scalar(sizes) : Value();
        if (isOne) {
          b.check(b.less(b.integer(0), size), describe(op) + "parts must not be empty, found the size %lld", size,
                  size);
          size = b.max(size, b.integer(1));
        }
        Value count = isOne ? b.div(b.add(length, b.sub(size, b.integer(1))), size) : dimsOf(sizes)[0];
        Value end = b.loop(b.integer(0), count, {b.integer(0)}, [&](Value part, ArrayRef<Value> begin) {
          Value own = isOne ? b.min(size, b.sub(length, begin[0])) : element(sizes, {part});
          Value stop = b.add(begin[0], own);
          Value holds = b.both(b.less(b.integer(-1), own), b.less(stop, b.add(length, b.integer(1))));
          b.check(holds, describe(op) + "a part of size %lld does not fit a dimension of %lld", own, length);
          Values partSizes = whole;
          partSizes[axis] = own;
          Value bytes = b.bytesOf(b.product(partSizes), type), memory = b.allocate(bytes);
          b.loops(partSizes, [&](ArrayRef<Value> indices) {
            Values from(indices);
            from[axis] = b.add(from[axis], begin[0]);
            b.store(element(input, from), memory, linear(partSizes, indices), type);
          });
          Values kept = partSizes;
          if (split.getDropped()) {
            b.check(b.equal(own, b.integer(1)),
                    describe(op) + "parts that lose the dimension must have %lld of it, found %lld", b.integer(1), own);
            kept.erase(kept.begin() + axis);
          }
          b.append(made, memory, bytes, kept);
          b.release(memory);
          return Values{stop};
        })[0];
        b.check(b.equal(end, length), describe(op) + "parts of %lld in all must be the dimension's %lld", end, length);
        own(split, made);
        return success();
      })
      .Default([&](Operation *) -> LogicalResult {
        return op->emitOpError() << "is no operation on sequences that plain graphs are compiled from";
      });
}

} // namespace elah
