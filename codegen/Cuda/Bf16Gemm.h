#ifndef CODEGEN_CUDA_BF16GEMM_H
#define CODEGEN_CUDA_BF16GEMM_H

#include "codegen/Cuda/GemmSchedule.h"

namespace elah::cuda {

/// kernel.gemm on bf16. Operands: input [T, depth], weight [columns, depth] (twice the rows with SwiGLU), bias f32 (if
/// there is one), output.
struct Bf16GemmShape {
  int64_t columns = 0, depth = 0;
  GemmOutput output = GemmOutput::BF16;
  bool hasBias = false;
  int64_t inputPitch = 0;  ///< Elements; 0: `depth`, rounded up to 8.
  int64_t outputPitch = 0; ///< Elements; 0: `columns`.
  GemmRows rows = GemmRows::Tokens;

  GemmProblem problem() const;
};

/// kernel.head_gemm: output[t, h * outputStride + outputOffset + c] = sum over k of
/// input[t, h * inputStride + inputOffset + k] * weight[h, c, k], all bf16. Operands: input, weight, output.
struct HeadGemmShape {
  int64_t heads = 1;
  int64_t columns = 0, depth = 0;
  int64_t inputStride = 0, inputOffset = 0, outputStride = 0, outputOffset = 0;
  int64_t inputPitch = 0;  ///< Elements; 0: heads * inputStride.
  int64_t outputPitch = 0; ///< Elements; 0: heads * outputStride.

  GemmProblem problem() const;
};

KernelSpec specializeBf16Gemm(const Bf16GemmShape &shape, const GemmSchedule &schedule);
KernelSpec specializeHeadGemm(const HeadGemmShape &shape, const GemmSchedule &schedule);

} // namespace elah::cuda

#endif
