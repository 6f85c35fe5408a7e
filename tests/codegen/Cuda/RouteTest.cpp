// The router against its definition in f64, with many equal scores, whose order is fixed.
#include "codegen/Cuda/Route.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

constexpr double lowest = -std::numeric_limits<double>::infinity();

/// Indices of the `count` largest, the lower one first among equals.
std::vector<int64_t> largestOf(const std::vector<double> &values, int64_t count) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return values[a] > values[b] || (values[a] == values[b] && a < b); });
  order.resize(static_cast<size_t>(count));
  return order;
}

void routeToken(const RouteShape &shape, const float *logits, const std::vector<float> &bias,
                std::vector<double> &chosen, std::vector<double> &weights) {
  std::vector<double> scores(logits, logits + shape.experts);
  const double largest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double &score : scores) {
    score = shape.isSigmoid ? 1 / (1 + std::exp(-score)) : std::exp(score - largest);
    total += score;
  }
  std::vector<double> biased;
  for (size_t i = 0; i < scores.size(); ++i) {
    scores[i] /= shape.isSigmoid ? 1 : total;
    biased.push_back(scores[i] + (shape.hasBias ? bias[i] : 0));
  }
  const int64_t size = shape.experts / shape.groups;
  if (shape.groups > 1) {
    std::vector<double> ranks;
    for (int64_t group = 0; group < shape.groups; ++group) {
      std::vector<double> members(&biased[group * size], &biased[group * size] + size);
      std::sort(members.begin(), members.end(), std::greater<>());
      ranks.push_back(members[0] + (shape.isTop2 && size > 1 ? members[1] : 0));
    }
    const std::vector<int64_t> stays = largestOf(ranks, shape.topGroups);
    for (int64_t i = 0; i < shape.experts; ++i) {
      biased[i] = std::count(stays.begin(), stays.end(), i / size) ? biased[i] : lowest;
    }
  }
  double sum = 1e-20;
  const std::vector<int64_t> best = largestOf(biased, shape.topK);
  for (int64_t expert : best) {
    sum += scores[expert];
  }
  for (int64_t expert : best) {
    chosen.push_back(static_cast<double>(expert));
    weights.push_back(scores[expert] * shape.scale / (shape.isNormalized ? sum : 1));
  }
  for (int64_t i = 0; i < shape.shared; ++i) {
    chosen.push_back(static_cast<double>(shape.experts + i));
    weights.push_back(1);
  }
}

/// `step`: logits and biases are multiples of it; a large one makes for many equal scores.
KernelCase routing(const RouteShape &shape, int64_t tokens, int64_t bucket, float step) {
  std::vector<float> logits = normalValues(static_cast<size_t>(tokens * shape.experts), 6, 2),
                     bias = normalValues(static_cast<size_t>(shape.experts), 7, 0.2f);
  for (float &value : logits) {
    value = step * std::round(value / step);
  }
  for (float &value : bias) {
    value = step * std::round(value / step);
  }
  std::vector<double> chosen, weights;
  for (int64_t token = 0; token < tokens; ++token) {
    routeToken(shape, &logits[token * shape.experts], bias, chosen, weights);
  }
  KernelCase route(tokens, bucket);
  route.input(paddedTo(static_cast<size_t>(bucket * shape.experts), logits));
  if (shape.hasBias) {
    route.weight(bias);
  }
  const int64_t width = shape.topK + shape.shared;
  route.output(Memory::I32, rowsOfBucket(chosen, width, bucket));
  route.output(Memory::F32, rowsOfBucket(weights, width, bucket), {3e-6, 1e-9});
  return route;
}

void expectRight(const RouteShape &shape, int64_t tokens, int64_t bucket, float step, unsigned tokensPerBlock = 4) {
  ASSERT_EQ(whyNoRoute(shape), "");
  KernelCase route = routing(shape, tokens, bucket, step);
  EXPECT_EQ(route.check(specializeRoute(shape, tokensPerBlock)), "");
}

const RouteShape r1{.experts = 256, .groups = 8, .topGroups = 4, .topK = 8, .shared = 1, .hasBias = true, .scale = 2.5};

TEST(Route, TakesR1) {
  expectRight(r1, 9, 12, 1.0f / 1024);
  expectRight(r1, 9, 12, 1.0f / 1024, 1);
}
TEST(Route, PrefersTheLowerOfEqualExperts) {
  expectRight(r1, 9, 9, 1);
  expectRight(r1, 5, 5, 100); // All of them.
}
TEST(Route, TakesTinyR1) {
  RouteShape shape{.experts = 16, .groups = 4, .topGroups = 2, .topK = 4, .shared = 1, .hasBias = true, .scale = 1.8};
  expectRight(shape, 13, 16, 1.0f / 64);
  expectRight(shape, 13, 16, 1);
}
TEST(Route, TakesSoftmax) {
  RouteShape shape{.isSigmoid = false, .experts = 60, .topK = 4, .isNormalized = false};
  expectRight(shape, 6, 8, 1.0f / 64);
  shape = {.isSigmoid = false, .experts = 160, .groups = 8, .topGroups = 3, .topK = 6, .isTop2 = false, .scale = 16};
  expectRight(shape, 6, 8, 1.0f / 64); // DeepSeek-V2's.
}
TEST(Route, TakesGroupsOfOneExpert) {
  expectRight({.experts = 8, .groups = 8, .topGroups = 3, .topK = 2}, 5, 5, 1.0f / 8);
}
TEST(Route, ChoosesExpertsThatExistForWhatIsNoNumber) {
  // A broken model must not lead the kernels behind this one to places outside of their buffers.
  for (float filler : {std::nanf(""), -std::nanf(""), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits(256, filler);
    logits[100] = 1;
    std::vector<Operand> operands = {Operand::input(logits), Operand::weight(std::vector<float>(256, 0.1f)),
                                     Operand::output<int32_t>(9), Operand::output<float>(9)};
    const KernelSpec spec = specializeRoute(r1);
    RunOutcome outcome = runKernels({&spec, 1}, operands, {1, 1, 1, 64, 1}, {1, 1, 1, 64, 1}, {});
    ASSERT_TRUE(outcome.clean()) << outcome.describe();
    std::vector<int32_t> chosen = operands[2].as<int32_t>();
    EXPECT_EQ(chosen[0], 100);
    std::sort(chosen.begin(), chosen.end());
    EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
    EXPECT_GE(chosen.front(), 0);
    EXPECT_EQ(chosen.back(), 256);
  }
}
TEST(Route, SaysWhatItDoesNotTake) {
  EXPECT_EQ(whyNoRoute({.experts = 64, .groups = 64}),
            "found 64 groups of experts, expected at most 32, one for each lane");
  EXPECT_EQ(whyNoRoute({.experts = 64, .topK = 32, .shared = 1}),
            "found 33 experts of a token, expected at most 32, one for each lane");
  EXPECT_EQ(whyNoRoute({.experts = 2048}), "found 2048 experts, expected at most 1024, 32 for each lane");
}

TEST(Route, MutationsAreReported) {
  EXPECT_EQ(routing(r1, 9, 10, 0.25f)
                .checkMutations(specializeRoute(r1),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "GroupsAreRankedTooEarly",
                                     .find = "__syncwarp();\n    float rank",
                                     .replacement = "float rank",
                                     .expected = {"shared-race"}},
                                    {.name = "HigherOfEqualExperts",
                                     .find = "__reduce_min_sync(0xffffffffu, key == largest ? index : 0x7fffffff)",
                                     .replacement = "__reduce_max_sync(0xffffffffu, key == largest ? index : 0)",
                                     .expected = {wrongResult}},
                                    {.name = "BiasEntersWeights",
                                     .find = "score = scores[i];",
                                     .replacement = "score = scores[i] + bias[i];",
                                     .expected = {wrongResult}},
                                    {.name = "GroupsAreInterleaved",
                                     .find = "stays >> expert / size & 1",
                                     .replacement = "stays >> expert % shape.groups & 1",
                                     .expected = {wrongResult}},
                                    {.name = "GroupsAreRankedByTheirBest",
                                     .find = "? first + second : first",
                                     .replacement = "? first : first",
                                     .expected = {wrongResult}},
                                    {.name = "AnExpertIsChosenTwice",
                                     .find = "keys[i] = 0;\n        score",
                                     .replacement = "score",
                                     .expected = {wrongResult}},
                                    {.name = "WeightsAreNotScaled",
                                     .find = "weight *= operands.scale /",
                                     .replacement = "weight /=",
                                     .expected = {wrongResult}},
                                    {.name = "TokensShareTheirRanks",
                                     .find = "biasedOfBlock[threadIdx.x / 32]",
                                     .replacement = "biasedOfBlock[0]",
                                     .expected = {"shared-race"}},
                                    {.name = "SharedExpertIsTheLastOfTheOthers",
                                     .find = "shape.experts + lane - shape.topK",
                                     .replacement = "shape.experts - 1 + lane - shape.topK",
                                     .expected = {wrongResult}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
