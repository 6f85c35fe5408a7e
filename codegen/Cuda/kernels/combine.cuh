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
  constexpr int32_t group = shape.chosen <= 10 ? shape.chosen : 8;
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t token = rowOfThread<schedule>();
  if (token >= operands.dims->tokens) {
    return;
  }
  const int64_t pairs = static_cast<int64_t>(token) * shape.chosen, target = static_cast<int64_t>(token) * shape.width;
  for (int32_t unit = threadOfRow<schedule>(); unit * 8 < shape.width; unit += schedule.threadsPerRow) {
    float sum[8];
    load_eight<Element::F32, shape.vector, shape.width>(operands.output, target, unit * 8, sum);
#pragma unroll 1
    for (int32_t first = 0; first < shape.chosen; first += group) {
      float x[group][8], weights[group];
#pragma unroll
      for (int32_t i = 0; i < group; ++i) {
        if (shape.chosen % group == 0 || first + i < shape.chosen) {
          const int64_t row = operands.slots[pairs + first + i];
          weights[i] = operands.weights[pairs + first + i];
          load_eight<Element::BF16, shape.vector, shape.width>(operands.rows, row * shape.width, unit * 8, x[i]);
        }
      }
#pragma unroll
      for (int32_t i = 0; i < group; ++i) {
        if (shape.chosen % group == 0 || first + i < shape.chosen) {
#pragma unroll
          for (int32_t j = 0; j < 8; ++j) {
            sum[j] += weights[i] * x[i][j];
          }
        }
      }
    }
    store_eight<Element::F32, shape.vector, shape.width>(operands.output, target, unit * 8, sum);
  }
}

} // namespace elah
