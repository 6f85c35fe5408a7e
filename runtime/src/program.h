#ifndef RUNTIME_SRC_PROGRAM_H
#define RUNTIME_SRC_PROGRAM_H

#include "src/extent.h"
#include <span>

namespace elah {

/// What a step is given, by enum Input of the manifest.
using Inputs = std::array<std::span<const int32_t>, 8>;

/// Of an offset of memory.
inline uint64_t roundUp(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

class Program;

/// Sees a step from within: is told of each launch of the manifest when it has ended, before the next begins.
class LaunchWatcher {
public:
  virtual ~LaunchWatcher() = default;
  virtual Status launched(size_t launch, Program &program, const Dims &dims) = 0;
};

/// An artifact's program on a device: its kernels, loaded, its arena and KV cache, allocated, its launches, in order.
class Program {
public:
  virtual ~Program() = default;

  /// Runs all launches, to their end. The dimensions are within the artifact's limits.
  virtual Status run(const Dims &dims, const Inputs &inputs, LaunchWatcher *watcher = nullptr) = 0;
  /// For a watcher: the first bytes of a buffer of the manifest as they are now, or new ones. The caller knows how many
  /// it has.
  virtual Status read(uint32_t buffer, std::span<uint8_t> bytes) = 0;
  virtual Status write(uint32_t buffer, std::span<const uint8_t> bytes) = 0;
  /// The logits of the last run, a row for each token that asked for one; valid until the next.
  virtual const float *logits() const = 0;
};

} // namespace elah

#endif
