// A matrix transposed through a tile in shared memory, a column wider than it needs so that banks do not collide.
extern "C" __global__ void transpose(float *y, const float *x, int rows, int columns) {
  __shared__ float tile[32][33];
  int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
  for (int i = 0; i < 32; i += blockDim.y) {
    if (column < columns && row + i < rows) {
      tile[threadIdx.y + i][threadIdx.x] = x[(size_t)(row + i) * columns + column];
    }
  }
  __syncthreads();
  column = blockIdx.y * 32 + threadIdx.x;
  row = blockIdx.x * 32 + threadIdx.y;
  for (int i = 0; i < 32; i += blockDim.y) {
    if (column < rows && row + i < columns) {
      y[(size_t)(row + i) * rows + column] = tile[threadIdx.x][threadIdx.y + i];
    }
  }
}
