// Which tiles a block computes, and in which order. Blocks are persistent: block b of a grid of G takes the work items
// b, b + G, ... of a line on which the parts of k of a tile follow each other, then the tiles of a group of rows column
// by column, so that blocks that run together share rows and columns in L2.
#pragma once

#include "kernels/gemm_config.cuh"
#include "ptx/barrier.cuh"
#include "ptx/memory.cuh"

namespace elah {

struct GemmTile {
  int32_t row, rowEnd; ///< The first row, and where the rows that it may write end.
  int32_t column;      ///< The first output column.
  int32_t batch;
  int32_t index;                ///< Among all tiles, the same for all parts of k.
  int32_t part;                 ///< Of k.
  int32_t depthBegin, depthEnd; ///< In blocks of tileDepth.
};

template <GemmShape shape, GemmSchedule schedule> class GemmTiles {
  using Config = GemmConfig<shape, schedule>;
  static constexpr int32_t itemsOfRow = Config::columnUnits * schedule.splits;
  static constexpr int32_t unitRows = Config::tileRows * schedule.clusterRows; ///< Of a cluster.

public:
  int32_t items; ///< Work items of all clusters.

  /// By all threads, before a barrier of the block. For experts it waits for what the grids before have written.
  __device__ GemmTiles(const GemmOperands &operands, uint32_t shared) : operands(operands), shared(shared) {
    if constexpr (Config::hasExperts) {
      countExpertTiles();
    } else {
      rows = (&operands.dims->tokens)[shape.rowsDim];
      rowUnits = ceilDiv(rows, unitRows);
      items = rowUnits * itemsOfRow * shape.batches;
    }
  }

  /// By all threads, after that barrier.
  __device__ void ready() {
    if constexpr (Config::hasExperts) {
      items = static_cast<int32_t>(ptx::ld_shared_u32(startOf(shape.batches))) * itemsOfRow;
    }
  }

  __device__ GemmTile tile(int32_t item, uint32_t rank) const {
    GemmTile tile;
    int32_t firstRow = 0, units, firstUnit;
    if constexpr (Config::hasExperts) {
      // The last expert whose tiles begin at or before this one; those without rows begin where the next does.
      int32_t unit = item / itemsOfRow, low = 0, high = shape.batches;
      while (high - low > 1) {
        int32_t middle = (low + high) / 2;
        bool isAfter = static_cast<int32_t>(ptx::ld_shared_u32(startOf(middle))) > unit;
        high = isAfter ? middle : high;
        low = isAfter ? low : middle;
      }
      tile.batch = low;
      firstUnit = static_cast<int32_t>(ptx::ld_shared_u32(startOf(low)));
      units = static_cast<int32_t>(ptx::ld_shared_u32(startOf(low + 1))) - firstUnit;
      firstRow = operands.offsets[low];
      tile.rowEnd = operands.offsets[low + 1];
      item -= firstUnit * itemsOfRow;
    } else {
      units = rowUnits;
      tile.batch = shape.batches == 1 ? 0 : item / (units * itemsOfRow);
      item -= tile.batch * units * itemsOfRow;
      firstUnit = tile.batch * units;
      tile.rowEnd = rows;
    }
    tile.part = schedule.splits == 1 ? 0 : item % schedule.splits;
    item /= schedule.splits;
    int32_t group = item / (schedule.rowGroup * Config::columnUnits);
    int32_t inGroup = item - group * (schedule.rowGroup * Config::columnUnits);
    int32_t groupUnits = min(schedule.rowGroup, units - group * schedule.rowGroup);
    int32_t columnUnit = inGroup / groupUnits;
    int32_t rowUnit = group * schedule.rowGroup + inGroup - columnUnit * groupUnits;
    int32_t rankRow = schedule.clusterRows == 2 ? rank : 0, rankColumn = schedule.clusterColumns == 2 ? rank : 0;
    int32_t columnTile = columnUnit * schedule.clusterColumns + rankColumn;
    tile.row = firstRow + rowUnit * unitRows + rankRow * Config::tileRows;
    tile.column = columnTile * Config::outputColumns;
    tile.index =
        ((firstUnit + rowUnit) * schedule.clusterRows + rankRow) * (Config::columnUnits * schedule.clusterColumns) +
        columnTile;
    tile.depthBegin = tile.part * Config::partBlocks;
    tile.depthEnd = min(tile.depthBegin + Config::partBlocks, Config::depthBlocks);
    return tile;
  }

private:
  const GemmOperands &operands;
  uint32_t shared;
  int32_t rows = 0, rowUnits = 0;

  __device__ uint32_t startOf(int32_t expert) const {
    return shared + Config::tileStartOffset + 4 * static_cast<uint32_t>(expert);
  }

  /// Prefix sums over the experts of the tiles of their rows, into shared memory.
  __device__ void countExpertTiles() {
    constexpr int32_t warps = Config::threads / 32;
    constexpr int32_t expertsOfThread = ceilDiv(shape.batches, Config::threads);
    const uint32_t totals = startOf(shape.batches + 1); // Of each warp.
    ptx::griddepcontrol_wait();
    int32_t first = static_cast<int32_t>(threadIdx.x) * expertsOfThread, counts[expertsOfThread], sum = 0;
#pragma unroll
    for (int32_t i = 0; i < expertsOfThread; ++i) {
      int32_t expert = first + i;
      counts[i] =
          expert < shape.batches ? ceilDiv(operands.offsets[expert + 1] - operands.offsets[expert], unitRows) : 0;
      sum += counts[i];
    }
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int32_t inclusive = sum;
#pragma unroll
    for (uint32_t distance = 1; distance < 32; distance *= 2) {
      int32_t below = __shfl_up_sync(0xffffffffu, inclusive, distance);
      inclusive += lane >= distance ? below : 0;
    }
    if (lane == 31) {
      ptx::st_shared_u32(totals + 4 * warp, static_cast<uint32_t>(inclusive));
    }
    __syncthreads();
    int32_t start = inclusive - sum;
#pragma unroll
    for (uint32_t other = 0; other < warps; ++other) {
      start += other < warp ? static_cast<int32_t>(ptx::ld_shared_u32(totals + 4 * other)) : 0;
    }
#pragma unroll
    for (int32_t i = 0; i < expertsOfThread; ++i) {
      if (first + i < shape.batches) {
        ptx::st_shared_u32(startOf(first + i), static_cast<uint32_t>(start));
      }
      start += counts[i];
      if (first + i == shape.batches - 1) {
        ptx::st_shared_u32(startOf(shape.batches), static_cast<uint32_t>(start));
      }
    }
  }
};

} // namespace elah
