// Absorbed attention over a paged cache: decode steps, chunks of prefill and both, in parts that share sequences.
// All schedules: AttentionSweep.cpp.
#include "tests/codegen/Cuda/LatentAttentionCase.h"
#include <gtest/gtest.h>

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

} // namespace
} // namespace elah::cuda
