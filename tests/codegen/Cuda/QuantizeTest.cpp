// e4m3 with a scale for each 128 values: whole blocks and parts of one, zeros, and the largest numbers.
#include "codegen/Cuda/Quantize.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

KernelCase quantizing(const QuantizeShape &shape, int64_t tokens, int64_t bucket) {
  const int64_t width = shape.width, pitch = shape.inputPitch ? shape.inputPitch : width;
  const std::vector<float> random = normalValues(static_cast<size_t>(tokens * width), 4);
  // What lies between rows is large, so that it would show in a scale.
  std::vector<float> input(static_cast<size_t>(bucket * pitch), 1e30f);
  for (int64_t row = 0; row < tokens; ++row) {
    for (int64_t i = 0; i < width; ++i) {
      // Each block has a size of its own, and one is zero.
      const int64_t block = i / 128 + row;
      input[row * pitch + i] = random[row * width + i] * (block == 1 ? 0 : std::ldexp(1.0f, int(block % 9) * 6 - 24));
    }
  }
  input[0] = 3e38f;
  const std::vector<uint16_t> halves = bf16Of(input);
  const bool isF32 = shape.input == RowElement::F32;
  std::vector<double> expected;
  for (int64_t row = 0; row < tokens; ++row) {
    for (int64_t i = 0; i < width; ++i) {
      const auto at = static_cast<size_t>(row * pitch + i);
      expected.push_back(isF32 ? static_cast<double>(input[at]) : valueOfBF16(halves[at]));
    }
  }
  KernelCase quantize(tokens, bucket);
  isF32 ? quantize.input(input) : quantize.input(halves);
  quantize.quantizedOutput(expected, width, bucket);
  return quantize;
}

void expectRight(const QuantizeShape &shape, int64_t tokens, int64_t bucket) {
  KernelCase quantize = quantizing(shape, tokens, bucket);
  for (const RowSchedule &schedule : legalRowSchedules(shape.units())) {
    EXPECT_EQ(quantize.check(specializeQuantize(shape, schedule)), "");
  }
}

TEST(Quantize, TakesR1) { expectRight({.width = 16384}, 2, 3); }
TEST(Quantize, TakesTinyR1) { expectRight({.width = 256}, 13, 16); }
TEST(Quantize, TakesPartsOfBlocks) {
  expectRight({.width = 160, .inputPitch = 272}, 5, 6);
  expectRight({.width = 1000}, 5, 6);
  expectRight({.width = 84, .inputPitch = 90}, 5, 6);
}
TEST(Quantize, TakesF32) { expectRight({.input = RowElement::F32, .width = 640}, 3, 3); }

TEST(Quantize, MovesWholeSectors) {
  const QuantizeShape shape{.width = 16384};
  EXPECT_EQ(
      quantizing(shape, 3, 3)
          .checkTraffic(specializeQuantize(shape, chooseRowSchedule(shape.units())), 3 * (16384 * (2 + 1) + 128 * 4)),
      "");
}

TEST(Quantize, MutationsAreReported) {
  const QuantizeShape shape{.width = 200, .inputPitch = 216};
  EXPECT_EQ(
      quantizing(shape, 5, 6)
          .checkMutations(
              specializeQuantize(shape, chooseRowSchedule(shape.units())),
              {
                  {.name = "InputIsNotWaitedFor",
                   .find = "ptx::griddepcontrol_wait();",
                   .replacement = "",
                   .expected = {"global-race"}},
                  {.name = "PitchIsTheWidth",
                   .find = "static_cast<int64_t>(row) * shape.inputPitch",
                   .replacement = "static_cast<int64_t>(row) * shape.width",
                   .expected = {wrongResult}},
                  {.name = "ValuesOfABlockAreSwapped",
                   .find = "words[i] = low | high << 16",
                   .replacement = "words[i] = high | low << 16",
                   .expected = {wrongResult}},
                  {.name = "SignsAreLost", .find = "fabsf(x[i])", .replacement = "x[i]", .expected = {wrongResult}},
                  {.name = "LastBlockReadsBehindTheRow",
                   .find = "if (first < shape.width) {",
                   .replacement = "if (first < shape.width + 8) {",
                   .expected = {wrongResult}},
              }),
      "");
}

} // namespace
} // namespace elah::cuda
