#ifndef CODEGEN_CUDA_ROPEAPPEND_H
#define CODEGEN_CUDA_ROPEAPPEND_H

#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

/// kernel.rope_append. Operands: qkv bf16[T, heads * headDim + kvHeads * (headDim + valueDim)], table f32[T, rotated]
/// (if something is rotated), cache rows i32[T], query bf16[T, heads * headDim], key cache, value cache.
struct RopeAppendShape {
  int64_t heads = 1, kvHeads = 1, headDim = 0, valueDim = 0;
  int64_t pitch = 0;   ///< Of qkv, elements; 0: its width.
  int64_t rotated = 0; ///< Values of a head, its first ones.
  bool isHalf = true;  ///< The layout of the rotation: halves, not neighbours.

  int64_t width() const { return heads * headDim + kvHeads * (headDim + valueDim); }
  /// Values of an access, as many as all rows allow.
  int64_t vector() const {
    return accessWidth(8, {headDim, valueDim, pitch ? pitch : width(), isHalf ? rotated / 2 : rotated});
  }
  int64_t units() const { return width() / vector(); }
};

KernelSpec specializeRopeAppend(const RopeAppendShape &shape, const RowSchedule &schedule);

} // namespace elah::cuda

#endif
