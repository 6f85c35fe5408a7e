#include "codegen/Cuda/GroupedGemm.h"

namespace elah::cuda {

GemmProblem GroupedGemmShape::problem() const {
  const int64_t alignment = element == GemmElement::F8 ? 16 : 8;
  return {.element = element,
          .output = output,
          .batch = GemmBatch::Experts,
          .columns = columns,
          .depth = depth,
          .batches = experts,
          .rowsOfToken = rowsOfToken,
          .inputPitch = (depth + alignment - 1) / alignment * alignment,
          .outputPitch = output == GemmOutput::SwigluF8 ? (columns + 15) / 16 * 16 : columns};
}

KernelSpec specializeGroupedGemm(const GroupedGemmShape &shape, const GemmSchedule &schedule) {
  return specializeGemm(shape.element == GemmElement::F8 ? "fp8_grouped_gemm" : "bf16_grouped_gemm", shape.problem(),
                        schedule);
}

} // namespace elah::cuda
