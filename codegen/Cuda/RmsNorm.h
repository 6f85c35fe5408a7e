#ifndef CODEGEN_CUDA_RMSNORM_H
#define CODEGEN_CUDA_RMSNORM_H

#include "codegen/Cuda/RowElement.h"
#include "codegen/Cuda/RowSchedule.h"
#include <optional>

namespace elah::cuda {

/// kernel.rms_norm. Operands: input, weight f32[width], rows i32 (if there are), output, its scales (if it is
/// quantized), copy (if there is one).
struct RmsNormShape {
  RowElement input = RowElement::F32;
  int64_t width = 0;
  int64_t inputPitch = 0; ///< Elements; 0: width.
  bool hasRows = false;   ///< Normalizes the rows that it is told, as many as there are logit rows.
  bool isQuantized = false;
  RowElement output = RowElement::BF16; ///< Unless quantized.
  std::optional<RowElement> copy;
  double epsilon = 1e-6;

  bool hasF32() const {
    return input == RowElement::F32 || (!isQuantized && output == RowElement::F32) || copy == RowElement::F32;
  }
  /// Values that a thread moves at once: see kernels/values.cuh.
  int64_t unit() const { return hasF32() ? 4 : 8; }
  int64_t units() const { return isQuantized ? quantizedUnits(width, unit()) : (width + unit() - 1) / unit(); }
};

KernelSpec specializeRmsNorm(const RmsNormShape &shape, const RowSchedule &schedule);

} // namespace elah::cuda

#endif
