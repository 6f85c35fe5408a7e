// y is x reversed within each block, through shared memory.
#ifndef BARRIER
#define BARRIER __syncthreads()
#endif
template <typename T> __device__ void reverse(T *y, const T *x, T *tile) {
  tile[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
  BARRIER;
  y[blockIdx.x * blockDim.x + threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

__global__ void reverse_blocks(int *y, const int *x) {
  extern __shared__ int tile[];
  reverse(y, x, tile);
}
