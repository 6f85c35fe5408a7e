// Rows of the table, widened: each type, widths that allow 16-byte accesses and such that don't.
#include "codegen/Cuda/Embed.h"
#include "tests/codegen/Cuda/KernelCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::wrongResult;

std::vector<int32_t> tokensOf(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>((i * 7 + 3) % vocabulary));
  }
  return tokens;
}

KernelCase embedding(RowElement table, int64_t width, int64_t vocabulary, int64_t tokens, int64_t bucket) {
  std::vector<float> values = normalValues(static_cast<size_t>(vocabulary * width), 1);
  std::vector<uint16_t> halves = bf16Of(values);
  const std::vector<int32_t> ids = tokensOf(tokens, vocabulary);
  std::vector<double> expected;
  for (int32_t id : ids) {
    for (int64_t i = 0; i < width; ++i) {
      const auto at = static_cast<size_t>(id * width + i);
      expected.push_back(table == RowElement::F32 ? static_cast<double>(values[at]) : valueOfBF16(halves[at]));
    }
  }
  KernelCase embed(tokens, bucket);
  embed.input(paddedTo(static_cast<size_t>(bucket), ids));
  table == RowElement::F32 ? embed.weight(values) : embed.weight(halves);
  embed.output(Memory::F32, rowsOfBucket(expected, width, bucket));
  return embed;
}

void expectRight(RowElement table, int64_t width, int64_t vocabulary, int64_t tokens, int64_t bucket) {
  EmbedShape shape{table, width};
  KernelCase embed = embedding(table, width, vocabulary, tokens, bucket);
  for (const RowSchedule &schedule : legalRowSchedules(shape.units())) {
    EXPECT_EQ(embed.check(specializeEmbed(shape, schedule)), "");
  }
}

TEST(Embed, TakesTinyR1) { expectRight(RowElement::BF16, 256, 320, 13, 16); }
TEST(Embed, TakesR1) { expectRight(RowElement::BF16, 7168, 11, 3, 4); }
TEST(Embed, TakesF32) { expectRight(RowElement::F32, 520, 17, 5, 5); }
TEST(Embed, TakesOddWidths) {
  for (int64_t width : {12, 30, 33}) {
    expectRight(RowElement::BF16, width, 17, 9, 12);
    expectRight(RowElement::F32, width, 17, 9, 12);
  }
}

TEST(Embed, TakesF16) {
  EmbedShape shape{RowElement::F16, 64};
  std::vector<uint16_t> table(64);
  std::vector<double> expected;
  for (uint16_t i = 0; i < 64; ++i) {
    table[i] = static_cast<uint16_t>(i * 0x1f1 | (i % 2 ? 0x8000 : 0)); // Subnormals, too.
    const int exponent = table[i] >> 10 & 31, mantissa = table[i] & 1023;
    const double value = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
    expected.push_back(table[i] & 0x8000 ? -value : value);
  }
  KernelCase embed(1, 1);
  embed.input(std::vector<int32_t>{0}).weight(table).output(Memory::F32, expected);
  EXPECT_EQ(embed.check(specializeEmbed(shape, chooseRowSchedule(shape.units()))), "");
}

TEST(Embed, MovesWholeSectors) {
  const EmbedShape shape{RowElement::BF16, 7168};
  EXPECT_EQ(embedding(shape.table, shape.width, 11, 3, 3)
                .checkTraffic(specializeEmbed(shape, chooseRowSchedule(shape.units())), 3 * 7168 * (2 + 4)),
            "");
}

TEST(Embed, MutationsAreReported) {
  const EmbedShape shape{RowElement::BF16, 298};
  EXPECT_EQ(embedding(shape.table, shape.width, 17, 5, 8)
                .checkMutations(specializeEmbed(shape, chooseRowSchedule(shape.units())),
                                {
                                    {.name = "InputIsNotWaitedFor",
                                     .find = "ptx::griddepcontrol_wait();",
                                     .replacement = "",
                                     .expected = {"global-race"}},
                                    {.name = "RowsAreThoseOfTheBucket",
                                     .find = "row >= operands.dims->tokens",
                                     .replacement = "row >= 8",
                                     .expected = {"out-of-bounds"}},
                                    {.name = "TokenIsTheNextOnes",
                                     .find = "operands.tokens[row]",
                                     .replacement = "operands.tokens[row ^ 1]",
                                     .expected = {"out-of-bounds"}},
                                    {.name = "LastValuesAreForgotten",
                                     .find = "first + i < width",
                                     .replacement = "first + i < width - 4",
                                     .expected = {wrongResult},
                                     .occurrence = 1},
                                }),
            "");
}

} // namespace
} // namespace elah::cuda
