// What a GEMM makes of the sums of a tile: adds the bias, applies SwiGLU, and writes bf16, f32, f32 added to what is
// there, or e4m3 with a scale for each row and 128 columns. Narrow outputs go through shared memory: a store by TMA
// where all 64 rows of a warpgroup are the step's, else row by row, so that no row behind the last is touched (with
// experts it is the next one's).
#pragma once

#include "kernels/gemm_tiles.cuh"
#include "ptx/barrier.cuh"
#include "ptx/bulk_copy.cuh"
#include "ptx/convert.cuh"
#include "ptx/matrix_moves.cuh"
#include "ptx/memory.cuh"

namespace elah {

template <GemmShape shape, GemmSchedule schedule> struct GemmEpilogue {
  using Config = GemmConfig<shape, schedule>;
  static constexpr int32_t pairs = Config::outputColumns / 8; ///< Of columns: a thread has one of each eight.
  static constexpr uint32_t warpgroupBytes = Config::warpgroupRows * Config::rowBytes; ///< Staged by a warpgroup.
  static constexpr uint32_t panelSize = Config::warpgroupRows * Config::panelBytes;

  const GemmOperands &operands;
  uint32_t staged; ///< This warpgroup's part of shared memory.
  uint32_t warpgroup;

  /// Where 16 bytes of a panel lie.
  __device__ static uint32_t swizzled(uint32_t row, uint32_t chunk) {
    constexpr uint32_t chunks = Config::panelBytes / 16;
    return row * Config::panelBytes + (chunk ^ (row / (8 / chunks) % chunks)) * 16;
  }

  __device__ static float silu(float x) {
    constexpr float log2e = 1.44269504f;
    return x * ptx::rcp_approx(1.0f + ptx::ex2_approx(-x * log2e));
  }

  /// By all threads of the warpgroup: the sums become the output's columns, the first half of them with SwiGLU.
  __device__ void activate(float (&sums)[Config::rowParts][Config::accumulators], const GemmTile &tile) const {
    const int32_t firstColumn = tile.column + threadIdx.x % 4 * 2;
    if constexpr (shape.hasBias) {
#pragma unroll
      for (int32_t i = 0; i < Config::tileColumns / 8; ++i) {
        int32_t half = i / pairs, column = firstColumn + (i - half * pairs) * 8;
        if (column < shape.columns) {
          Floats2 bias = ptx::ld_global_nc_v2_f32(operands.bias + half * shape.columns + column);
#pragma unroll
          for (int32_t part = 0; part < Config::rowParts; ++part) {
            sums[part][4 * i] += bias.x;
            sums[part][4 * i + 1] += bias.y;
            sums[part][4 * i + 2] += bias.x;
            sums[part][4 * i + 3] += bias.y;
          }
        }
      }
    }
    if constexpr (Config::isSwiglu) {
#pragma unroll
      for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
        for (int32_t i = 0; i < Config::accumulators / 2; ++i) {
          sums[part][i] = silu(sums[part][i]) * sums[part][i + Config::accumulators / 2];
        }
      }
    }
  }

  __device__ void writeF32(const float (&sums)[Config::rowParts][Config::accumulators], const GemmTile &tile) const {
    const int32_t lane = threadIdx.x % 32;
    const int32_t firstRow = tile.row + warpgroup * Config::warpgroupRows + threadIdx.x / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
      for (int32_t lower = 0; lower < 2; ++lower) {
        const int32_t row = firstRow + part * 64 + lower * 8;
        if (row < tile.rowEnd) {
          float *to = static_cast<float *>(operands.output) + static_cast<int64_t>(row) * shape.outputPitch +
                      tile.column + lane % 4 * 2;
#pragma unroll
          for (int32_t i = 0; i < pairs; ++i) {
            if (shape.columns % Config::outputColumns == 0 || tile.column + lane % 4 * 2 + i * 8 < shape.columns) {
              float x = sums[part][4 * i + 2 * lower], y = sums[part][4 * i + 2 * lower + 1];
              if constexpr (shape.output == GemmOutput::F32Add) {
                ptx::red_global_add_v2_f32(to + i * 8, x, y);
              } else {
                ptx::st_global_v2_f32(to + i * 8, x, y);
              }
            }
          }
        }
      }
    }
  }

  __device__ void stageBF16(const float (&sums)[Config::rowParts][Config::accumulators]) const {
    // Lane l names row l % 16 of columns 8 * (l / 16) ... of each 16.
    const uint32_t lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16 + lane % 16;
#pragma unroll
    for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
      for (int32_t i = 0; i + 1 < pairs; i += 2) {
        constexpr int32_t chunks = Config::panelBytes / 16;
        const float *v = &sums[part][4 * i];
        ptx::stmatrix_x4(staged + i / chunks * panelSize + swizzled(part * 64 + row, i % chunks + lane / 16),
                         ptx::cvt_rn_bf16x2_f32(v[0], v[1]), ptx::cvt_rn_bf16x2_f32(v[2], v[3]),
                         ptx::cvt_rn_bf16x2_f32(v[4], v[5]), ptx::cvt_rn_bf16x2_f32(v[6], v[7]));
      }
    }
  }

  /// Scales are the largest magnitude of a row's 128 columns over 448, e4m3's largest value; at least 1e-4 / 448.
  __device__ void stageF8(const float (&sums)[Config::rowParts][Config::accumulators], const GemmTile &tile) const {
    static_assert(shape.output != GemmOutput::SwigluF8 || Config::outputColumns == 128);
    constexpr int32_t scalePitch = roundUp(ceilDiv(shape.columns, 128), 4);
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int32_t part = 0; part < Config::rowParts; ++part) {
#pragma unroll
      for (int32_t lower = 0; lower < 2; ++lower) {
        const float *v = &sums[part][2 * lower];
        float largest = 1e-4f;
#pragma unroll
        for (int32_t i = 0; i < pairs; ++i) {
          largest = fmaxf(largest, fmaxf(fabsf(v[4 * i]), fabsf(v[4 * i + 1])));
        }
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
        const uint32_t rowInPart = threadIdx.x / 32 % 4 * 16 + lower * 8 + lane / 4;
        const int32_t row = tile.row + warpgroup * Config::warpgroupRows + part * 64 + rowInPart;
        if (lane % 4 == 0 && row < tile.rowEnd) {
          operands.outputScales[static_cast<int64_t>(row) * scalePitch + tile.column / 128] = largest / 448.0f;
        }
        const float inverse = 448.0f / largest;
        // A thread has two of each 8 columns, two bytes. Neighbours swap, so that each has four: the even lane of the
        // first 8 columns, the odd lane of the next.
#pragma unroll
        for (int32_t i = 0; i < pairs; i += 2) {
          uint32_t first = ptx::cvt_rn_satfinite_e4m3x2_f32(v[4 * i] * inverse, v[4 * i + 1] * inverse);
          uint32_t second = ptx::cvt_rn_satfinite_e4m3x2_f32(v[4 * i + 4] * inverse, v[4 * i + 5] * inverse);
          const bool isOdd = lane % 2;
          uint32_t other = __shfl_xor_sync(0xffffffffu, isOdd ? first : second, 1);
          uint32_t word = isOdd ? other | second << 16 : first | other << 16;
          uint32_t at = swizzled(part * 64 + rowInPart, i / 2) + (isOdd ? 8 : 0) + lane % 4 / 2 * 4;
          ptx::st_shared_u32(staged + at, word);
        }
      }
    }
  }

  /// The staged tile to global memory.
  __device__ void copyOut(const GemmTile &tile) const {
    const uint32_t thread = threadIdx.x % 128;
    const int32_t head = shape.batch == GemmBatch::Heads ? tile.batch : 0;
    const int32_t row = tile.row + warpgroup * Config::warpgroupRows;
    if (row + Config::warpgroupRows <= tile.rowEnd) {
      if (thread == 0) {
#pragma unroll
        for (int32_t panel = 0; panel < Config::panels; ++panel) {
          int32_t column = tile.column + panel * Config::panelColumns;
          if (shape.columns % Config::outputColumns == 0 || column < shape.columns) {
            ptx::cp_async_bulk_tensor_3d_store(operands.outputMap, column, row, head, staged + panel * panelSize);
          }
        }
        ptx::cp_async_bulk_commit_group();
      }
      return;
    }
    constexpr int32_t rowChunks = Config::rowBytes / 16, panelChunks = Config::panelBytes / 16;
    constexpr int32_t chunkColumns = 16 / Config::outputBytes;
    uint8_t *to = static_cast<uint8_t *>(operands.output) +
                  (static_cast<int64_t>(head) * shape.outputStride + shape.outputOffset) * Config::outputBytes;
    const int32_t chunks = (tile.rowEnd - row) * rowChunks;
    for (int32_t i = static_cast<int32_t>(thread); i < chunks; i += 128) {
      const int32_t chunkRow = i / rowChunks, chunk = i % rowChunks, column = tile.column + chunk * chunkColumns;
      if (column < shape.columns) {
        Words4 words =
            ptx::ld_shared_v4(staged + chunk / panelChunks * panelSize + swizzled(chunkRow, chunk % panelChunks));
        ptx::st_global_v4(
            to + (static_cast<int64_t>(row + chunkRow) * shape.outputPitch + column) * Config::outputBytes, words);
      }
    }
  }

  __device__ void write(float (&sums)[Config::rowParts][Config::accumulators], const GemmTile &tile) const {
    activate(sums, tile);
    if constexpr (!Config::isStaged) {
      writeF32(sums, tile);
    } else {
      // The tile before has left shared memory.
      if (threadIdx.x % 128 == 0) {
        ptx::cp_async_bulk_wait_group_read<0>();
      }
      ptx::bar_sync(1 + warpgroup, 128);
      if constexpr (shape.output == GemmOutput::SwigluF8) {
        stageF8(sums, tile);
      } else {
        stageBF16(sums);
      }
      ptx::fence_proxy_async_shared();
      ptx::bar_sync(1 + warpgroup, 128);
      copyOut(tile);
    }
  }

  /// Before the block leaves: shared memory is read until then.
  __device__ void finish() const {
    if (Config::isStaged && threadIdx.x % 128 == 0) {
      ptx::cp_async_bulk_wait_group_read<0>();
    }
  }
};

} // namespace elah
