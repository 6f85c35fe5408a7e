// Attention with grouped heads: prefill, decode and both in one step, pages anywhere in the cache, lengths that end
// anywhere in a page or a tile.
#include "codegen/Cuda/Attention.h"
#include "tests/codegen/Cuda/AttentionCase.h"
#include <cmath>
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

const CudaTarget &h800 = *findCudaTarget("h800");

AttentionShape shapeOf(int64_t heads, int64_t kvHeads, int64_t dim) {
  return {heads, kvHeads, dim, dim, 1 / std::sqrt(static_cast<double>(dim))};
}

void expectRight(const AttentionShape &shape, const std::vector<SequenceStep> &sequences,
                 const std::vector<AttentionSchedule> &schedules, const std::vector<RunOrder> &orders = testOrders(),
                 AttentionData data = {}) {
  ASSERT_EQ(whyNoAttention(shape), "");
  data.unusedTokens = 5;
  AttentionCase attention({shape.heads, shape.kvHeads, shape.headDim, shape.valueDim, shape.scale, false}, sequences,
                          data);
  for (const AttentionSchedule &schedule : schedules) {
    EXPECT_EQ(attention.check(specializeAttention(shape, schedule), orders), "");
  }
}

const std::vector<RunOrder> eager = {{.order = "eager"}};

// Single tokens and chunks of several sequences, lengths around a page's: tiles of one warpgroup and of two, of which
// the second has often nothing to do; more parts than work, and parts that share a group.
const std::vector<SequenceStep> mixed = {{200, 1}, {0, 1}, {63, 1}, {0, 70}, {64, 1}, {127, 3}, {90, 45}};

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

// As latent attention has them where keys and values are expanded from latents: 128 values beside 64 rotated ones.
TEST(Attention, ExpandedLatents) {
  const AttentionShape shape = {.heads = 4, .kvHeads = 4, .headDim = 192, .valueDim = 128, .scale = 0.07};
  expectRight(shape, {{0, 200}}, {{2, 3, 1}}, eager);
  expectRight(shape, {{0, 70}, {64, 65}, {0, 1}, {127, 3}}, {{1, 2, 3}, {2, 3, 5}, {2, 2, 33}});
}

// Keys and values of different widths, heads that fill no tile, more heads of a key/value head than a tile has rows.
TEST(Attention, UnusualShapes) {
  expectRight({.heads = 6, .kvHeads = 2, .headDim = 96, .valueDim = 40, .scale = 0.1}, mixed, {{1, 2, 3}, {2, 2, 3}},
              eager);
  expectRight({.heads = 80, .kvHeads = 1, .headDim = 24, .valueDim = 72, .scale = 0.2}, {{100, 1}, {5, 4}},
              {{1, 2, 2}, {2, 2, 1}}, eager);
}

// References move: the largest scores come last, or differ much.
TEST(Attention, ScoresOfAllSizes) {
  for (AttentionData data : {AttentionData{.spread = 12}, {.growth = 300}, {.growth = -300}}) {
    expectRight(shapeOf(4, 2, 32), {{250, 1}, {300, 9}}, {{1, 2, 3}}, eager, data);
  }
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

// What the distills run with, and R1's heads in their expanded form, in steps of a token and of many: no spills, no
// remarks of the assembler.
TEST(Attention, LargeModelsPassTheGates) {
  for (const AttentionShape &shape : {shapeOf(12, 2, 128),
                                      shapeOf(28, 4, 128),
                                      shapeOf(40, 8, 128),
                                      shapeOf(32, 8, 128),
                                      shapeOf(64, 8, 128),
                                      {128, 128, 192, 128, 0.1352337788608801}}) {
    for (int64_t tokens : {1, 4096}) {
      for (const KernelSpec &spec : specializeAttention(shape, chooseAttentionSchedule(shape, tokens, 131072, h800))) {
        std::string error;
        std::optional<CompiledKernel> compiled = compileForTest(spec, error);
        ASSERT_TRUE(compiled) << error;
        EXPECT_EQ(complaintsOf(spec, *compiled), "");
      }
    }
  }
}

TEST(Attention, SaysWhyNot) {
  EXPECT_EQ(whyNoAttention(shapeOf(4, 2, 12)),
            "heads of 12 and 12 values, expected multiples of 8, as copies take them");
  EXPECT_EQ(whyNoAttention(shapeOf(4, 2, 192)),
            "heads of 192 and 192 values, expected at most 192 and 128, for which there are registers");
  EXPECT_NE(whyNoAttention({.scale = 0}), "");
}

} // namespace
} // namespace elah::cuda
