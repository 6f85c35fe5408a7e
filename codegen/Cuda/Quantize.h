#ifndef CODEGEN_CUDA_QUANTIZE_H
#define CODEGEN_CUDA_QUANTIZE_H

#include "codegen/Cuda/RowElement.h"
#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

/// kernel.quantize. Operands: input, output e4m3, scales f32.
struct QuantizeShape {
  RowElement input = RowElement::BF16;
  int64_t width = 0;
  int64_t inputPitch = 0; ///< Elements; 0: width.

  /// Values that a thread moves at once: see kernels/values.cuh.
  int64_t unit() const { return input == RowElement::F32 ? 4 : 8; }
  int64_t units() const { return quantizedUnits(width, unit()); }
};

KernelSpec specializeQuantize(const QuantizeShape &shape, const RowSchedule &schedule);

} // namespace elah::cuda

#endif
