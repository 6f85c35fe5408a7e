// A persistent GEMM for Hopper: a warpgroup with one thread that copies, and one or two that multiply and write, 64 or
// 128 rows each. See gemm_config.cuh for shapes and schedules, and the files below for the parts.
#pragma once

#include "kernels/gemm_accumulate.cuh"
#include "kernels/gemm_epilogue.cuh"
#include "kernels/gemm_produce.cuh"
#include "kernels/split_sum.cuh"

namespace elah {

template <GemmShape shape, GemmSchedule schedule> __device__ void gemm(const GemmOperands &operands) {
  using Config = GemmConfig<shape, schedule>;
  extern __shared__ __align__(1024) uint8_t sharedMemory[];
  const uint32_t shared = ptx::cvta_to_shared(sharedMemory);
  const Pipeline<schedule.stages> ring{shared + Config::barrierOffset};
  const uint32_t rank = Config::cluster == 2 ? ptx::cluster_ctarank() : 0;
  const uint32_t warpgroup = __shfl_sync(0xffffffffu, threadIdx.x / 128, 0);
  constexpr uint32_t mathWarps = schedule.mathWarpgroups * 4;

  ptx::griddepcontrol_launch_dependents();
  if (threadIdx.x == Config::mathThreads) {
    ptx::prefetch_tensormap(operands.inputMap);
    ptx::prefetch_tensormap(operands.weightMap);
    // The first block of a cluster fills stages of the second, too.
    ring.init(Config::cluster == 2 && rank == 0 ? 2 * mathWarps : mathWarps);
    ptx::fence_mbarrier_init();
  }
  GemmTiles<shape, schedule> tiles(operands, shared);
  if constexpr (Config::cluster == 2) {
    ptx::barrier_cluster_arrive();
    ptx::barrier_cluster_wait();
  } else {
    __syncthreads();
  }
  tiles.ready();

  const int32_t first = static_cast<int32_t>(blockIdx.x) / Config::cluster;
  const int32_t step = static_cast<int32_t>(gridDim.x) / Config::cluster;
  if (warpgroup == schedule.mathWarpgroups) {
    if constexpr (schedule.mathWarpgroups == 2) {
      ptx::setmaxnreg_dec<40>();
    }
    if (threadIdx.x == Config::mathThreads) {
      GemmProduce<shape, schedule>{operands, shared, ring, rank}.run(tiles, first, step);
    }
    __syncwarp();
  } else {
    if constexpr (schedule.mathWarpgroups == 2) {
      ptx::setmaxnreg_inc<232>();
    }
    if constexpr (!Config::hasExperts) {
      ptx::griddepcontrol_wait();
    }
    const GemmAccumulate<shape, schedule> accumulate{shared, ring, warpgroup, rank};
    const GemmEpilogue<shape, schedule> epilogue{
        operands, shared + warpgroup * GemmEpilogue<shape, schedule>::warpgroupBytes, warpgroup};
    PipelinePosition<schedule.stages> position;
    for (int32_t item = first; item < tiles.items; item += step) {
      const GemmTile tile = tiles.tile(item, rank);
      float sums[Config::rowParts][Config::accumulators];
      accumulate.accumulate(sums, operands, tile, position);
      bool isComplete = true;
      if constexpr (schedule.splits > 1) {
        isComplete = SplitSum<shape, schedule>::add(sums, operands.scratch, tile, warpgroup,
                                                    shared + Config::flagOffset + 4 * warpgroup);
      }
      if (isComplete && tile.row < tile.rowEnd && tile.column < shape.columns) {
        epilogue.write(sums, tile);
      }
    }
    epilogue.finish();
  }
  if constexpr (Config::cluster == 2) {
    // Neither leaves while the other may still arrive at its barriers or write into its stages.
    ptx::barrier_cluster_arrive();
    ptx::barrier_cluster_wait();
  }
}

} // namespace elah
