#ifndef RUNTIME_DRIVERS_CUDA_PROGRAM_H
#define RUNTIME_DRIVERS_CUDA_PROGRAM_H

#include "drivers/cuda/launch.h"
#include "drivers/cuda/memory.h"
#include "src/artifact.h"
#include "src/program.h"

namespace elah {

/// An artifact's program on a GPU, or on the emulator: for each bucket of the manifest one CUDA graph.
class CudaProgram : public Program {
public:
  /// `weights` is the artifact's weights section, or what takes its place; it is copied by `threads` threads, and not
  /// needed after. `cacheRows` is a multiple of the page size.
  static Result<std::unique_ptr<CudaProgram>> create(const Artifact &artifact, const uint8_t *weights,
                                                     std::unique_ptr<cuda::Device> device, unsigned threads,
                                                     uint64_t cacheRows);
  ~CudaProgram() override;
  CudaProgram(const CudaProgram &) = delete;

  Status run(const Dims &dims, const Inputs &inputs) override;
  const float *logits() const override { return reinterpret_cast<const float *>(hostLogits.data()); }

private:
  /// What steps of up to dims[ELAH_DIM_TOKENS] tokens run.
  struct Bucket {
    Dims dims;                         ///< The largest step's.
    std::vector<uint64_t> slotOffsets; ///< In the arena.
    std::array<uint64_t, 8> inputs;    ///< Offsets of the inputs, behind the dims.
    uint64_t inputBytes = 0, arenaBytes = 0, scratchBytes = 0;
    cuda::CUgraphExec graph = nullptr;
  };

  CudaProgram(const Artifact &artifact, std::unique_ptr<cuda::Device> device)
      : artifact(artifact), device(std::move(device)) {}
  Status planBuckets(uint64_t cacheRows);
  Status planCache(uint64_t cacheRows);
  Status allocate();
  Status loadKernels();
  Status capture(Bucket &bucket);
  Status launchAll(const Bucket &bucket);
  Status launchStep(const Bucket &bucket, const proto::Launch &launch, const proto::Step &step);
  cuda::CUdeviceptr addressOf(const Bucket &bucket, const proto::Buffer &buffer) const;

  const Artifact &artifact;
  std::unique_ptr<cuda::Device> device; ///< Before all that lies on it.
  cuda::CUstream stream = nullptr;
  std::vector<cuda::CUmodule> modules;
  std::vector<cuda::CUfunction> functions; ///< By kernel index.
  std::vector<Bucket> buckets;
  std::vector<uint64_t> poolOffsets; ///< In the cache, by pool.
  uint64_t cacheBytes = 0, totalCacheRows = 0, weightBytes = 0;
  cuda::DeviceMemory weightMemory, arena, cache, scratch, inputMemory;
  cuda::PinnedMemory hostInputs, hostLogits;
};

} // namespace elah

#endif
