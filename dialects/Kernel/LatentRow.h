// A token's row in a cache of latents in FP8, the format that FlashMLA publishes for DeepSeek's latent attention: the
// latent in e4m3, a scale in f32 for each 128 of its values, and the rotated key, which is too sensitive for e4m3, in
// bf16: 512 + 4 x 4 + 2 x 64 = 656 bytes for DeepSeek-R1, instead of 1152 in bf16. For other ranks each of the three
// begins at a multiple of 16 bytes, as bulk copies want it.
//
// Scales are powers of two: a value times its scale is a bf16 then, exactly. No MLIR in here.
#ifndef DIALECTS_KERNEL_LATENTROW_H
#define DIALECTS_KERNEL_LATENTROW_H

#include <cstdint>

namespace elah::kernel {

struct Fp8LatentRow {
  int64_t rank, ropeDim;

  static constexpr int64_t blockValues = 128; ///< That share a scale.
  /// Of scales. No value is larger than 448 times the largest: those that are become that.
  static constexpr double smallestAmax = 1e-4, largestScale = 128;

  constexpr int64_t blocks() const { return (rank + blockValues - 1) / blockValues; }
  constexpr int64_t scalesOffset() const { return rounded(rank); }
  constexpr int64_t ropeOffset() const { return scalesOffset() + rounded(4 * blocks()); }
  constexpr int64_t bytes() const { return ropeOffset() + rounded(2 * ropeDim); }

private:
  static constexpr int64_t rounded(int64_t bytes) { return (bytes + 15) / 16 * 16; }
};

static_assert(Fp8LatentRow{512, 64}.bytes() == 656);

} // namespace elah::kernel

#endif
