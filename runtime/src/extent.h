// Sizes that are known when a step's dimensions are.
#ifndef RUNTIME_SRC_EXTENT_H
#define RUNTIME_SRC_EXTENT_H

#include "src/status.h"
#include <array>
#include <elah/cpu_kernel.h>
#include <elah/manifest.pb.h>

namespace elah {

/// The symbolic dimensions of a step, in the order of enum elah_dim.
using Dims = std::array<int64_t, ELAH_DIM_COUNT>;

/// Bound of an extent's numbers, far from any real model. What may be too much together is checked when a session knows
/// its dimensions.
constexpr int64_t maxCoefficient = int64_t(1) << 40;

/// `what` and `index` say in the error whose extent it is: "slot", 3.
Status checkExtent(const proto::Extent &extent, const char *what, int index);

/// Of a checked extent; exact, whatever the dimensions.
__int128_t evaluate(const proto::Extent &extent, const Dims &dims);

/// The bytes of a slot in a step of these dimensions.
__int128_t bytesOf(const proto::Slot &slot, const Dims &dims);

/// Tokens of a step that may ask for logits.
inline uint32_t maxLogitRows(const proto::Limits &limits) {
  return limits.max_logit_rows() ? limits.max_logit_rows() : limits.max_tokens();
}

} // namespace elah

#endif
