// The router of DeepSeek-V3 (report, section 2.1.2): scores, a bias that only chooses, groups of which the best stay,
// the top k of what is left. A warp has a token. Equal scores: the lower index first, always.
#pragma once

#include "kernels/rows.cuh"
#include "kernels/values.cuh"
#include "ptx/barrier.cuh"
#include "ptx/memory.cuh"

namespace elah {

enum class Scoring { Softmax, Sigmoid };

struct RouteShape {
  Scoring scoring;
  int32_t experts, groups, topGroups, topK;
  bool isTop2; ///< A group's rank is the sum of its two best, not the best.
  bool isNormalized;
  int32_t shared; ///< Experts E, E + 1, ... of every token, with weight 1.
  bool hasBias;
};

struct RouteOperands {
  const float *logits;
  const float *bias;
  int32_t *chosen;
  float *weights;
  const Dims *dims;
  float scale;
};

/// Of the warp's lanes the index whose key is the largest: the lowest of equal ones. All lanes get it.
__device__ inline int32_t indexOfLargest(uint32_t key, int32_t index) {
  const uint32_t largest = __reduce_max_sync(0xffffffffu, key);
  return __reduce_min_sync(0xffffffffu, key == largest ? index : 0x7fffffff);
}

template <RouteShape shape, RowSchedule schedule> __device__ inline void route(const RouteOperands &operands) {
  static_assert(schedule.threadsPerRow == 32 && shape.groups <= 32);
  constexpr int32_t share = (shape.experts + 31) / 32, size = shape.experts / shape.groups;
  const float lowest = -__int_as_float(0x7f800000);
  __shared__ float biasedOfBlock[schedule.rowsPerBlock][shape.groups > 1 ? shape.experts : 1];
  const int32_t token = rowOfThread<schedule>(), lane = threadOfRow<schedule>();
  float bias[share] = {};
  ptx::griddepcontrol_launch_dependents();
  if constexpr (shape.hasBias) {
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      if (lane + 32 * i < shape.experts) {
        bias[i] = ptx::ld_global_nc_f32(operands.bias + lane + 32 * i);
      }
    }
  }
  ptx::griddepcontrol_wait();
  if (token >= operands.dims->tokens) {
    return;
  }
  float *const biased = biasedOfBlock[threadIdx.x / 32];
  // Expert lane + 32 i is this lane's i-th.
  float scores[share];
  float largest = lowest;
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t expert = lane + 32 * i;
    scores[i] = expert < shape.experts ? operands.logits[static_cast<int64_t>(token) * shape.experts + expert] : lowest;
    largest = fmaxf(largest, scores[i]);
  }
  if constexpr (shape.scoring == Scoring::Softmax) {
    largest = largestOfWarp(largest);
    float total = 0;
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      scores[i] = lane + 32 * i < shape.experts ? expf(scores[i] - largest) : 0;
      total += scores[i];
    }
    total = sumOfWarp(total);
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      scores[i] /= total;
    }
  } else {
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      scores[i] = 1.0f / (1.0f + expf(-scores[i]));
    }
  }
  // What is left to choose from: 0 is nothing.
  uint32_t keys[share];
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t expert = lane + 32 * i;
    keys[i] = 0;
    if (expert < shape.experts) {
      const float value = scores[i] + bias[i];
      keys[i] = max(orderedBits(value), 1u);
      if constexpr (shape.groups > 1) {
        biased[expert] = value;
      }
    }
  }
  if constexpr (shape.groups > 1) {
    __syncwarp();
    float rank = lowest;
    if (lane < shape.groups) {
      float first = lowest, second = lowest;
      for (int32_t i = 0; i < size; ++i) {
        const float value = biased[lane * size + i];
        second = fmaxf(second, fminf(first, value));
        first = fmaxf(first, value);
      }
      rank = shape.isTop2 && size > 1 ? first + second : first;
    }
    uint32_t rankKey = lane < shape.groups ? max(orderedBits(rank), 1u) : 0, stays = 0;
#pragma unroll
    for (int32_t i = 0; i < shape.topGroups; ++i) {
      const int32_t group = indexOfLargest(rankKey, lane);
      rankKey = lane == group ? 0 : rankKey;
      stays |= 1u << group;
    }
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      const int32_t expert = lane + 32 * i;
      if (expert < shape.experts && !(stays >> expert / size & 1)) {
        keys[i] = orderedBits(lowest);
      }
    }
  }
  // A lane writes the choice of its number.
  static_assert(shape.topK + shape.shared <= 32);
  int32_t mine = shape.experts + lane - shape.topK;
  float weight = 1, sum = 1e-20f;
#pragma unroll 1
  for (int32_t k = 0; k < shape.topK; ++k) {
    uint32_t best = keys[0];
    int32_t expert = lane;
#pragma unroll
    for (int32_t i = 1; i < share; ++i) {
      if (keys[i] > best) {
        best = keys[i], expert = lane + 32 * i;
      }
    }
    expert = indexOfLargest(best, expert);
    float score = 0;
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      if (expert == lane + 32 * i) {
        keys[i] = 0;
        score = scores[i];
      }
    }
    score = __shfl_sync(0xffffffffu, score, expert % 32);
    sum += score;
    if (lane == k) {
      mine = expert, weight = score;
    }
  }
  if (lane < shape.topK) {
    weight *= operands.scale / (shape.isNormalized ? sum : 1.0f);
  }
  if (lane < shape.topK + shape.shared) {
    const int64_t place = static_cast<int64_t>(token) * (shape.topK + shape.shared) + lane;
    operands.chosen[place] = mine;
    operands.weights[place] = weight;
  }
}

} // namespace elah
