// A CTA's keys in order (bitonic sort, Batcher 1968): distances below a warp by shuffles, others in shared memory.
extern "C" __global__ void sort_blocks(unsigned *keys, int n) {
  extern __shared__ unsigned shared[];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned key = i < n ? keys[i] : ~0u;
  for (unsigned size = 2; size <= blockDim.x; size *= 2) {
    for (unsigned step = size / 2; step; step /= 2) {
      unsigned other;
      if (step < 32) {
        other = __shfl_xor_sync(~0u, key, step);
      } else {
        __syncthreads();
        shared[threadIdx.x] = key;
        __syncthreads();
        other = shared[threadIdx.x ^ step];
      }
      const bool ascending = (threadIdx.x & size) == 0, lower = (threadIdx.x & step) == 0;
      key = ascending == lower ? min(key, other) : max(key, other);
    }
  }
  if (i < n) {
    keys[i] = key;
  }
}
