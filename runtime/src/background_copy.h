#ifndef RUNTIME_SRC_BACKGROUND_COPY_H
#define RUNTIME_SRC_BACKGROUND_COPY_H

#include "src/artifact.h"
#include <atomic>
#include <memory>
#include <pthread.h>

namespace elah {

/// Copies an artifact's weights into large pages while a session already works with the mapped file.
class BackgroundCopy {
public:
  /// Whether a copy of so many bytes is worth its memory and in nobody's way.
  static bool isWorthwhile(uint64_t weightBytes, uint64_t availableMemory);

  /// Begins at once. If there is no memory or no thread for it, there will be no copy.
  explicit BackgroundCopy(const Artifact &artifact);
  /// Gives up what is not finished.
  ~BackgroundCopy();
  BackgroundCopy(const BackgroundCopy &) = delete;

  bool isFinished() const { return hasFinished.load(std::memory_order_acquire); }
  /// What became of it, once it is finished: null if nothing.
  std::shared_ptr<const PackedWeights> take() { return std::move(copy); }

private:
  const Artifact &artifact;
  std::atomic<bool> stops{false}, hasFinished{false};
  std::shared_ptr<const PackedWeights> copy;
  bool isRunning = false;
  pthread_t thread;
};

/// Bytes of memory that this process may take without anyone having to give up more than cached files: what the system
/// has, or what is left of the control group's limit.
uint64_t availableMemory();

} // namespace elah

#endif
