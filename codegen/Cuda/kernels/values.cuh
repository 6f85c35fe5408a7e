// Values of rows as floats, whatever type they have in memory, in accesses of up to 16 bytes.
#pragma once

#include "kernels/dims.cuh"
#include "ptx/convert.cuh"
#include "ptx/memory.cuh"

namespace elah {

enum class Element { F32, BF16, F16 };

/// Unsigned numbers in the order of floats; zeros are equal, NaN is the lowest of all.
__device__ inline uint32_t orderedBits(float value) {
  const uint32_t bits = __float_as_uint(value + 0.0f);
  return value != value ? 0 : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/// `count` (1, 2, 4 or 8) values from element `index`, a multiple of `count`.
template <Element element, int32_t count>
__device__ inline void load_values(const void *values, int64_t index, float *x) {
  if constexpr (element == Element::F32) {
    const float *from = static_cast<const float *>(values) + index;
    if constexpr (count >= 4) {
#pragma unroll
      for (int32_t i = 0; i < count; i += 4) {
        Floats4 four = *reinterpret_cast<const Floats4 *>(from + i);
        x[i] = four.x, x[i + 1] = four.y, x[i + 2] = four.z, x[i + 3] = four.w;
      }
    } else if constexpr (count == 2) {
      Floats2 two = *reinterpret_cast<const Floats2 *>(from);
      x[0] = two.x, x[1] = two.y;
    } else {
      x[0] = *from;
    }
  } else {
    const uint16_t *from = static_cast<const uint16_t *>(values) + index;
    uint32_t words[(count + 1) / 2];
    if constexpr (count == 8) {
      Words4 four = *reinterpret_cast<const Words4 *>(from);
      words[0] = four.x, words[1] = four.y, words[2] = four.z, words[3] = four.w;
    } else if constexpr (count == 4) {
      Words2 two = *reinterpret_cast<const Words2 *>(from);
      words[0] = two.x, words[1] = two.y;
    } else if constexpr (count == 2) {
      words[0] = *reinterpret_cast<const uint32_t *>(from);
    } else {
      words[0] = *from;
    }
#pragma unroll
    for (int32_t i = 0; i < count; ++i) {
      uint16_t half = static_cast<uint16_t>(words[i / 2] >> (16 * (i % 2)));
      x[i] = element == Element::BF16 ? ptx::cvt_f32_bf16(half) : ptx::cvt_f32_f16(half);
    }
  }
}

/// The same, of memory that no kernel writes.
template <int32_t count> __device__ inline void load_weights(const float *weights, int64_t index, float *x) {
  if constexpr (count >= 4) {
#pragma unroll
    for (int32_t i = 0; i < count; i += 4) {
      Words4 four = ptx::ld_global_nc_v4(weights + index + i);
      x[i] = __uint_as_float(four.x), x[i + 1] = __uint_as_float(four.y);
      x[i + 2] = __uint_as_float(four.z), x[i + 3] = __uint_as_float(four.w);
    }
  } else {
#pragma unroll
    for (int32_t i = 0; i < count; ++i) {
      x[i] = ptx::ld_global_nc_f32(weights + index + i);
    }
  }
}

template <Element element, int32_t count>
__device__ inline void store_values(void *values, int64_t index, const float *x) {
  static_assert(element != Element::F16);
  if constexpr (element == Element::F32) {
    float *to = static_cast<float *>(values) + index;
    if constexpr (count >= 4) {
#pragma unroll
      for (int32_t i = 0; i < count; i += 4) {
        *reinterpret_cast<Floats4 *>(to + i) = {x[i], x[i + 1], x[i + 2], x[i + 3]};
      }
    } else if constexpr (count == 2) {
      *reinterpret_cast<Floats2 *>(to) = {x[0], x[1]};
    } else {
      *to = x[0];
    }
  } else {
    uint16_t *to = static_cast<uint16_t *>(values) + index;
    if constexpr (count == 8) {
      *reinterpret_cast<Words4 *>(to) = {ptx::cvt_rn_bf16x2_f32(x[0], x[1]), ptx::cvt_rn_bf16x2_f32(x[2], x[3]),
                                         ptx::cvt_rn_bf16x2_f32(x[4], x[5]), ptx::cvt_rn_bf16x2_f32(x[6], x[7])};
    } else if constexpr (count == 4) {
      *reinterpret_cast<Words2 *>(to) = {ptx::cvt_rn_bf16x2_f32(x[0], x[1]), ptx::cvt_rn_bf16x2_f32(x[2], x[3])};
    } else if constexpr (count == 2) {
      *reinterpret_cast<uint32_t *>(to) = ptx::cvt_rn_bf16x2_f32(x[0], x[1]);
    } else {
      *to = ptx::cvt_rn_bf16_f32(x[0]);
    }
  }
}

// A unit, 4 or 8 consecutive values of a row, is what a thread moves at once, in accesses of `vector` values: the most
// that width and pitch allow, and the unit has. Neighbouring lanes have neighbouring units, so where any operand is f32
// a unit has four values: eight would be two accesses, each of which takes half of every sector. Values beyond the
// width are zero, and are not stored.

template <Element element, int32_t vector, int32_t width, int32_t unit>
__device__ inline void load_unit(const void *values, int64_t row, int32_t first, float (&x)[unit]) {
  constexpr int32_t count = vector < unit ? vector : unit;
#pragma unroll
  for (int32_t i = 0; i < unit; i += count) {
    if (width % unit == 0 || first + i < width) {
      load_values<element, count>(values, row + first + i, x + i);
    } else {
#pragma unroll
      for (int32_t j = 0; j < count; ++j) {
        x[i + j] = 0;
      }
    }
  }
}

/// The same of weights, which no kernel writes.
template <int32_t width, int32_t unit>
__device__ inline void load_unit_weights(const float *weights, int32_t first, float (&x)[unit]) {
  constexpr int32_t vector = width % 4 == 0 ? 4 : 1;
#pragma unroll
  for (int32_t i = 0; i < unit; i += vector) {
    if (width % unit == 0 || first + i < width) {
      load_weights<vector>(weights, first + i, x + i);
    } else {
#pragma unroll
      for (int32_t j = 0; j < vector; ++j) {
        x[i + j] = 0;
      }
    }
  }
}

template <Element element, int32_t vector, int32_t width, int32_t unit>
__device__ inline void store_unit(void *values, int64_t row, int32_t first, const float (&x)[unit]) {
  constexpr int32_t count = vector < unit ? vector : unit;
#pragma unroll
  for (int32_t i = 0; i < unit; i += count) {
    if (width % unit == 0 || first + i < width) {
      store_values<element, count>(values, row + first + i, x + i);
    }
  }
}

} // namespace elah
