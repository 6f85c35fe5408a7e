#include "src/cuda_manifest.h"
#include "src/extent.h"

namespace elah {
namespace {

// What compute capability 9.0 has (CUDA programming guide, technical specifications) and cuTensorMapEncodeTiled takes.
constexpr uint32_t maxThreads = 1024, maxCluster = 16, maxSharedBytes = 232448, maxBox = 256;
constexpr uint64_t maxStride = uint64_t(1) << 40;
constexpr int maxRank = 5;
// A kernel's parameters have 4,096 bytes; a tensor map takes 128 of them.
constexpr int maxParameterBytes = 4096, mapBytes = 128;

bool liesWithin(uint64_t offset, uint64_t size, uint64_t total) {
  return size > 0 && offset <= total && size <= total - offset;
}

Status checkMap(const proto::TensorMap &map, int kernel) {
  bool fits = map.sizes_size() >= 1 && map.sizes_size() <= maxRank && map.strides_size() + 1 == map.sizes_size() &&
              map.box_size() == map.sizes_size() && proto::MapElement_IsValid(map.element()) &&
              proto::MapSwizzle_IsValid(map.swizzle()) && map.byte_offset() % 16 == 0 && map.byte_offset() < maxStride;
  for (uint64_t stride : map.strides()) {
    fits = fits && stride % 16 == 0 && stride < maxStride;
  }
  for (uint32_t box : map.box()) {
    fits = fits && box >= 1 && box <= maxBox;
  }
  if (!fits) {
    return failure(ELAH_INVALID_DATA, "manifest: kernel %d has a tensor map out of range", kernel);
  }
  for (const proto::Extent &size : map.sizes()) {
    ELAH_RETURN_IF_ERROR(checkExtent(size, "a tensor map of kernel", kernel));
  }
  return Status();
}

Status checkKernel(const proto::Kernel &kernel, int index, uint64_t modulesSize) {
  const proto::CudaKernel &cuda = kernel.cuda();
  if (!kernel.has_cuda() || !liesWithin(cuda.cubin_offset(), cuda.cubin_size(), modulesSize) ||
      !liesWithin(cuda.ptx_offset(), cuda.ptx_size(), modulesSize)) {
    return failure(ELAH_INVALID_DATA, "manifest: kernel %d ('%s') has no module in the section of CUDA modules", index,
                   kernel.symbol().c_str());
  }
  if (kernel.symbol().find('\0') != std::string::npos || cuda.threads() == 0 || cuda.threads() > maxThreads ||
      cuda.cluster() == 0 || cuda.cluster() > maxCluster || cuda.shared_bytes() > maxSharedBytes) {
    return failure(ELAH_INVALID_DATA, "manifest: kernel %d has threads, a cluster or shared memory out of range",
                   index);
  }
  ELAH_RETURN_IF_ERROR(checkExtent(cuda.scratch_bytes(), "scratch memory of kernel", index));
  for (const proto::TensorMap &map : cuda.maps()) {
    ELAH_RETURN_IF_ERROR(checkMap(map, index));
  }
  return Status();
}

Status checkStep(const proto::Manifest &manifest, const proto::Launch &launch, const proto::Step &step, int index) {
  const proto::Grid &grid = step.grid();
  bool fits = step.kernel() < static_cast<uint32_t>(manifest.kernels_size()) && grid.outer() > 0 &&
              grid.outer() <= static_cast<uint64_t>(maxCoefficient) && grid.row_tile() > 0;
  if (fits) {
    const proto::CudaKernel &cuda = manifest.kernels(static_cast<int>(step.kernel())).cuda();
    fits = 8 * (launch.buffers_size() + 2) + mapBytes * (cuda.maps_size() + 1) <= maxParameterBytes;
    for (const proto::TensorMap &map : cuda.maps()) {
      fits = fits && map.operand() < static_cast<uint32_t>(launch.buffers_size());
    }
  }
  if (!fits) {
    return failure(ELAH_INVALID_DATA, "manifest: launch %d ('%s') leads nowhere", index, launch.name().c_str());
  }
  return checkExtent(grid.rows(), "launch", index);
}

} // namespace

Status checkCudaProgram(const proto::Manifest &manifest, uint64_t modulesSize) {
  uint32_t largest = 0;
  bool rises = true;
  for (uint32_t bucket : manifest.buckets()) {
    rises = rises && bucket > largest;
    largest = bucket;
  }
  if (!rises || manifest.buckets_size() > 64 || largest != manifest.limits().max_tokens()) {
    return failure(ELAH_INVALID_DATA, "manifest: expected up to 64 buckets that rise to the %u tokens of a step",
                   manifest.limits().max_tokens());
  }
  if (manifest.limits().max_logit_rows() > manifest.limits().max_tokens()) {
    return failure(ELAH_INVALID_DATA, "manifest: a step has more logit rows than tokens");
  }
  for (int i = 0; i < manifest.kernels_size(); ++i) {
    ELAH_RETURN_IF_ERROR(checkKernel(manifest.kernels(i), i, modulesSize));
  }
  for (int i = 0; i < manifest.launches_size(); ++i) {
    const proto::Launch &launch = manifest.launches(i);
    uint32_t served = 0;
    bool fits = true;
    for (const proto::Variant &variant : launch.variants()) {
      fits = fits && variant.max_tokens() > served && variant.steps_size() >= 1 && variant.steps_size() <= 64;
      served = variant.max_tokens();
      for (const proto::Step &step : variant.steps()) {
        ELAH_RETURN_IF_ERROR(checkStep(manifest, launch, step, i));
      }
    }
    if (!fits || served < largest) {
      return failure(ELAH_INVALID_DATA, "manifest: launch %d ('%s') has no kernel for some steps", i,
                     launch.name().c_str());
    }
  }
  return Status();
}

} // namespace elah
