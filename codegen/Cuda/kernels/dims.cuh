// What every kernel knows of a step: see elah/cuda_kernel.h.
#pragma once

#include "ptx/types.cuh"

namespace elah {

/// The order of enum elah_dim.
struct Dims {
  int32_t tokens, sequences, logitRows, cacheRows, pagesPerSequence;
};

__host__ __device__ constexpr int32_t ceilDiv(int32_t a, int32_t b) { return (a + b - 1) / b; }
__host__ __device__ constexpr int32_t roundUp(int32_t a, int32_t b) { return ceilDiv(a, b) * b; }

/// A tensor map as a kernel's parameter: opaque, made by the driver.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

} // namespace elah
