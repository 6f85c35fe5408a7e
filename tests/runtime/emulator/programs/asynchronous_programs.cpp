// Programs around Hopper's asynchronous copies, clusters and dependent launches; and graphs of kernels.

#include "tests/runtime/emulator/programs/program_run.h"
#include <future>
#include <numeric>

namespace emulator::cuda {
namespace {

static std::vector<float> doubledPlusOne(std::vector<float> x) {
  for (float &value : x) {
    value = 2 * value + 1;
  }
  return x;
}

static void stagesOfCpAsync(ProgramRun &run) {
  const CUfunction staged = run.kernel("copies", "staged");
  for (const int n : {1, 1022, 2560}) {
    const std::vector<float> x = run.wholeNumbers(static_cast<size_t>(n), 100);
    const CUdeviceptr in = run.upload(x), out = run.reserve<float>(x.size());
    ASSERT_CUDA(run.launch(staged, {{3}, {64}, 3 * 64 * 16}, out, in, n));
    EXPECT_EQ(run.download<float>(out, x.size()), doubledPlusOne(x)) << n;
  }
}

static void bulkCopiesOfLines(ProgramRun &run) {
  const CUfunction lines = run.kernel("copies", "lines");
  for (const int columns : {4, 100, 1024}) {
    const std::vector<float> x = run.wholeNumbers(static_cast<size_t>(5 * columns), 100);
    const CUdeviceptr in = run.upload(x), out = run.reserve<float>(x.size());
    ASSERT_CUDA(run.launch(lines, {{5}, {96}}, out, in, columns));
    EXPECT_EQ(run.download<float>(out, x.size()), doubledPlusOne(x)) << columns;
  }
}

static void tensorCopiesStoreAndAdd(ProgramRun &run) {
  const CUfunction tiles = run.kernel("copies", "tiles");
  const uint64_t rows = 37, columns = 52;
  const std::vector<float> x = run.wholeNumbers(rows * columns, 20), y = run.wholeNumbers(rows * columns, 100);
  const CUdeviceptr in = run.upload(x), out = run.reserve<float>(x.size()), sum = run.upload(y);
  auto map = [&](CUdeviceptr address) {
    return run.matrixMap(CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, address, rows, columns, columns * 4, 16, 32,
                         CU_TENSOR_MAP_SWIZZLE_NONE);
  };
  ASSERT_CUDA(run.launch(tiles, {{2, 3}, {64}}, map(in), map(out), map(sum)));
  const std::vector<float> stored = run.download<float>(out, x.size()), added = run.download<float>(sum, x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(stored[i], x[i] * x[i]) << i;
    ASSERT_EQ(added[i], y[i] + x[i] * x[i]) << i;
  }
}

static void sumsByClusters(ProgramRun &run) {
  const CUfunction sum = run.kernel("clusters", "cluster_sum");
  const int n = 3003;
  const std::vector<float> x = run.wholeNumbers(n, 50);
  const CUdeviceptr in = run.upload(x), sums = run.reserve<float>(2);
  ASSERT_CUDA(run.launch(sum, {{8}, {64}}, sums, in, n));
  const std::vector<float> parts = run.download<float>(sums, 2);
  EXPECT_EQ(parts[0] + parts[1], std::accumulate(x.begin(), x.end(), 0.f));
}

static void messagesAroundACluster(ProgramRun &run) {
  const CUfunction ring = run.kernel("clusters", "ring");
  const CUdeviceptr out = run.reserve<unsigned>(3);
  ASSERT_CUDA(run.launch(ring, {{12}, {32}}, out, 5u));
  const std::vector<unsigned> values = run.download<unsigned>(out, 3);
  for (unsigned cluster = 0; cluster < 3; ++cluster) {
    unsigned expected = 5 + cluster * 100;
    for (unsigned rank = 1; rank < 4; ++rank) {
      expected = expected * 2 + rank;
    }
    EXPECT_EQ(values[cluster], expected);
  }
}

static void splitKByDependentLaunches(ProgramRun &run) {
  const CUfunction partial = run.kernel("split_k", "partial"), add = run.kernel("split_k", "add_parts");
  const int m = 21, n = 35, k = 50, splits = 3;
  const std::vector<float> a = run.wholeNumbers(m * k, 5), b = run.wholeNumbers(k * n, 5);
  const CUdeviceptr as = run.upload(a), bs = run.upload(b), parts = run.reserve<float>(splits * m * n),
                    d = run.upload(std::vector<float>(m * n, 0.f));
  CUstream stream = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  ASSERT_CUDA(cuCtxSynchronize());
  // All launches are there before the first one begins, so that they overlap as far as they may.
  std::promise<void> launched;
  std::future<void> ready = launched.get_future();
  ASSERT_CUDA(cuLaunchHostFunc(stream, [](void *waits) { static_cast<std::future<void> *>(waits)->wait(); }, &ready));
  for (int round = 0; round < 3; ++round) {
    ASSERT_CUDA(run.launch(partial, {.grid = {3, 2, splits}, .block = {16, 16}, .dependent = true, .stream = stream},
                           parts, as, bs, m, n, k, splits));
    ASSERT_CUDA(
        run.launch(add, {.grid = {6}, .block = {128}, .dependent = true, .stream = stream}, d, parts, m * n, splits));
  }
  launched.set_value();
  ASSERT_CUDA(cuStreamSynchronize(stream));
  const std::vector<float> result = run.download<float>(d, m * n);
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
static void graphsOfKernels(ProgramRun &run) {
  const CUfunction norm = run.kernel("softmax", "rms_norm"), softmax = run.kernel("softmax", "softmax"),
                   reduce = run.kernel("reduce", "reduce_sum");
  const int rows = 4, columns = 100;
  const size_t count = rows * columns;
  const CUdeviceptr x = run.reserve<float>(count), weight = run.upload(std::vector<float>(columns, 1.f)),
                    normed = run.reserve<float>(count), out = run.reserve<float>(count), sums = run.reserve<float>(2);
  CUstream main = nullptr, side = nullptr;
  CUevent fork = nullptr, join = nullptr;
  ASSERT_CUDA(cuStreamCreate(&main, CU_STREAM_NON_BLOCKING));
  ASSERT_CUDA(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
  ASSERT_CUDA(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
  ASSERT_CUDA(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
  ASSERT_CUDA(cuStreamBeginCapture_v2(main, CU_STREAM_CAPTURE_MODE_GLOBAL));
  ASSERT_CUDA(cuMemsetD32Async(sums, 0, 2, main));
  ASSERT_CUDA(run.launch(norm, {.grid = {rows}, .block = {64}, .stream = main}, normed, x, weight, columns, 0.f));
  ASSERT_CUDA(cuEventRecord(fork, main));
  ASSERT_CUDA(cuStreamWaitEvent(side, fork, 0));
  ASSERT_CUDA(run.launch(reduce, {.grid = {2}, .block = {64}, .stream = side}, sums, x, static_cast<int>(count)));
  ASSERT_CUDA(cuEventRecord(join, side));
  ASSERT_CUDA(run.launch(softmax, {.grid = {1}, .block = {128}, .stream = main}, out, normed, rows, columns));
  ASSERT_CUDA(
      run.launch(reduce, {.grid = {1}, .block = {128}, .stream = main}, sums + 4, out, static_cast<int>(count)));
  ASSERT_CUDA(cuStreamWaitEvent(main, join, 0));
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuStreamEndCapture(main, &graph));
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int round = 0; round < 4; ++round) {
    const std::vector<float> input = run.wholeNumbers(count, 9);
    ASSERT_CUDA(cuMemcpyHtoDAsync_v2(x, input.data(), count * 4, main));
    ASSERT_CUDA(cuGraphLaunch(exec, main));
    ASSERT_CUDA(cuStreamSynchronize(main));
    const std::vector<float> result = run.download<float>(sums, 2);
    EXPECT_EQ(result[0], std::accumulate(input.begin(), input.end(), 0.f));
    EXPECT_NEAR(result[1], rows, 1e-4);
  }
}

} // namespace

std::vector<Program> asynchronousPrograms() {
  return {{"StagesOfCpAsync", stagesOfCpAsync},
          {"BulkCopiesOfLines", bulkCopiesOfLines},
          {"TensorCopiesStoreAndAdd", tensorCopiesStoreAndAdd},
          {"SumsByClusters", sumsByClusters},
          {"MessagesAroundACluster", messagesAroundACluster},
          {"SplitKByDependentLaunches", splitKByDependentLaunches},
          {"GraphsOfKernels", graphsOfKernels}};
}

} // namespace emulator::cuda
