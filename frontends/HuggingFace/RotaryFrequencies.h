#ifndef FRONTENDS_HUGGINGFACE_ROTARYFREQUENCIES_H
#define FRONTENDS_HUGGINGFACE_ROTARYFREQUENCIES_H

#include "frontends/HuggingFace/Config.h"
#include <vector>

namespace elah {

/// The angle per position of each of `dim / 2` rotated pairs, as float32 values, and the factor on cosine and sine.
struct RotaryFrequencies {
  std::vector<double> values;
  double scale = 1;
};

/// Applies the scaling that config.json asks for. Formulas: default theta^(-2i/dim); linear: divided by the factor;
/// YaRN (Peng et al. 2023) with DeepSeek's mscale; llama3 (three bands of wave lengths).
RotaryFrequencies rotaryFrequencies(const ModelConfig &config, int64_t dim);

/// The factor on scores: 1 / sqrt(headDim), for DeepSeek's YaRN times (0.1 * mscale_all_dim * ln(factor) + 1)^2.
double softmaxScale(const ModelConfig &config, int64_t headDim);

} // namespace elah

#endif
