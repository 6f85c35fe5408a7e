// Softmax over scores that come block by block (Milakov and Gimelshein, "Online normalizer calculation for softmax"),
// on the accumulator fragments of a warpgroup's products: a thread has columns of two rows, four threads share a row.
//
// Exponents are taken relative to a reference of each row. It is a score near the largest so far: it follows when that
// has grown by more than 2^8, so that what was accumulated is seldom rescaled, and exponentials stay below 2^8.
#pragma once

#include "ptx/convert.cuh"
#include "ptx/types.cuh"

namespace elah {

struct OnlineSoftmax {
  /// No score is lower. Finite: differences of references are numbers.
  static constexpr float lowest = -1e30f;
  static constexpr float slack = 8;

  float scale; ///< Of scores, times log2(e).
  float reference[2] = {lowest, lowest};
  float sum[2] = {0, 0}; ///< Of this thread's columns.

  /// Moves a row's reference for `scores`. Gives the factor for what was accumulated before, 1 if it stays.
  template <int32_t count> __device__ void follow(const float (&scores)[count], float (&factor)[2]) {
#pragma unroll
    for (int32_t row = 0; row < 2; ++row) {
      float largest = scores[2 * row];
#pragma unroll
      for (int32_t i = 0; i < count; i += 4) {
        largest = fmaxf(largest, fmaxf(scores[i + 2 * row], scores[i + 2 * row + 1]));
      }
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
      const float next = (largest - reference[row]) * scale > slack ? largest : reference[row];
      factor[row] = adopt(row, next);
    }
  }

  /// Takes a reference that others have moved.
  __device__ float adopt(int32_t row, float next) {
    const float factor = ptx::ex2_approx((reference[row] - next) * scale);
    reference[row] = next;
    sum[row] *= factor;
    return factor;
  }

  /// Scores to exponentials, and these to the sums.
  template <int32_t count> __device__ void exponentials(float (&scores)[count]) {
    const float shift[2] = {reference[0] * scale, reference[1] * scale};
#pragma unroll
    for (int32_t i = 0; i < count; ++i) {
      const int32_t row = i / 2 % 2;
      scores[i] = ptx::ex2_approx(fmaf(scores[i], scale, -shift[row]));
      sum[row] += scores[i];
    }
  }

  /// The sums of whole rows.
  __device__ void sumQuads() {
#pragma unroll
    for (int32_t row = 0; row < 2; ++row) {
      sum[row] += __shfl_xor_sync(0xffffffffu, sum[row], 1);
      sum[row] += __shfl_xor_sync(0xffffffffu, sum[row], 2);
    }
  }
};

/// Accumulators as the A operand of a product: bf16, 16 columns each.
template <int32_t count>
__device__ inline void toFragments(const float (&accumulators)[count], uint32_t (&fragments)[count / 8][4]) {
#pragma unroll
  for (int32_t i = 0; i < count; i += 2) {
    fragments[i / 8][i / 2 % 4] = ptx::cvt_rn_bf16x2_f32(accumulators[i], accumulators[i + 1]);
  }
}

/// Accumulators times a factor of their row, if there is a row in the warp whose factor is not one.
template <int32_t count> __device__ inline void rescale(float (&accumulators)[count], const float (&factor)[2]) {
  if (__any_sync(0xffffffffu, factor[0] != 1 || factor[1] != 1)) {
#pragma unroll
    for (int32_t i = 0; i < count; ++i) {
      accumulators[i] *= factor[i / 2 % 2];
    }
  }
}

/// Columns that a row does not see become minus infinity: those before `shift`, and those whose token lies behind the
/// row's position. `token`: of column 0.
template <int32_t count>
__device__ inline void maskScores(float (&scores)[count], int32_t token, int32_t shift, const int32_t (&position)[2]) {
  const int32_t quad = 2 * static_cast<int32_t>(threadIdx.x % 4);
#pragma unroll
  for (int32_t i = 0; i < count; ++i) {
    const int32_t column = i / 4 * 8 + quad + i % 2;
    const bool isSeen = column >= shift && token + column <= position[i / 2 % 2];
    scores[i] = isSeen ? scores[i] : -__int_as_float(0x7f800000);
  }
}

} // namespace elah
