// The angles against values worked out apart from this code: DeepSeek's own YaRN and Llama 3.1's three bands.
#include "frontends/HuggingFace/RotaryFrequencies.h"
#include "gtest/gtest.h"
#include <cmath>

namespace elah {
namespace {

ModelConfig r1Like() {
  ModelConfig config;
  config.architecture = Architecture::DeepseekV3;
  config.ropeTheta = 10000;
  config.ropeScaling.kind = RopeScaling::Kind::Yarn;
  config.ropeScaling.factor = 40;
  config.ropeScaling.originalMaxPositions = 4096;
  config.ropeScaling.mscale = 1;
  config.ropeScaling.mscaleAllDim = 1;
  return config;
}

void expectNear(double found, double expected) { EXPECT_NEAR(found, expected, std::fabs(expected) * 2e-7) << expected; }

TEST(RotaryFrequencies, YarnOfR1) {
  RotaryFrequencies frequencies = rotaryFrequencies(r1Like(), 64);
  ASSERT_EQ(frequencies.values.size(), 32u);
  EXPECT_EQ(frequencies.scale, 1.0);
  const std::pair<int, double> expected[] = {
      {0, 1},
      {1, .749894209},
      {2, .562341325},
      {10, .0562341325},
      {11, .0390069266},
      {12, .0268793601},
      {13, .0183781462},
      {14, .0124479559},
      {15, .00833450895},
      {16, .0055},
      {17, .00356199749},
      {18, .0022493653},
      {19, .00137051364},
      {20, 7.90569415e-4},
      {21, 4.14990398e-4},
      {22, 1.77827941e-4},
      {23, 3.33380358e-5},
      {24, 2.5e-5},
      {31, 3.33380358e-6},
  };
  for (auto [index, value] : expected) {
    expectNear(frequencies.values[index], value);
  }
}

TEST(RotaryFrequencies, ValuesAreFloats) {
  for (double value : rotaryFrequencies(r1Like(), 64).values) {
    EXPECT_EQ(value, static_cast<double>(static_cast<float>(value)));
  }
}

TEST(RotaryFrequencies, SoftmaxScaleOfR1) {
  EXPECT_NEAR(softmaxScale(r1Like(), 192), 0.1352337789, 5e-11);
  const double plain = 0.0721687836;
  ModelConfig config = r1Like();
  config.ropeScaling.mscaleAllDim.reset();
  EXPECT_NEAR(softmaxScale(config, 192), plain, 5e-11);
  config.ropeScaling.mscaleAllDim = 0;
  EXPECT_NEAR(softmaxScale(config, 192), plain, 5e-11);
  config = r1Like();
  config.ropeScaling.kind = RopeScaling::Kind::None;
  EXPECT_NEAR(softmaxScale(config, 192), plain, 5e-11);
  // Qwen2 and Llama have YaRN's temperature in cosine and sine instead.
  config = r1Like();
  config.architecture = Architecture::Qwen2;
  EXPECT_NEAR(softmaxScale(config, 192), plain, 5e-11);
}

TEST(RotaryFrequencies, YarnTemperature) {
  ModelConfig config = r1Like();
  config.ropeScaling.mscale = 0.707;
  config.ropeScaling.mscaleAllDim = 1;
  double numerator = 0.1 * 0.707 * std::log(40.0) + 1, denominator = 0.1 * std::log(40.0) + 1;
  EXPECT_DOUBLE_EQ(rotaryFrequencies(config, 64).scale, numerator / denominator);
  // Either alone, or zero, leaves the paper's temperature.
  config.ropeScaling.mscale.reset();
  EXPECT_DOUBLE_EQ(rotaryFrequencies(config, 64).scale, denominator);
  config.ropeScaling.mscale = 0;
  EXPECT_DOUBLE_EQ(rotaryFrequencies(config, 64).scale, denominator);
  config.ropeScaling.attentionFactor = 1.25;
  EXPECT_EQ(rotaryFrequencies(config, 64).scale, 1.25);
  config.ropeScaling.attentionFactor.reset();
  config.ropeScaling.factor = 1;
  EXPECT_EQ(rotaryFrequencies(config, 64).scale, 1);
}

TEST(RotaryFrequencies, Llama3Distill) {
  ModelConfig config;
  config.architecture = Architecture::Llama;
  config.ropeTheta = 500000;
  config.ropeScaling.kind = RopeScaling::Kind::Llama3;
  config.ropeScaling.factor = 8;
  config.ropeScaling.originalMaxPositions = 8192;
  config.ropeScaling.lowFrequencyFactor = 1;
  config.ropeScaling.highFrequencyFactor = 4;
  RotaryFrequencies frequencies = rotaryFrequencies(config, 128);
  ASSERT_EQ(frequencies.values.size(), 64u);
  EXPECT_EQ(frequencies.scale, 1.0);
  for (int i = 0; i <= 28; ++i) {
    expectNear(frequencies.values[i], std::pow(500000.0, -2.0 * i / 128));
  }
  for (int i = 35; i < 64; ++i) {
    expectNear(frequencies.values[i], std::pow(500000.0, -2.0 * i / 128) / 8);
  }
  const double between[] = {.00216657076, .00137189357, 8.56751413e-4, 5.24846161e-4, 3.1269375e-4, 1.78507813e-4};
  for (int i = 29; i <= 34; ++i) {
    EXPECT_NEAR(frequencies.values[i], between[i - 29], between[i - 29] * 2e-6);
  }
  expectNear(frequencies.values[63], 3.06892599e-7);
}

TEST(RotaryFrequencies, LinearAndNone) {
  ModelConfig config;
  config.architecture = Architecture::Qwen2;
  config.ropeTheta = 1000000;
  RotaryFrequencies plain = rotaryFrequencies(config, 128);
  config.ropeScaling.kind = RopeScaling::Kind::Linear;
  config.ropeScaling.factor = 4;
  RotaryFrequencies linear = rotaryFrequencies(config, 128);
  for (int i = 0; i < 64; ++i) {
    expectNear(plain.values[i], std::pow(1000000.0, -2.0 * i / 128));
    EXPECT_FLOAT_EQ(linear.values[i], plain.values[i] / 4);
  }
  EXPECT_EQ(plain.scale, 1.0);
}

} // namespace
} // namespace elah
