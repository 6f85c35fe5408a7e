// Sums by clusters of four through distributed shared memory; and a value that goes around the ring of a cluster.
#include "ptx.cuh"

extern "C" __global__ __cluster_dims__(4, 1, 1) void cluster_sum(float *sums, const float *x, int n) {
  __shared__ float partial[32], mine;
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    sum += x[i];
  }
  for (int step = 16; step; step /= 2) {
    sum += __shfl_xor_sync(~0u, sum, step);
  }
  if (threadIdx.x % 32 == 0) {
    partial[threadIdx.x / 32] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    sum = 0;
    for (int warp = 0; warp < blockDim.x / 32; ++warp) {
      sum += partial[warp];
    }
    mine = sum;
  }
  cluster_sync();
  if (cluster_rank() == 0 && threadIdx.x == 0) {
    sum = 0;
    for (int rank = 0; rank < 4; ++rank) {
      sum += load_from(&mine, rank);
    }
    sums[blockIdx.x / 4] = sum;
  }
  cluster_sync(); // Its shared memory must outlive the reads.
}

/// Each CTA hands what it got to the next, by st.async and the next one's mbarrier.
extern "C" __global__ __cluster_dims__(4, 1, 1) void ring(unsigned *out, unsigned seed) {
  __shared__ unsigned slot;
  __shared__ __align__(8) u64 arrived;
  const u32 rank = cluster_rank();
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    fence_mbarrier_init();
  }
  cluster_sync();
  if (threadIdx.x == 0) {
    mbarrier_expect(&arrived, 4);
    unsigned value = seed + blockIdx.x / 4 * 100;
    if (rank != 0) {
      mbarrier_wait_cluster(&arrived, 0);
      value = slot * 2 + rank;
    }
    asm volatile("{\n"
                 ".reg .b32 to, barrier;\n"
                 "mapa.shared::cluster.u32 to, %0, %2;\n"
                 "mapa.shared::cluster.u32 barrier, %1, %2;\n"
                 "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [to], %3, [barrier];\n"
                 "}" ::"r"(shared_address(&slot)),
                 "r"(shared_address(&arrived)), "r"((rank + 1) % 4), "r"(value)
                 : "memory");
    if (rank == 0) {
      mbarrier_wait_cluster(&arrived, 0);
      out[blockIdx.x / 4] = slot;
    }
  }
  cluster_sync();
}
