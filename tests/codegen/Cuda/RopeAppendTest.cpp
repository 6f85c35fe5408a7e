// Queries, and the rows of the key and the value cache, both layouts of the rotation, all of a head or a part of it.
#include "codegen/Cuda/RopeAppend.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

KernelCase appending(const RopeAppendShape &shape, int64_t tokens, int64_t bucket) {
  const int64_t pitch = shape.pitch ? shape.pitch : shape.width(), rotated = shape.rotated;
  const std::vector<uint16_t> values = bf16Of(normalValues(static_cast<size_t>(tokens * shape.width()), 21, 2));
  std::vector<uint16_t> qkv(static_cast<size_t>(bucket * pitch), 0xffff);
  std::vector<float> table;
  std::vector<int32_t> cacheRows;
  for (int64_t token = 0; token < tokens; ++token) {
    std::copy_n(&values[token * shape.width()], shape.width(), &qkv[token * pitch]);
    for (int64_t i = 0; i < rotated; ++i) {
      const double angle = 0.29 * double(token + 1) * double(i % (rotated / 2) + 1);
      table.push_back(static_cast<float>(i < rotated / 2 ? std::cos(angle) : std::sin(angle)));
    }
    // In another order than the tokens, with gaps.
    cacheRows.push_back(static_cast<int32_t>((tokens - token) * 2));
  }
  const int64_t cacheSize = 2 * bucket + 5, headDim = shape.headDim, valueWidth = shape.kvHeads * shape.valueDim;
  std::vector<double> query(static_cast<size_t>(bucket * shape.heads * headDim), untouched),
      keys(static_cast<size_t>(cacheSize * shape.kvHeads * headDim), untouched),
      cachedValues(static_cast<size_t>(cacheSize * valueWidth), untouched);
  for (int64_t token = 0; token < tokens; ++token) {
    const uint16_t *from = &qkv[token * pitch];
    for (int64_t head = 0; head < shape.heads + shape.kvHeads; ++head, from += headDim) {
      double *to = head < shape.heads ? &query[(token * shape.heads + head) * headDim]
                                      : &keys[(cacheRows[token] * shape.kvHeads + head - shape.heads) * headDim];
      for (int64_t i = 0; i < headDim; ++i) {
        to[i] = valueOfBF16(from[i]);
      }
      for (int64_t i = 0; i < rotated / 2; ++i) {
        const int64_t a = shape.isHalf ? i : 2 * i, b = shape.isHalf ? i + rotated / 2 : 2 * i + 1;
        const double x = valueOfBF16(from[a]), y = valueOfBF16(from[b]);
        const double cosine = table[token * rotated + i], sine = table[token * rotated + rotated / 2 + i];
        to[a] = x * cosine - y * sine;
        to[b] = y * cosine + x * sine;
      }
    }
    for (int64_t i = 0; i < valueWidth; ++i) {
      cachedValues[cacheRows[token] * valueWidth + i] = valueOfBF16(from[i]);
    }
  }
  // A sum that cancels is as exact as its terms, not as itself.
  const Bound bound{1.002 / 256, 1e-6};
  KernelCase append(tokens, bucket);
  append.input(qkv);
  if (rotated) {
    append.input(paddedTo(static_cast<size_t>(bucket * rotated), table));
  }
  append.input(paddedTo(static_cast<size_t>(bucket), cacheRows));
  append.output(Memory::BF16, query, bound).output(Memory::BF16, keys, bound).output(Memory::BF16, cachedValues, bound);
  return append;
}

void expectRight(const RopeAppendShape &shape, int64_t tokens, int64_t bucket,
                 const std::vector<RowSchedule> &schedules) {
  KernelCase append = appending(shape, tokens, bucket);
  for (const RowSchedule &schedule : schedules) {
    EXPECT_EQ(append.check(specializeRopeAppend(shape, schedule)), "") << schedule.describe();
  }
}

TEST(RopeAppend, TakesDistills) {
  RopeAppendShape qwen{.heads = 12, .kvHeads = 2, .headDim = 128, .valueDim = 128, .rotated = 128};
  expectRight(qwen, 3, 4, legalRowSchedules(qwen.units()));
  RopeAppendShape llama{.heads = 64, .kvHeads = 8, .headDim = 128, .valueDim = 128, .rotated = 128};
  expectRight(llama, 2, 3, legalRowSchedules(llama.units()));
}
TEST(RopeAppend, TakesSmallHeads) {
  RopeAppendShape shape{.heads = 4, .kvHeads = 2, .headDim = 16, .valueDim = 16, .pitch = 136, .rotated = 16};
  expectRight(shape, 9, 12, legalRowSchedules(shape.units()));
}
TEST(RopeAppend, RotatesNeighbours) {
  RopeAppendShape shape{.heads = 4, .kvHeads = 4, .headDim = 32, .valueDim = 32, .rotated = 32, .isHalf = false};
  expectRight(shape, 5, 5, legalRowSchedules(shape.units()));
}
TEST(RopeAppend, RotatesAPart) {
  RopeAppendShape shape{.heads = 6, .kvHeads = 3, .headDim = 24, .valueDim = 8, .pitch = 250, .rotated = 16};
  expectRight(shape, 5, 6, legalRowSchedules(shape.units()));
}
TEST(RopeAppend, RotatesNothing) {
  RopeAppendShape shape{.heads = 3, .kvHeads = 1, .headDim = 10, .valueDim = 14, .pitch = 57};
  expectRight(shape, 4, 5, legalRowSchedules(shape.units()));
}

TEST(RopeAppend, MutationsAreReported) {
  const RopeAppendShape shape{.heads = 6, .kvHeads = 3, .headDim = 24, .valueDim = 8, .pitch = 256, .rotated = 16};
  EXPECT_EQ(appending(shape, 5, 6)
                .checkMutations(
                    specializeRopeAppend(shape, {.threadsPerRow = 32, .rowsPerBlock = 4}),
                    {
                        {.name = "InputIsNotWaitedFor",
                         .find = "ptx::griddepcontrol_wait();",
                         .replacement = "",
                         .expected = {"global-race"}},
                        {.name = "OneTokenTooMany",
                         .find = "token >= operands.dims->tokens",
                         .replacement = "token > operands.dims->tokens",
                         .expected = {"out-of-bounds", wrongResult}},
                        {.name = "CacheRowIsTheToken",
                         .find = "cacheRow = operands.cacheRows[token]",
                         .replacement = "cacheRow = token",
                         .expected = {wrongResult}},
                        {.name = "KeysGoToTheFirstHead",
                         .find = "key + (head - shape.heads) * shape.headDim",
                         .replacement = "key",
                         .expected = {"global-race", wrongResult}},
                        {.name = "TableIsOfTheFirstToken",
                         .find = "operands.table + static_cast<int64_t>(token) * rotated",
                         .replacement = "operands.table",
                         .expected = {wrongResult}},
                        {.name = "SecondOfAPairTurnsTheFirstsResult",
                         .find = "+ before * sines[i]",
                         .replacement = "+ a * sines[i]",
                         .expected = {wrongResult}},
                        {.name = "RestIsTakenFromTheRotatedPart",
                         .find = "copy(qkv + head * shape.headDim + at,",
                         .replacement = "copy(qkv + head * shape.headDim,",
                         .expected = {wrongResult}},
                        {.name = "ValuesAreTheKeys",
                         .find = "copy(qkv + heads * shape.headDim +",
                         .replacement = "copy(qkv + shape.heads * shape.headDim +",
                         .expected = {wrongResult}},
                        {.name = "FirstValuesAreForgotten",
                         .find = "schedule.threadsPerRow - 1 - thread",
                         .replacement = "schedule.threadsPerRow - thread",
                         .expected = {wrongResult}},
                        {.name = "PitchIsTheWidth",
                         .find = "static_cast<int64_t>(token) * shape.pitch",
                         .replacement =
                             "static_cast<int64_t>(token) * (heads * shape.headDim + shape.kvHeads * shape.valueDim)",
                         .expected = {wrongResult}},
                    }),
            "");
}

} // namespace
} // namespace elah::cuda
