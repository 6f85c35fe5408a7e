// What compiled elementwise arithmetic is made of: who has which values of which row, and functions that CUDA C++ has
// with another meaning.
#pragma once

#include "kernels/rows.cuh"
#include "kernels/values.cuh"
#include "ptx/arithmetic.cuh"
#include "ptx/barrier.cuh"

namespace elah {

/// Calls `body(row, first)` for the units of values that this thread has in its row, if the step has that row.
template <int32_t width, int32_t unit, RowSchedule schedule, typename Body>
__device__ inline void forUnitsOfRow(const int32_t *rows, const Body &body) {
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t row = rowOfThread<schedule>();
  if (row >= *rows) {
    return;
  }
  for (int32_t first = threadOfRow<schedule>() * unit; first < width; first += schedule.threadsPerRow * unit) {
    body(static_cast<int64_t>(row), first);
  }
}

} // namespace elah
