// Rows in the order of a gather list, quantized ones with their scales.
#include "codegen/Cuda/Dispatch.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <gtest/gtest.h>
#include <numeric>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

KernelCase dispatching(const DispatchShape &shape, int64_t tokens, int64_t bucket) {
  const int64_t pitch = shape.inputPitch ? shape.inputPitch : shape.rowBytes, rows = tokens * shape.rowsOfToken,
                bucketRows = bucket * shape.rowsOfToken;
  // Any bits are copied; as i32 they compare exactly.
  std::mt19937_64 random(5);
  auto words = [&](int64_t count) {
    std::vector<int32_t> values(static_cast<size_t>(count));
    for (int32_t &value : values) {
      value = static_cast<int32_t>(random());
    }
    return values;
  };
  const std::vector<int32_t> input = words(bucket * pitch / 4), scales = words(bucket * shape.scales);
  std::vector<int32_t> gather(static_cast<size_t>(rows));
  for (size_t i = 0; i < gather.size(); ++i) {
    gather[i] = static_cast<int32_t>(i / static_cast<size_t>(shape.rowsOfToken));
  }
  std::shuffle(gather.begin(), gather.end(), random);
  std::vector<double> expected, expectedScales;
  for (int32_t token : gather) {
    expected.insert(expected.end(), &input[token * pitch / 4], &input[token * pitch / 4] + shape.rowBytes / 4);
    for (int64_t i = 0; i < shape.scales; ++i) {
      expectedScales.push_back(scales[token * shape.scales + i]);
    }
  }
  KernelCase dispatch(tokens, bucket);
  dispatch.input(input);
  if (shape.scales) {
    dispatch.input(scales);
  }
  dispatch.input(paddedTo(static_cast<size_t>(bucketRows), gather));
  dispatch.output(Memory::I32, rowsOfBucket(expected, shape.rowBytes / 4, bucketRows));
  if (shape.scales) {
    dispatch.output(Memory::I32, rowsOfBucket(expectedScales, shape.scales, bucketRows));
  }
  return dispatch;
}

void expectRight(const DispatchShape &shape, int64_t tokens, int64_t bucket) {
  ASSERT_EQ(whyNoDispatch(shape), "");
  KernelCase dispatch = dispatching(shape, tokens, bucket);
  for (const RowSchedule &schedule : legalRowSchedules(shape.units())) {
    EXPECT_EQ(dispatch.check(specializeDispatch(shape, schedule)), "");
  }
}

TEST(Dispatch, TakesR1) { expectRight({.rowBytes = 7168, .scales = 56, .rowsOfToken = 9}, 2, 3); }
TEST(Dispatch, TakesTinyR1) { expectRight({.rowBytes = 256, .scales = 4, .rowsOfToken = 5}, 13, 16); }
TEST(Dispatch, TakesBF16) { expectRight({.rowBytes = 512, .inputPitch = 1024, .rowsOfToken = 2}, 7, 9); }
TEST(Dispatch, SaysWhatItDoesNotTake) {
  EXPECT_EQ(whyNoDispatch({.rowBytes = 100}), "found rows of 100 bytes, 100 bytes apart, expected multiples of 16");
  EXPECT_EQ(whyNoDispatch({.rowBytes = 64, .scales = 3}), "found 3 scales of a row, expected a multiple of 4");
}

TEST(Dispatch, MovesWholeSectors) {
  const DispatchShape shape{.rowBytes = 7168, .scales = 56, .rowsOfToken = 9};
  EXPECT_EQ(dispatching(shape, 2, 2)
                .checkTraffic(specializeDispatch(shape, chooseRowSchedule(shape.units())), 18 * 2 * (7168 + 56 * 4)),
            "");
}

TEST(Dispatch, MutationsAreReported) {
  const DispatchShape shape{.rowBytes = 1040, .scales = 12, .rowsOfToken = 3};
  EXPECT_EQ(dispatching(shape, 5, 6)
                .checkMutations(specializeDispatch(shape, {32, 4}),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "RowsAreNotTimesExperts",
                                     .find = "operands.dims->tokens * shape.rowsOfToken",
                                     .replacement = "operands.dims->tokens",
                                     .expected = {wrongResult}},
                                    {.name = "OneRowTooMany",
                                     .find = "operands.dims->tokens * shape.rowsOfToken",
                                     .replacement = "operands.dims->tokens * shape.rowsOfToken + 1",
                                     .expected = {"out-of-bounds"}},
                                    {.name = "ScalesAreNotGathered",
                                     .find = "token * shape.scaleWords",
                                     .replacement = "row * shape.scaleWords",
                                     .expected = {"out-of-bounds"}},
                                    {.name = "LastWordIsForgotten",
                                     .find = "if (at < count) {\n      to[at]",
                                     .replacement = "if (at < count - 1) {\n      to[at]",
                                     .expected = {wrongResult}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
