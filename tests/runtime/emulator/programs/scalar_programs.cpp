#include "tests/runtime/emulator/programs/program_run.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace emulator::cuda {
namespace {

static void reduction(ProgramRun &run) {
  const CUfunction reduce = run.kernel("reduce", "reduce_sum");
  for (const int n : {1, 31, 1000, 4099}) {
    const std::vector<float> x = run.wholeNumbers(static_cast<size_t>(n), 100);
    const CUdeviceptr in = run.upload(x), sum = run.upload(std::vector<float>(1, 0.f));
    ASSERT_CUDA(run.launch(reduce, {{7}, {96}}, sum, in, n));
    EXPECT_EQ(run.download<float>(sum, 1)[0], std::accumulate(x.begin(), x.end(), 0.f)) << n;
  }
}

static void reductionByTheLastCta(ProgramRun &run) {
  const CUfunction reduce = run.kernel("reduce", "reduce_argmax");
  for (const int n : {1, 200, 2050}) {
    std::vector<float> x = run.wholeNumbers(static_cast<size_t>(n), 50);
    const unsigned blocks = static_cast<unsigned>((n + 63) / 64);
    const CUdeviceptr in = run.upload(x), index = run.reserve<int>(1), value = run.reserve<float>(1),
                      arrived = run.upload(std::vector<unsigned>(1, 0)), best = run.reserve<float>(blocks),
                      where = run.reserve<int>(blocks);
    ASSERT_CUDA(run.launch(reduce, {{blocks}, {64}, 64 * 8}, index, value, arrived, best, where, in, n));
    const auto expected = std::max_element(x.begin(), x.end());
    EXPECT_EQ(run.download<float>(value, 1)[0], *expected) << n;
    EXPECT_EQ(run.download<int>(index, 1)[0], expected - x.begin()) << n;
  }
}

static void scanInOnePass(ProgramRun &run) {
  const CUfunction scan = run.kernel("scan", "scan");
  for (const int n : {1, 130, 3001}) {
    std::vector<int> x(static_cast<size_t>(n)), sums(x.size());
    for (int &value : x) {
      value = static_cast<int>(run.random() % 100) - 20;
    }
    std::partial_sum(x.begin(), x.end(), sums.begin());
    const unsigned tiles = static_cast<unsigned>((n + 127) / 128);
    const CUdeviceptr in = run.upload(x), out = run.reserve<int>(x.size()),
                      ticket = run.upload(std::vector<unsigned>(1, 0)),
                      states = run.upload(std::vector<uint64_t>(tiles, 0));
    ASSERT_CUDA(run.launch(scan, {{tiles}, {128}}, out, in, n, ticket, states));
    EXPECT_EQ(run.download<int>(out, x.size()), sums) << n;
  }
}

static void transpose(ProgramRun &run) {
  const CUfunction transpose = run.kernel("transpose", "transpose");
  for (const auto &[rows, columns] : {std::pair(1, 1), std::pair(33, 70), std::pair(64, 32)}) {
    std::vector<float> x(static_cast<size_t>(rows * columns));
    std::iota(x.begin(), x.end(), 0.f);
    const CUdeviceptr in = run.upload(x), out = run.reserve<float>(x.size());
    ASSERT_CUDA(run.launch(
        transpose, {{static_cast<unsigned>((columns + 31) / 32), static_cast<unsigned>((rows + 31) / 32)}, {32, 8}},
        out, in, rows, columns));
    const std::vector<float> y = run.download<float>(out, x.size());
    for (int row = 0; row < rows; ++row) {
      for (int column = 0; column < columns; ++column) {
        ASSERT_EQ(y[static_cast<size_t>(column * rows + row)], x[static_cast<size_t>(row * columns + column)]);
      }
    }
  }
}

static void histogram(ProgramRun &run) {
  const CUfunction histogram = run.kernel("histogram", "histogram");
  std::vector<uint8_t> x(5003);
  std::vector<unsigned> expected(256, 0);
  for (uint8_t &value : x) {
    value = static_cast<uint8_t>(run.random() % 40 * 5);
    ++expected[value];
  }
  const CUdeviceptr in = run.upload(x), bins = run.upload(std::vector<unsigned>(256, 0));
  ASSERT_CUDA(run.launch(histogram, {{5}, {128}}, bins, in, static_cast<int>(x.size())));
  EXPECT_EQ(run.download<unsigned>(bins, 256), expected);
}

static void histogramByMatch(ProgramRun &run) {
  const CUfunction count = run.kernel("histogram", "count_equal");
  std::vector<int> keys(1001);
  std::vector<unsigned> expected(10, 0);
  for (int &key : keys) {
    key = static_cast<int>(run.random() % 10);
    ++expected[static_cast<size_t>(key)];
  }
  const CUdeviceptr in = run.upload(keys), counts = run.upload(std::vector<unsigned>(10, 0));
  ASSERT_CUDA(run.launch(count, {{16}, {64}}, counts, in, static_cast<int>(keys.size())));
  EXPECT_EQ(run.download<unsigned>(counts, 10), expected);
}

static void softmax(ProgramRun &run) {
  const CUfunction softmax = run.kernel("softmax", "softmax");
  for (const int columns : {1, 37, 500}) {
    const int rows = 9;
    std::vector<float> x(static_cast<size_t>(rows * columns));
    std::normal_distribution<float> any(0, 3);
    for (float &value : x) {
      value = any(run.random);
    }
    const CUdeviceptr in = run.upload(x), out = run.reserve<float>(x.size());
    ASSERT_CUDA(run.launch(softmax, {{3}, {128}}, out, in, rows, columns));
    const std::vector<float> y = run.download<float>(out, x.size());
    for (int row = 0; row < rows; ++row) {
      const float *from = x.data() + row * columns;
      const float largest = *std::max_element(from, from + columns);
      double sum = 0;
      for (int column = 0; column < columns; ++column) {
        sum += std::exp(double(from[column]) - largest);
      }
      for (int column = 0; column < columns; ++column) {
        ASSERT_NEAR(y[static_cast<size_t>(row * columns + column)], std::exp(double(from[column]) - largest) / sum,
                    1e-5);
      }
    }
  }
}

static void rmsNorm(ProgramRun &run) {
  const CUfunction norm = run.kernel("softmax", "rms_norm");
  for (const int columns : {3, 256, 1001}) {
    const int rows = 4;
    const std::vector<float> x = run.wholeNumbers(static_cast<size_t>(rows * columns), 9),
                             weight = run.wholeNumbers(static_cast<size_t>(columns), 3);
    const CUdeviceptr in = run.upload(x), weights = run.upload(weight), out = run.reserve<float>(x.size());
    ASSERT_CUDA(run.launch(norm, {{rows}, {96}}, out, in, weights, columns, 1e-5f));
    const std::vector<float> y = run.download<float>(out, x.size());
    for (int row = 0; row < rows; ++row) {
      double sum = 0;
      for (int column = 0; column < columns; ++column) {
        sum += double(x[static_cast<size_t>(row * columns + column)]) * x[static_cast<size_t>(row * columns + column)];
      }
      for (int column = 0; column < columns; ++column) {
        const size_t i = static_cast<size_t>(row * columns + column);
        ASSERT_NEAR(y[i], x[i] / std::sqrt(sum / columns + 1e-5) * weight[static_cast<size_t>(column)], 2e-5);
      }
    }
  }
}

static void bitonicSort(ProgramRun &run) {
  const CUfunction sort = run.kernel("sort", "sort_blocks");
  std::vector<unsigned> keys(700);
  for (unsigned &key : keys) {
    key = static_cast<unsigned>(run.random());
  }
  const CUdeviceptr in = run.upload(keys);
  ASSERT_CUDA(run.launch(sort, {{3}, {256}, 256 * 4}, in, static_cast<int>(keys.size())));
  for (size_t begin = 0; begin < keys.size(); begin += 256) {
    std::sort(keys.begin() + static_cast<long>(begin),
              keys.begin() + static_cast<long>(std::min(keys.size(), begin + 256)));
  }
  EXPECT_EQ(run.download<unsigned>(in, keys.size()), keys);
}

static void messagesBetweenCtas(ProgramRun &run) {
  const CUfunction messages = run.kernel("messages", "messages");
  const int capacity = 4, count = 20, pairs = 3;
  std::vector<unsigned> sequence(capacity, 0);
  const CUdeviceptr sums = run.upload(std::vector<unsigned>(1, 0)), slots = run.reserve<unsigned>(capacity),
                    turns = run.upload(sequence), heads = run.upload(std::vector<unsigned>(2, 0));
  ASSERT_CUDA(run.launch(messages, {{2 * pairs}, {32}}, sums, slots, turns, heads, capacity, count));
  unsigned expected = 0;
  for (unsigned ticket = 0; ticket < unsigned(pairs * count); ++ticket) {
    expected += ticket * 3 + 1;
  }
  EXPECT_EQ(run.download<unsigned>(sums, 1)[0], expected);
}

static void barriersOfAWholeGrid(ProgramRun &run) {
  const CUfunction jacobi = run.kernel("grid_sync", "jacobi");
  const int n = 333, steps = 7;
  std::vector<float> a = run.wholeNumbers(n, 64), b(n);
  const CUdeviceptr from = run.upload(a), to = run.reserve<float>(n), barrier = run.upload(std::vector<unsigned>(2, 0));
  ASSERT_CUDA(run.launch(jacobi, {.grid = {4}, .block = {64}, .cooperative = true}, from, to, n, steps, barrier));
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < n; ++i) {
      b[static_cast<size_t>(i)] =
          0.5f * ((i ? a[static_cast<size_t>(i - 1)] : 0) + (i + 1 < n ? a[static_cast<size_t>(i + 1)] : 0));
    }
    std::swap(a, b);
  }
  EXPECT_EQ(run.download<float>(steps % 2 ? to : from, n), a);
}

} // namespace

std::vector<Program> scalarPrograms() {
  return {{"Reduction", reduction},
          {"ReductionByTheLastCta", reductionByTheLastCta},
          {"ScanInOnePass", scanInOnePass},
          {"Transpose", transpose},
          {"Histogram", histogram},
          {"HistogramByMatch", histogramByMatch},
          {"Softmax", softmax},
          {"RmsNorm", rmsNorm},
          {"BitonicSort", bitonicSort},
          {"MessagesBetweenCtas", messagesBetweenCtas},
          {"BarriersOfAWholeGrid", barriersOfAWholeGrid}};
}

} // namespace emulator::cuda
