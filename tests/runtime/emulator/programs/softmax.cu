#define INFINITY __int_as_float(0x7f800000)

// Rows of a matrix normalised, a warp a row, in one pass over the input: the running maximum rescales the running sum.
extern "C" __global__ void softmax(float *y, const float *x, int rows, int columns) {
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) {
    return;
  }
  x += (size_t)row * columns;
  y += (size_t)row * columns;
  float largest = -INFINITY, sum = 0;
  for (int column = lane; column < columns; column += 32) {
    const float value = x[column], now = fmaxf(largest, value);
    sum = sum * __expf(largest - now) + __expf(value - now);
    largest = now;
  }
  for (int step = 16; step; step /= 2) {
    const float otherLargest = __shfl_xor_sync(~0u, largest, step), otherSum = __shfl_xor_sync(~0u, sum, step);
    const float now = fmaxf(largest, otherLargest);
    sum = (largest == -INFINITY ? 0 : sum * __expf(largest - now)) +
          (otherLargest == -INFINITY ? 0 : otherSum * __expf(otherLargest - now));
    largest = now;
  }
  for (int column = lane; column < columns; column += 32) {
    y[column] = __expf(x[column] - largest) / sum;
  }
}

// RMS normalisation with vector loads: 16 bytes a lane, the rest one by one.
extern "C" __global__ void rms_norm(float *y, const float *x, const float *weight, int columns, float epsilon) {
  __shared__ float partial[32];
  x += (size_t)blockIdx.x * columns;
  y += (size_t)blockIdx.x * columns;
  // Rows begin anywhere: vectors are for those that lie right.
  const int vectors = columns % 4 == 0 ? columns / 4 : 0;
  float sum = 0;
  for (int i = threadIdx.x; i < vectors; i += blockDim.x) {
    const float4 v = reinterpret_cast<const float4 *>(x)[i];
    sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  for (int i = vectors * 4 + threadIdx.x; i < columns; i += blockDim.x) {
    sum += x[i] * x[i];
  }
  for (int step = 16; step; step /= 2) {
    sum += __shfl_xor_sync(~0u, sum, step);
  }
  if (threadIdx.x % 32 == 0) {
    partial[threadIdx.x / 32] = sum;
  }
  __syncthreads();
  sum = 0;
  for (int warp = 0; warp < blockDim.x / 32; ++warp) {
    sum += partial[warp];
  }
  const float scale = rsqrtf(sum / columns + epsilon);
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    y[i] = x[i] * scale * weight[i];
  }
}
