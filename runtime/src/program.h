#ifndef RUNTIME_SRC_PROGRAM_H
#define RUNTIME_SRC_PROGRAM_H

#include "src/extent.h"
#include <span>

namespace elah {

/// What a step is given, by enum Input of the manifest.
using Inputs = std::array<std::span<const int32_t>, 8>;

/// An artifact's program on a device: its kernels, loaded, its arena and KV cache, allocated, its launches, in order.
class Program {
public:
  virtual ~Program() = default;

  /// Runs all launches, to their end. The dimensions are within the artifact's limits.
  virtual Status run(const Dims &dims, const Inputs &inputs) = 0;
  /// The logits of the last run, a row for each token that asked for one; valid until the next.
  virtual const float *logits() const = 0;
};

} // namespace elah

#endif
