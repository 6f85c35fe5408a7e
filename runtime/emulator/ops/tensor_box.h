#ifndef RUNTIME_EMULATOR_OPS_TENSOR_BOX_H
#define RUNTIME_EMULATOR_OPS_TENSOR_BOX_H

// Which bytes of global memory belong to the box of a tensor copy, and where they lie in shared memory. A box is a
// sequence of rows, dense along the innermost dimension; in shared memory they follow each other (PTX ISA 5.5,
// "tensors").

#include "ops/tensor_map.h"
#include <functional>

namespace emulator {

struct BoxRow {
  uint32_t offset;     ///< of the row in the box, in bytes, before swizzling
  uint32_t bytes;      ///< in shared memory, in and out of bounds
  uint64_t address;    ///< of the row's first byte in global memory; may lie out of bounds
  uint32_t begin, end; ///< the part of [0, bytes) that is within the tensor; equal where there is none
};

/// Visits the rows of the box whose first element is at `at`. `offsets` are those of im2col (W, H, D).
void forEachRow(const TensorMap &map, const int32_t (&at)[maxTensorRank], const int32_t (&offsets)[3],
                const std::function<void(const BoxRow &)> &visit);

/// Fills elements that are out of bounds: zero, or the NaN that the map asks for.
void fillOutOfBounds(const TensorMap &map, std::byte *bytes, uint32_t count);

} // namespace emulator

#endif
