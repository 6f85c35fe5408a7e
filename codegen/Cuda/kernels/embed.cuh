// Token embedding: copies each token's row of the table, widened to f32. A thread's loads are all under way before it
// stores anything.
#pragma once

#include "kernels/rows.cuh"
#include "kernels/values.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct EmbedShape {
  Element table;
  int32_t width;  ///< Of the table and the output, whose rows are packed.
  int32_t vector; ///< Values of an access: 4, 2 or 1.
};

struct EmbedOperands {
  const int32_t *tokens;
  const void *table;
  float *output;
  const Dims *dims;
};

template <EmbedShape shape, RowSchedule schedule> __device__ inline void embed(const EmbedOperands &operands) {
  constexpr int32_t unit = 4; // Of f32.
  constexpr int32_t share = ceilDiv(ceilDiv(shape.width, unit), schedule.threadsPerRow);
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t row = rowOfThread<schedule>(), thread = threadOfRow<schedule>();
  if (row >= operands.dims->tokens) {
    return;
  }
  const int64_t source = static_cast<int64_t>(operands.tokens[row]) * shape.width;
  const int64_t target = static_cast<int64_t>(row) * shape.width;
  float x[share][unit];
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
    if (first < shape.width) {
      load_unit<shape.table, shape.vector, shape.width>(operands.table, source, first, x[i]);
    }
  }
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threadsPerRow) * unit;
    if (first < shape.width) {
      store_unit<Element::F32, shape.vector, shape.width>(operands.output, target, first, x[i]);
    }
  }
}

} // namespace elah
