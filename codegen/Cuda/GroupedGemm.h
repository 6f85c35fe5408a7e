#ifndef CODEGEN_CUDA_GROUPEDGEMM_H
#define CODEGEN_CUDA_GROUPEDGEMM_H

#include "codegen/Cuda/GemmSchedule.h"

namespace elah::cuda {

/// kernel.grouped_gemm: rows offsets[e] .. offsets[e + 1] times the weight of expert e. Operands: rows, row scales
/// (e4m3), weight [experts, columns, depth] (twice the rows with SwiGLU), weight scales (e4m3), offsets i32[experts +
/// 1], output, and for SwigluF8 its scales.
struct GroupedGemmShape {
  GemmElement element = GemmElement::F8;
  int64_t experts = 1;
  int64_t columns = 0, depth = 0;
  GemmOutput output = GemmOutput::BF16; ///< BF16; with e4m3 SwigluF8, with bf16 SwigluBF16.
  int64_t rowsOfToken = 1;              ///< Experts that a token goes to.

  GemmProblem problem() const;
};

KernelSpec specializeGroupedGemm(const GroupedGemmShape &shape, const GemmSchedule &schedule);

} // namespace elah::cuda

#endif
