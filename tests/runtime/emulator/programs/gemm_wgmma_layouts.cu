// Two more ways to feed wgmma: A from registers, and B (K x N) as it lies in memory, transposed by the instruction.
#include "wgmma.cuh"

#ifdef FROM_REGISTERS
// A (M x K) in registers, two bf16 in each: rows of a fragment are 8 apart, pairs of columns too.
extern "C" __global__ __launch_bounds__(128) void gemm_registers(const unsigned short *a,
                                                                 const __grid_constant__ TensorMap mapB, float *d, int m,
                                                                 int n, int k) {
  __shared__ __align__(1024) char b[64 * 128];
  __shared__ __align__(8) u64 arrived;
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  float sums[32];
  const int row = blockIdx.y * 64, column = blockIdx.x * 64;
  u32 phase = 0;
  for (int begin = 0; begin < k; begin += 64) {
    if (threadIdx.x == 0) {
      mbarrier_expect(&arrived, sizeof b);
      tma_load(b, &mapB, &arrived, begin, column);
    }
    u32 fragments[4][4];
    for (int step = 0; step < 4; ++step) {
      for (int i = 0; i < 4; ++i) {
        const int r = row + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i % 2 * 8;
        const int c = begin + step * 16 + threadIdx.x % 4 * 2 + i / 2 * 8;
        const u32 low = r < m && c < k ? a[(size_t)r * k + c] : 0;
        const u32 high = r < m && c + 1 < k ? a[(size_t)r * k + c + 1] : 0;
        fragments[step][i] = low | high << 16;
      }
    }
    mbarrier_wait(&arrived, phase);
    phase ^= 1;
    wgmma_fence();
    for (int step = 0; step < 4; ++step) {
      wgmma(sums, fragments[step], descriptor(b + step * 32, 16, 1024, 1), begin || step);
    }
    wgmma_commit();
    wgmma_wait<0>();
    __syncthreads();
  }
  for (int i = 0; i < 32; ++i) {
    if (row + row_of(i) < m && column + column_of(i) < n) {
      d[(size_t)(row + row_of(i)) * n + column + column_of(i)] = sums[i];
    }
  }
}
#else
extern "C" __global__ __launch_bounds__(128) void gemm_transposed(const __grid_constant__ TensorMap mapA,
                                                                  const __grid_constant__ TensorMap mapB, float *d,
                                                                  int m, int n, int k) {
  __shared__ __align__(1024) char a[64 * 128], b[64 * 128];
  __shared__ __align__(8) u64 arrived;
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  float sums[32];
  const int row = blockIdx.y * 64, column = blockIdx.x * 64;
  u32 phase = 0;
  for (int begin = 0; begin < k; begin += 64) {
    if (threadIdx.x == 0) {
      mbarrier_expect(&arrived, sizeof a + sizeof b);
      tma_load(a, &mapA, &arrived, begin, row);
      tma_load(b, &mapB, &arrived, column, begin);
    }
    mbarrier_wait(&arrived, phase);
    phase ^= 1;
    wgmma_fence();
    for (int step = 0; step < 4; ++step) {
      // 16 rows of b are one instruction's: two groups of eight, 1,024 bytes each.
      wgmma(sums, descriptor(a + step * 32, 16, 1024, 1), descriptor(b + step * 2048, 8192, 1024, 1), begin || step);
    }
    wgmma_commit();
    wgmma_wait<0>();
    __syncthreads();
  }
  for (int i = 0; i < 32; ++i) {
    if (row + row_of(i) < m && column + column_of(i) < n) {
      d[(size_t)(row + row_of(i)) * n + column + column_of(i)] = sums[i];
    }
  }
}
#endif
