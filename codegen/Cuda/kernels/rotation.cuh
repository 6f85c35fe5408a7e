// Rotary position embedding (Su et al., 2021) of bf16 values by a row of kernel.rope_table's.
#pragma once

#include "kernels/values.cuh"

namespace elah {

struct Rotation {
  bool isHalf;   ///< Value i goes with value i + pairs, not 2 i with 2 i + 1.
  int32_t pairs; ///< 0: nothing is rotated.
};

/// Pair i of the values behind `from`, to the values behind `to`.
template <Rotation rotation>
__device__ inline void rotate_pair(const uint16_t *from, uint16_t *to, const float *table, int32_t i) {
  const int32_t a = rotation.isHalf ? i : 2 * i, b = rotation.isHalf ? i + rotation.pairs : 2 * i + 1;
  const float cosine = table[i], sine = table[rotation.pairs + i];
  const float x = ptx::cvt_f32_bf16(from[a]), y = ptx::cvt_f32_bf16(from[b]);
  to[a] = ptx::cvt_rn_bf16_f32(x * cosine - y * sine);
  to[b] = ptx::cvt_rn_bf16_f32(y * cosine + x * sine);
}

} // namespace elah
