#ifndef CODEGEN_CUDA_FP8GEMM_H
#define CODEGEN_CUDA_FP8GEMM_H

#include "codegen/Cuda/GemmSchedule.h"

namespace elah::cuda {

/// kernel.gemm on e4m3 rows with 1 x 128 scales and e4m3 weights with 128 x 128 scales. Operands: input [T, depth],
/// input scales, weight [columns, depth] (twice the rows with SwiGLU), weight scales, bias f32 (if there is one),
/// output, and for SwigluF8 its scales.
struct Fp8GemmShape {
  int64_t columns = 0, depth = 0;
  GemmOutput output = GemmOutput::BF16;
  bool hasBias = false;
  int64_t outputPitch = 0; ///< Elements; 0: `columns`, of SwigluF8 rounded up to 16.
  GemmRows rows = GemmRows::Tokens;

  GemmProblem problem() const;
};

KernelSpec specializeFp8Gemm(const Fp8GemmShape &shape, const GemmSchedule &schedule);

} // namespace elah::cuda

#endif
