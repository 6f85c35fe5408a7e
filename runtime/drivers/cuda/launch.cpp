#include "drivers/cuda/launch.h"
#include <algorithm>
#include <climits>

namespace elah::cuda {

Status encode(const DriverLibrary &library, const TiledMap &map, CUtensorMap &encoded) {
  constexpr uint32_t ones[5] = {1, 1, 1, 1, 1};
  if (map.sizes.empty() || map.sizes.size() > 5 || map.strides.size() + 1 != map.sizes.size() ||
      map.box.size() != map.sizes.size()) {
    return failure(ELAH_INVALID_DATA, "a tensor map has %zu sizes, %zu strides and a box of %zu dimensions",
                   map.sizes.size(), map.strides.size(), map.box.size());
  }
  ELAH_CUDA_RETURN_IF_ERROR(library,
                            tensorMapEncodeTiled(&encoded, map.type, static_cast<uint32_t>(map.sizes.size()),
                                                 reinterpret_cast<void *>(map.address), map.sizes.data(),
                                                 map.strides.data(), map.box.data(), ones,
                                                 CU_TENSOR_MAP_INTERLEAVE_NONE, map.swizzle,
                                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
                            "encoding a tensor map");
  return Status();
}

Status prepare(const DriverLibrary &library, CUfunction function, unsigned sharedBytes, unsigned cluster) {
  // CUDA grants every kernel 48 KiB, more must be asked for.
  if (sharedBytes > 48 * 1024) {
    ELAH_CUDA_RETURN_IF_ERROR(
        library,
        funcSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(sharedBytes)),
        "asking for shared memory");
  }
  if (cluster > 8) {
    ELAH_CUDA_RETURN_IF_ERROR(library,
                              funcSetAttribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1),
                              "asking for a cluster of more than 8 blocks");
  }
  return Status();
}

BlockCount countBlocks(uint64_t outer, int64_t rows, uint64_t rowTile, uint64_t maxBlocks, unsigned cluster) {
  if (rows <= 0) {
    return {0, true};
  }
  unsigned __int128 tiles = (static_cast<uint64_t>(rows) - 1) / rowTile + 1;
  unsigned __int128 blocks = tiles * outer;
  if (maxBlocks != 0) {
    blocks = std::min<unsigned __int128>(blocks, maxBlocks);
  }
  blocks = (blocks + cluster - 1) / cluster * cluster;
  return blocks > INT_MAX ? BlockCount{0, false} : BlockCount{static_cast<unsigned>(blocks), true};
}

Status launch(const DriverLibrary &library, KernelLaunch &launch, CUstream stream) {
  std::vector<void *> parameters;
  for (CUdeviceptr &operand : launch.operands) {
    parameters.push_back(&operand);
  }
  parameters.push_back(&launch.dims);
  if (launch.scratch) {
    parameters.push_back(&launch.scratch);
  }
  for (CUtensorMap &map : launch.maps) {
    parameters.push_back(&map);
  }
  CUlaunchAttribute attributes[2] = {};
  attributes[0].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  attributes[0].value.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attributes[1].value.clusterDim = {launch.cluster, 1, 1};
  CUlaunchConfig config = {};
  config.gridDimX = launch.blocks;
  config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = launch.threads;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = launch.sharedBytes;
  config.hStream = stream;
  config.attrs = attributes;
  config.numAttrs = launch.cluster > 1 ? 2 : 1;
  ELAH_CUDA_RETURN_IF_ERROR(library, launchKernel(&config, launch.function, parameters.data(), nullptr),
                            "launching a kernel");
  return Status();
}

} // namespace elah::cuda
