// Programs around Hopper's asynchronous copies, clusters and dependent launches; and graphs of kernels.

#include "tests/runtime/emulator/programs/program_test.h"
#include <numeric>

namespace emulator::cuda {
namespace {

class AsynchronousPrograms : public ProgramTest {};
INSTANTIATE_PROGRAM(AsynchronousPrograms);

static std::vector<float> doubledPlusOne(std::vector<float> x) {
  for (float &value : x) {
    value = 2 * value + 1;
  }
  return x;
}

TEST_P(AsynchronousPrograms, StagesOfCpAsync) {
  const CUfunction staged = kernel("copies", "staged");
  for (const int n : {1, 1022, 2560}) {
    const std::vector<float> x = wholeNumbers(static_cast<size_t>(n), 100);
    const CUdeviceptr in = upload(x), out = reserve<float>(x.size());
    ASSERT_CUDA(launch(staged, {{3}, {64}, 3 * 64 * 16}, out, in, n));
    EXPECT_EQ(download<float>(out, x.size()), doubledPlusOne(x)) << n;
  }
}

TEST_P(AsynchronousPrograms, BulkCopiesOfLines) {
  const CUfunction lines = kernel("copies", "lines");
  for (const int columns : {4, 100, 1024}) {
    const std::vector<float> x = wholeNumbers(static_cast<size_t>(5 * columns), 100);
    const CUdeviceptr in = upload(x), out = reserve<float>(x.size());
    ASSERT_CUDA(launch(lines, {{5}, {96}}, out, in, columns));
    EXPECT_EQ(download<float>(out, x.size()), doubledPlusOne(x)) << columns;
  }
}

TEST_P(AsynchronousPrograms, TensorCopiesStoreAndAdd) {
  const CUfunction tiles = kernel("copies", "tiles");
  const uint64_t rows = 37, columns = 52;
  const std::vector<float> x = wholeNumbers(rows * columns, 20), y = wholeNumbers(rows * columns, 100);
  const CUdeviceptr in = upload(x), out = reserve<float>(x.size()), sum = upload(y);
  auto map = [&](CUdeviceptr address) {
    return matrixMap(CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, address, rows, columns, columns * 4, 16, 32,
                     CU_TENSOR_MAP_SWIZZLE_NONE);
  };
  ASSERT_CUDA(launch(tiles, {{2, 3}, {64}}, map(in), map(out), map(sum)));
  const std::vector<float> stored = download<float>(out, x.size()), added = download<float>(sum, x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(stored[i], x[i] * x[i]) << i;
    ASSERT_EQ(added[i], y[i] + x[i] * x[i]) << i;
  }
}

TEST_P(AsynchronousPrograms, SumsByClusters) {
  const CUfunction sum = kernel("clusters", "cluster_sum");
  const int n = 3003;
  const std::vector<float> x = wholeNumbers(n, 50);
  const CUdeviceptr in = upload(x), sums = reserve<float>(2);
  ASSERT_CUDA(launch(sum, {{8}, {64}}, sums, in, n));
  const std::vector<float> parts = download<float>(sums, 2);
  EXPECT_EQ(parts[0] + parts[1], std::accumulate(x.begin(), x.end(), 0.f));
}

TEST_P(AsynchronousPrograms, MessagesAroundACluster) {
  const CUfunction ring = kernel("clusters", "ring");
  const CUdeviceptr out = reserve<unsigned>(3);
  ASSERT_CUDA(launch(ring, {{12}, {32}}, out, 5u));
  const std::vector<unsigned> values = download<unsigned>(out, 3);
  for (unsigned cluster = 0; cluster < 3; ++cluster) {
    unsigned expected = 5 + cluster * 100;
    for (unsigned rank = 1; rank < 4; ++rank) {
      expected = expected * 2 + rank;
    }
    EXPECT_EQ(values[cluster], expected);
  }
}

TEST_P(AsynchronousPrograms, SplitKByDependentLaunches) {
  const CUfunction partial = kernel("split_k", "partial"), add = kernel("split_k", "add_parts");
  const int m = 21, n = 35, k = 50, splits = 3;
  const std::vector<float> a = wholeNumbers(m * k, 5), b = wholeNumbers(k * n, 5);
  const CUdeviceptr as = upload(a), bs = upload(b), parts = reserve<float>(splits * m * n),
                    d = upload(std::vector<float>(m * n, 0.f));
  CUstream stream = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  ASSERT_CUDA(cuCtxSynchronize());
  for (int round = 0; round < 3; ++round) {
    ASSERT_CUDA(launch(partial, {.grid = {3, 2, splits}, .block = {16, 16}, .dependent = true, .stream = stream}, parts,
                       as, bs, m, n, k, splits));
    ASSERT_CUDA(
        launch(add, {.grid = {6}, .block = {128}, .dependent = true, .stream = stream}, d, parts, m * n, splits));
  }
  ASSERT_CUDA(cuStreamSynchronize(stream));
  const std::vector<float> result = download<float>(d, m * n);
  for (int row = 0; row < m; ++row) {
    for (int column = 0; column < n; ++column) {
      float expected = 0;
      for (int i = 0; i < k; ++i) {
        expected += a[static_cast<size_t>(row * k + i)] * b[static_cast<size_t>(i * n + column)];
      }
      ASSERT_EQ(result[static_cast<size_t>(row * n + column)], 3 * expected) << row << " " << column;
    }
  }
}

/// A step of many kernels as decoders launch it: captured over two streams, launched often, its input changed between.
TEST_P(AsynchronousPrograms, GraphsOfKernels) {
  const CUfunction norm = kernel("softmax", "rms_norm"), softmax = kernel("softmax", "softmax"),
                   reduce = kernel("reduce", "reduce_sum");
  const int rows = 4, columns = 100;
  const size_t count = rows * columns;
  const CUdeviceptr x = reserve<float>(count), weight = upload(std::vector<float>(columns, 1.f)),
                    normed = reserve<float>(count), out = reserve<float>(count), sums = reserve<float>(2);
  CUstream main = nullptr, side = nullptr;
  CUevent fork = nullptr, join = nullptr;
  ASSERT_CUDA(cuStreamCreate(&main, CU_STREAM_NON_BLOCKING));
  ASSERT_CUDA(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
  ASSERT_CUDA(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
  ASSERT_CUDA(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
  ASSERT_CUDA(cuStreamBeginCapture_v2(main, CU_STREAM_CAPTURE_MODE_GLOBAL));
  ASSERT_CUDA(cuMemsetD32Async(sums, 0, 2, main));
  ASSERT_CUDA(launch(norm, {.grid = {rows}, .block = {64}, .stream = main}, normed, x, weight, columns, 0.f));
  ASSERT_CUDA(cuEventRecord(fork, main));
  ASSERT_CUDA(cuStreamWaitEvent(side, fork, 0));
  ASSERT_CUDA(launch(reduce, {.grid = {2}, .block = {64}, .stream = side}, sums, x, static_cast<int>(count)));
  ASSERT_CUDA(cuEventRecord(join, side));
  ASSERT_CUDA(launch(softmax, {.grid = {1}, .block = {128}, .stream = main}, out, normed, rows, columns));
  ASSERT_CUDA(launch(reduce, {.grid = {1}, .block = {128}, .stream = main}, sums + 4, out, static_cast<int>(count)));
  ASSERT_CUDA(cuStreamWaitEvent(main, join, 0));
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuStreamEndCapture(main, &graph));
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int round = 0; round < 4; ++round) {
    const std::vector<float> input = wholeNumbers(count, 9);
    ASSERT_CUDA(cuMemcpyHtoDAsync_v2(x, input.data(), count * 4, main));
    ASSERT_CUDA(cuGraphLaunch(exec, main));
    ASSERT_CUDA(cuStreamSynchronize(main));
    const std::vector<float> result = download<float>(sums, 2);
    EXPECT_EQ(result[0], std::accumulate(input.begin(), input.end(), 0.f));
    EXPECT_NEAR(result[1], rows, 1e-4);
  }
}

} // namespace
} // namespace emulator::cuda
