// Kernels whose rows are independent: a warp or more has a row, and a narrow row shares its block with others.
#pragma once

#include "kernels/dims.cuh"

namespace elah {

/// A row has a multiple of 32 threads; more than 32 only if it has its block for itself.
struct RowSchedule {
  int32_t threadsPerRow, rowsPerBlock;
};

template <RowSchedule schedule> __device__ inline int32_t rowOfThread() {
  return static_cast<int32_t>(blockIdx.x) * schedule.rowsPerBlock +
         static_cast<int32_t>(threadIdx.x) / schedule.threadsPerRow;
}
template <RowSchedule schedule> __device__ inline int32_t threadOfRow() {
  return static_cast<int32_t>(threadIdx.x) % schedule.threadsPerRow;
}

__device__ inline float sumOfWarp(float x) {
#pragma unroll
  for (int32_t distance = 16; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(0xffffffffu, x, distance);
  }
  return x;
}

__device__ inline float largestOfWarp(float x) {
#pragma unroll
  for (int32_t distance = 16; distance > 0; distance /= 2) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  }
  return x;
}

/// The sum over a row's threads, in one order for all of them. Once in a kernel, and all threads of the row come.
template <RowSchedule schedule> __device__ inline float sumOfRow(float x) {
  x = sumOfWarp(x);
  if constexpr (schedule.threadsPerRow > 32) {
    __shared__ float parts[32];
    if (threadIdx.x % 32 == 0) {
      parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    x = 0;
#pragma unroll
    for (int32_t warp = 0; warp < schedule.threadsPerRow / 32; ++warp) {
      x += parts[warp];
    }
  }
  return x;
}

} // namespace elah
