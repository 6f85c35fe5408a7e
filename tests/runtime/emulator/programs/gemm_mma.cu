// D = A * B^T in bf16 with mma.sync: tiles of 64 x 64 x 32 by cp.async, two stages, fragments by ldmatrix. Chunks of 16
// bytes are swizzled by their row so that ldmatrix meets no bank twice.
#include "ptx.cuh"

static __device__ unsigned short *chunk(unsigned short *tile, int row, int piece) {
  return tile + row * 32 + (piece ^ row / 2 % 4) * 8;
}

extern "C" __global__ __launch_bounds__(128) void gemm(float *d, const unsigned short *a, const unsigned short *b, int m,
                                                       int n, int k) {
  __shared__ __align__(128) unsigned short as[2][64 * 32], bs[2][64 * 32];
  const int row = blockIdx.y * 64, column = blockIdx.x * 64, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // K is a multiple of 8: a chunk is inside or outside as a whole.
  auto load = [&](int stage, int begin) {
    for (int i = threadIdx.x; i < 64 * 4; i += 128) {
      const int r = i / 4, piece = i % 4, c = begin + piece * 8;
      copy_async_16(chunk(as[stage], r, piece), a + (row + r < m && c < k ? (size_t)(row + r) * k + c : 0),
                    row + r < m && c < k);
      copy_async_16(chunk(bs[stage], r, piece), b + (column + r < n && c < k ? (size_t)(column + r) * k + c : 0),
                    column + r < n && c < k);
    }
    copy_commit();
  };
  float sums[8][4] = {};
  load(0, 0);
  int stage = 0;
  for (int begin = 0; begin < k; begin += 32, stage ^= 1) {
    if (begin + 32 < k) {
      load(stage ^ 1, begin + 32);
      copy_wait<1>();
    } else {
      copy_wait<0>();
    }
    __syncthreads();
    for (int step = 0; step < 2; ++step) {
      // 16 rows of A: four 8 x 8 matrices.
      u32 fa[4];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                   : "r"(shared_address(chunk(as[stage], warp * 16 + lane % 16, step * 2 + lane / 16)))
                   : "memory");
      for (int i = 0; i < 8; ++i) {
        u32 fb[2];
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                     : "=r"(fb[0]), "=r"(fb[1])
                     : "r"(shared_address(chunk(bs[stage], i * 8 + lane % 8, step * 2 + lane / 8 % 2)))
                     : "memory");
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                     "{%0, %1, %2, %3};"
                     : "+f"(sums[i][0]), "+f"(sums[i][1]), "+f"(sums[i][2]), "+f"(sums[i][3])
                     : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int r = row + warp * 16 + lane / 4 + j / 2 * 8, c = column + i * 8 + lane % 4 * 2 + j % 2;
      if (r < m && c < n) {
        d[(size_t)r * n + c] = sums[i][j];
      }
    }
  }
}
