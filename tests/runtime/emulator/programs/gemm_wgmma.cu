// D = A * B^T, 64 x 64 tiles, one warpgroup, one stage: A (M x K) and B (N x K) by tensor copies, every type and swizzle.
//   SPAN bytes of a row in a tile: 128, 64, 32, or 16 without swizzle; MODE the descriptor's; ELEMENT bytes of an element
#include "wgmma.cuh"

extern "C" __global__ __launch_bounds__(128) void gemm(const __grid_constant__ TensorMap mapA,
                                                       const __grid_constant__ TensorMap mapB, Accumulator *d, int m,
                                                       int n, int k) {
  extern __shared__ __align__(1024) char shared[];
  __shared__ __align__(8) u64 arrived;
  // Without swizzle a tile is four columns of 16 bytes, one behind the other.
  constexpr int columns = SPAN == 16 ? 4 : 1, tileBytes = 64 * SPAN * columns, stepBytes = SPAN * columns;
  char *a = shared, *b = shared + tileBytes;
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  Accumulator sums[32];
  const int row = blockIdx.y * 64, column = blockIdx.x * 64;
  u32 phase = 0;
  for (int begin = 0; begin < k; begin += stepBytes / ELEMENT) {
    if (threadIdx.x == 0) {
      mbarrier_expect(&arrived, 2 * tileBytes);
      for (int c = 0; c < columns; ++c) {
        tma_load(a + c * 64 * SPAN, &mapA, &arrived, begin + c * SPAN / ELEMENT, row);
        tma_load(b + c * 64 * SPAN, &mapB, &arrived, begin + c * SPAN / ELEMENT, column);
      }
    }
    mbarrier_wait(&arrived, phase);
    phase ^= 1;
    wgmma_fence();
    for (int step = 0; step < stepBytes / 32; ++step) {
      // 32 bytes of each row are one instruction's.
      const int offset = SPAN == 16 ? step * 2 * 64 * SPAN : step * 32;
      const u32 leading = SPAN == 16 ? 64 * SPAN : 16, stride = 8 * SPAN;
      wgmma(sums, descriptor(a + offset, leading, stride, MODE), descriptor(b + offset, leading, stride, MODE),
            begin || step);
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
