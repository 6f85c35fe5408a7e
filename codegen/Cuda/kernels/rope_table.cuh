// Cosines and sines of a step's positions. The angle is the product in f32, as transformers forms it.
#pragma once

#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct RopeTableShape {
  int32_t pairs;
};

struct RopeTableOperands {
  const int32_t *positions;
  float *table; ///< [T, 2 * pairs]: cosines, then sines.
  const Dims *dims;
  float scale;
};

template <RopeTableShape shape, RowSchedule schedule>
__device__ inline void rope_table(const RopeTableOperands &operands, const float *frequencies) {
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t token = rowOfThread<schedule>();
  if (token >= operands.dims->tokens) {
    return;
  }
  const float position = static_cast<float>(operands.positions[token]);
  for (int32_t i = threadOfRow<schedule>(); i < shape.pairs; i += schedule.threadsPerRow) {
    const float angle = position * frequencies[i];
    float *const row = operands.table + static_cast<int64_t>(token) * 2 * shape.pairs;
    float sine, cosine;
    sincosf(angle, &sine, &cosine);
    row[i] = operands.scale * cosine;
    row[shape.pairs + i] = operands.scale * sine;
  }
}

} // namespace elah
