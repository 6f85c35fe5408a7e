// Cosines and sines of f32 angles, near and far.
#include "codegen/Cuda/RopeTable.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

KernelCase tabulating(const RopeTableShape &shape, const std::vector<int32_t> &positions, int64_t bucket) {
  std::vector<double> expected;
  for (int32_t position : positions) {
    for (bool isSine : {false, true}) {
      for (double frequency : shape.frequencies) {
        const float angle = static_cast<float>(position) * static_cast<float>(frequency);
        expected.push_back(shape.scale * (isSine ? std::sin(double(angle)) : std::cos(double(angle))));
      }
    }
  }
  KernelCase table(static_cast<int64_t>(positions.size()), bucket);
  table.input(paddedTo(static_cast<size_t>(bucket), positions));
  table.output(Memory::F32, rowsOfBucket(expected, 2 * static_cast<int64_t>(shape.frequencies.size()), bucket),
               {2.5e-7, 1e-9});
  return table;
}

void expectRight(const RopeTableShape &shape, const std::vector<int32_t> &positions, int64_t bucket) {
  EXPECT_EQ(tabulating(shape, positions, bucket).check(specializeRopeTable(shape)), "");
}

RopeTableShape shapeOf(int pairs, double base, double scale) {
  RopeTableShape shape{.scale = scale};
  for (int i = 0; i < pairs; ++i) {
    shape.frequencies.push_back(std::pow(base, -double(i) / pairs));
  }
  return shape;
}

TEST(RopeTable, TakesR1) {
  expectRight(shapeOf(32, 10000, 1), {0, 1, 2, 63, 64, 4095, 16383, 105614, 105616, 163839}, 12);
}
TEST(RopeTable, TakesDistills) { expectRight(shapeOf(64, 1e6, 1), {5, 131071}, 2); }
TEST(RopeTable, Scales) { expectRight(shapeOf(8, 10000, 1.25), {7, 1000, 3}, 4); }

TEST(RopeTable, MutationsAreReported) {
  const RopeTableShape shape = shapeOf(40, 10000, 0.9);
  EXPECT_EQ(tabulating(shape, {7, 1000, 3}, 4)
                .checkMutations(specializeRopeTable(shape),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "SinesComeFirst",
                                     .find = "row[i] = operands.scale * cosine",
                                     .replacement = "row[i] = operands.scale * sine",
                                     .expected = {wrongResult}},
                                    {.name = "OnlyOnePairALane",
                                     .find = "i += schedule.threadsPerRow",
                                     .replacement = "i += shape.pairs",
                                     .expected = {wrongResult}},
                                    {.name = "SinesOverlapCosines",
                                     .find = "row[shape.pairs + i]",
                                     .replacement = "row[shape.pairs - 1 + i]",
                                     .expected = {"global-race"}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
