// RMSNorm (Zhang and Sennrich, 2019): input / sqrt(mean(input^2) + epsilon) * weight. A row stays in registers between
// the sum and the output, which is bf16, f32, or quantized for products in f8; a copy may go to a router. The weight is
// there before the kernel that makes the input ends, and is loaded meanwhile.
#pragma once

#include "kernels/quantized_rows.cuh"
#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct RmsNormShape {
  Element input;
  int32_t width;
  int32_t inputPitch; ///< Elements from row to row.
  bool hasRows;       ///< Rows are those that `rows` names, as many as there are logit rows.
  bool isQuantized;
  Element output; ///< Unless quantized.
  bool hasCopy;
  Element copy;
  int32_t vector; ///< Values of an access to input, output and copy.
  int32_t unit;   ///< Values that a thread moves at once: see kernels/values.cuh.
};

struct RmsNormOperands {
  const void *input;
  const float *weight;
  const int32_t *rows;
  void *output;
  float *outputScales;
  void *copy;
  const Dims *dims;
  float epsilon;
};

template <RmsNormShape shape, RowSchedule schedule> __device__ inline void rms_norm(const RmsNormOperands &operands) {
  constexpr int32_t unit = shape.unit;
  constexpr int32_t units = shape.isQuantized ? scalesOfRow(shape.width) * (128 / unit) : ceilDiv(shape.width, unit);
  constexpr int32_t share = ceilDiv(units, schedule.threadsPerRow);
  const int32_t row = rowOfThread<schedule>(), thread = threadOfRow<schedule>();
  float weight[share][unit];
  ptx::griddepcontrol_launch_dependents();
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
    if (first < shape.width) {
      load_unit_weights<shape.width>(operands.weight, first, weight[i]);
    }
  }
  ptx::griddepcontrol_wait();
  if (row >= (shape.hasRows ? operands.dims->logitRows : operands.dims->tokens)) {
    return;
  }
  const int64_t source = static_cast<int64_t>(shape.hasRows ? operands.rows[row] : row) * shape.inputPitch;
  float x[share][unit], squares = 0;
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
    if (first < shape.width) {
      load_unit<shape.input, shape.vector, shape.width>(operands.input, source, first, x[i]);
    } else {
#pragma unroll
      for (int32_t j = 0; j < unit; ++j) {
        x[i][j] = 0;
      }
    }
#pragma unroll
    for (int32_t j = 0; j < unit; ++j) {
      squares += x[i][j] * x[i][j];
    }
  }
  squares = sumOfRow<schedule>(squares);
  const float factor = 1.0f / sqrtf(squares / shape.width + operands.epsilon);
  const int64_t target = static_cast<int64_t>(row) * shape.width;
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
    if (first < shape.width) {
#pragma unroll
      for (int32_t j = 0; j < unit; ++j) {
        x[i][j] *= factor * weight[i][j];
      }
      if constexpr (!shape.isQuantized) {
        store_unit<shape.output, shape.vector, shape.width>(operands.output, target, first, x[i]);
      }
      if constexpr (shape.hasCopy) {
        store_unit<shape.copy, shape.vector, shape.width>(operands.copy, target, first, x[i]);
      }
    }
    if constexpr (shape.isQuantized) {
      store_quantized<shape.width>(static_cast<uint8_t *>(operands.output), operands.outputScales, row, first, x[i]);
    }
  }
}

} // namespace elah
