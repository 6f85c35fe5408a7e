// Attention with grouped heads against sums in f64: prefill, decode and both in one step, pages anywhere in the cache,
// lengths that end anywhere in a page or a tile.
#include "codegen/Cuda/Attention.h"
#include "tests/codegen/Cuda/KernelRunner.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

namespace elah::cuda {
namespace {

const CudaTarget &h800 = *findCudaTarget("h800");
constexpr int64_t pageTokens = 64;

/// A sequence's part of a step.
struct Chunk {
  int64_t cached; ///< Tokens that it had before.
  int64_t tokens; ///< That the step adds.
};

/// A step with random values. What no token has written is NaN: rows of the cache behind a sequence's last, pages of
/// nobody, queries behind the step's; page tables lead nowhere behind a sequence's last page.
class AttentionCase {
public:
  AttentionCase(const AttentionShape &shape, const std::vector<Chunk> &chunks, uint64_t seed = 1) : shape(shape) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    const auto sequences = static_cast<int64_t>(chunks.size());
    int64_t tokens = 0, pages = 0, longest = 0;
    for (const Chunk &chunk : chunks) {
      tokens += chunk.tokens;
      pages += pagesOf(chunk);
      longest = std::max(longest, pagesOf(chunk));
    }
    const int64_t cachePages = pages + 3, perSequence = longest + 1;
    dims = {tokens, sequences, sequences, cachePages * pageTokens, perSequence};
    bucket = dims;
    bucket[0] += 5;

    std::vector<int32_t> order(static_cast<size_t>(cachePages));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    constexpr uint16_t nan = 0x7fff;
    std::vector<uint16_t> query(size(bucket[0], shape.heads * shape.headDim), nan);
    std::vector<uint16_t> keys(size(dims[3], shape.kvHeads * shape.headDim), nan);
    std::vector<uint16_t> values(size(dims[3], shape.kvHeads * shape.valueDim), nan);
    std::vector<int32_t> positions(size(bucket[0], 1), 2147480000), sequenceOf(size(bucket[0], 1), 2147480000);
    std::vector<int32_t> table(size(sequences, perSequence), 2147480000);
    auto fill = [&](std::vector<uint16_t> &rows, int64_t row, int64_t width, double deviation) {
      for (int64_t i = 0; i < width; ++i) {
        rows[size(row, width) + static_cast<size_t>(i)] = bf16(normal(random) * deviation);
      }
    };
    size_t nextPage = 0, token = 0;
    for (size_t s = 0; s < chunks.size(); ++s) {
      const Chunk &chunk = chunks[s];
      for (int64_t page = 0; page < pagesOf(chunk); ++page) {
        table[s * size(perSequence, 1) + static_cast<size_t>(page)] = order[nextPage++];
      }
      for (int64_t j = 0; j < chunk.cached + chunk.tokens; ++j) {
        const int64_t row = rowOf(table, s, j);
        fill(keys, row, shape.kvHeads * shape.headDim, 1);
        fill(values, row, shape.kvHeads * shape.valueDim, 1);
      }
      for (int64_t i = 0; i < chunk.tokens; ++i, ++token) {
        // Deviations so that references of the softmax move.
        fill(query, static_cast<int64_t>(token), shape.heads * shape.headDim, 3);
        positions[token] = static_cast<int32_t>(chunk.cached + i);
        sequenceOf[token] = static_cast<int32_t>(s);
      }
    }
    attend(query, keys, values, positions, sequenceOf, table);
    const size_t rowBytes = size(2 * shape.heads, shape.valueDim);
    operands = {Operand::input(query),
                Operand::input(keys),
                Operand::input(values),
                Operand::input(positions),
                Operand::input(sequenceOf),
                Operand::input(table),
                Operand::output<uint16_t>(size(bucket[0], shape.heads * shape.valueDim))};
    operands[6].writtenBytes = size(tokens, 1) * rowBytes;
  }

  /// Empty if the kernels are right, and clean in that order; else what is wrong.
  std::string run(const std::vector<KernelSpec> &specs, const RunOrder &order) const {
    std::vector<Operand> ran = operands;
    RunOutcome outcome = runKernels(specs, ran, bucket, dims, order);
    if (!outcome.clean()) {
      return outcome.describe();
    }
    std::vector<uint16_t> output = ran[6].as<uint16_t>();
    const auto width = static_cast<size_t>(shape.valueDim);
    std::string wrong;
    for (size_t row = 0; row < expected.size() / width; ++row) {
      std::vector<double> actual;
      for (size_t i = 0; i < width; ++i) {
        actual.push_back(f64(output[row * width + i]));
      }
      const double difference = relativeDifference(actual, std::span(expected).subspan(row * width, width));
      if (!(difference < 1e-5) && wrong.size() < 1000) {
        wrong += "token " + std::to_string(row / size(shape.heads, 1)) + ", head " +
                 std::to_string(row % size(shape.heads, 1)) + ": relative difference " + std::to_string(difference) +
                 "\n";
      }
    }
    return wrong;
  }

private:
  static int64_t pagesOf(const Chunk &chunk) { return (chunk.cached + chunk.tokens + pageTokens - 1) / pageTokens; }
  static size_t size(int64_t rows, int64_t width) { return static_cast<size_t>(rows * width); }
  int64_t rowOf(const std::vector<int32_t> &table, size_t sequence, int64_t position) const {
    return table[sequence * size(dims[4], 1) + static_cast<size_t>(position / pageTokens)] * pageTokens +
           position % pageTokens;
  }
  static uint16_t bf16(double value) {
    auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  static double f64(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

  void attend(const std::vector<uint16_t> &query, const std::vector<uint16_t> &keys,
              const std::vector<uint16_t> &values, const std::vector<int32_t> &positions,
              const std::vector<int32_t> &sequenceOf, const std::vector<int32_t> &table) {
    const int64_t group = shape.heads / shape.kvHeads;
    for (int64_t token = 0; token < dims[0]; ++token) {
      const auto sequence = static_cast<size_t>(sequenceOf[size(token, 1)]);
      const int64_t seen = positions[size(token, 1)] + 1;
      for (int64_t head = 0; head < shape.heads; ++head) {
        const uint16_t *q = query.data() + (token * shape.heads + head) * shape.headDim;
        std::vector<double> weights, out(size(shape.valueDim, 1));
        for (int64_t j = 0; j < seen; ++j) {
          const uint16_t *k = keys.data() + (rowOf(table, sequence, j) * shape.kvHeads + head / group) * shape.headDim;
          double score = 0;
          for (int64_t i = 0; i < shape.headDim; ++i) {
            score += f64(q[i]) * f64(k[i]);
          }
          weights.push_back(score * shape.scale);
        }
        const double largest = *std::max_element(weights.begin(), weights.end());
        double total = 0;
        for (int64_t j = 0; j < seen; ++j) {
          const double weight = std::exp(weights[size(j, 1)] - largest);
          const uint16_t *v =
              values.data() + (rowOf(table, sequence, j) * shape.kvHeads + head / group) * shape.valueDim;
          total += weight;
          for (int64_t i = 0; i < shape.valueDim; ++i) {
            out[size(i, 1)] += weight * f64(v[i]);
          }
        }
        for (double value : out) {
          expected.push_back(value / total);
        }
      }
    }
  }

  AttentionShape shape;
  std::array<int64_t, 5> dims, bucket;
  std::vector<Operand> operands;
  std::vector<double> expected; ///< [tokens, heads, valueDim]
};

AttentionShape shapeOf(int64_t heads, int64_t kvHeads, int64_t dim) {
  return {heads, kvHeads, dim, dim, 1 / std::sqrt(static_cast<double>(dim))};
}

void expectRight(const AttentionShape &shape, const std::vector<Chunk> &chunks,
                 const std::vector<AttentionSchedule> &schedules, const std::vector<RunOrder> &orders = testOrders()) {
  ASSERT_EQ(whyNoAttention(shape), "");
  AttentionCase step(shape, chunks);
  for (const AttentionSchedule &schedule : schedules) {
    std::vector<KernelSpec> specs = specializeAttention(shape, schedule);
    for (const KernelSpec &spec : specs) {
      std::string error;
      std::optional<CompiledKernel> compiled = compileForTest(spec, error);
      ASSERT_TRUE(compiled) << error;
      EXPECT_EQ(complaintsOf(spec, *compiled), "") << spec.symbol;
    }
    for (const RunOrder &order : orders) {
      EXPECT_EQ(step.run(specs, order), "") << schedule.describe() << ", " << order.describe();
    }
  }
}

const std::vector<RunOrder> eager = {{.order = "eager"}};

// Single tokens and chunks of several sequences, lengths around a page's: tiles of one warpgroup and of two, of which
// the second has often nothing to do; more parts than work, and parts that share a group.
const std::vector<Chunk> mixed = {{200, 1}, {0, 1}, {63, 1}, {0, 70}, {64, 1}, {127, 3}, {90, 45}};

TEST(Attention, SmallHeads) {
  expectRight(shapeOf(4, 2, 16), mixed, {{1, 2, 1}, {2, 3, 4}}, eager);
  expectRight(shapeOf(4, 2, 32), mixed, {{1, 2, 40}, {2, 2, 9}});
  expectRight(shapeOf(3, 3, 64), mixed, {{1, 3, 5}, {2, 2, 3}}, eager);
}

TEST(Attention, Distills) {
  expectRight(shapeOf(12, 2, 128), mixed, {{1, 4, 7}, {2, 3, 8}}, eager);
  expectRight(shapeOf(7, 1, 128), {{130, 1}, {0, 30}}, {{1, 4, 3}, {2, 4, 2}});
  expectRight(shapeOf(10, 2, 128), {{200, 40}}, {{1, 4, 3}, {2, 3, 2}}, eager);
  expectRight(shapeOf(8, 2, 128), {{60, 1}, {65, 1}, {10, 33}}, {{2, 3, 3}});
}

// Keys and values of different widths, heads that fill no tile, more heads of a key/value head than a tile has rows.
TEST(Attention, UnusualShapes) {
  expectRight({.heads = 6, .kvHeads = 2, .headDim = 96, .valueDim = 40, .scale = 0.1}, mixed, {{1, 2, 3}, {2, 2, 3}},
              eager);
  expectRight({.heads = 80, .kvHeads = 1, .headDim = 24, .valueDim = 72, .scale = 0.2}, {{100, 1}, {5, 4}},
              {{1, 2, 2}, {2, 2, 1}}, eager);
}

TEST(Attention, ChoosesSchedules) {
  for (const AttentionShape &shape : {shapeOf(12, 2, 128), shapeOf(28, 4, 128), shapeOf(40, 8, 128),
                                      shapeOf(32, 8, 128), shapeOf(64, 8, 128), shapeOf(32, 32, 64)}) {
    const std::vector<AttentionSchedule> one = legalAttentionSchedules(shape, 1, h800);
    const std::vector<AttentionSchedule> many = legalAttentionSchedules(shape, 4096, h800);
    ASSERT_FALSE(one.empty());
    EXPECT_EQ(one.size(), many.size());
    EXPECT_EQ(one.front().warpgroups, 1);
    EXPECT_EQ(many.front().warpgroups, 2);
    EXPECT_GE(many.front().stages, 3);
    // The best ones fill the GPU.
    const KernelSpec spec = specializeAttention(shape, many.front()).front();
    EXPECT_GT(spec.grid.outer, h800.multiprocessors - shape.kvHeads);
    EXPECT_LE(spec.grid.outer, h800.multiprocessors);
  }
}

TEST(Attention, SaysWhyNot) {
  EXPECT_EQ(whyNoAttention(shapeOf(4, 2, 12)),
            "heads of 12 and 12 values, expected multiples of 8, as copies take them");
  EXPECT_EQ(whyNoAttention(shapeOf(4, 2, 192)),
            "heads of 192 and 192 values, expected at most 128, for which there are registers");
  EXPECT_NE(whyNoAttention({.scale = 0}), "");
}

} // namespace
} // namespace elah::cuda
