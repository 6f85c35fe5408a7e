// Norms with each kind of output: the layers' of R1, those between low-rank projections, and the last one's rows.
#include "codegen/Cuda/RmsNorm.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

KernelCase normalizing(const RmsNormShape &shape, int64_t rows, int64_t bucket) {
  const int64_t width = shape.width, pitch = shape.inputPitch ? shape.inputPitch : width;
  // Rows that the norm is told lie anywhere among the step's tokens.
  const int64_t tokens = shape.hasRows ? 2 * rows + 3 : rows, bucketTokens = shape.hasRows ? 2 * bucket + 3 : bucket;
  std::vector<float> input(static_cast<size_t>(bucketTokens * pitch), std::nanf(""));
  std::vector<int32_t> named;
  const std::vector<float> values = normalValues(static_cast<size_t>(tokens * width), 2),
                           weight = normalValues(static_cast<size_t>(width), 3);
  for (int64_t row = 0; row < tokens; ++row) {
    for (int64_t i = 0; i < width; ++i) {
      // Rows of very different sizes, and one of zeros.
      input[row * pitch + i] = values[row * width + i] * (row == 1 ? 0 : std::ldexp(1.0f, int(row % 5) * 4 - 8));
    }
  }
  const std::vector<uint16_t> halves = bf16Of(input);
  const bool isF32 = shape.input == RowElement::F32;
  std::vector<double> expected;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t from = shape.hasRows ? (row * 5 + 4) % tokens : row;
    named.push_back(static_cast<int32_t>(from));
    auto at = [&](int64_t i) {
      const auto element = static_cast<size_t>(from * pitch + i);
      return isF32 ? static_cast<double>(input[element]) : valueOfBF16(halves[element]);
    };
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) {
      squares += at(i) * at(i);
    }
    const double factor = 1 / std::sqrt(squares / static_cast<double>(width) + shape.epsilon);
    for (int64_t i = 0; i < width; ++i) {
      expected.push_back(at(i) * factor * weight[i]);
    }
  }
  KernelCase norm(tokens, bucketTokens, rows, bucket);
  isF32 ? norm.input(input) : norm.input(halves);
  norm.weight(weight);
  if (shape.hasRows) {
    norm.input(paddedTo(static_cast<size_t>(bucket), named));
  }
  const std::vector<double> ofBucket = rowsOfBucket(expected, width, bucket);
  auto output = [&](RowElement element) {
    element == RowElement::F32 ? norm.output(Memory::F32, ofBucket, Bound::f32())
                               : norm.output(Memory::BF16, ofBucket, Bound::bf16());
  };
  shape.isQuantized ? static_cast<void>(norm.quantizedOutput(expected, width, bucket, 1e-6)) : output(shape.output);
  if (shape.copy) {
    output(*shape.copy);
  }
  return norm;
}

/// Checks all schedules of a shape.
void expectRight(const RmsNormShape &shape, int64_t rows, int64_t bucket) {
  KernelCase norm = normalizing(shape, rows, bucket);
  for (const RowSchedule &schedule : legalRowSchedules(shape.units())) {
    EXPECT_EQ(norm.check(specializeRmsNorm(shape, schedule)), "");
  }
}

TEST(RmsNorm, QuantizesAndCopies) {
  RmsNormShape shape{.width = 7168, .isQuantized = true, .copy = RowElement::BF16};
  expectRight(shape, 3, 4);
  shape.width = 256;
  expectRight(shape, 13, 16);
}

TEST(RmsNorm, TakesSlicesOfRows) {
  // The query's latent beside that of keys and values, of R1 and of Tiny-R1, and a width with half a unit.
  RmsNormShape shape{.input = RowElement::BF16, .width = 1536, .inputPitch = 2112, .isQuantized = true};
  expectRight(shape, 3, 4);
  shape.width = 160, shape.inputPitch = 272;
  expectRight(shape, 9, 12);
  shape.isQuantized = false;
  expectRight(shape, 9, 12);
  shape.width = 100, shape.inputPitch = 110;
  expectRight(shape, 5, 7);
}

TEST(RmsNorm, TakesTheRowsOfLogits) {
  RmsNormShape shape{.width = 256, .hasRows = true};
  expectRight(shape, 5, 8);
  shape.width = 7168;
  expectRight(shape, 2, 2);
}

TEST(RmsNorm, WritesF32) {
  RmsNormShape shape{.width = 1030, .output = RowElement::F32, .epsilon = 1e-5};
  expectRight(shape, 5, 6);
}

TEST(RmsNorm, MovesWholeSectors) {
  // Input, weight, e4m3 with scales, copy.
  const RmsNormShape shape{.width = 7168, .isQuantized = true, .copy = RowElement::BF16};
  EXPECT_EQ(normalizing(shape, 3, 3)
                .checkTraffic(specializeRmsNorm(shape, chooseRowSchedule(shape.units())),
                              3 * (7168 * (4 + 4 + 1 + 2) + 56 * 4)),
            "");
}

TEST(RmsNorm, MutationsAreReported) {
  const RmsNormShape shape{.width = 640, .isQuantized = true};
  EXPECT_EQ(normalizing(shape, 3, 4)
                .checkMutations(specializeRmsNorm(shape, {64, 1}),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "SumsAreReadTooEarly",
                                     .find = "__syncthreads();\n    x = 0;",
                                     .replacement = "x = 0;",
                                     .expected = {"shared-race"}},
                                    {.name = "LastWarpsSumIsForgotten",
                                     .find = "warp < schedule.threadsPerRow / 32",
                                     .replacement = "warp < schedule.threadsPerRow / 32 - 1",
                                     .expected = {wrongResult}},
                                    {.name = "OneRowTooMany",
                                     .find = "operands.dims->tokens)) {",
                                     .replacement = "operands.dims->tokens + 1)) {",
                                     .expected = {wrongResult}},
                                    {.name = "EpsilonIsForgotten",
                                     .find = " + operands.epsilon",
                                     .replacement = "",
                                     .expected = {wrongResult}},
                                    {.name = "MeanIsTheSum",
                                     .find = "squares / shape.width",
                                     .replacement = "squares",
                                     .expected = {wrongResult}},
                                    {.name = "ScaleIsOfHalfABlock",
                                     .find = "distance = 64 / unit; distance > 0",
                                     .replacement = "distance = 32 / unit; distance > 0",
                                     .expected = {wrongResult}},
                                    {.name = "ZerosHaveNoScale",
                                     .find = "float largest = 1e-4f",
                                     .replacement = "float largest = 0",
                                     .expected = {wrongResult}},
                                    {.name = "ScaleIsThatOfTheNextBlock",
                                     .find = "scalesOfRow(width) + first / 128] =",
                                     .replacement = "scalesOfRow(width) + (first / 128 ^ 1)] =",
                                     .expected = {wrongResult}},
                                    {.name = "EverySecondScaleIsForgotten",
                                     .find = "first % 128 == 0",
                                     .replacement = "first % 256 == 0",
                                     .expected = {wrongResult}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
