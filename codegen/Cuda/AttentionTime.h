#ifndef CODEGEN_CUDA_ATTENTIONTIME_H
#define CODEGEN_CUDA_ATTENTIONTIME_H

#include "codegen/Cuda/Attention.h"
#include "codegen/Cuda/LatentAttention.h"

namespace elah::cuda {

/// A step as attention sees it: sequences of one length.
struct AttendedStep {
  int64_t sequences = 1;
  int64_t tokens = 1;  ///< New ones, of each sequence.
  int64_t context = 1; ///< What the last of these sees, itself included.
};

struct AttentionSeconds {
  double attention = 0, combining = 0; ///< Of the kernel that combines parts.
  double whole() const { return attention + combining; }
};

/// What the model predicts. No GPU was asked.
AttentionSeconds predictAttentionSeconds(const AttentionShape &shape, const AttentionSchedule &schedule,
                                         const AttendedStep &step, const CudaTarget &target);
AttentionSeconds predictLatentAttentionSeconds(const LatentAttentionShape &shape,
                                               const LatentAttentionSchedule &schedule, const AttendedStep &step,
                                               const CudaTarget &target);

} // namespace elah::cuda

#endif
