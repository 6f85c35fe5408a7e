// Causal attention with grouped key/value heads over a paged cache: kernels/attention.cuh.
#ifndef CODEGEN_CUDA_ATTENTION_H
#define CODEGEN_CUDA_ATTENTION_H

#include "codegen/Cuda/KernelSpec.h"
#include "codegen/Target/CudaTarget.h"

namespace elah::cuda {

/// kernel.attention on bf16, with pages of 64 tokens. Operands: query [T, heads * headDim], key cache [cache rows,
/// kvHeads * headDim], value cache [cache rows, kvHeads * valueDim], positions and token sequences i32[T], page table
/// i32[sequences, pages of a sequence], output [T, heads * valueDim]. All rows are dense. The tokens of a sequence
/// follow each other, and their positions ascend.
struct AttentionShape {
  int64_t heads = 1, kvHeads = 1;
  int64_t headDim = 128, valueDim = 128;
  double scale = 1; ///< Of scores, positive.
};

struct AttentionSchedule {
  int64_t warpgroups = 1; ///< That multiply, 1 or 2: a tile has 64 or 128 rows.
  int64_t stages = 2;     ///< Pages of keys and of values under way.
  int64_t parts = 1;      ///< Blocks that share the step's tokens, for each unit of heads.

  std::string describe() const;
};

/// Empty, or why no kernel is there for the shape.
std::string whyNoAttention(const AttentionShape &shape);

/// Best first, for steps of up to `tokens` tokens.
std::vector<AttentionSchedule> legalAttentionSchedules(const AttentionShape &shape, int64_t tokens,
                                                       const CudaTarget &target);

/// For steps of up to `tokens` tokens, each of which sees up to `context`. There must be a legal schedule.
AttentionSchedule chooseAttentionSchedule(const AttentionShape &shape, int64_t tokens, int64_t context,
                                          const CudaTarget &target);

/// Attention, and the kernel that combines what parts of a sequence's pages gave.
std::vector<KernelSpec> specializeAttention(const AttentionShape &shape, const AttentionSchedule &schedule);

} // namespace elah::cuda

#endif
