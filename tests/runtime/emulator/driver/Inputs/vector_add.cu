#include <cstdio>

__global__ void add(float *c, const float *a, const float *b, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    c[i] = a[i] + b[i];
  }
}

int main() {
  float *a, *b, *c;
  const cudaError_t code = cudaMalloc(&a, 4000);
  if (code != cudaSuccess) {
    std::printf("cudaMalloc: %s\n", cudaGetErrorString(code));
    return 1;
  }
  cudaMalloc(&b, 4000);
  cudaMalloc(&c, 4000);
  cudaMemset(a, 0, 4000);
  cudaMemset(b, 0, 4000);
  add<<<8, 128>>>(c, a, b, 1000);
  float last = 1;
  cudaMemcpy(&last, c + 999, 4, cudaMemcpyDeviceToHost);
  std::printf("%g\n", last);
}
