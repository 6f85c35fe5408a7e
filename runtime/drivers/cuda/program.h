#ifndef RUNTIME_DRIVERS_CUDA_PROGRAM_H
#define RUNTIME_DRIVERS_CUDA_PROGRAM_H

#include "drivers/cuda/launch.h"
#include "drivers/cuda/memory.h"
#include "src/artifact.h"
#include "src/program.h"

namespace elah {

/// An artifact's program on a GPU, or on the emulator: for each bucket of the manifest one CUDA graph. Where the driver
/// has no room for a graph, or ELAH_CUDA_GRAPHS is 0 in the environment, launches are made one by one instead.
class CudaProgram : public Program {
public:
  /// `weights` is the artifact's weights section, or what takes its place; it is copied by `threads` threads, unless
  /// readsWeightsInPlace(). `cacheRows` is a multiple of the page size.
  static Result<std::unique_ptr<CudaProgram>> create(const Artifact &artifact, const uint8_t *weights,
                                                     std::shared_ptr<cuda::Device> device, unsigned threads,
                                                     uint64_t cacheRows);
  ~CudaProgram() override;
  CudaProgram(const CudaProgram &) = delete;

  /// Whether `weights` must outlive the program: the emulator's kernels read them where they are.
  bool readsWeightsInPlace() const { return static_cast<bool>(registeredWeights); }
  Status run(const Dims &dims, const Inputs &inputs, LaunchWatcher *watcher) override;
  Status read(uint32_t buffer, std::span<uint8_t> bytes) override;
  Status write(uint32_t buffer, std::span<const uint8_t> bytes) override;
  const float *logits() const override { return reinterpret_cast<const float *>(hostLogits.data()); }

private:
  /// A kernel with its operands and tensor maps, which serves as often as the bucket does.
  struct Prepared {
    size_t launch; ///< Index in the manifest.
    cuda::KernelLaunch kernel;
  };

  /// What steps of up to dims[ELAH_DIM_TOKENS] tokens run.
  struct Bucket {
    Dims dims;                         ///< The largest step's.
    std::vector<uint64_t> slotOffsets; ///< In the arena.
    std::array<uint64_t, 8> inputs;    ///< Offsets of the inputs, behind the dims.
    uint64_t inputBytes = 0, arenaBytes = 0, scratchBytes = 0;
    std::vector<Prepared> kernels;
    cuda::CUgraphExec graph = nullptr;
  };

  CudaProgram(const Artifact &artifact, std::shared_ptr<cuda::Device> device)
      : artifact(artifact), device(std::move(device)) {}
  Status planBuckets(uint64_t cacheRows);
  Status planCache(uint64_t cacheRows);
  Status allocate();
  Status placeWeights(const uint8_t *weights, unsigned threads);
  Status loadKernels();
  Status prepareBucket(Bucket &bucket);
  Status prepareStep(Bucket &bucket, size_t launch, const proto::Step &step);
  Status capture(Bucket &bucket);
  Status launchAll(Bucket &bucket, const Dims &dims, LaunchWatcher *watcher);
  cuda::CUdeviceptr addressOf(const Bucket &bucket, const proto::Buffer &buffer) const;

  const Artifact &artifact;
  std::shared_ptr<cuda::Device> device; ///< Before all that lies on it.
  cuda::CUstream stream = nullptr;
  std::vector<cuda::CUmodule> modules;
  std::vector<cuda::CUfunction> functions; ///< By kernel index.
  std::vector<Bucket> buckets;
  std::vector<uint64_t> poolOffsets; ///< In the cache, by pool.
  const Bucket *current = nullptr;   ///< Of the last step.
  uint64_t cacheBytes = 0, totalCacheRows = 0, weightBytes = 0;
  cuda::CUdeviceptr weightAddress = 0;
  cuda::RegisteredMemory registeredWeights;
  cuda::DeviceMemory weightMemory, arena, cache, scratch, inputMemory;
  cuda::PinnedMemory hostInputs, hostLogits;
};

} // namespace elah

#endif
