// The router of DeepSeek-V3 (report, section 2.1.2): scores, a bias that only chooses, groups of which the best stay,
// the top k of what is left. A warp has a token. Equal scores: the lower index first, always.
#pragma once

#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

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

/// The largest value of the warp's lanes and its index: the lowest of equal ones. All lanes get it.
__device__ inline void largestOfWarp(float &value, int32_t &index) {
#pragma unroll
  for (int32_t distance = 16; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, value, distance);
    const int32_t otherIndex = __shfl_xor_sync(0xffffffffu, index, distance);
    if (other > value || (other == value && otherIndex < index)) {
      value = other, index = otherIndex;
    }
  }
}

template <RouteShape shape, RowSchedule schedule> __device__ inline void route(const RouteOperands &operands) {
  static_assert(schedule.threadsPerRow == 32 && shape.groups <= 32);
  constexpr int32_t share = (shape.experts + 31) / 32, size = shape.experts / shape.groups;
  const float lowest = -__int_as_float(0x7f800000);
  constexpr int32_t none = 0x7fffffff;
  __shared__ float biasedOfBlock[schedule.rowsPerBlock][shape.experts];
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t token = rowOfThread<schedule>(), lane = threadOfRow<schedule>();
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
    int32_t ignored = lane;
    largestOfWarp(largest, ignored);
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
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t expert = lane + 32 * i;
    if (expert < shape.experts) {
      biased[expert] = scores[i] + (shape.hasBias ? operands.bias[expert] : 0);
    }
  }
  __syncwarp();
  if constexpr (shape.groups > 1) {
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
    uint32_t stays = 0;
    for (int32_t i = 0; i < shape.topGroups; ++i) {
      float best = rank;
      int32_t group = lane < shape.groups && !(stays >> lane & 1) ? lane : none;
      if (group == none) {
        best = lowest;
      }
      largestOfWarp(best, group);
      stays |= 1u << group;
    }
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      const int32_t expert = lane + 32 * i;
      if (expert < shape.experts && !(stays >> expert / size & 1)) {
        biased[expert] = lowest;
      }
    }
    __syncwarp();
  }
  // A lane writes the choice of its number.
  static_assert(shape.topK + shape.shared <= 32);
  uint32_t taken = 0;
  int32_t mine = shape.experts + lane - shape.topK;
  float weight = 1, sum = 1e-20f;
  for (int32_t k = 0; k < shape.topK; ++k) {
    float best = lowest;
    int32_t expert = none;
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      const int32_t candidate = lane + 32 * i;
      if (candidate < shape.experts && !(taken >> i & 1)) {
        const float value = biased[candidate];
        if (expert == none || value > best) {
          best = value, expert = candidate;
        }
      }
    }
    largestOfWarp(best, expert);
    float score = 0;
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      if (expert == lane + 32 * i) {
        taken |= 1u << i;
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
