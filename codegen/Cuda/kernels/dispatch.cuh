// Rows in the order of their experts: each gets a copy of its token's row, so that an expert's rows lie together and
// TMA can fetch them.
#pragma once

#include "kernels/quantized_rows.cuh"
#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct DispatchShape {
  int32_t rowWords;    ///< Of 16 bytes, of an input and an output row.
  int32_t inputWords;  ///< The same, from row to row of the input.
  int32_t outputWords; ///< ... of the output.
  int32_t scaleWords;  ///< Of 16 bytes, of a row's scales; 0: there are none.
  int32_t rowsOfToken; ///< Experts of a token, the shared ones included.
};

struct DispatchOperands {
  const void *input;
  const float *inputScales;
  const int32_t *gather;
  void *output;
  float *outputScales;
  const Dims *dims;
};

template <DispatchShape shape, RowSchedule schedule> __device__ inline void dispatch(const DispatchOperands &operands) {
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t row = rowOfThread<schedule>(), thread = threadOfRow<schedule>();
  if (row >= operands.dims->tokens * shape.rowsOfToken) {
    return;
  }
  const int64_t token = operands.gather[row];
  const Words4 *from = static_cast<const Words4 *>(operands.input) + token * shape.inputWords;
  Words4 *to = static_cast<Words4 *>(operands.output) + static_cast<int64_t>(row) * shape.outputWords;
  for (int32_t i = thread; i < shape.rowWords; i += schedule.threadsPerRow) {
    to[i] = from[i];
  }
  if constexpr (shape.scaleWords > 0) {
    const Words4 *scales = reinterpret_cast<const Words4 *>(operands.inputScales) + token * shape.scaleWords;
    Words4 *copies = reinterpret_cast<Words4 *>(operands.outputScales) + static_cast<int64_t>(row) * shape.scaleWords;
    for (int32_t i = thread; i < shape.scaleWords; i += schedule.threadsPerRow) {
      copies[i] = scales[i];
    }
  }
}

} // namespace elah
