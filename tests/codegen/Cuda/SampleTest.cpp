// Draws of tokens: the same ones as the runtime's sampler makes.
#include "codegen/Cuda/Sample.h"
#include "src/sampling.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <gtest/gtest.h>
#include <limits>
#include <set>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

const CudaTarget &h800 = *findCudaTarget("h800");

/// Each draw has a row of logits.
KernelCase drawingFrom(int64_t vocabulary, const std::vector<std::vector<float>> &logits,
                       const std::vector<Draw> &draws, std::set<int32_t> *drawn = nullptr) {
  const auto rows = static_cast<int64_t>(draws.size()), bucket = rows + 1;
  std::vector<float> all;
  std::vector<double> tokens;
  for (size_t i = 0; i < draws.size(); ++i) {
    const std::vector<float> &row = logits[i % logits.size()];
    const Draw &draw = draws[i];
    all.insert(all.end(), row.begin(), row.end());
    Result<uint32_t> token = sample(row, {draw.temperature, draw.topP, draw.topK, draw.seed}, draw.step);
    tokens.push_back(token.ok() ? *token : -1.0);
    if (drawn) {
      drawn->insert(static_cast<int32_t>(tokens.back()));
    }
  }
  std::vector<Draw> ofBucket = draws;
  ofBucket.resize(static_cast<size_t>(bucket));
  KernelCase drawing(rows, bucket, rows, bucket);
  drawing.input(paddedTo(static_cast<size_t>(bucket * vocabulary), all)).input(ofBucket);
  drawing.output(Memory::I32, rowsOfBucket(tokens, 1, bucket));
  return drawing;
}

void expectRight(int64_t vocabulary, const std::vector<std::vector<float>> &logits, const std::vector<Draw> &draws,
                 const std::vector<SampleSchedule> &schedules, const std::vector<RunOrder> &orders = testOrders(1),
                 std::set<int32_t> *drawn = nullptr) {
  KernelCase drawing = drawingFrom(vocabulary, logits, draws, drawn);
  for (const SampleSchedule &schedule : schedules) {
    EXPECT_EQ(drawing.check(specializeSample({vocabulary}, schedule), orders), "");
  }
}

/// All ways of drawing, each with some seeds and steps.
std::vector<Draw> everyWay() {
  std::vector<Draw> draws;
  for (float temperature : {0.6f, 1.5f}) {
    for (float topP : {1.0f, 0.95f, 0.4f}) {
      for (uint32_t topK : {0u, 20u}) {
        draws.push_back({temperature, topP, topK, 17 + draws.size() / 3, draws.size() * 1000});
      }
    }
  }
  draws.push_back({0, 1, 0, 1, 2});
  draws.push_back({1, 0.5f, 1, 1, 2});
  draws.push_back({1, 0, 0, 1, 2});
  return draws;
}

TEST(Sample, DrawsWhatTheRuntimeDraws) {
  expectRight(320, {normalValues(320, 20), normalValues(320, 21, 2)}, everyWay(), {{512, 1}});
}

TEST(Sample, DrawsManyTimesWhatTheRuntimeDraws) {
  std::vector<Draw> draws;
  for (uint64_t step = 0; step < 20; ++step) {
    for (Draw draw : everyWay()) {
      draw.step = step;
      draws.push_back(draw);
    }
  }
  std::set<int32_t> drawn;
  expectRight(320, {normalValues(320, 20), normalValues(320, 21, 2)}, draws, {{512, 1}}, {{.check = false}}, &drawn);
  EXPECT_GT(drawn.size(), 50u);
}

TEST(Sample, KeepsTheOrderOfEqualLogits) {
  std::vector<float> few = normalValues(1001, 22, 1.5f), equal(1001, 0.25f);
  for (float &value : few) {
    value = std::round(value);
  }
  for (size_t i = 0; i < equal.size(); i += 2) {
    equal[i] = -0.0f;
  }
  expectRight(1001, {few, equal, std::vector<float>(1001, -3)}, everyWay(), {{512, 1}});
}

TEST(Sample, DividesARowAmongBlocks) {
  // Odd, and with blocks at the end that have less or nothing.
  const std::vector<Draw> draws = {{0.8f, 0.9f, 0, 5, 6}, {1, 1, 0, 5, 7}, {1, 1, 50, 5, 8}, {0, 1, 0, 0, 0}};
  expectRight(4101, {normalValues(4101, 23, 3)}, draws, {{256, 4}});
  expectRight(2058, {normalValues(2058, 23, 3)}, draws, {{256, 8}});
}

// The last is R1's vocabulary.
TEST(Sample, TakesEverySchedule) {
  for (int64_t vocabulary : {8200, 32064, 129280}) {
    expectRight(vocabulary, {normalValues(static_cast<size_t>(vocabulary), 24, 3)},
                {{0.6f, 0.95f, 0, 1234, 0}, {1, 1, 0, 1234, 1}}, legalSampleSchedules({vocabulary}, h800));
  }
}

TEST(Sample, TakesExtremes) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values = normalValues(320, 25, 1e30f), mostlyNothing(320, -infinity), nothing(320, -infinity),
                     tooMuch = values, noNumber = values, noNegative = values;
  mostlyNothing[200] = mostlyNothing[100] = -7;
  tooMuch[70] = tooMuch[71] = infinity;
  noNumber[300] = std::nanf("");
  noNegative[3] = -std::nanf("");
  std::vector<Draw> draws;
  for (uint64_t step = 0; step < 12; ++step) {
    draws.push_back({step < 6 ? 1e-30f : 1e30f, step % 2 ? 0.9f : 1.0f, 0, 3, step});
  }
  expectRight(320, {values, mostlyNothing, nothing, tooMuch, noNumber, noNegative}, draws, {{512, 1}});
}

TEST(Sample, ChoosesSchedules) {
  EXPECT_EQ(chooseSampleSchedule({320}, h800).cluster, 1u);
  EXPECT_EQ(chooseSampleSchedule({129280}, h800).cluster, 8u);
  EXPECT_EQ(legalSampleSchedules({129280}, h800).front().cluster, 4u);
  EXPECT_NE(whyNoSample({1000000}, h800), "");
  EXPECT_EQ(whyNoSample({152064}, h800), "");
}

TEST(Sample, MutationsAreReported) {
  std::vector<Draw> draws;
  for (uint64_t step = 0; step < 4; ++step) {
    draws.push_back({0.8f, 0.9f, 0, 5, step});
    draws.push_back({1.5f, 1, 20, 5, step});
  }
  const KernelCase drawing = drawingFrom(2058, {normalValues(2058, 26, 3)}, draws);
  EXPECT_EQ(
      drawing.checkMutations(
          specializeSample({2058}, {256, 2}),
          {
              {.name = "InputIsNotWaitedFor",
               .find = "ptx::griddepcontrol_wait();",
               .replacement = "",
               .expected = {"global-race"}},
              {.name = "BestIsReadTooEarly",
               .find = "syncCluster();\n    best =",
               .replacement = "best =",
               .expected = {"shared-race", "uninitialised-memory"}},
              {.name = "WarpsBestIsReadTooEarly",
               .find = "__syncthreads();\n    if (threadIdx.x == 0) {\n      for",
               .replacement = "if (threadIdx.x == 0) {\n      for",
               .expected = {"shared-race", "uninitialised-memory"}},
              {.name = "HistogramsAreOneMemory", .find = "turn ^= 1;", .replacement = "", .expected = {"shared-race"}},
              {.name = "HistogramIsClearedTooLate",
               .find = "__syncthreads();\n    return part;",
               .replacement = "return part;",
               .expected = {"shared-race", "uninitialised-memory"}},
              {.name = "HistogramIsGatheredTooEarly",
               .find = "syncCluster();\n    if",
               .replacement = "if",
               .expected = {"shared-race", "uninitialised-memory"}},
              {.name = "SumsAreReadTooEarly",
               .find = "__syncthreads();\n  }\n\n  __device__ void makeCoarse",
               .replacement = "}\n\n  __device__ void makeCoarse",
               .expected = {"shared-race", "uninitialised-memory"}},
              {.name = "SumsAreReplacedTooEarly",
               .find = "__syncthreads(); // The last choice has been read.",
               .replacement = "",
               .expected = {"shared-race"}},
              {.name = "ChoiceIsReadTooEarly",
               .find = "__syncthreads();\n  }\n\n  /// The first token with which",
               .replacement = "}\n\n  /// The first token with which",
               .expected = {"shared-race", "uninitialised-memory"}},
              {.name = "BlockLeavesTooEarly",
               .find = "  ptx::barrier_cluster_arrive();\n  ptx::barrier_cluster_wait();\n}",
               .replacement = "}",
               .expected = {"dead-cta"}},
              {.name = "BlockDoesNotWaitForOthers",
               .find = "  ptx::barrier_cluster_arrive();\n  ptx::barrier_cluster_wait();\n}",
               .replacement = "  ptx::barrier_cluster_arrive();\n}",
               .expected = {"dead-cta"}},
              {.name = "ClusterIsNotAwaited",
               .find = "    ptx::barrier_cluster_wait();\n  }",
               .replacement = "  }",
               .expected = {"shared-race", "uninitialised-memory", "mbarrier-misuse", "fault"}},
              {.name = "TotalIsReadTooEarly",
               .find = "__syncthreads();\n  }\n\n  /// Leaves in",
               .replacement = "}\n\n  /// Leaves in",
               .expected = {"shared-race", "uninitialised-memory"}},
              {.name = "PositionIsCountedTwice",
               .find = "bound -= isByCount ? shared.choice.countBefore : shared.choice.weightBefore;",
               .replacement = "",
               .expected = {wrongResult, "uninitialised-memory"}},
              {.name = "StepIsForgotten", .find = "(step + 1) *", .replacement = "1 *", .expected = {wrongResult}},
              {.name = "TopPIsAHalf",
               .find = "static_cast<double>(draw.topP)",
               .replacement = "0.5",
               .expected = {wrongResult}},
              {.name = "TopKKeepsTwiceAsMany",
               .find = "select(true, draw.topK - 1)",
               .replacement = "select(true, 2 * draw.topK - 1)",
               .expected = {wrongResult}},
              {.name = "TemperatureIsOne",
               .find = "static_cast<double>(temperature)",
               .replacement = "1.0",
               .expected = {wrongResult}},
          }),
      "");
}

} // namespace
} // namespace elah::cuda
