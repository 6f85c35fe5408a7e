// The sum of partial tiles that several blocks have computed from parts of k. Each block leaves its part in scratch
// memory and counts itself; the last one adds all parts in the order of k, so that the result does not depend on who
// was last. Each warpgroup of a tile does so for its rows alone.
#pragma once

#include "kernels/gemm_tiles.cuh"
#include "ptx/barrier.cuh"
#include "ptx/memory.cuh"

namespace elah {

/// In bytes of scratch memory: see elah/cuda_kernel.h.
constexpr int32_t semaphoreBytes = 65536;

template <GemmShape shape, GemmSchedule schedule> struct SplitSum {
  using Config = GemmConfig<shape, schedule>;
  static constexpr int32_t words = Config::rowParts * Config::accumulators; ///< Of a thread.

  /// True for the last warpgroup, which has the sum then.
  __device__ static bool add(float (&sums)[Config::rowParts][Config::accumulators], void *scratch, const GemmTile &tile,
                             uint32_t warpgroup, uint32_t flag) {
    const uint32_t thread = threadIdx.x % 128, barrier = 1 + warpgroup;
    const uint32_t slot = tile.index * schedule.mathWarpgroups + warpgroup;
    uint32_t *semaphore = static_cast<uint32_t *>(scratch) + slot;
    // Four floats of a thread beside those of the next thread.
    float *partials = reinterpret_cast<float *>(static_cast<uint8_t *>(scratch) + semaphoreBytes) +
                      static_cast<int64_t>(slot) * (schedule.splits * words * 128) + thread * 4;
    float *mine = partials + tile.part * (words * 128);
#pragma unroll
    for (int32_t i = 0; i < words; i += 4) {
      const float *four = &sums[i / Config::accumulators][i % Config::accumulators];
      ptx::st_global_v4_f32(mine + i * 128, {four[0], four[1], four[2], four[3]});
    }
    ptx::bar_sync(barrier, 128);
    if (thread == 0) {
      uint32_t before = ptx::atom_add_acq_rel_gpu(semaphore, 1);
      ptx::st_shared_u32(flag, before);
      if (before == schedule.splits - 1) {
        *semaphore = 0; // For the next kernel.
      }
    }
    ptx::bar_sync(barrier, 128);
    if (ptx::ld_shared_u32(flag) != schedule.splits - 1) {
      return false;
    }
#pragma unroll
    for (int32_t i = 0; i < words; ++i) {
      sums[i / Config::accumulators][i % Config::accumulators] = 0;
    }
    for (int32_t part = 0; part < schedule.splits; ++part) {
#pragma unroll
      for (int32_t i = 0; i < words; i += 4) {
        float *four = &sums[i / Config::accumulators][i % Config::accumulators];
        Floats4 values = ptx::ld_global_v4_f32(partials + part * (words * 128) + i * 128);
        four[0] += values.x;
        four[1] += values.y;
        four[2] += values.z;
        four[3] += values.w;
      }
    }
    return true;
  }
};

} // namespace elah
