// Jacobi steps over a line with a barrier of the whole grid between them: a cooperative launch, the barrier by hand.
#include "ptx.cuh"

static __device__ void grid_barrier(unsigned *arrived, unsigned *generation) {
  __syncthreads();
  if (threadIdx.x == 0) {
    const unsigned now = load_acquire(generation);
    __threadfence();
    const bool last = atomicAdd(arrived, 1) == gridDim.x - 1;
    __threadfence(); // The others' additions come before what the last one does.
    if (last) {
      *arrived = 0;
      __threadfence();
      store_release(generation, now + 1);
    } else {
      while (load_acquire(generation) == now) {
      }
    }
    __threadfence();
  }
  __syncthreads();
}

extern "C" __global__ void jacobi(float *a, float *b, int n, int steps, unsigned *barrier) {
  for (int step = 0; step < steps; ++step) {
    const float *from = step % 2 ? b : a;
    float *to = step % 2 ? a : b;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
      const float left = i ? from[i - 1] : 0, right = i + 1 < n ? from[i + 1] : 0;
      to[i] = 0.5f * (left + right);
    }
    grid_barrier(&barrier[0], &barrier[1]);
  }
}
