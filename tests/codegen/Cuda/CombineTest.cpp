// Experts' rows, weighted and added to the residual stream.
#include "codegen/Cuda/Combine.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

KernelCase combining(const CombineShape &shape, int64_t tokens, int64_t bucket) {
  const int64_t width = shape.width, pairs = tokens * shape.chosen;
  const std::vector<uint16_t> rows = bf16Of(normalValues(static_cast<size_t>(pairs * width), 9));
  const std::vector<float> weights = normalValues(static_cast<size_t>(pairs), 10),
                           residual = normalValues(static_cast<size_t>(bucket * width), 11);
  std::vector<int32_t> slots(static_cast<size_t>(pairs));
  std::iota(slots.begin(), slots.end(), 0);
  std::shuffle(slots.begin(), slots.end(), std::mt19937_64(12));
  std::vector<double> expected;
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t i = 0; i < width; ++i) {
      double sum = residual[token * width + i];
      for (int64_t pair = token * shape.chosen; pair < (token + 1) * shape.chosen; ++pair) {
        sum += weights[pair] * valueOfBF16(rows[slots[pair] * width + i]);
      }
      expected.push_back(sum);
    }
  }
  const auto bucketPairs = static_cast<size_t>(bucket * shape.chosen);
  KernelCase combine(tokens, bucket);
  combine.input(paddedTo(bucketPairs * static_cast<size_t>(width), rows));
  combine.input(paddedTo(bucketPairs, weights)).input(paddedTo(bucketPairs, slots));
  combine.output(Memory::F32, rowsOfBucket(expected, width, bucket), {1e-6, 4e-6}, residual);
  return combine;
}

void expectRight(const CombineShape &shape, int64_t tokens, int64_t bucket) {
  KernelCase combine = combining(shape, tokens, bucket);
  for (const RowSchedule &schedule : legalRowSchedules(shape.units())) {
    EXPECT_EQ(combine.check(specializeCombine(shape, schedule)), "");
  }
}

TEST(Combine, TakesR1) { expectRight({.width = 7168, .chosen = 9}, 2, 3); }
TEST(Combine, TakesTinyR1) { expectRight({.width = 256, .chosen = 5}, 13, 16); }
TEST(Combine, TakesOddWidths) {
  expectRight({.width = 100, .chosen = 2}, 5, 6);
  expectRight({.width = 33, .chosen = 1}, 5, 6);
}
TEST(Combine, TakesManyExperts) { expectRight({.width = 64, .chosen = 19}, 3, 3); }

TEST(Combine, MovesWholeSectors) {
  const CombineShape shape{.width = 7168, .chosen = 9};
  EXPECT_EQ(combining(shape, 2, 2)
                .checkTraffic(specializeCombine(shape, chooseRowSchedule(shape.units())), 2 * 7168 * (9 * 2 + 4 + 4)),
            "");
}

TEST(Combine, MutationsAreReported) {
  const CombineShape shape{.width = 264, .chosen = 11};
  EXPECT_EQ(combining(shape, 5, 6)
                .checkMutations(specializeCombine(shape, {32, 4}),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "WeightIsTheFirstOnes",
                                     .find = "weights[k] * x[k][j]",
                                     .replacement = "weights[0] * x[k][j]",
                                     .expected = {wrongResult}},
                                    {.name = "SlotIsTheNextOnes",
                                     .find = "operands.slots[pairs + begin + k]",
                                     .replacement = "operands.slots[pairs + begin + k + 1]",
                                     .expected = {"out-of-bounds"}},
                                    {.name = "LastGroupIsForgotten",
                                     .find = "begin < shape.chosen; begin += group",
                                     .replacement = "begin + group <= shape.chosen; begin += group",
                                     .expected = {wrongResult}},
                                    {.name = "OneTokenTooMany",
                                     .find = "token >= operands.dims->tokens",
                                     .replacement = "token > operands.dims->tokens",
                                     .expected = {"out-of-bounds"}},
                                    {.name = "ThreadsOverlap",
                                     .find = "float sums[share][unit];\n#pragma unroll\n  for (int32_t i = 0; i < "
                                             "share; ++i) {\n    const int32_t first = (thread + i",
                                     .replacement = "float sums[share][unit];\n#pragma unroll\n  for (int32_t i = 0; i "
                                                    "< share; ++i) {\n    const int32_t first = (thread % 16 + i",
                                     .expected = {"global-race"}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
