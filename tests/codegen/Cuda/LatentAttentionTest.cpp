// Absorbed attention over a paged cache: decode steps, chunks of prefill and both, in parts that share sequences.
// The sweep of shapes, schedules and orders takes minutes:
//   cuda_LatentAttention --gtest_also_run_disabled_tests --gtest_filter=*Sweep
#include "tests/codegen/Cuda/LatentAttentionCase.h"
#include <gtest/gtest.h>
#include <random>

namespace elah::cuda {
namespace {

const LatentAttentionShape tiny = {.heads = 8, .rank = 96, .ropeDim = 16, .scale = 0.14433756729740643};
const LatentAttentionShape r1 = {.heads = 128, .rank = 512, .ropeDim = 64, .scale = 0.1352337788608801};

LatentAttentionShape withFp8(LatentAttentionShape shape) {
  shape.isFp8 = true;
  return shape;
}

const std::vector<RunOrder> eager = {{.order = "eager"}};

TEST(LatentAttention, TinyR1) {
  LatentAttentionCase attention(tiny, {{100, 1}, {0, 1}, {63, 1}, {64, 1}, {200, 11}, {0, 70}, {130, 1}},
                                {.unusedTokens = 5});
  for (int64_t parts : {1, 4}) {
    EXPECT_EQ(checkLatentAttention(attention, tiny, {.parts = parts}, eager), "");
  }
  EXPECT_EQ(checkLatentAttention(attention, tiny, {.parts = 19}, testOrders()), "");
}

TEST(LatentAttention, R1) {
  LatentAttentionCase attention(r1, {{300, 1}, {127, 2}}, {.unusedTokens = 1});
  EXPECT_EQ(checkLatentAttention(attention, r1, {.parts = 3}, eager), "");
}

TEST(LatentAttention, Fp8TinyR1) {
  LatentAttentionCase attention(withFp8(tiny), {{100, 1}, {0, 1}, {63, 1}, {64, 1}, {200, 11}, {0, 70}, {130, 1}},
                                {.unusedTokens = 5});
  for (int64_t parts : {1, 4}) {
    EXPECT_EQ(checkLatentAttention(attention, withFp8(tiny), {.parts = parts}, eager), "");
  }
  EXPECT_EQ(checkLatentAttention(attention, withFp8(tiny), {.parts = 19}, testOrders()), "");
}

TEST(LatentAttention, Fp8R1) {
  LatentAttentionCase attention(withFp8(r1), {{300, 1}, {127, 2}}, {.unusedTokens = 1});
  EXPECT_EQ(checkLatentAttention(attention, withFp8(r1), {.parts = 3}, eager), "");
}

// Halves of the output without columns, tiles without queries, rows without tokens.
TEST(LatentAttention, OddShapes) {
  for (const LatentAttentionShape &shape : {LatentAttentionShape{.heads = 3, .rank = 16, .ropeDim = 0, .scale = 0.3},
                                            {.heads = 96, .rank = 272, .ropeDim = 16, .scale = 0.1}}) {
    LatentAttentionCase attention(shape, {{130, 1}, {40, 30}});
    EXPECT_EQ(checkLatentAttention(attention, shape, {.parts = 2}, testOrders(1)), "");
  }
}

TEST(LatentAttention, Fp8OddShapes) {
  for (const LatentAttentionShape &shape :
       {LatentAttentionShape{.heads = 3, .rank = 16, .ropeDim = 16, .scale = 0.3, .isFp8 = true},
        {.heads = 96, .rank = 272, .ropeDim = 48, .scale = 0.1, .isFp8 = true}}) {
    LatentAttentionCase attention(shape, {{130, 1}, {40, 30}});
    EXPECT_EQ(checkLatentAttention(attention, shape, {.parts = 2}, testOrders(1)), "");
  }
}

// References move: the largest scores come last, or differ much.
TEST(LatentAttention, ScoresOfAllSizes) {
  for (LatentAttentionData data : {LatentAttentionData{.spread = 12}, {.growth = 300}, {.growth = -300}}) {
    LatentAttentionCase attention(tiny, {{250, 1}, {300, 9}}, data);
    EXPECT_EQ(checkLatentAttention(attention, tiny, {.parts = 3}, eager), "");
  }
}

// Random steps: decode with one or two tokens a sequence, chunks, and all together.
std::vector<SequenceStep> randomStep(std::mt19937_64 &random, int64_t sequences, int64_t longest) {
  std::vector<SequenceStep> step;
  for (int64_t i = 0; i < sequences; ++i) {
    const int64_t kind = static_cast<int64_t>(random() % 4), cached = static_cast<int64_t>(random() % longest);
    const int64_t chunk = 1 + static_cast<int64_t>(random() % 40);
    step.push_back({kind == 3 ? cached / 64 * 64 : cached, kind == 2 ? chunk : 1 + kind % 2});
  }
  return step;
}

TEST(LatentAttention, DISABLED_Sweep) {
  std::mt19937_64 random(7);
  std::vector<RunOrder> orders = testOrders(2);
  orders.push_back({.order = "eager"});
  const LatentAttentionShape shapes[] = {tiny,
                                         r1,
                                         {.heads = 64, .rank = 512, .ropeDim = 64, .scale = 0.07},
                                         {.heads = 16, .rank = 512, .ropeDim = 64, .scale = 0.07},
                                         {.heads = 96, .rank = 128, .ropeDim = 64, .scale = 0.1},
                                         {.heads = 12, .rank = 80, .ropeDim = 16, .scale = 0.1},
                                         {.heads = 1, .rank = 64, .ropeDim = 64, .scale = 0.1},
                                         {.heads = 8, .rank = 448, .ropeDim = 32, .scale = 0.1}};
  for (const LatentAttentionShape &bf16 : shapes) {
    for (const LatentAttentionShape &shape : {bf16, withFp8(bf16)}) {
      for (int64_t parts : {1, 2, 5, 16}) {
        const std::vector<SequenceStep> step = randomStep(random, 1 + static_cast<int64_t>(random() % 5), 400);
        LatentAttentionCase attention(shape, step, {.seed = random(), .unusedTokens = parts % 3});
        EXPECT_EQ(checkLatentAttention(attention, shape, {.parts = parts}, orders), "");
      }
    }
  }
}

} // namespace
} // namespace elah::cuda
