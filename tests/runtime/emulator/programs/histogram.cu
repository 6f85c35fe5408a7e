// Counts of bytes: atomics in shared memory, then one addition a bin in global memory.
extern "C" __global__ void histogram(unsigned *bins, const unsigned char *x, int n) {
  __shared__ unsigned mine[256];
  for (int bin = threadIdx.x; bin < 256; bin += blockDim.x) {
    mine[bin] = 0;
  }
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    atomicAdd(&mine[x[i]], 1);
  }
  __syncthreads();
  for (int bin = threadIdx.x; bin < 256; bin += blockDim.x) {
    if (mine[bin]) {
      atomicAdd(&bins[bin], mine[bin]);
    }
  }
}

// Rows of equal keys: how many lanes of each warp hold the same value (match), written by the lowest of them.
extern "C" __global__ void count_equal(unsigned *counts, const int *keys, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned active = __ballot_sync(~0u, i < n);
  if (i >= n) {
    return;
  }
  const unsigned same = __match_any_sync(active, keys[i]);
  if (__ffs(same) - 1 == threadIdx.x % 32) {
    atomicAdd(&counts[keys[i]], __popc(same));
  }
}
