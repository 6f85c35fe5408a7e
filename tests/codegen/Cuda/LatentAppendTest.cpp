// The latent cache's rows, in bf16 and in FP8, and the rotated parts of queries, both layouts of the rotation.
#include "codegen/Cuda/LatentAppend.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include "tests/codegen/Cuda/LatentRows.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

/// What is wrong with rows of an FP8 cache that are to hold `expected`, [rows][rank + ropeDim], or stay as they were.
std::string checkRows(const kernel::Fp8LatentRow &layout, const std::vector<double> &expected,
                      std::span<const uint8_t> before, std::span<const uint8_t> after) {
  const int64_t width = layout.rank + layout.ropeDim;
  for (int64_t r = 0; r < static_cast<int64_t>(expected.size()) / width; ++r) {
    const double *const values = &expected[static_cast<size_t>(r * width)];
    const uint8_t *const row = &after[static_cast<size_t>(r * layout.bytes())];
    const std::string place = " of row " + std::to_string(r);
    if (std::isnan(values[0])) {
      if (std::memcmp(row, &before[static_cast<size_t>(r * layout.bytes())], static_cast<size_t>(layout.bytes())) !=
          0) {
        return "wrote a byte" + place;
      }
      continue;
    }
    for (int64_t i = 0; i < width; ++i) {
      const double found = valueInLatentRow(layout, row, i);
      double bound = std::abs(values[i]) * 1.002 / 256 + 1e-6;
      if (i < layout.rank) {
        const int64_t begin = i / layout.blockValues * layout.blockValues;
        const float scale = latentScaleOf(values + begin, std::min(layout.blockValues, layout.rank - begin));
        float foundScale;
        std::memcpy(&foundScale, row + layout.scalesOffset() + 4 * (i / layout.blockValues), 4);
        if (foundScale != scale) {
          return "scale for column " + std::to_string(i) + place + ": found " + std::to_string(foundScale) +
                 ", expected " + std::to_string(scale);
        }
        // Half a step of 3 bits of mantissa, or of the smallest numbers.
        bound = std::max(std::abs(values[i]) * 1.0001 / 16, scale * std::ldexp(1.0001, -10));
      }
      if (!(std::abs(found - values[i]) <= bound)) {
        return "column " + std::to_string(i) + place + ": found " + std::to_string(found) + ", expected " +
               std::to_string(values[i]);
      }
    }
  }
  return "";
}

KernelCase appending(const LatentAppendShape &shape, int64_t tokens, int64_t bucket) {
  const int64_t heads = shape.heads, rope = shape.rope, rank = shape.rank, queryWidth = shape.nope + rope,
                width = rank + rope, pitch = shape.latentPitch ? shape.latentPitch : width;
  const std::vector<uint16_t> query = bf16Of(normalValues(static_cast<size_t>(tokens * heads * queryWidth), 13));
  std::vector<uint16_t> latent(static_cast<size_t>(bucket * pitch), 0xffff);
  const std::vector<uint16_t> values = bf16Of(normalValues(static_cast<size_t>(tokens * width), 14, 3));
  const std::vector<float> weight = normalValues(static_cast<size_t>(rank), 15);
  std::vector<float> table;
  for (int64_t token = 0; token < tokens; ++token) {
    std::copy_n(&values[token * width], width, &latent[token * pitch]);
    for (int64_t i = 0; i < rope; ++i) {
      const double angle = 0.37 * double(token + 1) * double(i % (rope / 2) + 1);
      table.push_back(static_cast<float>(i < rope / 2 ? std::cos(angle) : std::sin(angle)));
    }
  }
  // Rows of the cache in another order than the tokens, with gaps.
  const int64_t cacheSize = 2 * bucket + 5;
  std::vector<int32_t> cacheRows;
  for (int64_t token = 0; token < tokens; ++token) {
    cacheRows.push_back(static_cast<int32_t>((tokens - token) * 2));
  }
  std::vector<double> absorbed(static_cast<size_t>(bucket * heads * width), untouched),
      cache(static_cast<size_t>(cacheSize * width), untouched);
  for (int64_t token = 0; token < tokens; ++token) {
    auto rotate = [&](const uint16_t *from, double *to) {
      for (int64_t i = 0; i < rope / 2; ++i) {
        const int64_t a = shape.isHalf ? i : 2 * i, b = shape.isHalf ? i + rope / 2 : 2 * i + 1;
        const double x = valueOfBF16(from[a]), y = valueOfBF16(from[b]);
        const double cosine = table[token * rope + i], sine = table[token * rope + rope / 2 + i];
        to[a] = x * cosine - y * sine;
        to[b] = y * cosine + x * sine;
      }
    };
    for (int64_t head = 0; head < heads; ++head) {
      rotate(&query[(token * heads + head) * queryWidth + shape.nope],
             &absorbed[(token * heads + head) * width + rank]);
    }
    const uint16_t *from = &latent[token * pitch];
    double *to = &cache[cacheRows[token] * width];
    double squares = 0;
    for (int64_t i = 0; i < rank; ++i) {
      squares += valueOfBF16(from[i]) * valueOfBF16(from[i]);
    }
    for (int64_t i = 0; i < rank; ++i) {
      to[i] = valueOfBF16(from[i]) * weight[i] / std::sqrt(squares / double(rank) + shape.epsilon);
    }
    rotate(from + rank, to + rank);
  }
  // A sum that cancels is as exact as its terms, not as itself.
  const Bound bound{1.002 / 256, 1e-6};
  KernelCase append(tokens, bucket);
  append.input(paddedTo(static_cast<size_t>(bucket * heads * queryWidth), query)).input(latent).weight(weight);
  append.input(paddedTo(static_cast<size_t>(bucket * rope), table));
  append.input(paddedTo(static_cast<size_t>(bucket), cacheRows));
  append.output(Memory::BF16, absorbed, bound);
  if (!shape.isFp8) {
    return append.output(Memory::BF16, cache, bound);
  }
  const kernel::Fp8LatentRow layout{rank, rope};
  return append.checkedOutput(static_cast<size_t>(cacheSize * layout.bytes()),
                              [=](std::span<const uint8_t> before, std::span<const uint8_t> after) {
                                return checkRows(layout, cache, before, after);
                              });
}

void expectRight(const LatentAppendShape &shape, int64_t tokens, int64_t bucket,
                 const std::vector<LatentAppendSchedule> &schedules) {
  KernelCase append = appending(shape, tokens, bucket);
  for (const LatentAppendSchedule &schedule : schedules) {
    EXPECT_EQ(append.check(specializeLatentAppend(shape, schedule)), "");
  }
}

TEST(LatentAppend, TakesR1) {
  LatentAppendShape shape{.heads = 128, .nope = 128, .rope = 64, .rank = 512, .latentPitch = 2112};
  expectRight(shape, 2, 3, {chooseLatentAppendSchedule(shape)});
}
TEST(LatentAppend, TakesTinyR1) {
  LatentAppendShape shape{.heads = 8, .nope = 32, .rope = 16, .rank = 96, .latentPitch = 272};
  expectRight(shape, 9, 12, {chooseLatentAppendSchedule(shape), {.threads = 64, .parts = 3}});
}
TEST(LatentAppend, RotatesHalves) {
  LatentAppendShape shape{.heads = 5, .nope = 8, .rope = 16, .rank = 40, .isHalf = true};
  expectRight(shape, 3, 3, {chooseLatentAppendSchedule(shape)});
}
TEST(LatentAppend, TakesOddWidths) {
  LatentAppendShape shape{.heads = 3, .nope = 10, .rope = 6, .rank = 30, .latentPitch = 41};
  expectRight(shape, 4, 5, {chooseLatentAppendSchedule(shape), {.threads = 32, .parts = 2}});
}

TEST(LatentAppend, QuantizesR1) {
  LatentAppendShape shape{.heads = 128, .nope = 128, .rope = 64, .rank = 512, .latentPitch = 2112, .isFp8 = true};
  expectRight(shape, 2, 3, {chooseLatentAppendSchedule(shape)});
}
TEST(LatentAppend, QuantizesTinyR1) {
  LatentAppendShape shape{.heads = 8, .nope = 32, .rope = 16, .rank = 96, .latentPitch = 272, .isFp8 = true};
  expectRight(shape, 9, 12, {chooseLatentAppendSchedule(shape), {.threads = 64, .parts = 3}});
}
TEST(LatentAppend, QuantizesOddWidths) {
  LatentAppendShape shape{.heads = 3, .nope = 10, .rope = 6, .rank = 150, .latentPitch = 161, .isFp8 = true};
  expectRight(shape, 4, 5, {chooseLatentAppendSchedule(shape), {.threads = 32, .parts = 2}});
}

TEST(LatentAppend, MovesWholeSectors) {
  // Rotated parts of 128 queries, read and written, four with their token's cosines and sines; the latent, its weight.
  const LatentAppendShape shape{.heads = 128, .nope = 128, .rope = 64, .rank = 512, .latentPitch = 2112};
  EXPECT_EQ(appending(shape, 2, 2)
                .checkTraffic(specializeLatentAppend(shape, chooseLatentAppendSchedule(shape)),
                              2 * (128 * 64 * (2 + 2 + 1) + 576 * (2 + 2) + 512 * 4)),
            "");
}

TEST(LatentAppend, MutationsAreReported) {
  const LatentAppendShape shape{.heads = 8, .nope = 32, .rope = 16, .rank = 288, .latentPitch = 312};
  EXPECT_EQ(appending(shape, 3, 4)
                .checkMutations(specializeLatentAppend(shape, {.threads = 64, .parts = 1}),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "SumsAreReadTooEarly",
                                     .find = "__syncthreads();\n    x = 0;",
                                     .replacement = "x = 0;",
                                     .expected = {"shared-race"}},
                                    {.name = "CacheRowIsTheToken",
                                     .find = "static_cast<int64_t>(operands.cacheRows[token])",
                                     .replacement = "static_cast<int64_t>(token)",
                                     .expected = {wrongResult}},
                                    {.name = "SecondOfAPairTurnsTheFirstsResult",
                                     .find = "+ before * sines[i]",
                                     .replacement = "+ a * sines[i]",
                                     .expected = {wrongResult}},
                                    {.name = "FirstPairsOfTheKeyAreForgotten",
                                     .find = "schedule.threads - 1 - thread",
                                     .replacement = "schedule.threads - thread",
                                     .expected = {wrongResult}},
                                    {.name = "QueriesAreTheUnrotatedParts",
                                     .find = "head * queryWidth + shape.nope",
                                     .replacement = "head * queryWidth",
                                     .expected = {wrongResult}},
                                    {.name = "OneTokenTooMany",
                                     .find = "token >= operands.dims->tokens",
                                     .replacement = "token > operands.dims->tokens",
                                     .expected = {"out-of-bounds"}},
                                    {.name = "NormIsNotOverTheRank",
                                     .find = "squares / shape.rank",
                                     .replacement = "squares / absorbedWidth",
                                     .expected = {wrongResult}},
                                }),
            "");
}

TEST(LatentAppend, MutationsOfQuantizedRowsAreReported) {
  const LatentAppendShape shape{.heads = 8, .nope = 32, .rope = 16, .rank = 288, .latentPitch = 312, .isFp8 = true};
  EXPECT_EQ(appending(shape, 3, 4)
                .checkMutations(specializeLatentAppend(shape, {.threads = 64, .parts = 1}),
                                {
                                    {.name = "ScaleIsNoPowerOfTwo",
                                     .find = "(bits + 0x7fffffu) & 0x7f800000u",
                                     .replacement = "bits",
                                     .expected = {wrongResult}},
                                    {.name = "ScaleIsOneTooSmall",
                                     .find = "(bits + 0x7fffffu) & 0x7f800000u",
                                     .replacement = "bits & 0x7f800000u",
                                     .expected = {wrongResult}},
                                    {.name = "ScaleIsOfAnotherBlock",
                                     .find = "scalesOffset)[first / 128]",
                                     .replacement = "scalesOffset)[first / 256]",
                                     .expected = {wrongResult, "global-race"}},
                                    {.name = "InverseIsTheScale",
                                     .find = "0x7f000000u - __float_as_uint(scale)",
                                     .replacement = "__float_as_uint(scale)",
                                     .expected = {wrongResult}},
                                    {.name = "LargestIsOfOneLane",
                                     .find = "distance = 64 / unit; distance > 0",
                                     .replacement = "distance = 0; distance > 0",
                                     .expected = {wrongResult}},
                                    {.name = "KeyIsWhereABf16CacheHasIt",
                                     .find = "shape.isFp8 ? Fp8Row::ropeOffset : 2 * shape.rank",
                                     .replacement = "2 * shape.rank",
                                     .expected = {wrongResult, "out-of-bounds"}},
                                    {.name = "RowsAreThoseOfABf16Cache",
                                     .find = "shape.isFp8 ? Fp8Row::bytes : 2 * absorbedWidth",
                                     .replacement = "2 * absorbedWidth",
                                     .expected = {wrongResult, "out-of-bounds"}},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
