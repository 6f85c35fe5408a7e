// Rows of an FP8 cache: how they are laid out, how far a value is off in them, and attention to them.
#include "codegen/Reference/LatentRows.h"
#include "codegen/Reference/RelativeDifference.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace elah {
namespace {

using Values = std::vector<double>;

Values normalValues(std::mt19937_64 &random, int64_t count, double deviation = 1) {
  std::normal_distribution<double> normal(0, deviation);
  Values values(static_cast<size_t>(count));
  for (double &value : values) {
    value = normal(random);
  }
  return values;
}

Values afterRow(const kernel::Fp8LatentRow &layout, const Values &values) {
  std::vector<uint8_t> row(static_cast<size_t>(layout.bytes()));
  storeLatentRow(layout, row, values);
  Values found;
  for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
    found.push_back(loadFromLatentRow(layout, row, i));
  }
  return found;
}

TEST(LatentRows, LiesAsFlashMlaPublishes) {
  const kernel::Fp8LatentRow layout{512, 64};
  EXPECT_EQ(layout.scalesOffset(), 512);
  EXPECT_EQ(layout.ropeOffset(), 528);
  EXPECT_EQ(layout.bytes(), 656);
  Values values(576);
  values[130] = 1.5;
  values[575] = -2;
  std::vector<uint8_t> row(656, 0xee);
  storeLatentRow(layout, row, values);
  // 1.5 is 384 times 2^-8, the largest of its block; e4m3 of 384 is 1.5 * 2^8: exponent 8 + 7, mantissa 4.
  EXPECT_EQ(row[130], 0x7c);
  float scale;
  std::memcpy(&scale, &row[512 + 4], 4);
  EXPECT_EQ(scale, 0x1p-8f);
  EXPECT_EQ(row[654], 0x00);
  EXPECT_EQ(row[655], 0xc0);
}

TEST(LatentRows, OtherRanksAreAlignedFor16Bytes) {
  const kernel::Fp8LatentRow tiny{96, 16}, odd{150, 6};
  EXPECT_EQ(tiny.bytes(), 96 + 16 + 32);
  EXPECT_EQ(odd.scalesOffset(), 160);
  EXPECT_EQ(odd.bytes(), 160 + 16 + 16);
}

TEST(LatentRows, RoundsToThreeBitsOfMantissa) {
  std::mt19937_64 random(3);
  const kernel::Fp8LatentRow layout{300, 10};
  for (double deviation : {1e-6, 0.01, 1.0, 300.0, 1e7}) {
    const Values values = normalValues(random, 310, deviation), found = afterRow(layout, values);
    for (size_t i = 0; i < values.size(); ++i) {
      double bound = std::fabs(values[i]) / (i < 300 ? 16 : 256);
      // The smallest numbers of a block, of which the largest is below 4 deviations, or 1e-4.
      bound = std::max(bound, i < 300 ? std::max(4 * deviation, 1e-4) / 224 * 0x1p-10 : 0);
      const double largest = 448 * kernel::Fp8LatentRow::largestScale;
      const double expected = i < 300 ? std::clamp(values[i], -largest, largest) : values[i];
      EXPECT_LE(std::fabs(found[i] - expected), bound) << i << " of " << deviation;
    }
  }
}

TEST(LatentRows, AttentionToThemIsNear) {
  std::mt19937_64 random(7);
  const kernel::Fp8LatentRow layout{512, 64};
  const int64_t width = 576, tokens = 1000, heads = 8;
  std::vector<Values> exact, quantized;
  for (int64_t token = 0; token < tokens; ++token) {
    exact.push_back(normalValues(random, width));
    quantized.push_back(afterRow(layout, exact.back()));
  }
  RelativeDifference difference;
  for (int64_t head = 0; head < heads; ++head) {
    const Values query = normalValues(random, width, 2 / std::sqrt(double(width))); // Scores of deviation 2.
    auto attend = [&](const std::vector<Values> &rows) {
      Values sum(512);
      double total = 0;
      for (const Values &row : rows) {
        double score = 0;
        for (size_t i = 0; i < query.size(); ++i) {
          score += query[i] * row[i];
        }
        total += std::exp(score);
        for (size_t i = 0; i < sum.size(); ++i) {
          sum[i] += std::exp(score) * row[i];
        }
      }
      for (double &value : sum) {
        value /= total;
      }
      return sum;
    };
    const Values x = attend(exact), y = attend(quantized);
    for (size_t i = 0; i < x.size(); ++i) {
      difference.add(x[i], y[i]);
    }
  }
  RecordProperty("RelativeDifference", std::to_string(difference.value() * 1e6) + "e-6");
  std::printf("attention to latents in FP8 is off by %.2e\n", difference.value());
  EXPECT_LT(difference.value(), 1.5e-3);
}

} // namespace
} // namespace elah
