// Greedy choice, and sampling with temperature, top-k and top-p in that order, as transformers applies them. The random
// number of a draw depends on seed and step alone, so a run can be repeated whatever else the process does.
#include "src/sampling.h"
#include "src/json.h"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace elah {
namespace {

/// A number in [0, 1) from seed and step: SplitMix64 (Steele, Lea and Flood 2014) on their mix.
double uniform(uint64_t seed, uint64_t step) {
  uint64_t z = seed + (step + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

} // namespace

Result<uint32_t> sample(std::span<const float> logits, const elah_sampling &sampling, uint64_t step) {
  if (logits.empty()) {
    return failure(ELAH_INVALID_ARGUMENT, "there are no logits to sample from");
  }
  if (!(sampling.temperature >= 0 && std::isfinite(sampling.temperature)) ||
      !(sampling.top_p >= 0 && sampling.top_p <= 1)) {
    return failure(ELAH_INVALID_ARGUMENT,
                   "expected a temperature of at least 0 and a top_p within 0..1, found %g and %g",
                   static_cast<double>(sampling.temperature), static_cast<double>(sampling.top_p));
  }
  size_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      return failure(ELAH_INTERNAL, "the logit of token %zu is not a number", i);
    }
    if (logits[i] > logits[best]) {
      best = i;
    }
  }
  if (sampling.temperature == 0 || sampling.top_k == 1 || std::isinf(logits[best])) {
    return static_cast<uint32_t>(best);
  }
  std::vector<uint32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  auto isBetter = [&](uint32_t a, uint32_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); };
  size_t kept = order.size();
  if (sampling.top_k > 0 && sampling.top_k < kept) {
    kept = sampling.top_k;
    std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(kept), order.end(), isBetter);
    order.resize(kept);
  }
  // The order decides which token a random number stands for. All tokens are taken as they come; some by their logits,
  // since the order that nth_element leaves is the library's own.
  if (kept < logits.size() || sampling.top_p < 1) {
    std::sort(order.begin(), order.end(), isBetter);
  }
  std::vector<double> weights(kept);
  auto weigh = [&] {
    double total = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      weights[i] = std::exp((static_cast<double>(logits[order[i]]) - logits[best]) / sampling.temperature);
      total += weights[i];
    }
    return total;
  };
  double total = 0;
  if (sampling.top_p < 1) {
    total = weigh();
    double sum = 0;
    size_t count = 0;
    while (count < order.size() && sum < static_cast<double>(sampling.top_p) * total) {
      sum += weights[count++];
    }
    order.resize(std::max<size_t>(count, 1));
    total = count > 0 ? sum : weights[0];
  } else {
    total = weigh();
  }
  double target = uniform(sampling.seed, step) * total;
  for (size_t i = 0; i < order.size(); ++i) {
    target -= weights[i];
    if (target < 0) {
      return order[i];
    }
  }
  return order.back();
}

Result<elah_sampling> samplingDefaults(std::string_view generationConfig) {
  elah_sampling sampling = {0, 1, 0, 0};
  if (generationConfig.empty()) {
    return sampling;
  }
  Result<JsonDocument> config = JsonDocument::parse(std::string(generationConfig));
  if (!config.ok() || !config->root().isObject()) {
    return failure(ELAH_INVALID_DATA, "generation_config.json: expected a JSON object");
  }
  JsonValue root = config->root();
  if (!root.member("do_sample").boolean(false)) {
    return sampling;
  }
  double temperature = root.member("temperature").number(1), topP = root.member("top_p").number(1);
  double topK = root.member("top_k").number(0);
  if (!(temperature >= 0 && temperature <= 100) || !(topP > 0 && topP <= 1) || !(topK >= 0 && topK < 1e9)) {
    return failure(ELAH_INVALID_DATA, "generation_config.json: temperature, top_p or top_k is out of range");
  }
  sampling.temperature = static_cast<float>(temperature);
  sampling.top_p = static_cast<float>(topP);
  sampling.top_k = static_cast<uint32_t>(topK);
  return sampling;
}

} // namespace elah
