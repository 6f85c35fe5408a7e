#ifndef RUNTIME_SRC_SAMPLING_H
#define RUNTIME_SRC_SAMPLING_H

#include "src/status.h"
#include <span>
#include <string_view>

namespace elah {

/// Draws a token; see elah_sample. Equal logits go to the lower token.
Result<uint32_t> sample(std::span<const float> logits, const elah_sampling &sampling, uint64_t step);

/// What generation_config.json recommends; greedy where it says nothing.
Result<elah_sampling> samplingDefaults(std::string_view generationConfig);

} // namespace elah

#endif
