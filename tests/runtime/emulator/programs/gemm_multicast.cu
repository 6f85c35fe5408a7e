// D = A * B^T by clusters of two: each CTA has rows of its own, and both need the same B. Each loads half of B and
// multicasts it to both; a stage is free when both have read it.
#include "wgmma.cuh"

enum { stages = 2, tileBytes = 64 * 128 };

struct __align__(1024) Storage {
  char a[stages][tileBytes], b[stages][tileBytes];
  u64 full[stages], empty[stages];
};

extern "C" __global__ __cluster_dims__(1, 2, 1) __launch_bounds__(128) void gemm(
    const __grid_constant__ TensorMap mapA, const __grid_constant__ TensorMap mapB, float *d, int m, int n, int k) {
  __shared__ Storage s;
  const u32 rank = cluster_rank();
  if (threadIdx.x == 0) {
    for (int i = 0; i < stages; ++i) {
      mbarrier_init(&s.full[i], 1);
      mbarrier_init(&s.empty[i], 2);
    }
    fence_mbarrier_init();
  }
  cluster_sync();
  const int row = blockIdx.y * 64, column = blockIdx.x * 64, blocks = (k + 63) / 64;
  auto issue = [&](int block) {
    const int stage = block % stages;
    if (block >= stages) {
      mbarrier_wait_cluster(&s.empty[stage], block / stages % 2 ^ 1);
    }
    mbarrier_expect(&s.full[stage], 2 * tileBytes);
    tma_load(s.a[stage], &mapA, &s.full[stage], block * 64, row);
    tma_load_multicast(s.b[stage] + rank * tileBytes / 2, &mapB, &s.full[stage], block * 64, column + rank * 32, 3);
  };
  if (threadIdx.x == 0) {
    issue(0);
  }
  float sums[32];
  for (int block = 0; block < blocks; ++block) {
    if (threadIdx.x == 0 && block + 1 < blocks) {
      issue(block + 1);
    }
    __syncwarp();
    const int stage = block % stages;
    mbarrier_wait_cluster(&s.full[stage], block / stages % 2);
    wgmma_fence();
    for (int step = 0; step < 4; ++step) {
      wgmma(sums, descriptor(s.a[stage] + step * 32, 16, 1024, 1), descriptor(s.b[stage] + step * 32, 16, 1024, 1),
            block || step);
    }
    wgmma_commit();
    wgmma_wait<0>();
    __syncthreads();
    if (threadIdx.x < 2) {
      mbarrier_arrive_at(&s.empty[stage], threadIdx.x);
    }
  }
  for (int i = 0; i < 32; ++i) {
    if (row + row_of(i) < m && column + column_of(i) < n) {
      d[(size_t)(row + row_of(i)) * n + column + column_of(i)] = sums[i];
    }
  }
  cluster_sync(); // Nobody arrives at a CTA that has ended.
}
