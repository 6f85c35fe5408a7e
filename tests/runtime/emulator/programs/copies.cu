// Three ways for data to come and go by itself: cp.async in stages, bulk copies of lines, tensor copies of tiles.
#include "ptx.cuh"

struct alignas(64) TensorMap {
  char bytes[128];
};

// y = 2 x + 1, three stages of cp.async; a thread waits only for what it has copied itself.
extern "C" __global__ void staged(float *y, const float *x, int n) {
  extern __shared__ __align__(16) float4 stages[];
  const int chunks = (n + 3) / 4, step = gridDim.x * blockDim.x, first = blockIdx.x * blockDim.x + threadIdx.x;
  auto load = [&](int turn) {
    const int i = first + turn * step;
    float4 *to = &stages[turn % 3 * blockDim.x + threadIdx.x];
    // The last chunk may be cut: it comes by itself. One behind the end is zeros, and nothing is read.
    if (i * 4 + 4 <= n || i * 4 >= n) {
      copy_async_16(to, i * 4 < n ? x + i * 4 : x, i * 4 < n);
    } else {
      float part[4] = {};
      for (int j = 0; i * 4 + j < n; ++j) {
        part[j] = x[i * 4 + j];
      }
      *to = make_float4(part[0], part[1], part[2], part[3]);
    }
    copy_commit();
  };
  load(0);
  load(1);
  for (int turn = 0; first + turn * step < chunks; ++turn) {
    load(turn + 2);
    copy_wait<2>();
    const float4 v = stages[turn % 3 * blockDim.x + threadIdx.x];
    const float all[4] = {v.x, v.y, v.z, v.w};
    const int i = (first + turn * step) * 4;
    for (int j = 0; j < 4 && i + j < n; ++j) {
      y[i + j] = 2 * all[j] + 1;
    }
  }
}

// The same by bulk copies: a line of up to 1,024 floats in, changed in place, out; the lines are multiples of 16 bytes.
extern "C" __global__ void lines(float *y, const float *x, int columns) {
  __shared__ __align__(128) float line[1024];
  __shared__ __align__(8) u64 arrived;
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    fence_mbarrier_init();
    mbarrier_expect(&arrived, columns * 4);
    bulk_load(line, x + (size_t)blockIdx.x * columns, columns * 4, &arrived);
  }
  __syncthreads();
  mbarrier_wait(&arrived, 0);
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    line[i] = 2 * line[i] + 1;
  }
  fence_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    bulk_store(y + (size_t)blockIdx.x * columns, line, columns * 4);
    bulk_commit();
    bulk_wait<0>();
  }
}

// A tile in, squared, out twice: stored to one matrix, added to another.
extern "C" __global__ void tiles(const __grid_constant__ TensorMap in, const __grid_constant__ TensorMap out,
                                 const __grid_constant__ TensorMap sum) {
  __shared__ __align__(128) float tile[16 * 32];
  __shared__ __align__(8) u64 arrived;
  const int x = blockIdx.x * 32, y = blockIdx.y * 16;
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    fence_mbarrier_init();
    mbarrier_expect(&arrived, sizeof tile);
    tma_load(tile, &in, &arrived, x, y);
  }
  __syncthreads();
  mbarrier_wait(&arrived, 0);
  for (int i = threadIdx.x; i < 16 * 32; i += blockDim.x) {
    tile[i] *= tile[i];
  }
  fence_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    tma_store(&out, tile, x, y);
    tma_add(&sum, tile, x, y);
    bulk_commit();
    bulk_wait<0>();
  }
}
