#include "codegen/Cuda/Bf16Gemm.h"

namespace elah::cuda {

GemmProblem Bf16GemmShape::problem() const {
  return {.element = GemmElement::BF16,
          .output = output,
          .columns = columns,
          .depth = depth,
          .rows = rows,
          .inputPitch = inputPitch ? inputPitch : (depth + 7) / 8 * 8,
          .outputPitch = outputPitch ? outputPitch : columns,
          .hasBias = hasBias};
}

GemmProblem HeadGemmShape::problem() const {
  return {.element = GemmElement::BF16,
          .output = GemmOutput::BF16,
          .batch = GemmBatch::Heads,
          .columns = columns,
          .depth = depth,
          .batches = heads,
          .inputPitch = inputPitch ? inputPitch : heads * inputStride,
          .inputStride = inputStride,
          .inputOffset = inputOffset,
          .outputPitch = outputPitch ? outputPitch : heads * outputStride,
          .outputStride = outputStride,
          .outputOffset = outputOffset};
}

KernelSpec specializeBf16Gemm(const Bf16GemmShape &shape, const GemmSchedule &schedule) {
  return specializeGemm("bf16_gemm", shape.problem(), schedule);
}

KernelSpec specializeHeadGemm(const HeadGemmShape &shape, const GemmSchedule &schedule) {
  return specializeGemm("head_gemm", shape.problem(), schedule);
}

} // namespace elah::cuda
