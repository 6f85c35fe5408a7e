// FlashMLA's dense decode gives right results. Data and tolerances are those of its own test: pages behind a sequence's
// end hold NaN, and the table's tail leads nowhere.
#include "tests/runtime/emulator/hardware_proven/flashmla.h"

#include "checker/checker.h"
#include <iostream>

using namespace emulator;

namespace {

constexpr int headK = FlashMla::headK, headV = FlashMla::headV, page = FlashMla::page, multiprocessors = 132;

struct Problem {
  std::vector<int> lengths;
  int queries = 1, heads = 128;
  bool causal = false;
  const char *file = FlashMla::attentionFile;
  Order order = Order::Eager;
  bool overlapped = true;
  Observer *observer = nullptr;
};

std::vector<uint16_t> randomBf16(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<uint16_t> values(count);
  for (uint16_t &value : values) {
    value = toBf16(std::clamp(normal(random), -1.0f, 1.0f));
  }
  return values;
}

void check(const Problem &problem) {
  FlashMla kernels(problem.file);
  if (!kernels.isThere()) {
    GTEST_SKIP() << "ELAH_HARDWARE_PROVEN_PTX names no folder with FlashMLA's kernels";
  }
  FlashMla::Step step;
  step.batch = static_cast<int>(problem.lengths.size());
  step.queries = problem.queries, step.heads = problem.heads, step.causal = problem.causal;
  const int batch = step.batch, rows = step.rows(), parts = std::max(multiprocessors / step.rowBlocks(), 1);
  const int longest = *std::max_element(problem.lengths.begin(), problem.lengths.end());
  const int tablePitch = std::max((longest + 255) / 256 * 4, 4), pages = batch * tablePitch;

  std::vector<uint16_t> q = randomBf16(size_t(batch) * rows * headK, 1);
  std::vector<uint16_t> cache = randomBf16(size_t(pages) * page * headK, 2);
  std::vector<int> table(pages);
  for (int i = 0; i < pages; ++i) {
    table[i] = i;
  }
  std::shuffle(table.begin(), table.end(), std::mt19937(3));
  for (int b = 0; b < batch; ++b) {
    for (int token = problem.lengths[b]; token < tablePitch * page; ++token) {
      std::fill_n(cache.begin() + (size_t(table[b * tablePitch + token / page]) * page + token % page) * headK, headK,
                  uint16_t(0x7FC0));
    }
    for (int i = (problem.lengths[b] + page - 1) / page; i < tablePitch; ++i) {
      table[b * tablePitch + i] = 2147480000;
    }
  }

  DeviceBuffer bufferQ(q), bufferK(cache), bufferTable(table), lengths(problem.lengths),
      out(size_t(batch) * rows * headV * 2), lse(size_t(batch) * rows * 4);
  step.pages = pages, step.tablePitch = tablePitch;
  RunOptions options = RunOptions::fromEnvironment();
  options.order = problem.order;
  options.seed = 11;
  auto begin = std::chrono::steady_clock::now();
  std::optional<Fault> fault = kernels.run(
      step,
      {bufferQ.address(), bufferK.address(), bufferTable.address(), lengths.address(), out.address(), lse.address()},
      parts, problem.overlapped, options, problem.observer);
  ASSERT_FALSE(fault) << fault->text;
  std::cout << "[  TIMING  ] " << std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()
            << " s\n";

  double worst = 0, products = 0, squares = 0;
  for (int b = 0; b < batch; ++b) {
    for (int row = 0; row < rows; row += 5) {
      int attended = problem.lengths[b];
      if (problem.causal) {
        attended = std::max(0, attended - (problem.queries - 1 - row / problem.heads));
      }
      std::vector<double> scores(attended), result(headV);
      auto token = [&](int i) {
        return cache.data() + (size_t(table[b * tablePitch + i / page]) * page + i % page) * headK;
      };
      double largest = -INFINITY, total = 0;
      for (int i = 0; i < attended; ++i) {
        double sum = 0;
        for (int d = 0; d < headK; ++d) {
          sum += double(fromBf16(q[(size_t(b) * rows + row) * headK + d])) * fromBf16(token(i)[d]);
        }
        scores[i] = sum / std::sqrt(double(headK));
        largest = std::max(largest, scores[i]);
      }
      for (double &score : scores) {
        score = std::exp(score - largest);
        total += score;
      }
      for (int i = 0; i < attended; ++i) {
        for (int d = 0; d < headV; ++d) {
          result[d] += scores[i] / total * fromBf16(token(i)[d]);
        }
      }
      const float gotLse = lse.as<float>()[b * rows + row];
      if (attended == 0) {
        ASSERT_EQ(gotLse, INFINITY);
      } else {
        const double expected = largest + std::log(total);
        ASSERT_NEAR(gotLse, expected, 1e-6 + 8.01 / 65536 * std::abs(expected)) << "sequence " << b << " row " << row;
      }
      for (int d = 0; d < headV; ++d) {
        double got = fromBf16(out.as<uint16_t>()[(size_t(b) * rows + row) * headV + d]);
        double expected = attended == 0 ? 0 : fromBf16(toBf16(static_cast<float>(result[d])));
        ASSERT_NEAR(got, expected, 8e-4 + 2.01 / 128 * std::abs(expected))
            << "sequence " << b << " row " << row << " column " << d;
        worst = std::max(worst, std::abs(got - expected));
        products += got * expected;
        squares += got * got + expected * expected;
      }
    }
  }
  EXPECT_LT(1 - 2 * products / squares, 5e-6);
}

} // namespace

TEST(FlashMla, Decode) {
  Problem problem;
  problem.lengths = {1, 200, 577, 64};
  check(problem);
}

TEST(FlashMla, SplitSequencesAndEmptyOnes) {
  Problem problem;
  problem.lengths = {0, 4096, 0, 130};
  problem.overlapped = false;
  check(problem);
}

TEST(FlashMla, CausalWithTwoQueries) {
  Problem problem;
  problem.lengths = {2, 129, 300};
  problem.queries = 2;
  problem.causal = true;
  check(problem);
}

TEST(FlashMla, FewHeads) {
  Problem problem;
  problem.lengths = {100, 700};
  problem.heads = 16;
  check(problem);
}

TEST(FlashMla, FastMath) {
  Problem problem;
  problem.lengths = {333};
  problem.file = FlashMla::fastMathFile;
  check(problem);
}

TEST(FlashMla, OtherOrders) {
  for (Order order : {Order::Lazy, Order::Random}) {
    Problem problem;
    problem.lengths = {200, 577};
    problem.order = order;
    check(problem);
  }
}

TEST(FlashMla, NothingToReport) {
  for (Order order : allOrders) {
    Checker checker;
    Problem problem;
    problem.lengths = {0, 64, 130, 576};
    problem.order = order;
    problem.observer = &checker;
    check(problem);
    for (const Report &report : checker.reports().all()) {
      ADD_FAILURE() << report.toText();
    }
  }
}
