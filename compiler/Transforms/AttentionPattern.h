// What both kinds of attention have in common: scores that are scaled, masked and made probabilities, which weigh
// values.
#ifndef COMPILER_TRANSFORMS_ATTENTIONPATTERN_H
#define COMPILER_TRANSFORMS_ATTENTIONPATTERN_H

#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Positional.h"
#include "compiler/Transforms/TensorView.h"
#include "dialects/R1/R1.h"

namespace elah {

/// softmax(scale * (sum of `scores`), masked) * values.
struct AttentionPattern {
  r1::MatmulOp sums; ///< The end.
  r1::SoftmaxOp softmax;
  llvm::SmallVector<r1::MatmulOp> scores;
  double scale = 1;
  llvm::SmallVector<mlir::Value> positional; ///< What the mask is computed from.

  /// Matches what ends in `sums`. Fails silently if that is no softmax of products; reports a miss for what comes
  /// close.
  static mlir::FailureOr<AttentionPattern> match(Fusion &fusion, r1::MatmulOp sums, const Positional &positional);
  /// Whether the mask lets each query see the keys at or before its position, and no others; with a cache, the keys of
  /// `past` more positions.
  mlir::LogicalResult expectCausal(Fusion &fusion, mlir::Value positions, bool isCached) const;
};

/// The softmax that gives these probabilities, if one does, but for rows that see no key and are made zero.
r1::SoftmaxOp softmaxOf(mlir::Value probabilities);

/// How the heads of a product's operands are laid out: batch dimensions of both, aligned.
struct Heads {
  TensorView::Dimension left, right; ///< Of equal sizes; the outer ones first.

  static std::optional<Heads> align(const TensorView &left, const TensorView &right);
  int64_t count() const;
  /// Whether the left operand's head h is h * stride columns from the first.
  bool isLeftDense(int64_t stride) const { return isDense(left, stride); }
  /// The number of heads on the right, each of which as many heads on the left share that follow one another; nothing
  /// if they lie otherwise. Head h is h * stride columns from the first.
  std::optional<int64_t> rightHeads(int64_t stride) const;

private:
  static bool isDense(llvm::ArrayRef<Factor> factors, int64_t stride);
};

/// Columns [first, first + width) of rows; the rows themselves if these are all.
mlir::Value sliceColumns(mlir::OpBuilder &builder, mlir::Location location, mlir::Value rows, int64_t first,
                         int64_t width);
/// Puts `rows` [T, heads * width] in the place of `sums` [heads..., T, width], as a view.
mlir::Value asHeads(mlir::OpBuilder &builder, mlir::Location location, mlir::Value rows, mlir::RankedTensorType type);

/// The operations that append one part of a layer's rows to the cache and read all of them, if `rows` is such a read.
struct CachedRows {
  r1::CacheAppendOp append;
  r1::CacheReadOp read;

  static std::optional<CachedRows> of(mlir::Value rows);
};

/// `#r1.rope` without the permutation that makes pairs of neighbours halves, if both inputs have it: scores do not
/// change when query and key are permuted alike. `query` and `key` become what is not permuted.
r1::RopeAttr withoutPermutation(r1::RopeAttr rope, TensorView &query, TensorView &key, int64_t queryDim,
                                int64_t keyDim);

/// The scale as it was before it was f32: a power of the head's dimension, if it rounds to that.
double exactScale(double scale, int64_t headDim);

} // namespace elah

#endif
