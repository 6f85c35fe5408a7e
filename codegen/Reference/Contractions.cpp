// Matrix products and sums. Floats are summed as doubles, one after the other.
#include "codegen/Reference/Evaluate.h"
#include "mlir/Dialect/Traits.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace elah {
namespace {

template <typename T>
HostTensor matmul(const HostTensor &lhs, const HostTensor &rhs, ArrayRef<int64_t> batch, int64_t rows, int64_t inner,
                  int64_t columns) {
  const auto &left = std::get<std::vector<T>>(lhs.elements), &right = std::get<std::vector<T>>(rhs.elements);
  Broadcast leftBatch(ArrayRef(lhs.shape).drop_back(2), batch), rightBatch(ArrayRef(rhs.shape).drop_back(2), batch);
  SmallVector<int64_t> shape(batch);
  shape.append({rows, columns});
  std::vector<T> result(elementCount(shape), T(0));
  for (int64_t matrix = 0; matrix < elementCount(batch); ++matrix) {
    const T *a = left.data() + leftBatch[matrix] * rows * inner,
            *b = right.data() + rightBatch[matrix] * inner * columns;
    T *c = result.data() + matrix * rows * columns;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t k = 0; k < inner; ++k) {
        T factor = a[row * inner + k];
        for (int64_t column = 0; column < columns; ++column) {
          c[row * columns + column] = add(c[row * columns + column], multiply(factor, b[k * columns + column]));
        }
      }
    }
  }
  return HostTensor(shape, std::move(result));
}

LogicalResult matmul(Operation *op, const HostTensor &lhs, const HostTensor &rhs, Results &results) {
  int64_t rows = lhs.shape[lhs.shape.size() - 2], inner = lhs.shape.back();
  int64_t found = rhs.shape[rhs.shape.size() - 2], columns = rhs.shape.back();
  SmallVector<int64_t> batch;
  if (found != inner ||
      !OpTrait::util::getBroadcastedShape(ArrayRef(lhs.shape).drop_back(2), ArrayRef(rhs.shape).drop_back(2), batch)) {
    return op->emitOpError() << "cannot multiply [" << ArrayRef<int64_t>(lhs.shape) << "] by ["
                             << ArrayRef<int64_t>(rhs.shape) << "]";
  }
  results.push_back(lhs.isFloat() ? matmul<double>(lhs, rhs, batch, rows, inner, columns)
                                  : matmul<int64_t>(lhs, rhs, batch, rows, inner, columns));
  return success();
}

template <typename T> T combine(r1::Reduction reduction, T total, T element) {
  switch (reduction) {
  case r1::Reduction::Sum:
  case r1::Reduction::Mean:
    return add(total, element);
  case r1::Reduction::Prod:
    return multiply(total, element);
  case r1::Reduction::Max:
    return total != total || total > element ? total : element;
  case r1::Reduction::Min:
    return total != total || total < element ? total : element;
  }
  llvm_unreachable("unknown reduction");
}

/// What no elements come to.
double startOf(r1::Reduction reduction, FloatType) {
  double infinity = std::numeric_limits<double>::infinity();
  switch (reduction) {
  case r1::Reduction::Sum:
  case r1::Reduction::Mean:
    return 0;
  case r1::Reduction::Prod:
    return 1;
  case r1::Reduction::Max:
    return -infinity;
  case r1::Reduction::Min:
    return infinity;
  }
  llvm_unreachable("unknown reduction");
}

int64_t startOf(r1::Reduction reduction, IntegerType element) {
  unsigned width = element.getWidth();
  bool isUnsigned = width == 1 || element.isUnsigned();
  switch (reduction) {
  case r1::Reduction::Sum:
  case r1::Reduction::Mean:
    return 0;
  case r1::Reduction::Prod:
    return 1;
  case r1::Reduction::Max:
    return isUnsigned ? 0 : llvm::minIntN(width);
  case r1::Reduction::Min:
    return isUnsigned ? static_cast<int64_t>(llvm::maskTrailingOnes<uint64_t>(width)) : llvm::maxIntN(width);
  }
  llvm_unreachable("unknown reduction");
}

template <typename T> HostTensor reduce(r1::ReduceOp op, const HostTensor &input, T start) {
  // The shape with the reduced dimensions as 1 is what the input's elements are spread over.
  SmallVector<int64_t> kept(input.shape), shape;
  int64_t count = 1;
  for (int64_t axis : op.getAxes()) {
    count *= input.shape[axis];
    kept[axis] = 1;
  }
  for (auto [axis, size] : llvm::enumerate(kept)) {
    if (op.getKeepDims() || !llvm::is_contained(op.getAxes(), static_cast<int64_t>(axis))) {
      shape.push_back(size);
    }
  }
  const auto &elements = std::get<std::vector<T>>(input.elements);
  std::vector<T> totals(elementCount(kept), start);
  Broadcast place(kept, input.shape);
  for (int64_t index = 0; index < input.size(); ++index) {
    T &total = totals[place[index]];
    total = combine(op.getReduction(), total, elements[index]);
  }
  if constexpr (std::is_same_v<T, double>) {
    if (op.getReduction() == r1::Reduction::Mean) {
      for (double &total : totals) {
        total /= static_cast<double>(count);
      }
    }
  }
  return HostTensor(shape, std::move(totals));
}

template <typename T> HostTensor cumsum(r1::CumsumOp op, const HostTensor &input) {
  Axis axis(input.shape, op.getAxis());
  const auto &elements = std::get<std::vector<T>>(input.elements);
  std::vector<T> sums(elements.size());
  for (int64_t outer = 0; outer < axis.outer; ++outer) {
    for (int64_t inner = 0; inner < axis.inner; ++inner) {
      T sum = 0;
      for (int64_t step = 0; step < axis.size; ++step) {
        int64_t index = op.getReverse() ? axis.size - 1 - step : step;
        int64_t place = (outer * axis.size + index) * axis.inner + inner;
        T with = add(sum, elements[place]);
        sums[place] = op.getExclusive() ? sum : with;
        sum = with;
      }
    }
  }
  return HostTensor(input.shape, std::move(sums));
}

} // namespace

Evaluation evaluateContraction(Operation *op, Operands operands, Results &results) {
  return llvm::TypeSwitch<Operation *, Evaluation>(op)
      .Case([&](r1::MatmulOp) { return matmul(op, *operands[0], *operands[1], results); })
      .Case([&](r1::ReduceOp reduceOp) {
        Type element = cast<RankedTensorType>(reduceOp.getType()).getElementType();
        r1::Reduction reduction = reduceOp.getReduction();
        results.push_back(
            operands[0]->isFloat()
                ? reduce<double>(reduceOp, *operands[0], startOf(reduction, cast<FloatType>(element)))
                : reduce<int64_t>(reduceOp, *operands[0], startOf(reduction, cast<IntegerType>(element))));
        return success();
      })
      .Case([&](r1::CumsumOp cumsumOp) {
        results.push_back(operands[0]->isFloat() ? cumsum<double>(cumsumOp, *operands[0])
                                                 : cumsum<int64_t>(cumsumOp, *operands[0]));
        return success();
      })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace elah
