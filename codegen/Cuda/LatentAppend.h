#ifndef CODEGEN_CUDA_LATENTAPPEND_H
#define CODEGEN_CUDA_LATENTAPPEND_H

#include "codegen/Cuda/KernelText.h"

namespace elah::cuda {

/// kernel.latent_append. Operands: query bf16[T, heads * (nope + rope)], latent bf16[T, rank + rope], norm weight
/// f32[rank], table f32[T, rope], cache rows i32[T], absorbed bf16[T, heads * (rank + rope)], cache bf16[.., rank +
/// rope] or rows of kernel::Fp8LatentRow.
struct LatentAppendShape {
  int64_t heads = 1, nope = 0, rope = 0, rank = 0;
  int64_t latentPitch = 0; ///< Elements; 0: rank + rope.
  bool isHalf = false;     ///< The layout of the rotation: halves, not neighbours.
  bool isFp8 = false;      ///< The cache.
  double epsilon = 1e-6;
};

/// Several blocks have some heads of a token each; another one has its cache row.
struct LatentAppendSchedule {
  unsigned threads = 128, parts = 1;
};
LatentAppendSchedule chooseLatentAppendSchedule(const LatentAppendShape &shape);

KernelSpec specializeLatentAppend(const LatentAppendShape &shape, const LatentAppendSchedule &schedule);

} // namespace elah::cuda

#endif
