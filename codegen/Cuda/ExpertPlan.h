#ifndef CODEGEN_CUDA_EXPERTPLAN_H
#define CODEGEN_CUDA_EXPERTPLAN_H

#include "codegen/Cuda/KernelText.h"

namespace elah::cuda {

/// kernel.expert_plan. Operands: experts i32[T, chosen], offsets i32[experts + 1], gather i32[T * chosen], slots
/// i32[T, chosen]. One block.
struct ExpertPlanShape {
  int64_t experts = 1; ///< The shared ones included.
  int64_t chosen = 1;
};

/// Counts of each warp and expert are kept in shared memory: with many experts a block has fewer warps.
unsigned expertPlanWarps(const ExpertPlanShape &shape);

/// Empty, or what was found and expected.
std::string whyNoExpertPlan(const ExpertPlanShape &shape);

KernelSpec specializeExpertPlan(const ExpertPlanShape &shape, unsigned warps);

} // namespace elah::cuda

#endif
