// Quantized rows: e4m3 with one scale for 128 values (DeepSeek-V3, section 3.3.2), the pitch of the values rounded up
// to 16 bytes, that of the scales to four.
#pragma once

#include "kernels/values.cuh"

namespace elah {

/// Scales of a row, those that only fill it up included.
__host__ __device__ constexpr int32_t scalesOfRow(int32_t width) { return roundUp(ceilDiv(width, 128), 4); }
__host__ __device__ constexpr int32_t quantizedPitch(int32_t width) { return roundUp(width, 16); }

/// Neighbouring lanes hold units of a block of 128 values: the largest size in it, at least 1e-4. By whole warps; x is
/// zero beyond the width.
template <int32_t unit> __device__ inline float largest_of_block(const float (&x)[unit]) {
  float largest = 1e-4f;
#pragma unroll
  for (int32_t i = 0; i < unit; ++i) {
    largest = fmaxf(largest, fabsf(x[i]));
  }
#pragma unroll
  for (int32_t distance = 64 / unit; distance > 0; distance /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
  }
  return largest;
}

/// A unit of a row, times `inverse`, from value `first` on.
template <int32_t width, int32_t unit>
__device__ inline void store_e4m3(uint8_t *row, int32_t first, const float (&x)[unit], float inverse) {
  uint32_t words[unit / 4];
#pragma unroll
  for (int32_t i = 0; i < unit / 4; ++i) {
    uint32_t low = ptx::cvt_rn_satfinite_e4m3x2_f32(x[4 * i] * inverse, x[4 * i + 1] * inverse);
    uint32_t high = ptx::cvt_rn_satfinite_e4m3x2_f32(x[4 * i + 2] * inverse, x[4 * i + 3] * inverse);
    words[i] = low | high << 16;
  }
  if (first < width) {
    if constexpr (unit == 8) {
      *reinterpret_cast<Words2 *>(row + first) = {words[0], words[1]};
    } else {
      *reinterpret_cast<uint32_t *>(row + first) = words[0];
    }
  }
}

/// A unit of a row from value `first` on. The whole warp calls it; x is zero beyond the width.
template <int32_t width, int32_t unit>
__device__ inline void store_quantized(uint8_t *output, float *scales, int64_t row, int32_t first,
                                       const float (&x)[unit]) {
  const float scale = largest_of_block(x) / 448.0f;
  store_e4m3<width>(output + row * quantizedPitch(width), first, x, 1.0f / scale);
  if (first % 128 == 0 && first / 128 < scalesOfRow(width)) {
    scales[row * scalesOfRow(width) + first / 128] = first < width ? scale : 0;
  }
}

} // namespace elah
