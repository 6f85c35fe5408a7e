#ifndef CODEGEN_CUDA_ATTENTIONLAYOUT_H
#define CODEGEN_CUDA_ATTENTIONLAYOUT_H

#include "codegen/Cuda/KernelSpec.h"
#include <algorithm>

namespace elah::cuda {

/// Of the cache: kernels/attention_plan.cuh.
constexpr int64_t pageTokens = 64;

/// What attention writes, and how its tiles see it: AttentionLayout in kernels/attention_combine.cuh.
struct AttentionLayout {
  int64_t heads, valueDim;
  int64_t tileHeads, tileTokens; ///< A tile's rows: tokens, of each some heads.
  int64_t units;                 ///< Tiles that have the same tokens and other heads.
  int64_t parts;                 ///< Blocks for each unit.

  int64_t rows() const { return tileHeads * tileTokens; }
  /// Of AttentionResults: what parts of split groups give, and which groups are split.
  int64_t scratchBytes() const { return parts * 16 + 2 * parts * units * rows() * 4 * (valueDim + 1); }
  /// Of the combining kernel, eight rows a block.
  int64_t combineBlocks() const { return parts * units * ((rows() + 7) / 8); }
};

struct AttentionShape;
struct AttentionSchedule;
struct LatentAttentionShape;
struct LatentAttentionSchedule;
AttentionLayout layoutOf(const AttentionShape &shape, const AttentionSchedule &schedule);
AttentionLayout layoutOf(const LatentAttentionShape &shape, const LatentAttentionSchedule &schedule);

/// The most parts that have something to do in a step of up to `tokens` tokens that see up to `context`: AttentionPlan
/// gives a part at least one page beside what a group costs, five pages.
inline int64_t busyParts(int64_t tokens, int64_t context) {
  const int64_t pages = (std::max<int64_t>(context, 1) - 1) / pageTokens + 1, overhead = 5;
  return (tokens * (pages + overhead) + overhead) / (overhead + 1);
}

/// What every combining kernel has (AttentionCombine): a warp for each row.
inline KernelSpec combiningKernel(const AttentionLayout &layout) {
  KernelSpec spec;
  spec.schedule = "a warp a row";
  spec.threads = 256;
  spec.maxRegisters = 64;
  spec.blocksPerMultiprocessor = 4;
  spec.scratchBytes = Extent::of(layout.scratchBytes());
  spec.grid.outer = layout.combineBlocks();
  return spec;
}

} // namespace elah::cuda

#endif
