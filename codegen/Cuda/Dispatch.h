#ifndef CODEGEN_CUDA_DISPATCH_H
#define CODEGEN_CUDA_DISPATCH_H

#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

/// kernel.dispatch. Operands: input, its scales (if there are), gather i32[T * rowsOfToken], output, its scales.
struct DispatchShape {
  int64_t rowBytes = 0;    ///< Of the values; a multiple of 16.
  int64_t inputPitch = 0;  ///< Bytes; 0: rowBytes.
  int64_t scales = 0;      ///< Of a row; a multiple of four.
  int64_t rowsOfToken = 1; ///< Experts that a token goes to.

  int64_t units() const { return rowBytes / 16; }
};

/// Empty, or what was found and expected.
std::string whyNoDispatch(const DispatchShape &shape);

KernelSpec specializeDispatch(const DispatchShape &shape, const RowSchedule &schedule);

} // namespace elah::cuda

#endif
