#ifndef CODEGEN_CUDA_ATTENTIONLAYOUT_H
#define CODEGEN_CUDA_ATTENTIONLAYOUT_H

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

} // namespace elah::cuda

#endif
