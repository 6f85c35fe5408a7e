// Arithmetic on f32 that C++ has no function for (PTX ISA 9.7.3).
#pragma once

#include "ptx/types.cuh"

namespace elah::ptx {

/// The greater one; NaN if one is, other than fmaxf.
__device__ inline float max_nan_f32(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

/// The lesser one; NaN if one is.
__device__ inline float min_nan_f32(float a, float b) {
  float result;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

} // namespace elah::ptx
