// D = A * B^T as fast kernels do it: one warpgroup only copies, two only multiply, three stages between them; CTAs stay
// and take tile after tile; registers go from the one that copies to those that multiply; results leave by tensor copy.
#include "wgmma.cuh"

enum { stages = 3, tileM = 128, tileN = 64, tileK = 64 };

struct __align__(1024) Storage {
  char a[stages][tileM * 128];
  char b[stages][tileN * 128];
  float d[tileM * tileN];
  u64 full[stages], empty[stages];
};

extern "C" __global__ __launch_bounds__(384, 1) void gemm(const __grid_constant__ TensorMap mapA,
                                                          const __grid_constant__ TensorMap mapB,
                                                          const __grid_constant__ TensorMap mapD, int m, int n, int k) {
  extern __shared__ __align__(1024) char shared[];
  Storage &s = *reinterpret_cast<Storage *>(shared);
  if (threadIdx.x == 0) {
    for (int i = 0; i < stages; ++i) {
      mbarrier_init(&s.full[i], 1);
      mbarrier_init(&s.empty[i], 8); // The warps that multiply.
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  const int tilesN = (n + tileN - 1) / tileN, tiles = (m + tileM - 1) / tileM * tilesN;
  int turn = 0; // k-blocks so far, over all tiles
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x / 32 == 0 && elect()) {
      for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        for (int begin = 0; begin < k; begin += tileK, ++turn) {
          const int stage = turn % stages;
          mbarrier_wait(&s.empty[stage], turn / stages % 2 ^ 1);
          mbarrier_expect(&s.full[stage], (tileM + tileN) * 128);
          tma_load(s.a[stage], &mapA, &s.full[stage], begin, tile / tilesN * tileM);
          tma_load(s.b[stage], &mapB, &s.full[stage], begin, tile % tilesN * tileN);
        }
      }
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    const int group = threadIdx.x / 128 - 1;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      float sums[32];
      for (int begin = 0; begin < k; begin += tileK, ++turn) {
        const int stage = turn % stages;
        mbarrier_wait(&s.full[stage], turn / stages % 2);
        wgmma_fence();
        for (int step = 0; step < 4; ++step) {
          wgmma(sums, descriptor(s.a[stage] + group * 64 * 128 + step * 32, 16, 1024, 1),
                descriptor(s.b[stage] + step * 32, 16, 1024, 1), begin || step);
        }
        wgmma_commit();
        wgmma_wait<0>();
        if (threadIdx.x % 32 == 0) {
          mbarrier_arrive(&s.empty[stage]);
        }
      }
      // The store of the tile before must have read the buffer.
      if (threadIdx.x == 128) {
        bulk_wait_read<0>();
      }
      asm volatile("bar.sync 1, 256;" ::: "memory");
      for (int i = 0; i < 32; ++i) {
        s.d[(group * 64 + row_of(i)) * tileN + column_of(i)] = sums[i];
      }
      fence_async();
      asm volatile("bar.sync 1, 256;" ::: "memory");
      if (threadIdx.x == 128) {
        tma_store(&mapD, s.d, tile % tilesN * tileN, tile / tilesN * tileM);
        bulk_commit();
      }
    }
    if (threadIdx.x == 128) {
      bulk_wait<0>();
    }
  }
}
