// What the experts made of a token, weighted and added to the residual stream, in the order of its experts. Rows of
// several experts are under way at once.
#pragma once

#include "kernels/rows.cuh"
#include "kernels/values.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct CombineShape {
  int32_t width;
  int32_t chosen; ///< Experts of a token, the shared ones included.
  int32_t vector; ///< Values of an access.
};

struct CombineOperands {
  const void *rows;
  const float *weights;
  const int32_t *slots;
  float *output;
  const Dims *dims;
};

template <CombineShape shape, RowSchedule schedule> __device__ inline void combine(const CombineOperands &operands) {
  constexpr int32_t unit = 4; // Of f32.
  constexpr int32_t share = ceilDiv(ceilDiv(shape.width, unit), schedule.threadsPerRow);
  constexpr int32_t group = shape.chosen <= 10 ? shape.chosen : 8;
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t token = rowOfThread<schedule>(), thread = threadOfRow<schedule>();
  if (token >= operands.dims->tokens) {
    return;
  }
  const int64_t pairs = static_cast<int64_t>(token) * shape.chosen, target = static_cast<int64_t>(token) * shape.width;
  float sums[share][unit];
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
    if (first < shape.width) {
      load_unit<Element::F32, shape.vector, shape.width>(operands.output, target, first, sums[i]);
    }
  }
#pragma unroll 1
  for (int32_t begin = 0; begin < shape.chosen; begin += group) {
    int64_t rows[group];
    float weights[group];
#pragma unroll
    for (int32_t k = 0; k < group; ++k) {
      if (shape.chosen % group == 0 || begin + k < shape.chosen) {
        rows[k] = static_cast<int64_t>(operands.slots[pairs + begin + k]) * shape.width;
        weights[k] = operands.weights[pairs + begin + k];
      }
    }
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
      float x[group][unit];
#pragma unroll
      for (int32_t k = 0; k < group; ++k) {
        if (first < shape.width && (shape.chosen % group == 0 || begin + k < shape.chosen)) {
          load_unit<Element::BF16, shape.vector, shape.width>(operands.rows, rows[k], first, x[k]);
        }
      }
#pragma unroll
      for (int32_t k = 0; k < group; ++k) {
        if (first < shape.width && (shape.chosen % group == 0 || begin + k < shape.chosen)) {
#pragma unroll
          for (int32_t j = 0; j < unit; ++j) {
            sums[i][j] += weights[k] * x[k][j];
          }
        }
      }
    }
  }
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
    if (first < shape.width) {
      store_unit<Element::F32, shape.vector, shape.width>(operands.output, target, first, sums[i]);
    }
  }
}

} // namespace elah
