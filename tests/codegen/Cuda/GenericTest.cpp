// Elementwise arithmetic compiled from its own text: rows of either type and pitch, vectors, rows of logits, all
// functions.
#include "codegen/Cuda/Generic.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <cmath>
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

/// y = tanh(x0 * x1) * 30 - x2: rows in f32, a vector, rows in bf16.
GenericShape capped(int64_t width, RowElement output) {
  GenericShape shape;
  shape.inputs = {{RowElement::F32, width + 12}, {RowElement::F32, 0}, {RowElement::BF16, width}};
  shape.output = output;
  shape.width = shape.outputPitch = width;
  shape.body = {"const float v0 = x0 * x1;", "const float v1 = tanhf(v0);", "const float v2 = v1 * 0x1.ep+4f;",
                "const float v3 = v2 - x2;", "y = v3;"};
  return shape;
}

KernelCase casesOf(const GenericShape &shape, int64_t rows, int64_t bucket) {
  const int64_t width = shape.width, pitch = shape.inputs[0].pitch;
  std::vector<float> x(static_cast<size_t>(bucket * pitch), 1e30f);
  const std::vector<float> random = normalValues(static_cast<size_t>(rows * width), 4);
  const std::vector<float> factors = normalValues(static_cast<size_t>(width), 5);
  const std::vector<uint16_t> halves = bf16Of(normalValues(static_cast<size_t>(bucket * width), 6));
  std::vector<double> expected;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < width; ++i) {
      const auto at = static_cast<size_t>(row * width + i);
      x[row * pitch + i] = random[at];
      expected.push_back(std::tanh(static_cast<double>(random[at] * factors[i])) * 30 - valueOfBF16(halves[at]));
    }
  }
  KernelCase kernel = shape.isOfLogitRows ? KernelCase(rows + 5, bucket + 8, rows, bucket) : KernelCase(rows, bucket);
  kernel.input(x).weight(factors).input(halves);
  const bool isF32 = shape.output == RowElement::F32;
  // Differences of numbers around 30.
  kernel.output(isF32 ? Memory::F32 : Memory::BF16, rowsOfBucket(expected, width, bucket),
                isF32 ? Bound{1e-6, 1e-5} : Bound{1.002 / 256, 1e-5});
  return kernel;
}

void expectRight(const GenericShape &shape, int64_t rows, int64_t bucket) {
  KernelCase kernel = casesOf(shape, rows, bucket);
  for (const RowSchedule &schedule : legalRowSchedules(shape.units())) {
    EXPECT_EQ(kernel.check(specializeGeneric(shape, schedule)), "");
  }
}

TEST(Generic, TakesRowsAndVectors) {
  expectRight(capped(7168, RowElement::F32), 2, 3);
  expectRight(capped(256, RowElement::BF16), 13, 16);
  expectRight(capped(90, RowElement::F32), 5, 6);
  expectRight(capped(33, RowElement::BF16), 5, 6);
}

TEST(Generic, TakesRowsOfLogits) {
  GenericShape shape = capped(1000, RowElement::F32);
  shape.isOfLogitRows = true;
  expectRight(shape, 3, 4);
}

TEST(Generic, HasAllFunctions) {
  // In the order of the kernel's columns; each is told in the words of codegen/Cuda/GenericBody.cpp.
  struct Function {
    const char *name;
    double (*expected)(double);
  };
  const std::vector<Function> functions = {{"fabsf", std::fabs},      {"ceilf", std::ceil},   {"erff", std::erf},
                                           {"expf", std::exp},        {"floorf", std::floor}, {"logf", std::log},
                                           {"rintf", std::nearbyint}, {"sqrtf", std::sqrt},   {"tanhf", std::tanh}};
  const std::vector<float> x = {0.5f, 2.5f, 1e-3f, 60.0f, 7.25f, 0.1f, 1.0f, 3.5f};
  for (const Function &function : functions) {
    GenericShape shape;
    shape.inputs = {{RowElement::F32, 8}};
    shape.width = shape.outputPitch = 8;
    shape.body = {"y = " + std::string(function.name) + "(x0);"};
    std::vector<double> expected;
    for (float value : x) {
      expected.push_back(function.expected(static_cast<double>(value)));
    }
    KernelCase kernel(1, 1);
    kernel.input(x).output(Memory::F32, expected, Bound{1e-6, 1e-37});
    EXPECT_EQ(kernel.check(specializeGeneric(shape, chooseRowSchedule(shape.units()))), "") << function.name;
  }
}

TEST(Generic, MutationsAreReported) {
  const GenericShape shape = capped(200, RowElement::F32);
  EXPECT_EQ(casesOf(shape, 5, 6)
                .checkMutations(specializeGeneric(shape, chooseRowSchedule(shape.units())),
                                {
                                    {.name = "InputsAreNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "PitchIsTheWidth",
                                     .find = "row * 212",
                                     .replacement = "row * 200",
                                     .expected = {wrongResult}},
                                    {.name = "OneRowMore",
                                     .find = "if (row >= *rows)",
                                     .replacement = "if (row > *rows)",
                                     .expected = {wrongResult}},
                                    {.name = "FirstUnitsOnly",
                                     .find = "first += schedule.threadsPerRow * unit",
                                     .replacement = "first += width",
                                     .expected = {wrongResult}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
