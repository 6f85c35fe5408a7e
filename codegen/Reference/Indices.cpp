// Gathers, scatters, top-k: where the data says which element.
#include "codegen/Reference/Evaluate.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;

namespace elah {
namespace {

/// Indices from 0 on; an error names the first that is out of range.
FailureOr<Integers> resolve(Operation *op, const HostTensor &indices, int64_t size) {
  Integers resolved = indices.integers();
  for (int64_t &index : resolved) {
    int64_t given = index;
    index = index < 0 ? index + size : index;
    if (index < 0 || index >= size) {
      return op->emitOpError() << "index must be in " << -size << ".." << size - 1 << ", found " << given;
    }
  }
  return resolved;
}

LogicalResult gather(r1::GatherOp op, const HostTensor &input, const HostTensor &indices, Results &results) {
  Axis axis(input.shape, op.getAxis());
  FailureOr<Integers> resolved = resolve(op, indices, axis.size);
  if (failed(resolved)) {
    return failure();
  }
  SmallVector<int64_t> shape(ArrayRef(input.shape).take_front(op.getAxis()));
  llvm::append_range(shape, indices.shape);
  llvm::append_range(shape, ArrayRef(input.shape).drop_front(op.getAxis() + 1));
  int64_t count = indices.size();
  results.push_back(rearrange(input, shape, [&](int64_t place) {
    int64_t inner = place % axis.inner, index = place / axis.inner % count, outer = place / axis.inner / count;
    return (outer * axis.size + (*resolved)[index]) * axis.inner + inner;
  }));
  return success();
}

/// For each of `indices` the element of a tensor of `shape` that it names along `axis`.
FailureOr<Integers> placesAlong(Operation *op, ArrayRef<int64_t> shape, const HostTensor &indices, int64_t axis) {
  bool fits = true;
  for (size_t dim = 0; dim < shape.size(); ++dim) {
    fits &= static_cast<int64_t>(dim) == axis || indices.shape[dim] <= shape[dim];
  }
  if (!fits) {
    return op->emitOpError() << "indices must not be larger than [" << shape << "] but along axis " << axis
                             << ", found [" << ArrayRef<int64_t>(indices.shape) << "]";
  }
  FailureOr<Integers> resolved = resolve(op, indices, shape[axis]);
  if (failed(resolved)) {
    return failure();
  }
  for (int64_t place = 0; place < indices.size(); ++place) {
    int64_t rest = place, offset = 0, stride = 1;
    for (int64_t dim = static_cast<int64_t>(shape.size()) - 1; dim >= 0; --dim) {
      int64_t index = dim == axis ? (*resolved)[place] : rest % indices.shape[dim];
      rest /= indices.shape[dim];
      offset += index * stride;
      stride *= shape[dim];
    }
    (*resolved)[place] = offset;
  }
  return resolved;
}

template <typename T> T meet(r1::Scatter scatter, T element, T update) {
  switch (scatter) {
  case r1::Scatter::Replace:
    return update;
  case r1::Scatter::Add:
    return add(element, update);
  case r1::Scatter::Multiply:
    return multiply(element, update);
  case r1::Scatter::Maximum:
    return element != element || element > update ? element : update;
  case r1::Scatter::Minimum:
    return element != element || element < update ? element : update;
  }
  llvm_unreachable("unknown scatter");
}

LogicalResult scatter(r1::ScatterElementsOp op, Operands operands, Results &results) {
  const HostTensor &updates = *operands[2];
  FailureOr<Integers> places = placesAlong(op, operands[0]->shape, *operands[1], op.getAxis());
  if (failed(places)) {
    return failure();
  }
  if (updates.shape != operands[1]->shape) {
    return op.emitOpError() << "updates must be [" << ArrayRef<int64_t>(operands[1]->shape) << "], found ["
                            << ArrayRef<int64_t>(updates.shape) << "]";
  }
  HostTensor result = *operands[0];
  std::visit(
      [&](auto &elements) {
        const auto &from = std::get<std::decay_t<decltype(elements)>>(updates.elements);
        for (auto [place, update] : llvm::zip_equal(*places, from)) {
          elements[place] = meet(op.getScatter(), elements[place], update);
        }
      },
      result.elements);
  results.push_back(std::move(result));
  return success();
}

/// NaN, which alone is not itself, is greater than all.
template <typename T> bool isGreater(T lhs, T rhs, bool isWide) {
  if constexpr (std::is_same_v<T, int64_t>) {
    return isWide ? static_cast<uint64_t>(lhs) > static_cast<uint64_t>(rhs) : lhs > rhs;
  } else {
    return rhs == rhs && (lhs != lhs || lhs > rhs);
  }
}

template <typename T> LogicalResult topk(r1::TopkOp op, const HostTensor &input, Results &results) {
  Axis axis(input.shape, op.getAxis());
  int64_t k = op.getK();
  if (k > axis.size) {
    return op.emitOpError() << "k must be at most dimension " << op.getAxis() << " of ["
                            << ArrayRef<int64_t>(input.shape) << "], found " << k;
  }
  const auto &elements = std::get<std::vector<T>>(input.elements);
  bool isWide = isWideUnsigned(op.getInput().getType());
  SmallVector<int64_t> shape(input.shape);
  shape[op.getAxis()] = k;
  std::vector<T> values(elementCount(shape));
  Integers indices(values.size()), order(axis.size);
  for (int64_t outer = 0; outer < axis.outer; ++outer) {
    for (int64_t inner = 0; inner < axis.inner; ++inner) {
      auto at = [&](int64_t index) { return elements[(outer * axis.size + index) * axis.inner + inner]; };
      std::iota(order.begin(), order.end(), 0);
      // Of equal ones the lower index stands first.
      std::sort(order.begin(), order.end(), [&](int64_t lhs, int64_t rhs) {
        T first = op.getSmallest() ? at(rhs) : at(lhs), second = op.getSmallest() ? at(lhs) : at(rhs);
        return isGreater(first, second, isWide) || (!isGreater(second, first, isWide) && lhs < rhs);
      });
      for (int64_t rank = 0; rank < k; ++rank) {
        int64_t place = (outer * k + rank) * axis.inner + inner;
        values[place] = at(order[rank]);
        indices[place] = order[rank];
      }
    }
  }
  results.push_back(HostTensor(shape, std::move(values)));
  results.push_back(HostTensor(shape, std::move(indices)));
  return success();
}

template <typename T> void sort(r1::SortOp op, const HostTensor &input, Results &results) {
  Axis axis(input.shape, op.getAxis());
  const auto &elements = std::get<std::vector<T>>(input.elements);
  bool isWide = isWideUnsigned(op.getInput().getType());
  std::vector<T> values(elements.size());
  Integers indices(elements.size()), order(axis.size);
  for (int64_t outer = 0; outer < axis.outer; ++outer) {
    for (int64_t inner = 0; inner < axis.inner; ++inner) {
      auto place = [&](int64_t index) { return (outer * axis.size + index) * axis.inner + inner; };
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](int64_t lhs, int64_t rhs) {
        T first = elements[place(op.getFalling() ? rhs : lhs)], second = elements[place(op.getFalling() ? lhs : rhs)];
        return isGreater(second, first, isWide) || (!isGreater(first, second, isWide) && lhs < rhs);
      });
      for (int64_t rank = 0; rank < axis.size; ++rank) {
        values[place(rank)] = elements[place(order[rank])];
        indices[place(rank)] = order[rank];
      }
    }
  }
  results.push_back(HostTensor(input.shape, std::move(values)));
  results.push_back(HostTensor(input.shape, std::move(indices)));
}

/// For each row of indices [..., k] the first element, of a tensor of `shape`, of the slice that it names.
FailureOr<Integers> placesOfRows(Operation *op, ArrayRef<int64_t> shape, const HostTensor &indices, int64_t batchDims) {
  int64_t depth = indices.shape.back(), batches = elementCount(shape.take_front(batchDims));
  int64_t batchSize = elementCount(shape.drop_front(batchDims));
  int64_t rows = elementCount(ArrayRef(indices.shape).drop_back());
  Integers places(rows);
  for (int64_t row = 0; row < rows; ++row) {
    int64_t offset = 0, stride = batchSize;
    for (int64_t step = 0; step < depth; ++step) {
      int64_t size = shape[batchDims + step], given = indices.integers()[row * depth + step];
      int64_t index = given < 0 ? given + size : given;
      if (index < 0 || index >= size) {
        return op->emitOpError() << "index must be in " << -size << ".." << size - 1 << ", found " << given;
      }
      stride /= size;
      offset += index * stride;
    }
    places[row] = row / std::max<int64_t>(rows / std::max<int64_t>(batches, 1), 1) * batchSize + offset;
  }
  return places;
}

LogicalResult gatherNd(r1::GatherNdOp op, const HostTensor &input, const HostTensor &indices, Results &results) {
  int64_t batchDims = op.getBatchDims(), depth = indices.shape.back();
  if (ArrayRef(input.shape).take_front(batchDims) != ArrayRef(indices.shape).take_front(batchDims)) {
    return op.emitOpError() << "input and indices must agree in " << batchDims << " leading dimensions, found ["
                            << ArrayRef<int64_t>(input.shape) << "] and [" << ArrayRef<int64_t>(indices.shape) << "]";
  }
  FailureOr<Integers> places = placesOfRows(op, input.shape, indices, batchDims);
  if (failed(places)) {
    return failure();
  }
  SmallVector<int64_t> shape(ArrayRef(indices.shape).drop_back());
  ArrayRef<int64_t> slice = ArrayRef(input.shape).drop_front(batchDims + depth);
  llvm::append_range(shape, slice);
  int64_t size = elementCount(slice);
  results.push_back(rearrange(input, shape, [&](int64_t place) { return (*places)[place / size] + place % size; }));
  return success();
}

LogicalResult scatterNd(r1::ScatterNdOp op, Operands operands, Results &results) {
  const HostTensor &indices = *operands[1], &updates = *operands[2];
  HostTensor result = *operands[0];
  SmallVector<int64_t> expected(ArrayRef(indices.shape).drop_back());
  ArrayRef<int64_t> slice = ArrayRef(result.shape).drop_front(indices.shape.back());
  llvm::append_range(expected, slice);
  if (updates.shape != expected) {
    return op.emitOpError() << "updates must be [" << ArrayRef<int64_t>(expected) << "], found ["
                            << ArrayRef<int64_t>(updates.shape) << "]";
  }
  FailureOr<Integers> places = placesOfRows(op, result.shape, indices, 0);
  if (failed(places)) {
    return failure();
  }
  int64_t size = elementCount(slice);
  std::visit(
      [&](auto &elements) {
        const auto &from = std::get<std::decay_t<decltype(elements)>>(updates.elements);
        for (auto [index, update] : llvm::enumerate(from)) {
          auto &element = elements[(*places)[static_cast<int64_t>(index) / size] + static_cast<int64_t>(index) % size];
          element = meet(op.getScatter(), element, update);
        }
      },
      result.elements);
  results.push_back(std::move(result));
  return success();
}

HostTensor nonzero(const HostTensor &input) {
  Integers places;
  std::visit(
      [&](const auto &elements) {
        for (auto [place, element] : llvm::enumerate(elements)) {
          if (element != 0) {
            places.push_back(static_cast<int64_t>(place));
          }
        }
      },
      input.elements);
  int64_t rank = static_cast<int64_t>(input.shape.size()), count = static_cast<int64_t>(places.size());
  Integers columns(rank * count);
  for (int64_t column = 0; column < count; ++column) {
    int64_t rest = places[column];
    for (int64_t dim = rank - 1; dim >= 0; --dim) {
      columns[dim * count + column] = rest % input.shape[dim];
      rest /= input.shape[dim];
    }
  }
  return HostTensor({rank, count}, std::move(columns));
}

} // namespace

Evaluation evaluateIndex(Operation *op, Operands operands, Results &results) {
  return llvm::TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](r1::GatherOp gatherOp) { return gather(gatherOp, *operands[0], *operands[1], results); })
      .Case([&](r1::GatherElementsOp gatherOp) -> LogicalResult {
        FailureOr<Integers> places = placesAlong(op, operands[0]->shape, *operands[1], gatherOp.getAxis());
        if (failed(places)) {
          return failure();
        }
        results.push_back(rearrange(*operands[0], operands[1]->shape, [&](int64_t index) { return (*places)[index]; }));
        return success();
      })
      .Case([&](r1::ScatterElementsOp scatterOp) { return scatter(scatterOp, operands, results); })
      .Case([&](r1::TopkOp topkOp) {
        return operands[0]->isFloat() ? topk<double>(topkOp, *operands[0], results)
                                      : topk<int64_t>(topkOp, *operands[0], results);
      })
      .Case([&](r1::SortOp sortOp) {
        if (operands[0]->isFloat()) {
          sort<double>(sortOp, *operands[0], results);
        } else {
          sort<int64_t>(sortOp, *operands[0], results);
        }
        return success();
      })
      .Case([&](r1::GatherNdOp gatherOp) { return gatherNd(gatherOp, *operands[0], *operands[1], results); })
      .Case([&](r1::ScatterNdOp scatterOp) { return scatterNd(scatterOp, operands, results); })
      .Case([&](r1::NonzeroOp) -> LogicalResult {
        results.push_back(nonzero(*operands[0]));
        return success();
      })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace elah
