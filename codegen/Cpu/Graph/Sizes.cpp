// The sizes of each tensor, as numbers of the running program. What the types promise is a constant; where the program
// computes the size as well, it checks the promise.
#include "codegen/Cpu/Graph/GraphEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {

void GraphEmitter::setDims(Value value, ArrayRef<Value> computed) {
  auto type = cast<RankedTensorType>(value.getType());
  Operation *op = value.getDefiningOp() ? value.getDefiningOp() : value.getParentBlock()->getParentOp();
  Values result;
  for (int64_t axis = 0; axis < type.getRank(); ++axis) {
    if (type.isDynamicDim(axis)) {
      result.push_back(computed[axis]);
      continue;
    }
    Value size = b.integer(type.getDimSize(axis));
    if (!computed.empty()) {
      b.check(b.equal(computed[axis], size), describe(op) + "dimension " + Twine(axis) + " must be %lld, came to %lld",
              size, computed[axis]);
    }
    result.push_back(size);
  }
  dims[value] = result;
}

GraphEmitter::Values GraphEmitter::broadcastDims(Operation *op, ValueRange operands) {
  size_t rank = 0;
  for (Value operand : operands) {
    rank = std::max(rank, dimsOf(operand).size());
  }
  Values result(rank, b.integer(1));
  for (Value operand : operands) {
    const Values sizes = dimsOf(operand);
    for (size_t axis = rank - sizes.size(); axis < rank; ++axis) {
      Value size = sizes[axis - (rank - sizes.size())], &known = result[axis];
      std::optional<int64_t> constant = b.constant(size);
      if (b.constant(known) == 1) {
        known = size;
      } else if (constant != 1 && size != known) {
        Value isOne = b.equal(size, b.integer(1)), knownIsOne = b.equal(known, b.integer(1));
        Value fits = b.builder.createOrFold<arith::OrIOp>(
            b.location, b.equal(size, known), b.builder.createOrFold<arith::OrIOp>(b.location, isOne, knownIsOne));
        b.check(fits, describe(op) + "sizes %lld and %lld of dimension " + Twine(axis) + " do not broadcast", known,
                size);
        known = b.select(knownIsOne, size, known);
      }
    }
  }
  return result;
}

LogicalResult GraphEmitter::inferDims(Operation *op) {
  auto same = [&](Value value) {
    setDims(op->getResult(0), dimsOf(value));
    return success();
  };
  auto give = [&](ArrayRef<Value> computed) {
    setDims(op->getResult(0), computed);
    return success();
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<r1::DimOp, r1::ShapeOp>([&](auto) { return give({}); })
      .Case<r1::CastOp, r1::CumsumOp>([&](auto cast) { return same(cast.getInput()); })
      .Case<r1::ScatterElementsOp>([&](r1::ScatterElementsOp scatter) {
        const Values indices = dimsOf(scatter.getIndices()), updates = dimsOf(scatter.getUpdates());
        for (auto [axis, size] : llvm::enumerate(indices)) {
          b.check(b.equal(updates[axis], size),
                  describe(op) + "updates must be as large as the indices, found %lld for %lld", updates[axis], size);
          if (axis != scatter.getAxis()) {
            Value limit = dimsOf(scatter.getInput())[axis];
            b.check(b.less(size, b.add(limit, b.integer(1))),
                    describe(op) + "indices must not be larger than the input, found %lld for %lld", size, limit);
          }
        }
        return same(scatter.getInput());
      })
      .Case<r1::GatherElementsOp>([&](r1::GatherElementsOp gather) {
        for (auto [axis, size] : llvm::enumerate(dimsOf(gather.getIndices()))) {
          if (axis != gather.getAxis()) {
            Value limit = dimsOf(gather.getInput())[axis];
            b.check(b.less(size, b.add(limit, b.integer(1))),
                    describe(op) + "indices must not be larger than the input, found %lld for %lld", size, limit);
          }
        }
        return same(gather.getIndices());
      })
      .Case<r1::MatmulOp>([&](r1::MatmulOp matmul) {
        const Values lhs = dimsOf(matmul.getLhs()), rhs = dimsOf(matmul.getRhs());
        Value inner = lhs.back(), other = rhs[rhs.size() - 2];
        b.check(b.equal(inner, other), describe(op) + "inner sizes %lld and %lld must be equal", inner, other);
        // Leading dimensions broadcast as elementwise operations' do.
        size_t rank = std::max(lhs.size(), rhs.size());
        Values result(rank, b.integer(1));
        for (const Values *sizes : {&lhs, &rhs}) {
          for (size_t axis = rank - sizes->size(); axis + 2 < rank; ++axis) {
            Value size = (*sizes)[axis - (rank - sizes->size())], &known = result[axis];
            if (b.constant(known) == 1) {
              known = size;
            } else if (b.constant(size) != 1 && size != known) {
              Value knownIsOne = b.equal(known, b.integer(1)), isOne = b.equal(size, b.integer(1));
              Value fits = b.builder.createOrFold<arith::OrIOp>(
                  b.location, b.equal(size, known),
                  b.builder.createOrFold<arith::OrIOp>(b.location, isOne, knownIsOne));
              b.check(fits, describe(op) + "sizes %lld and %lld of a leading dimension do not broadcast", known, size);
              known = b.select(knownIsOne, size, known);
            }
          }
        }
        result[rank - 2] = lhs[lhs.size() - 2];
        result[rank - 1] = rhs.back();
        return give(result);
      })
      .Case<r1::ReduceOp>([&](r1::ReduceOp reduce) {
        Values result;
        for (auto [axis, size] : llvm::enumerate(dimsOf(reduce.getInput()))) {
          if (!llvm::is_contained(reduce.getAxes(), static_cast<int64_t>(axis))) {
            result.push_back(size);
          } else if (reduce.getKeepDims()) {
            result.push_back(b.integer(1));
          }
        }
        return give(result);
      })
      .Case<r1::ReshapeOp>([&](r1::ReshapeOp reshape) {
        Values sizes;
        auto type = cast<RankedTensorType>(reshape.getType());
        for (int64_t axis = 0; axis < type.getRank(); ++axis) {
          sizes.push_back(reshape.getSizes() ? b.integer((*reshape.getSizes())[axis])
                                             : element(reshape.getShape(), {b.integer(axis)}));
        }
        Value total = countOf(reshape.getInput()), known = b.integer(1), minusOne = b.integer(-1);
        for (Value size : sizes) {
          known = b.mul(known, b.select(b.equal(size, minusOne), b.integer(1), size));
        }
        // A division by zero is no answer; there are no elements then, and so none are left.
        Value left = b.div(total, b.max(known, b.integer(1)));
        Values result;
        for (Value size : sizes) {
          result.push_back(b.select(b.equal(size, minusOne), left, size));
        }
        Value count = b.product(result);
        b.check(b.equal(count, total), describe(op) + "must keep its %lld elements, the shape has %lld", total, count);
        return give(result);
      })
      .Case<r1::BroadcastToOp>([&](r1::BroadcastToOp broadcast) {
        const Values own = dimsOf(broadcast.getInput());
        auto type = cast<RankedTensorType>(broadcast.getType());
        Values result;
        int64_t added = type.getRank() - static_cast<int64_t>(own.size());
        for (int64_t axis = 0; axis < type.getRank(); ++axis) {
          Value size = broadcast.getSizes() ? b.integer((*broadcast.getSizes())[axis])
                                            : element(broadcast.getShape(), {b.integer(axis)});
          if (axis >= added) {
            Value mine = own[axis - added];
            size = b.select(b.equal(size, b.integer(-1)), mine, size);
            Value fits =
                b.builder.createOrFold<arith::OrIOp>(b.location, b.equal(mine, size), b.equal(mine, b.integer(1)));
            b.check(fits, describe(op) + "a dimension of %lld must broadcast to the result's, found %lld", mine, size);
          }
          result.push_back(size);
        }
        return give(result);
      })
      .Case<r1::TransposeOp>([&](r1::TransposeOp transpose) {
        Values result;
        for (int64_t axis : transpose.getPermutation()) {
          result.push_back(dimsOf(transpose.getInput())[axis]);
        }
        return give(result);
      })
      .Case<r1::SliceOp>([&](r1::SliceOp slice) {
        Values result = dimsOf(slice.getInput());
        Value size = result[slice.getAxis()];
        auto inRange = [&](int64_t bound) {
          Value from = bound < 0 ? b.add(size, b.integer(bound)) : b.integer(bound);
          return b.min(b.max(from, b.integer(0)), size);
        };
        Value start = inRange(slice.getStart()), limit = slice.getLimit() ? inRange(*slice.getLimit()) : size;
        int64_t step = slice.getStep();
        Value count = b.div(b.add(b.max(b.sub(limit, start), b.integer(0)), b.integer(step - 1)), b.integer(step));
        result[slice.getAxis()] = count;
        return give(result);
      })
      .Case<r1::ConcatOp>([&](r1::ConcatOp concat) {
        Values result = dimsOf(concat.getInputs().front());
        for (Value input : concat.getInputs().drop_front()) {
          for (auto [axis, size] : llvm::enumerate(dimsOf(input))) {
            if (axis == concat.getAxis()) {
              result[axis] = b.add(result[axis], size);
            } else if (size != result[axis]) {
              b.check(b.equal(size, result[axis]),
                      describe(op) + "inputs must agree in dimension " + Twine(axis) + ", found %lld and %lld",
                      result[axis], size);
            }
          }
        }
        return give(result);
      })
      .Case<r1::GatherOp>([&](r1::GatherOp gather) {
        const Values input = dimsOf(gather.getInput());
        Values result(input.begin(), input.begin() + gather.getAxis());
        llvm::append_range(result, dimsOf(gather.getIndices()));
        result.append(input.begin() + gather.getAxis() + 1, input.end());
        return give(result);
      })
      .Case<r1::GatherNdOp>([&](r1::GatherNdOp gather) {
        Values input = dimsOf(gather.getInput()), indices = dimsOf(gather.getIndices());
        auto batch = static_cast<size_t>(gather.getBatchDims());
        for (size_t axis = 0; axis < batch; ++axis) {
          b.check(b.equal(input[axis], indices[axis]),
                  describe(op) + "input and indices must agree in their leading dimensions, found %lld and %lld",
                  input[axis], indices[axis]);
        }
        auto depth = static_cast<size_t>(cast<RankedTensorType>(gather.getIndices().getType()).getShape().back());
        Values result(indices.begin(), indices.end() - 1);
        result.append(input.begin() + batch + depth, input.end());
        return give(result);
      })
      .Case<r1::ScatterNdOp>([&](r1::ScatterNdOp scatter) {
        Values input = dimsOf(scatter.getInput()), indices = dimsOf(scatter.getIndices());
        auto depth = static_cast<size_t>(cast<RankedTensorType>(scatter.getIndices().getType()).getShape().back());
        Values expected(indices.begin(), indices.end() - 1);
        expected.append(input.begin() + depth, input.end());
        for (auto [size, found] : llvm::zip_equal(expected, dimsOf(scatter.getUpdates()))) {
          b.check(b.equal(size, found), describe(op) + "updates must have a dimension of %lld, found %lld", size,
                  found);
        }
        return same(scatter.getInput());
      })
      .Case<r1::SortOp>([&](r1::SortOp sort) {
        setDims(sort.getValues(), dimsOf(sort.getInput()));
        setDims(sort.getIndices(), dimsOf(sort.getInput()));
        return success();
      })
      .Case<r1::TopkOp>([&](r1::TopkOp topk) {
        Values result = dimsOf(topk.getInput());
        Value size = result[topk.getAxis()], k = b.integer(topk.getK());
        b.check(b.less(k, b.add(size, b.integer(1))),
                describe(op) + "k must be at most the dimension, found %lld for %lld", k, size);
        result[topk.getAxis()] = k;
        setDims(topk.getValues(), result);
        setDims(topk.getIndices(), result);
        return success();
      })
      .Case<r1::NonzeroOp>([&](r1::NonzeroOp nonzero) {
        Value input = nonzero.getInput();
        const Values sizes = dimsOf(input);
        Value count = b.loop(b.integer(0), countOf(input), {b.integer(0)}, [&](Value place, ArrayRef<Value> before) {
          Values indices(sizes.size());
          Value rest = place;
          for (size_t axis = sizes.size(); axis-- > 0;) {
            indices[axis] = b.rem(rest, sizes[axis]);
            rest = b.div(rest, sizes[axis]);
          }
          Value one =
              arith::ExtUIOp::create(b.builder, b.location, b.builder.getI64Type(),
                                     cast(element(input, indices), elementTypeOf(input), b.builder.getI1Type()));
          return Values{b.add(before[0], one)};
        })[0];
        return give({b.integer(static_cast<int64_t>(sizes.size())), count});
      })
      .Case<r1::RangeOp>([&](r1::RangeOp range) {
        Value start = scalar(range.getStart()), limit = scalar(range.getLimit()), step = scalar(range.getStep());
        Type type = elementTypeOf(range.getStart());
        Value count;
        if (isa<FloatType>(type)) {
          Value steps = arith::DivFOp::create(b.builder, b.location,
                                              arith::SubFOp::create(b.builder, b.location, limit, start), step);
          count = arith::FPToSIOp::create(b.builder, b.location, b.builder.getI64Type(),
                                          math::CeilOp::create(b.builder, b.location, steps));
        } else {
          auto wide = [&](Value value) { return cast(value, type, b.builder.getI64Type()); };
          Value by = wide(step), distance = b.sub(wide(limit), wide(start));
          b.check(b.builder.createOrFold<arith::CmpIOp>(b.location, arith::CmpIPredicate::ne, by, b.integer(0)),
                  describe(op) + "step must not be %lld", by, by);
          // Rounded up, whichever the direction.
          Value toLimit = b.add(distance, b.select(b.less(by, b.integer(0)), b.integer(1), b.integer(-1)));
          Value divisor = b.select(b.equal(by, b.integer(0)), b.integer(1), by);
          count = b.add(b.div(b.add(toLimit, divisor), divisor), b.integer(0));
        }
        return give({b.max(count, b.integer(0))});
      })
      .Default([&](Operation *) -> LogicalResult {
        bool isElementwise = op->getNumResults() == 1 && !isa<r1::DecomposableOpInterface>(op) &&
                             isa_and_nonnull<r1::R1Dialect>(op->getDialect()) &&
                             llvm::all_of(op->getOperandTypes(), [](Type type) { return isa<RankedTensorType>(type); });
        if (!isElementwise) {
          return op->emitOpError() << "is no primitive that plain graphs are compiled from";
        }
        return give(broadcastDims(op, op->getOperands()));
      });
}

} // namespace elah
