// D = A * B with K split over CTAs, and a second kernel that adds the parts. Each launch depends programmatically on the
// one before: it may begin early, and waits before it touches what the other writes or still reads.
#include "ptx.cuh"

extern "C" __global__ void partial(float *parts, const float *a, const float *b, int m, int n, int k, int splits) {
  __shared__ float as[16][17], bs[16][17];
  const int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
  const int each = (k + splits - 1) / splits, end = min(k, (int)(blockIdx.z + 1) * each);
  float sum = 0;
  for (int begin = blockIdx.z * each; begin < end; begin += 16) {
    as[threadIdx.y][threadIdx.x] =
        row < m && begin + (int)threadIdx.x < end ? a[(size_t)row * k + begin + threadIdx.x] : 0;
    bs[threadIdx.y][threadIdx.x] =
        column < n && begin + (int)threadIdx.y < end ? b[(size_t)(begin + threadIdx.y) * n + column] : 0;
    __syncthreads();
    for (int i = 0; i < 16; ++i) {
      sum += as[threadIdx.y][i] * bs[i][threadIdx.x];
    }
    __syncthreads();
  }
  launch_dependents();
  wait_dependency(); // The addition before may still read the parts.
  if (row < m && column < n) {
    parts[((size_t)blockIdx.z * m + row) * n + column] = sum;
  }
}

extern "C" __global__ void add_parts(float *d, const float *parts, int count, int splits) {
  launch_dependents();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  wait_dependency();
  if (i < count) {
    float sum = 0;
    for (int split = 0; split < splits; ++split) {
      sum += parts[(size_t)split * count + i];
    }
    d[i] += sum;
  }
}
