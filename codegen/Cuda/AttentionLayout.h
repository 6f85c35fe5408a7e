#ifndef CODEGEN_CUDA_ATTENTIONLAYOUT_H
#define CODEGEN_CUDA_ATTENTIONLAYOUT_H

#include <algorithm>
#include <cstdint>

namespace elah::cuda {

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

/// The most parts that have something to do in a step of up to `tokens` tokens that see up to `context`: AttentionPlan
/// gives a part at least one page beside what a group costs, five pages.
inline int64_t busyParts(int64_t tokens, int64_t context) {
  const int64_t pages = (std::max<int64_t>(context, 1) - 1) / 64 + 1, overhead = 5;
  return (tokens * (pages + overhead) + overhead) / (overhead + 1);
}

} // namespace elah::cuda

#endif
