// Where experts' rows lie: exactly the stable sort by expert, for few and many tokens.
#include "codegen/Cuda/ExpertPlan.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

KernelCase planning(const ExpertPlanShape &shape, int64_t tokens, int64_t bucket, int64_t distinct) {
  // Each token's experts differ.
  std::mt19937_64 random(8);
  std::vector<int32_t> experts, all(static_cast<size_t>(distinct ? distinct : shape.experts));
  std::iota(all.begin(), all.end(), 0);
  for (int64_t token = 0; token < tokens; ++token) {
    std::shuffle(all.begin(), all.end(), random);
    experts.insert(experts.end(), all.begin(), all.begin() + shape.chosen);
  }
  std::vector<int32_t> order(experts.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return std::pair(experts[a], a) < std::pair(experts[b], b); });
  std::vector<double> offsets, gather, slots(experts.size());
  for (int64_t expert = 0; expert <= shape.experts; ++expert) {
    offsets.push_back(
        static_cast<double>(std::count_if(experts.begin(), experts.end(), [&](int32_t e) { return e < expert; })));
  }
  for (size_t slot = 0; slot < order.size(); ++slot) {
    gather.push_back(static_cast<double>(order[slot] / shape.chosen));
    slots[order[slot]] = static_cast<double>(slot);
  }
  KernelCase plan(tokens, bucket);
  plan.input(paddedTo(static_cast<size_t>(bucket * shape.chosen), experts));
  plan.output(Memory::I32, offsets);
  plan.output(Memory::I32, rowsOfBucket(gather, shape.chosen, bucket));
  plan.output(Memory::I32, rowsOfBucket(slots, shape.chosen, bucket));
  return plan;
}

void expectRight(const ExpertPlanShape &shape, int64_t tokens, int64_t bucket, unsigned warps, int64_t distinct = 0) {
  ASSERT_EQ(whyNoExpertPlan(shape), "");
  KernelCase plan = planning(shape, tokens, bucket, distinct);
  EXPECT_EQ(plan.check(specializeExpertPlan(shape, warps)), "");
}

TEST(ExpertPlan, TakesR1) {
  const ExpertPlanShape shape{.experts = 257, .chosen = 9};
  expectRight(shape, 1, 4, expertPlanWarps(shape));
  expectRight(shape, 200, 256, expertPlanWarps(shape));
}
TEST(ExpertPlan, TakesTinyR1) {
  const ExpertPlanShape shape{.experts = 17, .chosen = 5};
  expectRight(shape, 70, 128, expertPlanWarps(shape));
  expectRight(shape, 70, 128, 2);
}
TEST(ExpertPlan, TakesFullExperts) { expectRight({.experts = 64, .chosen = 4}, 100, 100, 4, 5); }
TEST(ExpertPlan, HasMoreExpertsThanThreads) { expectRight({.experts = 257, .chosen = 9}, 20, 20, 1); }
TEST(ExpertPlan, HasFewerWarpsForManyExperts) {
  EXPECT_EQ(expertPlanWarps({.experts = 257}), 32u);
  EXPECT_EQ(expertPlanWarps({.experts = 1024}), 8u);
  EXPECT_EQ(whyNoExpertPlan({.experts = 20000}),
            "found 20000 experts, expected at most 11264, whose counts fit into a block");
}

TEST(ExpertPlan, MutationsAreReported) {
  const ExpertPlanShape shape{.experts = 40, .chosen = 5};
  EXPECT_EQ(planning(shape, 70, 80, 0)
                .checkMutations(specializeExpertPlan(shape, 2),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "CountsBeginTooEarly",
                                     .find = "__syncthreads();\n  const uint32_t before",
                                     .replacement = "const uint32_t before",
                                     .expected = {"shared-race", "uninitialised-memory"}},
                                    {.name = "CountsAreReadTooEarly",
                                     .find = "__syncthreads();\n  // Runs of experts",
                                     .replacement = "// Runs of experts",
                                     .expected = {"shared-race"}},
                                    {.name = "SumsAreReadTooEarly",
                                     .find = "totals[thread] = sum;\n  __syncthreads();",
                                     .replacement = "totals[thread] = sum;",
                                     .expected = {"shared-race", "uninitialised-memory"}},
                                    {.name = "SumsAreWrittenTooEarly",
                                     .find = ": 0;\n    __syncthreads();",
                                     .replacement = ": 0;",
                                     .expected = {"shared-race"}},
                                    {.name = "PlacesAreReadTooEarly",
                                     .find = "__syncthreads();\n  for (int32_t first = begin",
                                     .replacement = "for (int32_t first = begin",
                                     .expected = {"shared-race"}},
                                    {.name = "PlacesMoveTooEarly",
                                     .find = "= slot;\n    }\n    __syncwarp();",
                                     .replacement = "= slot;\n    }",
                                     .expected = {"shared-race"}},
                                    {.name = "EqualExpertsAreReversed",
                                     .find = "+ __popc(same & before)",
                                     .replacement = "+ __popc(same & ~before) - 1",
                                     .expected = {wrongResult}},
                                    {.name = "LastOffsetIsMisplaced",
                                     .find = "operands.offsets[shape.experts] =",
                                     .replacement = "operands.offsets[shape.experts - 1] =",
                                     .expected = {"global-race"}},
                                    {.name = "TokenIsThePair",
                                     .find = "(first + lane) / shape.chosen",
                                     .replacement = "first + lane",
                                     .expected = {wrongResult}},
                                    {.name = "PairsAreTheTokens",
                                     .find = "operands.dims->tokens * shape.chosen",
                                     .replacement = "operands.dims->tokens",
                                     .expected = {wrongResult}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
