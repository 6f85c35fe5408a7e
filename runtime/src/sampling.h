#ifndef RUNTIME_SRC_SAMPLING_H
#define RUNTIME_SRC_SAMPLING_H

#include "src/status.h"
#include <span>

namespace elah {

/// Draws a token; see elah_sample. Equal logits go to the lower token.
Result<uint32_t> sample(std::span<const float> logits, const elah_sampling &sampling, uint64_t step);

} // namespace elah

#endif
