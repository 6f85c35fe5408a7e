// Where each expert's rows lie: a stable counting sort of (token, expert) pairs by expert, in one block, the same every
// time. Each warp counts a run of neighbouring pairs; sums over warps and experts give each warp its first place for
// each expert; then the warps go over their pairs again, in order.
#pragma once

#include "kernels/dims.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct ExpertPlanShape {
  int32_t experts; ///< The shared ones included.
  int32_t chosen;  ///< Of a token.
  int32_t warps;   ///< Of the block.
};

struct ExpertPlanOperands {
  const int32_t *experts;
  int32_t *offsets, *gather, *slots;
  const Dims *dims;
};

template <ExpertPlanShape shape> __device__ inline void expert_plan(const ExpertPlanOperands &operands) {
  constexpr int32_t threads = shape.warps * 32;
  __shared__ int32_t places[shape.warps][shape.experts]; // Counts, then the next place.
  __shared__ int32_t totals[threads];
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t thread = static_cast<int32_t>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int32_t pairs = operands.dims->tokens * shape.chosen;
  const int32_t run = (pairs + threads - 1) / threads * 32; // Of a warp.
  const int32_t begin = min(warp * run, pairs), end = min(begin + run, pairs);
  for (int32_t i = thread; i < shape.warps * shape.experts; i += threads) {
    places[i / shape.experts][i % shape.experts] = 0;
  }
  __syncthreads();
  const uint32_t before = (1u << lane) - 1;
  for (int32_t first = begin; first < end; first += 32) {
    const bool isPair = first + lane < end;
    const int32_t expert = isPair ? operands.experts[first + lane] : -1;
    const uint32_t same = __match_any_sync(0xffffffffu, expert);
    if (isPair && !(same & before)) {
      places[warp][expert] += __popc(same);
    }
    __syncwarp();
  }
  __syncthreads();
  // Runs of experts, one for each thread.
  constexpr int32_t share = (shape.experts + threads - 1) / threads;
  int32_t sum = 0;
  for (int32_t i = 0; i < share; ++i) {
    const int32_t expert = thread * share + i;
    for (int32_t w = 0; expert < shape.experts && w < shape.warps; ++w) {
      sum += places[w][expert];
    }
  }
  totals[thread] = sum;
  __syncthreads();
  for (int32_t distance = 1; distance < threads; distance *= 2) {
    const int32_t left = thread >= distance ? totals[thread - distance] : 0;
    __syncthreads();
    totals[thread] += left;
    __syncthreads();
  }
  int32_t place = totals[thread] - sum;
  for (int32_t i = 0; i < share; ++i) {
    const int32_t expert = thread * share + i;
    if (expert < shape.experts) {
      operands.offsets[expert] = place;
      for (int32_t w = 0; w < shape.warps; ++w) {
        const int32_t count = places[w][expert];
        places[w][expert] = place;
        place += count;
      }
    }
  }
  if (thread == threads - 1) {
    operands.offsets[shape.experts] = totals[thread];
  }
  __syncthreads();
  for (int32_t first = begin; first < end; first += 32) {
    const bool isPair = first + lane < end;
    const int32_t expert = isPair ? operands.experts[first + lane] : -1;
    const uint32_t same = __match_any_sync(0xffffffffu, expert);
    if (isPair) {
      const int32_t slot = places[warp][expert] + __popc(same & before);
      operands.gather[slot] = (first + lane) / shape.chosen;
      operands.slots[first + lane] = slot;
    }
    __syncwarp();
    if (isPair && !(same & before)) {
      places[warp][expert] += __popc(same);
    }
    __syncwarp();
  }
}

} // namespace elah
