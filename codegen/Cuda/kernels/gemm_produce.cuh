// The producer of a GEMM: one thread that copies tiles of input and weight to shared memory by TMA, as many stages
// ahead as there are. Weights of the first stages are fetched before the grids before this one have ended.
#pragma once

#include "kernels/gemm_tiles.cuh"
#include "kernels/pipeline.cuh"
#include "ptx/bulk_copy.cuh"

namespace elah {

template <GemmShape shape, GemmSchedule schedule> struct GemmProduce {
  using Config = GemmConfig<shape, schedule>;
  using Position = PipelinePosition<schedule.stages>;

  const GemmOperands &operands;
  uint32_t shared;
  Pipeline<schedule.stages> ring;
  uint32_t rank;

  /// What comes into a stage of this block, from whichever block.
  __device__ void expect(uint32_t stage) const {
    ptx::mbarrier_arrive_expect_tx(ring.full(stage), Config::inputBytes + Config::weightBytes);
  }

  __device__ void loadInput(const GemmTile &tile, uint32_t stage, int32_t block) const {
    uint32_t to = shared + Config::inputOffset + stage * Config::inputBytes;
    int32_t depth = block * Config::tileDepth, batch = shape.batch == GemmBatch::Heads ? tile.batch : 0;
    if (schedule.clusterColumns == 1) {
      ptx::cp_async_bulk_tensor_3d_load(to, operands.inputMap, depth, tile.row, batch, ring.full(stage));
    } else if (rank == 0) {
      ptx::cp_async_bulk_tensor_3d_multicast(to, operands.inputMap, depth, tile.row, batch, ring.full(stage), 3);
    }
  }

  __device__ void loadWeight(const GemmTile &tile, uint32_t stage, int32_t block) const {
#pragma unroll
    for (int32_t half = 0; half < Config::halves; ++half) {
      uint32_t to = shared + Config::weightOffset + stage * Config::weightBytes + half * (Config::outputColumns * 128);
      int32_t depth = block * Config::tileDepth, matrix = tile.batch * Config::halves + half;
      if (schedule.clusterRows == 1) {
        ptx::cp_async_bulk_tensor_3d_load(to, operands.weightMap, depth, tile.column, matrix, ring.full(stage));
      } else if (rank == 0) {
        ptx::cp_async_bulk_tensor_3d_multicast(to, operands.weightMap, depth, tile.column, matrix, ring.full(stage), 3);
      }
    }
  }

  __device__ void waitEmpty(const Position &position) const {
    if (Config::cluster == 2 && rank == 0) {
      ptx::mbarrier_wait_parity_cluster(ring.empty(position.stage), position.phase ^ 1);
    } else {
      ptx::mbarrier_wait_parity(ring.empty(position.stage), position.phase ^ 1);
    }
  }

  __device__ void run(const GemmTiles<shape, schedule> &tiles, int32_t item, int32_t items) const {
    Position position;
    if (item >= tiles.items) {
      return;
    }
    GemmTile tile = tiles.tile(item, rank);
    int32_t block = tile.depthBegin;
    if constexpr (!Config::hasExperts) {
      int32_t ahead = min(tile.depthEnd, tile.depthBegin + schedule.stages);
      for (Position early; block < ahead; ++block, early.advance()) {
        expect(early.stage);
        loadWeight(tile, early.stage, block);
      }
      ptx::griddepcontrol_wait();
      for (block = tile.depthBegin; block < ahead; ++block, position.advance()) {
        loadInput(tile, position.stage, block);
      }
    }
    while (true) {
      for (; block < tile.depthEnd; ++block, position.advance()) {
        waitEmpty(position);
        expect(position.stage);
        loadInput(tile, position.stage, block);
        loadWeight(tile, position.stage, block);
      }
      item += items;
      if (item >= tiles.items) {
        return;
      }
      tile = tiles.tile(item, rank);
      block = tile.depthBegin;
    }
  }
};

} // namespace elah
