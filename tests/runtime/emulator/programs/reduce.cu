// The sum of an array: shuffles within a warp, shared memory within a CTA, one atomic addition a CTA.
extern "C" __global__ void reduce_sum(float *sum, const float *x, int n) {
  __shared__ float partial[32];
  float mine = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    mine += x[i];
  }
  for (int step = 16; step; step /= 2) {
    mine += __shfl_down_sync(~0u, mine, step);
  }
  if (threadIdx.x % 32 == 0) {
    partial[threadIdx.x / 32] = mine;
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    mine = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0;
    for (int step = 16; step; step /= 2) {
      mine += __shfl_xor_sync(~0u, mine, step);
    }
    if (threadIdx.x == 0) {
      atomicAdd(sum, mine);
    }
  }
}

// The largest element and its lowest index, by a tree in shared memory; the last CTA to come combines what the others
// found (threadfence reduction).
extern "C" __global__ void reduce_argmax(int *index, float *value, unsigned *arrived, float *bestOf, int *indexOf,
                                         const float *x, int n) {
  extern __shared__ float shared[];
  float *best = shared;
  int *where = reinterpret_cast<int *>(shared + blockDim.x);
  __shared__ bool last;
  auto tree = [&] {
    for (unsigned step = blockDim.x / 2; step; step /= 2) {
      __syncthreads();
      if (threadIdx.x < step) {
        const float other = best[threadIdx.x + step];
        const int otherWhere = where[threadIdx.x + step];
        if (other > best[threadIdx.x] || (other == best[threadIdx.x] && otherWhere < where[threadIdx.x])) {
          best[threadIdx.x] = other;
          where[threadIdx.x] = otherWhere;
        }
      }
    }
  };
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  best[threadIdx.x] = i < n ? x[i] : -1e30f;
  where[threadIdx.x] = i < n ? i : 0x7fffffff;
  tree();
  if (threadIdx.x == 0) {
    bestOf[blockIdx.x] = best[0];
    indexOf[blockIdx.x] = where[0];
    __threadfence();
    last = atomicAdd(arrived, 1) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (!last) {
    return;
  }
  best[threadIdx.x] = -1e30f;
  where[threadIdx.x] = 0x7fffffff;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) {
    const float other = bestOf[block];
    if (other > best[threadIdx.x] || (other == best[threadIdx.x] && indexOf[block] < where[threadIdx.x])) {
      best[threadIdx.x] = other;
      where[threadIdx.x] = indexOf[block];
    }
  }
  tree();
  if (threadIdx.x == 0) {
    *index = where[0];
    *value = best[0];
  }
}
