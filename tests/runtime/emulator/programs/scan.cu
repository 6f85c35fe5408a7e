// Prefix sums in one pass (decoupled look-back: Merrill and Garland, 2016): a CTA publishes the sum of its tile, and
// looks back at those before it until it finds one that knows its whole prefix. CTAs take tiles by a ticket, since one
// may wait only for those that have begun.
enum { Nothing = 0, Tile = 1, Prefix = 2 };

static __device__ unsigned long long load(unsigned long long *p) {
  unsigned long long value;
  asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(p) : "memory");
  return value;
}
static __device__ void store(unsigned long long *p, unsigned long long value) {
  asm volatile("st.release.gpu.global.u64 [%0], %1;" ::"l"(p), "l"(value) : "memory");
}

extern "C" __global__ void scan(int *y, const int *x, int n, unsigned *ticket, unsigned long long *states) {
  __shared__ unsigned tile;
  __shared__ int sums[32];
  __shared__ int before;
  if (threadIdx.x == 0) {
    tile = atomicAdd(ticket, 1);
  }
  __syncthreads();
  const int i = tile * blockDim.x + threadIdx.x;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int sum = i < n ? x[i] : 0;
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(~0u, sum, step);
    sum += lane >= step ? other : 0;
  }
  if (lane == 31) {
    sums[warp] = sum;
  }
  __syncthreads();
  if (warp == 0) {
    int all = lane < blockDim.x / 32 ? sums[lane] : 0;
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(~0u, all, step);
      all += lane >= step ? other : 0;
    }
    sums[lane] = all;
  }
  __syncthreads();
  sum += warp ? sums[warp - 1] : 0;
  if (threadIdx.x == blockDim.x - 1) {
    const unsigned total = sum;
    unsigned prefix = 0;
    if (tile != 0) {
      store(&states[tile], (unsigned long long)Tile << 32 | total);
      for (int other = tile - 1;;) {
        const unsigned long long state = load(&states[other]);
        if (state >> 32 == Nothing) {
          continue;
        }
        prefix += (unsigned)state;
        if (state >> 32 == Prefix) {
          break;
        }
        --other;
      }
    }
    store(&states[tile], (unsigned long long)Prefix << 32 | (prefix + total));
    before = prefix;
  }
  __syncthreads();
  if (i < n) {
    y[i] = before + sum;
  }
}
