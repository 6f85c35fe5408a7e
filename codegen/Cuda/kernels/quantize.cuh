// Rows for products in f8: e4m3 with a scale for each 128 values.
#pragma once

#include "kernels/quantized_rows.cuh"
#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct QuantizeShape {
  Element input;
  int32_t width;
  int32_t inputPitch; ///< Elements from row to row.
  int32_t vector;     ///< Values of an access to the input.
  int32_t unit;       ///< Values that a thread moves at once: see kernels/values.cuh.
};

struct QuantizeOperands {
  const void *input;
  uint8_t *output;
  float *outputScales;
  const Dims *dims;
};

template <QuantizeShape shape, RowSchedule schedule> __device__ inline void quantize(const QuantizeOperands &operands) {
  constexpr int32_t share = ceilDiv(scalesOfRow(shape.width) * (128 / shape.unit), schedule.threadsPerRow);
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t row = rowOfThread<schedule>(), thread = threadOfRow<schedule>();
  if (row >= operands.dims->tokens) {
    return;
  }
  const int64_t source = static_cast<int64_t>(row) * shape.inputPitch;
  float x[share][shape.unit] = {};
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * shape.unit;
    if (first < shape.width) {
      load_unit<shape.input, shape.vector, shape.width>(operands.input, source, first, x[i]);
    }
  }
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * shape.unit;
    store_quantized<shape.width>(operands.output, operands.outputScales, row, first, x[i]);
  }
}

} // namespace elah
