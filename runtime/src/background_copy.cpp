// A mapped file costs nothing at the start and is shared by all who map it, but most file systems map it in pages of
// 4 KiB, and a decode step that reads gigabytes of weights then takes an eighth to a sixth longer. A copy in large
// pages takes seconds to make. So a session starts with the mapped file and goes on with the copy when there is one.
#include "src/background_copy.h"
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace elah {
namespace {

/// Smaller weights stay in caches, or are read in a moment.
constexpr uint64_t leastBytes = 256 << 20;

/// The number that is all of a file of the system, or behind a word in one; `otherwise` if there is none.
uint64_t readNumber(const char *path, const char *word, uint64_t otherwise) {
  FILE *file = std::fopen(path, "re");
  if (!file) {
    return otherwise;
  }
  char line[256];
  uint64_t value = otherwise;
  while (std::fgets(line, sizeof(line), file)) {
    if (std::strncmp(line, word, std::strlen(word)) == 0) {
      if (std::sscanf(line + std::strlen(word), "%" SCNu64, &value) != 1) {
        value = otherwise; // cgroup v2 says "max".
      }
      break;
    }
  }
  std::fclose(file);
  return value;
}

} // namespace

uint64_t availableMemory() {
  uint64_t available = readNumber("/proc/meminfo", "MemAvailable:", 0) * 1024;
  // Inside a container its own group is the root that shows: versions 2 and 1.
  const std::pair<const char *, const char *> groups[] = {
      {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}};
  for (auto [limitPath, usePath] : groups) {
    uint64_t limit = readNumber(limitPath, "", UINT64_MAX), used = readNumber(usePath, "", 0);
    available = std::min(available, limit - std::min(limit, used));
  }
  return available;
}

bool BackgroundCopy::isWorthwhile(uint64_t weightBytes, uint64_t availableMemory) {
  return weightBytes >= leastBytes && weightBytes <= availableMemory / 2;
}

BackgroundCopy::BackgroundCopy(const Artifact &artifact) : artifact(artifact) {
  isRunning = ::pthread_create(
                  &thread, nullptr,
                  [](void *argument) -> void * {
                    BackgroundCopy *self = static_cast<BackgroundCopy *>(argument);
                    Result<std::shared_ptr<const PackedWeights>> packed =
                        self->artifact.packWeights(nullptr, 1, &self->stops);
                    if (packed.ok()) {
                      self->copy = std::move(*packed);
                    }
                    self->hasFinished.store(true, std::memory_order_release);
                    return nullptr;
                  },
                  this) == 0;
}

BackgroundCopy::~BackgroundCopy() {
  stops = true;
  if (isRunning) {
    ::pthread_join(thread, nullptr);
  }
}

} // namespace elah
