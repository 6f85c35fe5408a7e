#ifndef CODEGEN_REFERENCE_HOSTTENSOR_H
#define CODEGEN_REFERENCE_HOSTTENSOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

namespace elah {

using Floats = std::vector<double>;
using Integers = std::vector<int64_t>; ///< Elements of i1 are 0 and 1.

/// A tensor in host memory, row-major. Which numbers an element can be is the matter of its type in the IR: elements of
/// every float type are doubles here, those of every integer type int64_t; those of ui64 are its 64 bits.
struct HostTensor {
  HostTensor() = default;
  HostTensor(llvm::ArrayRef<int64_t> shape, Floats elements) : shape(shape), elements(std::move(elements)) {}
  HostTensor(llvm::ArrayRef<int64_t> shape, Integers elements) : shape(shape), elements(std::move(elements)) {}

  llvm::SmallVector<int64_t> shape;
  std::variant<Floats, Integers> elements;
  /// The block scales of a weight that has not been dequantized, and the zero points if it has any.
  std::shared_ptr<const HostTensor> scales, zeros;

  int64_t size() const;
  bool isFloat() const { return std::holds_alternative<Floats>(elements); }
  const Floats &floats() const { return std::get<Floats>(elements); }
  const Integers &integers() const { return std::get<Integers>(elements); }
};

int64_t elementCount(llvm::ArrayRef<int64_t> shape);

/// A dimension, and how many elements stand before and behind it: element (before, index, behind) is at
/// (before * size + index) * inner + behind.
struct Axis {
  Axis(llvm::ArrayRef<int64_t> shape, int64_t axis)
      : outer(elementCount(shape.take_front(axis))), size(shape[axis]),
        inner(elementCount(shape.drop_front(axis + 1))) {}

  int64_t outer, size, inner;
};

/// Where the elements of a tensor are that is broadcast to a larger shape.
class Broadcast {
public:
  Broadcast(llvm::ArrayRef<int64_t> from, llvm::ArrayRef<int64_t> to);

  int64_t operator[](int64_t index) const { return isSame ? index : offsets.size() == 1 ? offsets[0] : offsets[index]; }

private:
  bool isSame;
  std::vector<int64_t> offsets; ///< One for all, or one for each element.
};

} // namespace elah

#endif
