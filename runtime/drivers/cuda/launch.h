// How a kernel of elah/cuda_kernel.h is launched, once its sizes are numbers.
#ifndef RUNTIME_DRIVERS_CUDA_LAUNCH_H
#define RUNTIME_DRIVERS_CUDA_LAUNCH_H

#include "drivers/cuda/driver_library.h"
#include <span>
#include <vector>

namespace elah::cuda {

/// A tensor map to be encoded: no interleave, element strides of one, zeros out of bounds. At most 5 dimensions, whose
/// strides are all but the innermost's.
struct TiledMap {
  CUtensorMapDataType type = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_NONE;
  CUdeviceptr address = 0;
  std::vector<uint64_t> sizes, strides;
  std::vector<uint32_t> box;
};
Status encode(const DriverLibrary &library, const TiledMap &map, CUtensorMap &encoded);

/// Lets a kernel have that much dynamic shared memory, and clusters beyond the eight blocks that all devices grant.
Status prepare(const DriverLibrary &library, CUfunction function, unsigned sharedBytes, unsigned cluster);

/// blocks = min(outer * ceil(rows / rowTile), maxBlocks unless that is 0), a multiple of the cluster; 0 where there are
/// no rows. `fits` is false where that exceeds what a grid may have.
struct BlockCount {
  unsigned blocks = 0;
  bool fits = true;
};
BlockCount countBlocks(uint64_t outer, int64_t rows, uint64_t rowTile, uint64_t maxBlocks, unsigned cluster);

/// The parameters in the order of cuda_kernel.h. The kernel may start while the one before it in the stream still runs
/// (programmatic stream serialization).
struct KernelLaunch {
  CUfunction function = nullptr;
  unsigned blocks = 1, threads = 1, cluster = 1, sharedBytes = 0;
  std::vector<CUdeviceptr> operands;
  CUdeviceptr dims = 0;
  CUdeviceptr scratch = 0; ///< No parameter if 0.
  std::vector<CUtensorMap> maps;
};
Status launch(const DriverLibrary &library, KernelLaunch &launch, CUstream stream);

} // namespace elah::cuda

#endif
