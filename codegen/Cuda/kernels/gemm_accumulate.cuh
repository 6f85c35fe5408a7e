// The sums of a tile, by warpgroup matrix products over a pipeline of stages. A stage holds 128 bytes of k: rows of
// 128 bytes with the 128-byte swizzle, input and weight.
//
// e4m3: the tensor core sums the 128 products of a block, in few bits; the sum of blocks, each times the scales of its
// row and of its 128 x 128 weights, is f32 in other registers ("two-level accumulation", DeepSeek-V3 report, 3.3.2).
#pragma once

#include "kernels/gemm_tiles.cuh"
#include "kernels/pipeline.cuh"
#include "ptx/wgmma.cuh"

namespace elah {

/// Of a matrix with rows of 128 bytes and the 128-byte swizzle: 8 rows are 1024 bytes.
__device__ inline uint64_t swizzledRows(uint32_t address) {
  return ptx::wgmma_descriptor(address, 0, 1024, ptx::MatrixSwizzle::B128);
}

/// Bytes in units of a descriptor's address.
__host__ __device__ constexpr uint64_t descriptorBytes(uint32_t bytes) { return bytes >> 4; }

template <GemmShape shape, GemmSchedule schedule> struct GemmAccumulate {
  using Config = GemmConfig<shape, schedule>;
  using Ring = Pipeline<schedule.stages>;
  using Position = PipelinePosition<schedule.stages>;
  /// [64 rows][columns]: of each 8 columns two in the thread's row and two in the row 8 below.
  using Sums = float[Config::rowParts][Config::accumulators];

  uint32_t shared;
  Ring ring;
  uint32_t warpgroup, rank;

  __device__ void release(uint32_t stage) const {
    // Whoever fills this stage by multicast waits for the consumers of both blocks.
    if (threadIdx.x % 32 == 0) {
      ptx::mbarrier_arrive(ring.empty(stage));
      if (Config::cluster == 2 && rank == 1) {
        ptx::mbarrier_arrive_cluster(ptx::mapa(ring.empty(stage), 0));
      }
    }
  }

  __device__ uint64_t inputRows(uint32_t stage) const {
    return swizzledRows(shared + Config::inputOffset + warpgroup * (Config::warpgroupRows * 128)) +
           static_cast<uint64_t>(stage * descriptorBytes(Config::inputBytes));
  }
  __device__ uint64_t weightRows(uint32_t stage) const {
    return swizzledRows(shared + Config::weightOffset) +
           static_cast<uint64_t>(stage * descriptorBytes(Config::weightBytes));
  }

  __device__ void waitFull(const Position &position) const {
    if constexpr (Config::cluster == 2) {
      ptx::mbarrier_wait_parity_cluster(ring.full(position.stage), position.phase);
    } else {
      ptx::mbarrier_wait_parity(ring.full(position.stage), position.phase);
    }
  }

  // bf16: one sum over all of k; the products of a stage run while the next stage is waited for.
  __device__ void accumulateBF16(Sums &sums, const GemmTile &tile, Position &position) const {
    uint32_t previous = 0;
    for (int32_t block = tile.depthBegin; block < tile.depthEnd; ++block) {
      waitFull(position);
      const uint64_t input = inputRows(position.stage), weight = weightRows(position.stage);
      ptx::wgmma_fence();
#pragma unroll
      for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
        for (uint32_t step = 0; step < 4; ++step) {
          ptx::wgmma_k16_f32_bf16_bf16<Config::tileColumns>(
              sums[part], input + descriptorBytes(part * 64 * 128 + step * 32), weight + descriptorBytes(step * 32),
              block > tile.depthBegin || step > 0);
        }
      }
      ptx::wgmma_commit_group();
      if (block > tile.depthBegin) {
        ptx::wgmma_wait_group<1>();
        release(previous);
      }
      previous = position.stage;
      position.advance();
    }
    ptx::wgmma_wait_group<0>();
#pragma unroll
    for (int32_t part = 0; part < Config::rowParts; ++part) {
      ptx::wgmma_hold_registers(sums[part]);
    }
    release(previous);
  }

  // e4m3. A product's columns lie in one block of weights, or in two.
  static constexpr int32_t productColumns = Config::isSwiglu            ? Config::outputColumns
                                            : Config::tileColumns > 192 ? 128
                                                                        : Config::tileColumns;
  static constexpr int32_t columnParts = Config::tileColumns / productColumns;
  static constexpr int32_t weightBlocks = ceilDiv(shape.columns, 128); ///< Of columns, in a half.
  static constexpr int32_t scalePitch = roundUp(Config::depthBlocks, 4);

  /// Of four blocks of k of a row. Behind the last block the scales are not there.
  __device__ static Floats4 fourScales(const float *row, int32_t block) {
    constexpr int32_t tail = Config::depthBlocks % 4;
    if (tail != 0 && block + 4 > Config::depthBlocks) {
      Floats4 scales = {ptx::ld_global_nc_f32(row + block), 0, 0, 0};
      if (tail > 1) {
        scales.y = ptx::ld_global_nc_f32(row + block + 1);
      }
      if (tail > 2) {
        scales.z = ptx::ld_global_nc_f32(row + block + 2);
      }
      return scales;
    }
    Words4 words = ptx::ld_global_nc_v4(row + block);
    return {__uint_as_float(words.x), __uint_as_float(words.y), __uint_as_float(words.z), __uint_as_float(words.w)};
  }

  /// `firstColumns`: of each product, those before the boundary between two blocks of weights; all, if there is none.
  template <int32_t firstColumns>
  __device__ void accumulateF8(Sums &sums, const GemmOperands &operands, const GemmTile &tile,
                               Position &position) const {
    constexpr int32_t weights = firstColumns < productColumns ? 2 : 1;
    const float *rowScales[Config::rowParts][2];
    Floats4 four[Config::rowParts][2];
    const int32_t row = tile.row + warpgroup * Config::warpgroupRows + threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4;
#pragma unroll
    for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        // Rows behind the last are not written, whatever their sum.
        rowScales[part][i] =
            operands.inputScales + static_cast<int64_t>(min(row + part * 64 + i * 8, tile.rowEnd - 1)) * scalePitch;
        four[part][i] = fourScales(rowScales[part][i], tile.depthBegin);
      }
    }
    const float *weightScales[columnParts];
    float weightScale[columnParts][weights];
#pragma unroll
    for (int32_t part = 0; part < columnParts; ++part) {
      int32_t half = Config::isSwiglu ? part : 0;
      int32_t column = tile.column + (Config::isSwiglu ? 0 : part * productColumns);
      weightScales[part] = operands.weightScales +
                           ((tile.batch * Config::halves + half) * weightBlocks + min(column / 128, weightBlocks - 1)) *
                               Config::depthBlocks;
#pragma unroll
      for (int32_t i = 0; i < weights; ++i) {
        weightScale[part][i] = ptx::ld_global_nc_f32(weightScales[part] + tile.depthBegin + i * Config::depthBlocks);
      }
    }
#pragma unroll
    for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
      for (int32_t i = 0; i < Config::accumulators; ++i) {
        sums[part][i] = 0;
      }
    }

    for (int32_t firstBlock = tile.depthBegin; firstBlock < tile.depthEnd; firstBlock += 4) {
#pragma unroll
      for (int32_t i = 0; i < 4; ++i) {
        const int32_t block = firstBlock + i;
        if (Config::depthBlocks % 4 == 0 || block < tile.depthEnd) {
          float rowScale[Config::rowParts][2], nextWeightScale[columnParts][weights];
#pragma unroll
          for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
            for (int32_t lower = 0; lower < 2; ++lower) {
              const Floats4 &scales = four[part][lower];
              rowScale[part][lower] = i == 0 ? scales.x : i == 1 ? scales.y : i == 2 ? scales.z : scales.w;
              if (i == 3 && block + 1 < tile.depthEnd) {
                four[part][lower] = fourScales(rowScales[part][lower], block + 1);
              }
            }
          }
#pragma unroll
          for (int32_t part = 0; part < columnParts; ++part) {
#pragma unroll
            for (int32_t second = 0; second < weights; ++second) {
              nextWeightScale[part][second] = ptx::ld_global_nc_f32(
                  weightScales[part] + min(block + 1, tile.depthEnd - 1) + second * Config::depthBlocks);
            }
          }

          waitFull(position);
          const uint64_t input = inputRows(position.stage), weight = weightRows(position.stage);
#pragma unroll
          for (int32_t rowPart = 0; rowPart < Config::rowParts; ++rowPart) {
#pragma unroll
            for (int32_t columnPart = 0; columnPart < columnParts; ++columnPart) {
              float products[productColumns / 2];
              ptx::wgmma_hold_registers(products);
              ptx::wgmma_fence();
#pragma unroll
              for (uint32_t step = 0; step < 4; ++step) {
                ptx::wgmma_k32_f32_e4m3_e4m3<productColumns>(
                    products, input + descriptorBytes(rowPart * 64 * 128 + step * 32),
                    weight + descriptorBytes(columnPart * productColumns * 128 + step * 32), step > 0);
              }
              ptx::wgmma_commit_group();
              ptx::wgmma_wait_group<0>();
              ptx::wgmma_hold_registers(products);
              if (rowPart == Config::rowParts - 1 && columnPart == columnParts - 1) {
                release(position.stage);
              }
              float scale[2][2];
#pragma unroll
              for (int32_t lower = 0; lower < 2; ++lower) {
#pragma unroll
                for (int32_t second = 0; second < weights; ++second) {
                  scale[lower][second] = rowScale[rowPart][lower] * weightScale[columnPart][second];
                }
              }
#pragma unroll
              for (int32_t i = 0; i < productColumns / 2; ++i) {
                float &sum = sums[rowPart][columnPart * (productColumns / 2) + i];
                sum += scale[i / 2 % 2][i / 4 * 8 < firstColumns ? 0 : 1] * products[i];
              }
            }
          }
          position.advance();
#pragma unroll
          for (int32_t part = 0; part < columnParts; ++part) {
#pragma unroll
            for (int32_t second = 0; second < weights; ++second) {
              weightScale[part][second] = nextWeightScale[part][second];
            }
          }
        }
      }
    }
  }

  __device__ void accumulate(Sums &sums, const GemmOperands &operands, const GemmTile &tile, Position &position) const {
    if constexpr (!Config::isF8) {
      accumulateBF16(sums, tile, position);
    } else if constexpr (128 % productColumns == 0) {
      accumulateF8<productColumns>(sums, operands, tile, position);
    } else {
      accumulateAtBoundary<16>(sums, operands, tile, position);
    }
  }

  /// A copy of the loop for each place that the boundary can have: it is a constant there.
  template <int32_t firstColumns>
  __device__ void accumulateAtBoundary(Sums &sums, const GemmOperands &operands, const GemmTile &tile,
                                       Position &position) const {
    if constexpr (firstColumns >= productColumns || firstColumns > 128) {
      accumulateF8<productColumns>(sums, operands, tile, position);
    } else if constexpr (isBoundary(firstColumns)) {
      if (128 - tile.column % 128 == firstColumns && tile.column / 128 + 1 < weightBlocks) {
        accumulateF8<firstColumns>(sums, operands, tile, position);
      } else {
        accumulateAtBoundary<firstColumns + 16>(sums, operands, tile, position);
      }
    } else {
      accumulateAtBoundary<firstColumns + 16>(sums, operands, tile, position);
    }
  }

  __host__ __device__ static constexpr bool isBoundary(int32_t firstColumns) {
    for (int32_t tile = 0; tile < Config::columnTiles; ++tile) {
      if (128 - tile * productColumns % 128 == firstColumns) {
        return true;
      }
    }
    return false;
  }
};

} // namespace elah
