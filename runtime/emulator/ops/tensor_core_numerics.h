#ifndef RUNTIME_EMULATOR_OPS_TENSOR_CORE_NUMERICS_H
#define RUNTIME_EMULATOR_OPS_TENSOR_CORE_NUMERICS_H

// How Hopper's tensor cores add (Numerics::Hardware). Products are exact; the products of one block and the accumulator
// are aligned to the largest exponent among them, bits below a fixed width are cut off, the rest is added exactly, and
// the sum is cut off to the accumulator's width. There is no rounding to nearest anywhere.
//
// Widths: 16-bit and tf32 formats keep 25 bits behind the point, f32 accumulators; 8-bit floats keep 13, and their
// accumulators have 13 fraction bits (e8m13). Sources: Khattak, Mikaitis, "Accurate Models of NVIDIA Tensor Cores"
// (arXiv 2512.07004), H100; DeepSeek-V3 report, section 3.3.2 ("around 14 bits").

#include "ops/tile_product.h"

namespace emulator {

struct TensorCoreWidths {
  unsigned block;  ///< products that are added at once
  int aligned;     ///< bits behind the point that survive the alignment
  int accumulator; ///< fraction bits of the result
};

TensorCoreWidths hopperWidths(Element element);

/// accumulator + sum of a[i] * b[i], as the hardware has it. Infinities and NaN go the IEEE way.
float tensorCoreDot(float accumulator, const float *a, const float *b, unsigned count, const TensorCoreWidths &widths);

} // namespace emulator

#endif
