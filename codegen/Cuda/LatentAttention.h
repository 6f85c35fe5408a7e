// MLA decode in the absorbed form over a paged cache: kernels/latent_attention.cuh.
#ifndef CODEGEN_CUDA_LATENTATTENTION_H
#define CODEGEN_CUDA_LATENTATTENTION_H

#include "codegen/Cuda/KernelSpec.h"
#include "codegen/Target/CudaTarget.h"

namespace elah::cuda {

/// Operands: queries bf16 [tokens, heads * (rank + ropeDim)], cache bf16 [cache rows, rank + ropeDim] or rows of
/// kernel::Fp8LatentRow, positions and sequences i32 [tokens], pages i32 [sequences, pages per sequence], output bf16
/// [tokens, heads * rank].
struct LatentAttentionShape {
  int64_t heads = 128, rank = 512, ropeDim = 64;
  double scale = 1;   ///< Of scores.
  bool isFp8 = false; ///< The cache.
};

struct LatentAttentionSchedule {
  int64_t parts = 1; ///< Blocks that share the step's tokens, for each unit of 64 heads.
};

/// Empty, or why no kernel is there for the shape.
std::string whyNoLatentAttention(const LatentAttentionShape &shape);

/// Best first.
std::vector<LatentAttentionSchedule> legalLatentAttentionSchedules(const LatentAttentionShape &shape,
                                                                   const CudaTarget &target);

/// For steps of up to `tokens` tokens, none of which sees more than `context`: no more parts than have something to do.
LatentAttentionSchedule chooseLatentAttentionSchedule(const LatentAttentionShape &shape, int64_t tokens,
                                                      int64_t context, const CudaTarget &target);

/// Attention, and the kernel that combines what parts of the cache gave.
std::vector<KernelSpec> specializeLatentAttention(const LatentAttentionShape &shape,
                                                  const LatentAttentionSchedule &schedule);

} // namespace elah::cuda

#endif
