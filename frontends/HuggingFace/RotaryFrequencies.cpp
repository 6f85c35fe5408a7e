// A model trained on short texts reads longer ones when the rotary angles of slow pairs are stretched. Which pairs, and
// how much, is what the scalings below differ in; the importer applies them so that nothing behind it needs to know.
#include "frontends/HuggingFace/RotaryFrequencies.h"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace elah {
namespace {

/// YaRN's attention temperature, `get_mscale` in DeepSeek's code.
double attentionTemperature(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

} // namespace

RotaryFrequencies rotaryFrequencies(const ModelConfig &config, int64_t dim) {
  const RopeScaling &scaling = config.ropeScaling;
  const double pi = std::numbers::pi;
  RotaryFrequencies result;
  // The pair that turns `turns` times within the original context.
  auto correction = [&](double turns) {
    return static_cast<double>(dim) * std::log(scaling.originalMaxPositions / (turns * 2 * pi)) /
           (2 * std::log(config.ropeTheta));
  };
  double low = 0, high = 0;
  if (scaling.kind == RopeScaling::Kind::Yarn) {
    low = correction(scaling.betaFast);
    high = correction(scaling.betaSlow);
    if (scaling.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, static_cast<double>(dim - 1));
    if (low == high) {
      high += 0.001;
    }
    if (scaling.attentionFactor) {
      result.scale = *scaling.attentionFactor;
    } else if (scaling.mscale && scaling.mscaleAllDim && *scaling.mscale != 0 && *scaling.mscaleAllDim != 0) {
      result.scale = attentionTemperature(scaling.factor, *scaling.mscale) /
                     attentionTemperature(scaling.factor, *scaling.mscaleAllDim);
    } else {
      result.scale = attentionTemperature(scaling.factor, 1);
    }
  }
  for (int64_t i = 0; i < dim / 2; ++i) {
    double frequency = std::pow(config.ropeTheta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
    switch (scaling.kind) {
    case RopeScaling::Kind::None:
      break;
    case RopeScaling::Kind::Linear:
      frequency /= scaling.factor;
      break;
    case RopeScaling::Kind::Yarn: {
      double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      frequency = frequency / scaling.factor * ramp + frequency * (1 - ramp);
      break;
    }
    case RopeScaling::Kind::Llama3: {
      double wavelength = 2 * pi / frequency;
      if (wavelength > scaling.originalMaxPositions / scaling.lowFrequencyFactor) {
        frequency /= scaling.factor;
      } else if (wavelength >= scaling.originalMaxPositions / scaling.highFrequencyFactor) {
        double smooth = (scaling.originalMaxPositions / wavelength - scaling.lowFrequencyFactor) /
                        (scaling.highFrequencyFactor - scaling.lowFrequencyFactor);
        frequency = (1 - smooth) * frequency / scaling.factor + smooth * frequency;
      }
      break;
    }
    }
    result.values.push_back(static_cast<float>(frequency));
  }
  return result;
}

double softmaxScale(const ModelConfig &config, int64_t headDim) {
  double scale = 1 / std::sqrt(static_cast<double>(headDim));
  const RopeScaling &scaling = config.ropeScaling;
  if (config.architecture == Architecture::DeepseekV3 && scaling.kind != RopeScaling::Kind::None &&
      scaling.mscaleAllDim && *scaling.mscaleAllDim != 0) {
    double temperature = attentionTemperature(scaling.factor, *scaling.mscaleAllDim);
    scale *= temperature * temperature;
  }
  return scale;
}

} // namespace elah
