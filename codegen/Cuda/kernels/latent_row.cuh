// Rows of a cache of latents in FP8: the latent in e4m3, a scale in f32 for each 128 of its values, the rotated key in
// bf16. The host's counterpart, which says where that comes from, is dialects/Kernel/LatentRow.h.
//
// Scales are powers of two, so that a value times its scale is a bf16, exactly: what tensor cores multiply is what the
// cache holds, and one product of bf16 gives it from e4m3 (below), without a way through f32.
#pragma once

#include "kernels/quantized_rows.cuh"

namespace elah {

template <int32_t rank, int32_t ropeDim> struct Fp8LatentRow {
  static constexpr int32_t scalesOffset = roundUp(rank, 16);
  static constexpr int32_t ropeOffset = scalesOffset + roundUp(4 * ceilDiv(rank, 128), 16);
  static constexpr int32_t bytes = ropeOffset + roundUp(2 * ropeDim, 16);
};

/// The least power of two that takes values up to `largest`, at least 1e-4, into e4m3's range; at most 128, beyond
/// which dequantize's product has no bf16.
__device__ inline float power_of_two_scale(float largest) {
  const uint32_t bits = __float_as_uint(largest / 448.0f);
  return fminf(__uint_as_float((bits + 0x7fffffu) & 0x7f800000u), 128.0f);
}

/// Eight values of a row's latent from value `first` on; neighbouring lanes hold the others of its block of 128. The
/// whole warp calls it; x is zero beyond the rank.
template <int32_t rank, int32_t ropeDim>
__device__ inline void store_quantized_latent(uint8_t *row, int32_t first, const float (&x)[8]) {
  const float scale = power_of_two_scale(largest_of_block(x));
  // The inverse of a power of two has the opposite exponent.
  store_e4m3<rank>(row, first, x, __uint_as_float(0x7f000000u - __float_as_uint(scale)));
  if (first % 128 == 0 && first < rank) {
    // A norm is NaN in all of its values or in none; e4m3's would not stay one in `dequantize`.
    reinterpret_cast<float *>(row + Fp8LatentRow<rank, ropeDim>::scalesOffset)[first / 128] =
        x[0] == x[0] ? scale : x[0];
  }
}

/// What `dequantize` multiplies with for a scale: 2^120 times that, twice, in bf16.
__device__ inline uint32_t dequantizing_factor(float scale) {
  return __byte_perm(__float_as_uint(scale * 0x1p120f), 0, 0x3232);
}

/// Two e4m3, in the upper bytes of halves, as two bf16. Moved to where a bf16 has its last bit of exponent and its
/// first three of mantissa, an e4m3 is 2^(7 - 127) of itself, subnormal ones too.
__device__ inline uint32_t dequantized_pair(uint32_t bytes, uint32_t factor) {
  return ptx::mul_rn_bf16x2((bytes & 0x80008000u) | (bytes >> 4 & 0x07f007f0u), factor);
}

/// Sixteen values that share a scale.
__device__ inline void dequantize(const Words4 &e4m3, float scale, Words4 &first, Words4 &second) {
  const uint32_t factor = dequantizing_factor(scale);
  first = {dequantized_pair(__byte_perm(e4m3.x, 0, 0x1404), factor),
           dequantized_pair(__byte_perm(e4m3.x, 0, 0x3424), factor),
           dequantized_pair(__byte_perm(e4m3.y, 0, 0x1404), factor),
           dequantized_pair(__byte_perm(e4m3.y, 0, 0x3424), factor)};
  second = {dequantized_pair(__byte_perm(e4m3.z, 0, 0x1404), factor),
            dequantized_pair(__byte_perm(e4m3.z, 0, 0x3424), factor),
            dequantized_pair(__byte_perm(e4m3.w, 0, 0x1404), factor),
            dequantized_pair(__byte_perm(e4m3.w, 0, 0x3424), factor)};
}

} // namespace elah
