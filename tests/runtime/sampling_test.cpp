#include "src/sampling.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <vector>

using namespace elah;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

uint32_t draw(const std::vector<float> &logits, elah_sampling sampling, uint64_t step = 0) {
  Result<uint32_t> token = sample(logits, sampling, step);
  EXPECT_TRUE(token.ok()) << token.status().message();
  return token.ok() ? *token : UINT32_MAX;
}

/// Chi-squared of `draws` draws against `expected` probabilities.
double chiSquared(const std::vector<float> &logits, elah_sampling sampling, const std::vector<double> &expected,
                  int draws = 20000) {
  std::vector<int> counts(logits.size());
  for (int step = 0; step < draws; ++step) {
    ++counts[draw(logits, sampling, static_cast<uint64_t>(step))];
  }
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    double mean = expected[i] * draws;
    if (mean == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " should never be drawn";
    } else {
      sum += (counts[i] - mean) * (counts[i] - mean) / mean;
    }
  }
  return sum;
}

std::vector<double> softmax(const std::vector<float> &logits, double temperature) {
  std::vector<double> result;
  double total = 0;
  for (float logit : logits) {
    result.push_back(std::exp(logit / temperature));
    total += result.back();
  }
  for (double &value : result) {
    value /= total;
  }
  return result;
}

TEST(Sampling, greedyTakesTheFirstOfTheBest) {
  EXPECT_EQ(draw({1, 3, 3, 2}, {0, 1, 0, 0}), 1u);
  EXPECT_EQ(draw({-infinity, -infinity, -5}, {0, 1, 0, 0}), 2u);
  EXPECT_EQ(draw({5}, {0, 1, 0, 0}), 0u);
  EXPECT_EQ(draw({1, 2, 3}, {1, 1, 1, 9}), 2u); // top-k of one is greedy
}

TEST(Sampling, temperature) {
  std::vector<float> logits = {0, 1, 2, -1, 0.5f};
  for (float temperature : {0.5f, 1.0f, 3.0f}) {
    // 99.99 % of chi-squared with 4 degrees of freedom lies below 23.5.
    EXPECT_LT(chiSquared(logits, {temperature, 1, 0, 7}, softmax(logits, temperature)), 23.5) << temperature;
  }
  EXPECT_GT(chiSquared(logits, {1, 1, 0, 7}, softmax(logits, 2)), 100); // the test can fail
}

TEST(Sampling, topK) {
  std::vector<double> expected = softmax({0, 1, 2}, 1);
  EXPECT_LT(chiSquared({0, 1, 2, -1, -2}, {1, 1, 3, 3}, {expected[0], expected[1], expected[2], 0, 0}), 18.5);
  EXPECT_LT(chiSquared({1, 1, 1, 1}, {1, 1, 2, 3}, {0.5, 0.5, 0, 0}),
            15.2);                                // of equals the lower ones
  EXPECT_EQ(draw({1, 2}, {0.01f, 1, 99, 0}), 1u); // more than there are: all
}

TEST(Sampling, topP) {
  std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  EXPECT_LT(chiSquared(logits, {1, 0.79f, 0, 5}, {0.5 / 0.8, 0.3 / 0.8, 0, 0}), 15.2);
  EXPECT_LT(chiSquared(logits, {1, 0.81f, 0, 5}, {0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0}), 18.5);
  EXPECT_LT(chiSquared(logits, {1, 0.1f, 0, 5}, {1, 0, 0, 0}), 1e-9); // the best is always kept
  EXPECT_LT(chiSquared(logits, {1, 0, 0, 5}, {1, 0, 0, 0}), 1e-9);
}

TEST(Sampling, topPWorksOnWhatTopKLeft) {
  std::vector<float> logits = {std::log(0.4f), std::log(0.3f), std::log(0.2f), std::log(0.1f)};
  // Of the best two, 4/7 and 3/7, the first alone has half of the probability.
  EXPECT_LT(chiSquared(logits, {1, 0.5f, 2, 5}, {1, 0, 0, 0}), 1e-9);
}

TEST(Sampling, seedAndStepDecide) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(i % 7);
  }
  std::map<uint32_t, int> seen;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t step = 0; step < 20; ++step) {
      uint32_t token = draw(logits, {1, 0.95f, 500, seed}, step);
      EXPECT_EQ(token, draw(logits, {1, 0.95f, 500, seed}, step));
      ++seen[token];
    }
  }
  EXPECT_GT(seen.size(), 150u); // neighbouring seeds and steps draw different tokens
}

TEST(Sampling, numbersThatAreNone) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  for (elah_sampling sampling : {elah_sampling{0, 1, 0, 0}, elah_sampling{1, 0.9f, 5, 0}}) {
    Result<uint32_t> token = sample(std::vector<float>{1, nan, 2}, sampling, 0);
    EXPECT_EQ(token.status().code(), ELAH_INTERNAL);
    EXPECT_EQ(token.status().message(), "the logit of token 1 is not a number");
    EXPECT_FALSE(sample({}, sampling, 0).ok());
    // Infinities are numbers: nothing is as likely as one above, one below is never drawn.
    EXPECT_EQ(draw({1, infinity, 2}, sampling), 1u);
    EXPECT_EQ(draw({-infinity, 1, -infinity}, sampling), 1u);
    EXPECT_LT(draw({-infinity, -infinity}, sampling), 2u);
  }
  for (elah_sampling sampling : {elah_sampling{nan, 1, 0, 0}, elah_sampling{1, nan, 0, 0}, elah_sampling{-1, 1, 0, 0},
                                 elah_sampling{1, 2, 0, 0}, elah_sampling{infinity, 1, 0, 0}}) {
    EXPECT_EQ(sample(std::vector<float>{1, 2}, sampling, 0).status().code(), ELAH_INVALID_ARGUMENT);
  }
  EXPECT_EQ(draw({0, 1000}, {1e-30f, 1, 0, 0}), 1u); // no overflow on the way
}

TEST(Sampling, defaults) {
  auto defaults = [](const char *json) {
    Result<elah_sampling> sampling = samplingDefaults(json);
    return sampling.ok() ? *sampling : elah_sampling{-1, -1, 0, 0};
  };
  elah_sampling r1 = defaults(R"({"do_sample":true,"temperature":0.6,"top_p":0.95})");
  EXPECT_FLOAT_EQ(r1.temperature, 0.6f);
  EXPECT_FLOAT_EQ(r1.top_p, 0.95f);
  EXPECT_EQ(r1.top_k, 0u);
  EXPECT_EQ(defaults("").temperature, 0);
  EXPECT_EQ(defaults("{}").temperature, 0);
  EXPECT_EQ(defaults(R"({"temperature":0.6})").temperature, 0);
  for (const char *json : {"[]", "{", R"({"do_sample":true,"temperature":-1})", R"({"do_sample":true,"top_p":1.5})",
                           R"({"do_sample":true,"top_k":-5})"}) {
    EXPECT_EQ(defaults(json).temperature, -1) << json;
  }
}

} // namespace
