// cuTensorMap*: the checks and the layout are ops/tensor_map.cpp's.

#include "driver/api/functions.h"
#include "driver/driver.h"
#include "ops/tensor_map.h"

using namespace emulator::driver;

namespace emulator::cuda {

static void require(const std::optional<std::string> &refusal) {
  if (refusal) {
    fail(CUDA_ERROR_INVALID_VALUE, "%s", refusal->c_str());
  }
}

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
                                const cuuint32_t *elementStrides, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                CUtensorMapFloatOOBfill fill) {
  return call([&] {
    requirePointer(map, "tensorMap");
    requirePointer(dims, "globalDim");
    requirePointer(box, "boxDim");
    requirePointer(elementStrides, "elementStrides");
    if (rank > 1) {
      requirePointer(strides, "globalStrides");
    }
    require(encodeTiled(map, static_cast<uint32_t>(type), rank, reinterpret_cast<uint64_t>(address), dims, strides, box,
                        elementStrides, static_cast<uint32_t>(interleave), static_cast<uint32_t>(swizzle),
                        static_cast<uint32_t>(promotion), static_cast<uint32_t>(fill)));
  });
}

CUresult cuTensorMapEncodeIm2col(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                 const cuuint64_t *dims, const cuuint64_t *strides, const int *lower, const int *upper,
                                 cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *elementStrides,
                                 CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                 CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  return call([&] {
    requirePointer(map, "tensorMap");
    requirePointer(dims, "globalDim");
    requirePointer(strides, "globalStrides");
    requirePointer(lower, "pixelBoxLowerCorner");
    requirePointer(upper, "pixelBoxUpperCorner");
    requirePointer(elementStrides, "elementStrides");
    require(encodeIm2col(map, static_cast<uint32_t>(type), rank, reinterpret_cast<uint64_t>(address), dims, strides,
                         lower, upper, channels, pixels, elementStrides, static_cast<uint32_t>(interleave),
                         static_cast<uint32_t>(swizzle), static_cast<uint32_t>(promotion),
                         static_cast<uint32_t>(fill)));
  });
}

CUresult cuTensorMapReplaceAddress(CUtensorMap *map, void *address) {
  return call([&] {
    requirePointer(map, "tensorMap");
    require(replaceAddress(map, reinterpret_cast<uint64_t>(address)));
  });
}

} // namespace emulator::cuda
