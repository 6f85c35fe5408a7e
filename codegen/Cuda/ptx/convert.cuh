// cvt between f32 and the narrow types (PTX ISA 9.7.9.21), products of packed ones (9.7.4), and approximate functions
// (9.7.3).
#pragma once

#include "ptx/types.cuh"

namespace elah::ptx {

/// Two values rounded to bf16, `low` in the lower half.
__device__ inline uint32_t cvt_rn_bf16x2_f32(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

__device__ inline uint16_t cvt_rn_bf16_f32(float value) {
  uint16_t rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(value));
  return rounded;
}

/// A bf16 is the upper half of a float.
__device__ inline float cvt_f32_bf16(uint16_t value) { return __uint_as_float(static_cast<uint32_t>(value) << 16); }
__device__ inline float cvt_f32_bf16_low(uint32_t packed) { return __uint_as_float(packed << 16); }
__device__ inline float cvt_f32_bf16_high(uint32_t packed) { return __uint_as_float(packed & 0xffff0000u); }

/// Two values rounded to e4m3, `low` in the lower byte; beyond the range becomes +-448.
__device__ inline uint16_t cvt_rn_satfinite_e4m3x2_f32(float low, float high) {
  uint16_t packed;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(packed) : "f"(high), "f"(low));
  return packed;
}

/// Two e4m3 as f16, exactly; the lower byte in the lower half.
__device__ inline uint32_t cvt_rn_f16x2_e4m3x2(uint16_t packed) {
  uint32_t halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(packed));
  return halves;
}

__device__ inline float cvt_f32_f16(uint16_t value) {
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value));
  return wide;
}

/// Products of the lower halves and of the upper ones. Subnormal numbers are not flushed.
__device__ inline uint32_t mul_rn_bf16x2(uint32_t x, uint32_t y) {
  uint32_t product;
  asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(product) : "r"(x), "r"(y));
  return product;
}

__device__ inline float ex2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline float lg2_approx(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline float rcp_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline float rsqrt_approx(float x) {
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

} // namespace elah::ptx
