// Sizes, ranges, and operations that put elements elsewhere.
#include "codegen/Reference/Evaluate.h"
#include "mlir/Dialect/Traits.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t maxRange = int64_t(1) << 32;

LogicalResult range(Operation *op, Operands operands, Results &results) {
  if (!operands[0]->isFloat()) {
    int64_t start = operands[0]->integers()[0], limit = operands[1]->integers()[0], step = operands[2]->integers()[0];
    if (step == 0) {
      return op->emitOpError() << "step must not be 0";
    }
    __int128 distance = static_cast<__int128>(limit) - start, by = step;
    __int128 count =
        (distance > 0) == (by > 0) ? (std::max(distance, -distance) + std::max(by, -by) - 1) / std::max(by, -by) : 0;
    if (count > maxRange) {
      return op->emitOpError() << "is longer than " << maxRange << " elements";
    }
    results.push_back(
        generate<int64_t>({static_cast<int64_t>(count)}, [&](int64_t index) { return start + index * step; }));
    return success();
  }
  double start = operands[0]->floats()[0], limit = operands[1]->floats()[0], step = operands[2]->floats()[0];
  double count = std::max(std::ceil((limit - start) / step), 0.0);
  if (!(step != 0) || !(count <= static_cast<double>(maxRange))) {
    return op->emitOpError() << "must have a step that comes to the limit within " << maxRange << " elements, found "
                             << step;
  }
  results.push_back(generate<double>({static_cast<int64_t>(count)},
                                     [&](int64_t index) { return start + static_cast<double>(index) * step; }));
  return success();
}

LogicalResult reshape(r1::ReshapeOp op, Operands operands, Results &results) {
  SmallVector<int64_t> shape(op.getSizes() ? *op.getSizes() : ArrayRef<int64_t>(operands[1]->integers()));
  int64_t known = 1, *left = nullptr, total = operands[0]->size();
  bool isValid = true;
  for (int64_t &size : shape) {
    if (size == -1 && !left) {
      left = &size;
    } else {
      isValid &= size >= 0;
      known *= size;
    }
  }
  isValid &= left ? known != 0 && total % known == 0 : total == known;
  if (!isValid) {
    return op.emitOpError() << "must keep the " << total << " elements of [" << ArrayRef<int64_t>(operands[0]->shape)
                            << "], found [" << ArrayRef<int64_t>(shape) << "]";
  }
  if (left) {
    *left = total / known;
  }
  HostTensor result = *operands[0];
  result.shape = shape;
  results.push_back(std::move(result));
  return success();
}

LogicalResult broadcastTo(r1::BroadcastToOp op, Operands operands, Results &results) {
  const HostTensor &input = *operands[0];
  SmallVector<int64_t> shape(op.getSizes() ? *op.getSizes() : ArrayRef<int64_t>(operands[1]->integers()));
  int64_t added = static_cast<int64_t>(shape.size()) - static_cast<int64_t>(input.shape.size());
  bool isValid = added >= 0;
  for (int64_t axis = 0; isValid && axis < static_cast<int64_t>(shape.size()); ++axis) {
    int64_t own = axis < added ? 1 : input.shape[axis - added];
    shape[axis] = shape[axis] == -1 && axis >= added ? own : shape[axis];
    isValid = shape[axis] >= 0 && (own == 1 || own == shape[axis]);
  }
  if (!isValid) {
    return op.emitOpError() << "[" << ArrayRef<int64_t>(input.shape) << "] must broadcast to the result, found ["
                            << ArrayRef<int64_t>(shape) << "]";
  }
  Broadcast source(input.shape, shape);
  results.push_back(rearrange(input, shape, [&](int64_t index) { return source[index]; }));
  return success();
}

HostTensor transpose(r1::TransposeOp op, const HostTensor &input) {
  size_t rank = input.shape.size();
  SmallVector<int64_t> inputStrides(rank, 1), shape(rank), strides(rank), index(rank, 0);
  for (size_t axis = rank; axis-- > 1;) {
    inputStrides[axis - 1] = inputStrides[axis] * input.shape[axis];
  }
  for (auto [axis, from] : llvm::enumerate(op.getPermutation())) {
    shape[axis] = input.shape[from];
    strides[axis] = inputStrides[from];
  }
  int64_t next = 0;
  return rearrange(input, shape, [&](int64_t) {
    int64_t offset = next;
    for (size_t axis = rank; axis-- > 0;) {
      next += strides[axis];
      if (++index[axis] < shape[axis]) {
        break;
      }
      next -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
    return offset;
  });
}

HostTensor slice(r1::SliceOp op, const HostTensor &input) {
  Axis axis(input.shape, op.getAxis());
  auto inRange = [&](int64_t bound) {
    return std::clamp<int64_t>(bound < 0 ? bound + axis.size : bound, 0, axis.size);
  };
  int64_t start = inRange(op.getStart()), step = op.getStep();
  int64_t limit = op.getLimit() ? inRange(*op.getLimit()) : axis.size;
  int64_t count = limit > start ? (limit - start + step - 1) / step : 0;
  SmallVector<int64_t> shape(input.shape);
  shape[op.getAxis()] = count;
  return rearrange(input, shape, [&](int64_t place) {
    int64_t inner = place % axis.inner, index = place / axis.inner % count, outer = place / axis.inner / count;
    return (outer * axis.size + start + index * step) * axis.inner + inner;
  });
}

LogicalResult concat(r1::ConcatOp op, Operands operands, Results &results) {
  int64_t along = op.getAxis();
  SmallVector<int64_t> shape(operands[0]->shape);
  for (const HostTensor *operand : operands.drop_front()) {
    SmallVector<int64_t> expected(shape);
    expected[along] = operand->shape[along];
    if (operand->shape != expected) {
      return op.emitOpError() << "inputs must agree in all dimensions but " << along << ", found ["
                              << ArrayRef<int64_t>(shape) << "] and [" << ArrayRef<int64_t>(operand->shape) << "]";
    }
    shape[along] += operand->shape[along];
  }
  std::visit(
      [&](const auto &first) {
        std::decay_t<decltype(first)> elements;
        elements.reserve(elementCount(shape));
        Axis whole(shape, along);
        for (int64_t outer = 0; outer < whole.outer; ++outer) {
          for (const HostTensor *operand : operands) {
            const auto &part = std::get<std::decay_t<decltype(first)>>(operand->elements);
            int64_t run = operand->shape[along] * whole.inner;
            elements.insert(elements.end(), part.begin() + outer * run, part.begin() + (outer + 1) * run);
          }
        }
        results.push_back(HostTensor(shape, std::move(elements)));
      },
      operands[0]->elements);
  return success();
}

} // namespace

Evaluation evaluateShape(Operation *op, Operands operands, Results &results) {
  auto give = [&](HostTensor result) -> LogicalResult {
    results.push_back(std::move(result));
    return success();
  };
  return llvm::TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](r1::DimOp dimOp) { return give(HostTensor({}, Integers{operands[0]->shape[dimOp.getAxis()]})); })
      .Case([&](r1::ShapeOp) {
        ArrayRef<int64_t> shape = operands[0]->shape;
        return give(HostTensor({static_cast<int64_t>(shape.size())}, Integers(shape.begin(), shape.end())));
      })
      .Case([&](r1::RangeOp) { return range(op, operands, results); })
      .Case([&](r1::ReshapeOp reshapeOp) { return reshape(reshapeOp, operands, results); })
      .Case([&](r1::BroadcastToOp broadcastOp) { return broadcastTo(broadcastOp, operands, results); })
      .Case([&](r1::TransposeOp transposeOp) { return give(transpose(transposeOp, *operands[0])); })
      .Case([&](r1::SliceOp sliceOp) { return give(slice(sliceOp, *operands[0])); })
      .Case([&](r1::ConcatOp concatOp) { return concat(concatOp, operands, results); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace elah
