#ifndef RUNTIME_DRIVERS_CPU_PROGRAM_H
#define RUNTIME_DRIVERS_CPU_PROGRAM_H

#include "drivers/cpu/object.h"
#include "drivers/cpu/thread_pool.h"
#include "src/artifact.h"
#include "src/program.h"
#include <elah/cpu_kernel.h>
#include <memory>
#include <vector>

namespace elah {

/// An artifact's program on the CPU.
class CpuProgram : public Program {
public:
  /// `weights` is the artifact's weights section, or what takes its place. `cacheRows` is a multiple of the page size.
  static Result<std::unique_ptr<CpuProgram>> create(const Artifact &artifact, const uint8_t *weights, unsigned threads,
                                                    uint64_t cacheRows);
  ~CpuProgram() override;
  CpuProgram(const CpuProgram &) = delete;

  Status run(const Dims &dims, const Inputs &inputs, LaunchWatcher *watcher) override;
  Status read(uint32_t buffer, std::span<uint8_t> bytes) override;
  Status write(uint32_t buffer, std::span<const uint8_t> bytes) override;
  const float *logits() const override { return logitsAddress; }
  /// From the next step on the same weights are read here.
  void moveWeights(const uint8_t *address) { weights = address; }

private:
  CpuProgram(const Artifact &artifact, const uint8_t *weights) : artifact(artifact), weights(weights) {}
  Status findKernels();
  Status allocate(unsigned threads, uint64_t cacheRows);

  const Artifact &artifact;
  const uint8_t *weights;
  std::unique_ptr<CpuObject> object;
  std::vector<elah_cpu_kernel> kernels; ///< By kernel index.
  std::unique_ptr<ThreadPool> pool;
  uint8_t *arena = nullptr;
  uint64_t arenaSize = 0;
  uint8_t *cache = nullptr;
  uint64_t cacheSize = 0;
  uint64_t totalCacheRows = 0;
  uint8_t *scratch = nullptr;
  uint64_t scratchSize = 0, scratchOfThread = 0;
  const float *logitsAddress = nullptr;
  std::vector<void *> addresses; ///< By buffer index, for the current step.
  std::vector<uint64_t> slotOffsets;
};

} // namespace elah

#endif
