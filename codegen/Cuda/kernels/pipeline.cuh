// A ring of stages in shared memory between a producer, which fills them by asynchronous copies, and consumers.
// Two mbarriers a stage: `full` completes a phase when all bytes have come, `empty` when all consumers have released
// it.
#pragma once

#include "ptx/mbarrier.cuh"

namespace elah {

/// Where a producer or a consumer stands: each goes through the stages in the same order, on its own.
template <int32_t stages> struct PipelinePosition {
  uint32_t stage = 0, phase = 0;

  __device__ void advance() {
    ++stage;
    if (stage == stages) {
      stage = 0;
      phase ^= 1;
    }
  }
};

template <int32_t stages> struct Pipeline {
  uint32_t barriers; ///< In shared memory: full of each stage, then empty of each.

  __device__ uint32_t full(uint32_t stage) const { return barriers + 8 * stage; }
  __device__ uint32_t empty(uint32_t stage) const { return barriers + 8 * (stages + stage); }

  /// By one thread; then a fence and a barrier of the block, or of the cluster.
  __device__ void init(uint32_t releases) const {
    for (uint32_t stage = 0; stage < stages; ++stage) {
      ptx::mbarrier_init(full(stage), 1);
      ptx::mbarrier_init(empty(stage), releases);
    }
  }
};

} // namespace elah
