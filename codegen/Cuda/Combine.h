#ifndef CODEGEN_CUDA_COMBINE_H
#define CODEGEN_CUDA_COMBINE_H

#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

/// kernel.combine. Operands: rows bf16[T * chosen, width], weights f32[T, chosen], slots i32[T, chosen], output
/// f32[T, width], which is added to.
struct CombineShape {
  int64_t width = 0;
  int64_t chosen = 1; ///< Experts of a token, the shared ones included.

  int64_t units() const { return (width + 3) / 4; }
};

KernelSpec specializeCombine(const CombineShape &shape, const RowSchedule &schedule);

} // namespace elah::cuda

#endif
