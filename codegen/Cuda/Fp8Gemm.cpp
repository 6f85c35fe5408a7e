#include "codegen/Cuda/Fp8Gemm.h"

namespace elah::cuda {

GemmProblem Fp8GemmShape::problem() const {
  const int64_t tightPitch = output == GemmOutput::SwigluF8 ? (columns + 15) / 16 * 16 : columns;
  return {.element = GemmElement::F8,
          .output = output,
          .columns = columns,
          .depth = depth,
          .rows = rows,
          .inputPitch = (depth + 15) / 16 * 16,
          .outputPitch = outputPitch ? outputPitch : tightPitch,
          .hasBias = hasBias};
}

KernelSpec specializeFp8Gemm(const Fp8GemmShape &shape, const GemmSchedule &schedule) {
  return specializeGemm("fp8_gemm", shape.problem(), schedule);
}

} // namespace elah::cuda
