#ifndef CODEGEN_REFERENCE_EVALUATE_H
#define CODEGEN_REFERENCE_EVALUATE_H

#include "codegen/Reference/Interpreter.h"
#include "dialects/R1/R1.h"

namespace elah {

using Operands = llvm::ArrayRef<const HostTensor *>;
using Results = llvm::SmallVector<HostTensor>;

/// The functions below run one operation each, if it is of their kind: its operands are given, its results appended.
/// Elements of results need not be rounded to their type. Nothing, if the operation is of another kind; a failure has
/// been emitted.
using Evaluation = std::optional<llvm::LogicalResult>;

Evaluation evaluateElementwise(mlir::Operation *op, Operands operands, Results &results);
Evaluation evaluateContraction(mlir::Operation *op, Operands operands, Results &results);
Evaluation evaluateShape(mlir::Operation *op, Operands operands, Results &results);
Evaluation evaluateIndex(mlir::Operation *op, Operands operands, Results &results);
Evaluation evaluateWeight(mlir::Operation *op, Operands operands, llvm::StringRef folder, Results &results);

/// The value of an operation that takes or makes a sequence, for values of its operands; nothing, if it is another.
std::optional<mlir::FailureOr<HostValue>> evaluateSequence(mlir::Operation *op,
                                                           llvm::ArrayRef<const HostValue *> operands);

/// Tensors one behind the other along an axis, or `isStacked` along a new one.
mlir::FailureOr<HostTensor> joined(mlir::Operation *op, llvm::ArrayRef<std::shared_ptr<const HostTensor>> parts,
                                   int64_t axis, bool isStacked);

/// The nearest number that an element type has.
double roundTo(mlir::Type element, double value);
int64_t wrapTo(mlir::Type element, int64_t value);

/// Whether elements are ui64, whose upper half has the sign bit of int64_t set.
inline bool isWideUnsigned(mlir::Type tensor) {
  return llvm::cast<mlir::RankedTensorType>(tensor).getElementType().isUnsignedInteger(64);
}

// Integers wrap: they are added as unsigned numbers, which may.
template <typename T> T add(T lhs, T rhs) {
  if constexpr (std::is_same_v<T, double>) {
    return lhs + rhs;
  } else {
    return static_cast<T>(static_cast<uint64_t>(lhs) + static_cast<uint64_t>(rhs));
  }
}

template <typename T> T multiply(T lhs, T rhs) {
  if constexpr (std::is_same_v<T, double>) {
    return lhs * rhs;
  } else {
    return static_cast<T>(static_cast<uint64_t>(lhs) * static_cast<uint64_t>(rhs));
  }
}

/// A tensor of elements that `make` gives for 0, 1, ...
template <typename T, typename Function> HostTensor generate(llvm::ArrayRef<int64_t> shape, Function make) {
  std::vector<T> elements(elementCount(shape));
  for (size_t index = 0; index < elements.size(); ++index) {
    elements[index] = make(static_cast<int64_t>(index));
  }
  return HostTensor(shape, std::move(elements));
}

/// A tensor of `input`'s elements: `source` says which one stands at 0, 1, ...
template <typename Function>
HostTensor rearrange(const HostTensor &input, llvm::ArrayRef<int64_t> shape, Function source) {
  return std::visit(
      [&](const auto &elements) {
        using T = typename std::decay_t<decltype(elements)>::value_type;
        return generate<T>(shape, [&](int64_t index) { return elements[source(index)]; });
      },
      input.elements);
}

} // namespace elah

#endif
