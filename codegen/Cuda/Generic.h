// Elementwise arithmetic that no family has, row by row (kernel.generic): its body becomes CUDA C++, which NVRTC
// compiles as it does the families' kernels, through the same gates and into the same cache. Operands: the inputs, rows
// or vectors, then the output's rows.
#ifndef CODEGEN_CUDA_GENERIC_H
#define CODEGEN_CUDA_GENERIC_H

#include "codegen/Cuda/RowElement.h"
#include "codegen/Cuda/RowSchedule.h"

namespace elah::cuda {

struct GenericInput {
  RowElement element = RowElement::F32;
  int64_t pitch = 0; ///< Elements from row to row; 0: one vector, in f32, for all rows.
};

struct GenericShape {
  std::vector<GenericInput> inputs;
  RowElement output = RowElement::F32;
  int64_t width = 0;       ///< Of the output and all inputs.
  int64_t outputPitch = 0; ///< Elements from row to row.
  bool isOfLogitRows = false;
  /// Statements that make `y` of `x0`, `x1`, ..., the inputs' elements: {"const float v0 = x0 * x1;", "y = v0;"}.
  std::vector<std::string> body;

  int64_t unit() const;
  int64_t units() const { return (width + unit() - 1) / unit(); }
};

/// Why there is no kernel: empty if there is one.
std::string whyNoGeneric(const GenericShape &shape);

KernelSpec specializeGeneric(const GenericShape &shape, const RowSchedule &schedule);

} // namespace elah::cuda

#endif
