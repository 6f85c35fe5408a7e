// FlashMLA's dense decode over a paged latent cache (bf16): the schedule, the split attention, and the combination of
// the splits, the last two overlapped by programmatic dependent launch. Data and tolerances are those of its own test:
// pages behind a sequence's end hold NaN, and the table's tail leads nowhere.
#include "tests/runtime/emulator/hardware_proven/ready_ptx.h"

#include "checker/checker.h"
#include <algorithm>
#include <cmath>
#include <iostream>

using namespace emulator;

namespace {

constexpr int headK = 576, headV = 512, page = 64, multiprocessors = 132;

struct Problem {
  std::vector<int> lengths;
  int queries = 1, heads = 128;
  bool causal = false;
  const char *file = "flashmla_dense_decode_bf16.ptx";
  Order order = Order::Eager;
  bool overlapped = true;
  Observer *observer = nullptr;
};

/// What the three kernels take (their parameter structs, by field).
struct ScheduleParameters {
  int batch, queries, block, overhead, topk, extraTopk;
  uint64_t topkLength, extraTopkLength, lengths, schedule, splits;
  int parts;
  uint64_t stream;
};
static_assert(sizeof(ScheduleParameters) == 80);

struct AttentionParameters {
  int batch, queries, rows, headK, headV, headsQ, headsK, pages, headsQPerK;
  bool causal;
  float scale, scaleLog2;
  uint64_t q, k, o, lse;
  int64_t qBatch, kBatch, oBatch, qRow, kRow, oRow, qHead, kHead, oHead;
  uint64_t table;
  int64_t tableBatch;
  int pageSize;
  uint64_t lengths, schedule;
  int parts;
  uint64_t splits;
  int totalSplits;
  uint64_t lseParts, oParts, stream;
};
static_assert(sizeof(AttentionParameters) == 240);

struct TensorParameters {
  alignas(128) int shapeQ[4];
  TensorMapParameter q, unusedQ;
  alignas(128) int shapeK[4];
  TensorMapParameter k, unusedK;
  alignas(128) int shapeO[4];
  TensorMapParameter o, unusedO;
};
static_assert(sizeof(TensorParameters) == 1152);

struct CombineParameters {
  int batch, queries, heads, headV;
  uint64_t lse, out;
  int lseBatch, lseQuery, outBatch, outQuery, outHead;
  uint64_t lseParts, outParts;
  int partsLse, partsLseQuery, partsOut, partsOutQuery, partsOutHead;
  uint64_t schedule, splits;
  int parts;
  uint64_t sink, stream;
};
static_assert(sizeof(CombineParameters) == 136);

std::vector<uint16_t> randomBf16(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<uint16_t> values(count);
  for (uint16_t &value : values) {
    value = toBf16(std::clamp(normal(random), -1.0f, 1.0f));
  }
  return values;
}

std::shared_ptr<Grid> start(std::shared_ptr<LoadedModule> module, const Kernel *kernel, std::vector<uint32_t> grid,
                            uint32_t block, uint32_t shared, const Parameters &parameters, const RunOptions &options,
                            Observer *observer, std::vector<std::shared_ptr<Grid>> primaries = {}) {
  LaunchConfig config;
  config.observer = observer;
  config.module = std::move(module);
  config.kernel = kernel;
  std::copy_n(grid.begin(), 3, config.grid);
  config.block[0] = block;
  config.dynamicSharedBytes = shared;
  config.parameters = parameters.bytes;
  config.parameters.resize(kernel->parameterBytes);
  config.primaries = std::move(primaries);
  return Machine::instance().launch(std::move(config), options);
}

void check(const Problem &problem) {
  std::shared_ptr<LoadedModule> scheduler = readyModule("flashmla_sched_meta.ptx"),
                                attention = readyModule(problem.file), combiner = readyModule("flashmla_combine.ptx");
  if (!scheduler || !attention || !combiner) {
    GTEST_SKIP() << "ELAH_HARDWARE_PROVEN_PTX names no folder with FlashMLA's kernels";
  }
  const int batch = static_cast<int>(problem.lengths.size()), rows = problem.queries * problem.heads;
  const int rowBlocks = (rows + 63) / 64, parts = std::max(multiprocessors / rowBlocks, 1);
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
      out(size_t(batch) * rows * headV * 2), lse(size_t(batch) * rows * 4), schedule(size_t(parts) * 32),
      splits((batch + 1) * 4), lseParts(size_t(batch + parts) * rows * 4),
      outParts(size_t(batch + parts) * rows * headV * 4);
  RunOptions options = RunOptions::fromEnvironment();
  options.order = problem.order;
  options.seed = 11;

  ScheduleParameters s = {};
  s.batch = batch, s.queries = problem.queries, s.block = page, s.overhead = 5, s.topk = s.extraTopk = -1;
  s.lengths = lengths.address(), s.schedule = schedule.address(), s.splits = splits.address(), s.parts = parts;
  std::optional<Fault> fault = start(scheduler, kernelNamed(*scheduler, "get_mla_metadata"), {1, 1, 1}, 32,
                                     (batch * 5 + 1) * 4, Parameters().add(s), options, problem.observer)
                                   ->wait();
  ASSERT_FALSE(fault) << fault->text;

  AttentionParameters a = {};
  a.batch = batch, a.queries = problem.queries, a.rows = rows, a.headK = headK, a.headV = headV;
  a.headsQ = a.headsQPerK = problem.heads, a.headsK = 1, a.pages = pages, a.causal = problem.causal;
  a.scale = 1 / std::sqrt(float(headK)), a.scaleLog2 = a.scale * float(M_LOG2E);
  a.q = bufferQ.address(), a.k = bufferK.address(), a.o = out.address(), a.lse = lse.address();
  a.qRow = headK, a.qHead = headK, a.qBatch = int64_t(rows) * headK;
  a.kRow = headK, a.kHead = headK, a.kBatch = int64_t(page) * headK;
  a.oRow = headV, a.oHead = int64_t(rows) * headV, a.oBatch = int64_t(rows) * headV;
  a.table = bufferTable.address(), a.tableBatch = tablePitch, a.pageSize = page, a.lengths = lengths.address();
  a.schedule = schedule.address(), a.parts = parts, a.splits = splits.address(), a.totalSplits = batch + parts;
  a.lseParts = lseParts.address(), a.oParts = outParts.address();
  TensorParameters t = {};
  const uint64_t wide = headK * 2, narrow = headV * 2, sequence = uint64_t(rows);
  t.shapeQ[0] = rows, t.shapeQ[1] = headK, t.shapeQ[2] = 1, t.shapeQ[3] = batch;
  t.shapeK[0] = 1, t.shapeK[1] = pages;
  t.shapeO[0] = rows, t.shapeO[1] = headV, t.shapeO[2] = 1, t.shapeO[3] = batch;
  t.q = tiledMap(TensorType::BF16, a.q, {headK, sequence, 1, uint64_t(batch)}, {wide, wide, wide * rows},
                 {64, 64, 1, 1}, 3);
  t.k =
      tiledMap(TensorType::BF16, a.k, {headK, page, 1, uint64_t(pages)}, {wide, wide, wide * page}, {64, 64, 1, 1}, 3);
  t.o = tiledMap(TensorType::BF16, a.o, {headV, sequence, 1, uint64_t(batch)}, {narrow, narrow * rows, narrow * rows},
                 {64, 64, 1, 1}, 3);
  auto begin = std::chrono::steady_clock::now();
  std::shared_ptr<Grid> main =
      start(attention, kernelNamed(*attention, "flash_fwd_splitkv_mla"), {uint32_t(rowBlocks), 1, uint32_t(parts)}, 256,
            230912, Parameters().add(a).add(t), options, problem.observer);
  if (!problem.overlapped) {
    fault = main->wait();
    ASSERT_FALSE(fault) << fault->text;
  }

  CombineParameters c = {};
  c.batch = batch, c.queries = problem.queries, c.heads = problem.heads, c.headV = headV;
  c.lse = c.lseParts = 0;
  c.lse = lse.address(), c.out = out.address(), c.lseParts = lseParts.address(), c.outParts = outParts.address();
  c.lseBatch = c.partsLse = rows, c.lseQuery = c.partsLseQuery = problem.heads;
  c.outBatch = c.partsOut = rows * headV, c.outQuery = c.partsOutQuery = problem.heads * headV;
  c.outHead = c.partsOutHead = headV;
  c.schedule = schedule.address(), c.splits = splits.address(), c.parts = parts;
  const int width = (parts + 31) / 32 * 32; // The kernel is made for 32, 64, 96, 128 or 160 splits.
  const Kernel *combine = kernelNamed(*combiner, "ELi512ELi8ELi" + std::to_string(width) + "E");
  ASSERT_TRUE(combine) << width;
  std::shared_ptr<Grid> last =
      start(combiner, combine, {uint32_t(batch * problem.queries), 1, uint32_t((problem.heads + 7) / 8)}, 256, 0,
            Parameters().add(c), options, problem.observer, {main});
  fault = main->wait();
  ASSERT_FALSE(fault) << fault->text;
  fault = last->wait();
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
  problem.file = "flashmla_dense_decode_bf16_fast_math.ptx";
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
  // Whole pages: of a part of one its warps clear the rest as soon as their own products are done, and trust that those
  // of the other three warps are, too, which the ISA does not promise and the checker reports.
  for (Order order : allOrders) {
    Checker checker;
    Problem problem;
    problem.lengths = {0, 64, 192, 576};
    problem.order = order;
    problem.observer = &checker;
    check(problem);
    for (const Report &report : checker.reports().all()) {
      ADD_FAILURE() << report.toText();
    }
  }
}
