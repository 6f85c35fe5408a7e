// Puts together what several parts found for one group of tokens (attention_plan.cuh): each result is normalised and
// comes with the logarithm of its sum of exponentials, which says how much it weighs. Summed in the order of parts, so
// that results do not depend on which part was first.
#pragma once

#include "kernels/attention_plan.cuh"
#include "ptx/barrier.cuh"
#include "ptx/convert.cuh"

namespace elah {

/// What attention writes, and how its tiles see it. The host's counterpart is AttentionLayout.
struct AttentionLayout {
  int32_t heads, valueDim;
  int32_t tileHeads, tileTokens; ///< A tile's rows: tokens, of each some heads.
  int32_t units;                 ///< Tiles that have the same tokens and other heads.
  int32_t parts;                 ///< Blocks for each unit.
};

/// Scratch memory of a step's attention.
template <AttentionLayout layout> struct AttentionResults {
  static constexpr int32_t rows = layout.tileHeads * layout.tileTokens, slots = 2 * layout.parts;
  static constexpr int32_t semaphoreBytes = 65536; ///< ELAH_CUDA_SEMAPHORE_BYTES

  SplitGroup *groups; ///< [parts]
  float *weights;     ///< [slots, units, rows], log2 of sums of exponentials
  float *values;      ///< [slots, units, rows, valueDim]

  __device__ explicit AttentionResults(void *scratch) {
    uint8_t *at = static_cast<uint8_t *>(scratch) + semaphoreBytes;
    groups = reinterpret_cast<SplitGroup *>(at);
    at += sizeof(SplitGroup) * layout.parts;
    values = reinterpret_cast<float *>(at);
    weights = values + static_cast<int64_t>(slots) * layout.units * rows * layout.valueDim;
  }

  __device__ static int32_t row(int32_t slot, int32_t unit, int32_t row) {
    return (slot * layout.units + unit) * rows + row;
  }
};

template <AttentionLayout layout> struct AttentionCombine {
  static constexpr int32_t warps = 8, threads = 32 * warps;
  static constexpr int32_t rows = layout.tileHeads * layout.tileTokens;
  static constexpr int32_t rowBlocks = (rows + warps - 1) / warps;
  /// In four columns of a lane.
  static constexpr int32_t steps = (layout.valueDim + 127) / 128;

  /// A block for each part, unit and eight rows; a warp for each row.
  __device__ static void run(uint16_t *output, void *scratch) {
    __shared__ float shares[warps][layout.parts];
    const int32_t part = blockIdx.x / (layout.units * rowBlocks);
    const int32_t unit = blockIdx.x / rowBlocks % layout.units;
    const int32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int32_t row = blockIdx.x % rowBlocks * warps + warp;
    const AttentionResults<layout> results(scratch);
    ptx::griddepcontrol_wait();
    ptx::griddepcontrol_launch_dependents();

    const SplitGroup group = results.groups[part];
    const int32_t token = group.token + row / layout.tileHeads, head = unit * layout.tileHeads + row % layout.tileHeads;
    if (group.parts == 0 || row >= rows || token >= group.tokenEnd || head >= layout.heads) {
      return;
    }
    auto place = [&](int32_t i) { return AttentionResults<layout>::row(2 * (part + i) + (i == 0), unit, row); };
    float largest = -__int_as_float(0x7f800000), sum = 0;
    for (int32_t i = lane; i < group.parts; i += 32) {
      const float weight = results.weights[place(i)];
      shares[warp][i] = weight;
      largest = fmaxf(largest, weight);
    }
#pragma unroll
    for (int32_t distance = 16; distance > 0; distance /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
    }
    for (int32_t i = lane; i < group.parts; i += 32) {
      shares[warp][i] = ptx::ex2_approx(shares[warp][i] - largest);
      sum += shares[warp][i];
    }
#pragma unroll
    for (int32_t distance = 16; distance > 0; distance /= 2) {
      sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    }
    __syncwarp();

    float total[steps][4] = {};
#pragma unroll 2
    for (int32_t i = 0; i < group.parts; ++i) {
      const float *from = results.values + static_cast<int64_t>(place(i)) * layout.valueDim;
      const float share = shares[warp][i];
#pragma unroll
      for (int32_t step = 0; step < steps; ++step) {
        const int32_t column = step * 128 + lane * 4;
        if (column < layout.valueDim) {
          const Floats4 values = *reinterpret_cast<const Floats4 *>(from + column);
          total[step][0] += share * values.x;
          total[step][1] += share * values.y;
          total[step][2] += share * values.z;
          total[step][3] += share * values.w;
        }
      }
    }
    const float factor = 1 / sum;
    uint16_t *to = output + (static_cast<int64_t>(token) * layout.heads + head) * layout.valueDim;
#pragma unroll
    for (int32_t step = 0; step < steps; ++step) {
      const int32_t column = step * 128 + lane * 4;
      if (column < layout.valueDim) {
        *reinterpret_cast<Words2 *>(to + column) = {
            ptx::cvt_rn_bf16x2_f32(total[step][0] * factor, total[step][1] * factor),
            ptx::cvt_rn_bf16x2_f32(total[step][2] * factor, total[step][3] * factor)};
      }
    }
  }
};

} // namespace elah
