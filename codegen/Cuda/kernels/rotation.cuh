// Rotary position embedding (Su et al., 2021) of bf16 values by a row of kernel.rope_table's.
#pragma once

#include "kernels/values.cuh"

namespace elah {

struct Rotation {
  bool isHalf;   ///< Value i goes with value i + pairs, not 2 i with 2 i + 1.
  int32_t pairs; ///< 0: nothing is rotated.
};

/// Pairs that rotate_unit takes: those in one access of `vector` values, or one in each half.
__host__ __device__ constexpr int32_t pairsOfUnit(bool isHalf, int32_t vector) {
  return isHalf ? vector : vector == 1 ? 1 : vector / 2;
}

/// The unit's pairs of the values behind `from`, to those behind `to`, in accesses of `vector` values.
template <Rotation rotation, int32_t vector>
__device__ inline void rotate_unit(const uint16_t *from, uint16_t *to, const float *table, int32_t unit) {
  constexpr int32_t count = pairsOfUnit(rotation.isHalf, vector);
  static_assert(rotation.pairs % count == 0);
  const int32_t pair = unit * count;
  float cosines[count], sines[count], x[2 * count];
  load_values<Element::F32, count>(table, pair, cosines);
  load_values<Element::F32, count>(table, rotation.pairs + pair, sines);
  // The accesses of x: the first `count` values and the others, or all of them, in pairs.
  const int32_t first = rotation.isHalf ? pair : 2 * pair;
#pragma unroll
  for (int32_t i = 0; i < 2 * count; i += vector) {
    load_values<Element::BF16, vector>(from, first + (rotation.isHalf && i ? rotation.pairs : i), x + i);
  }
#pragma unroll
  for (int32_t i = 0; i < count; ++i) {
    float &a = x[rotation.isHalf ? i : 2 * i], &b = x[rotation.isHalf ? i + count : 2 * i + 1];
    const float before = a;
    a = before * cosines[i] - b * sines[i];
    b = b * cosines[i] + before * sines[i];
  }
#pragma unroll
  for (int32_t i = 0; i < 2 * count; i += vector) {
    store_values<Element::BF16, vector>(to, first + (rotation.isHalf && i ? rotation.pairs : i), x + i);
  }
}

} // namespace elah
