// cuFunc* and cuOccupancy*.

#include "driver/api/functions.h"
#include "driver/module.h"
#include "driver/operation.h"
#include "machine/occupancy.h"
#include <algorithm>

namespace emulator::driver {

uint32_t dynamicSharedLimit(const Kernel &kernel, const FunctionSettings &settings, const Device &device) {
  if (settings.maxDynamicSharedBytes) {
    return static_cast<uint32_t>(*settings.maxDynamicSharedBytes);
  }
  const uint32_t all = device.properties->sharedPerCta;
  return all > kernel.staticSharedBytes ? all - kernel.staticSharedBytes : 0;
}

int attributeOf(const Kernel &kernel, const FunctionSettings &settings, const LoadedModule &module,
                CUfunction_attribute attribute, const Device &device) {
  auto requiredCluster = [&](unsigned d) {
    return static_cast<int>(settings.cluster[d].value_or(kernel.bounds.requiredCluster[d]));
  };
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    return static_cast<int>(kernel.maxThreads);
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    return static_cast<int>(kernel.staticSharedBytes);
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
    return static_cast<int>(kernel.constantBytes);
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    return static_cast<int>(kernel.localBytes);
  case CU_FUNC_ATTRIBUTE_NUM_REGS:
    return static_cast<int>(kernel.registers);
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    return static_cast<int>(module.text().versionMajor * 10 + module.text().versionMinor);
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    return static_cast<int>(device.properties->majorCapability * 10 + device.properties->minorCapability);
  case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
    return 0;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    return static_cast<int>(dynamicSharedLimit(kernel, settings, device));
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    return settings.carveout;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    return kernel.bounds.explicitCluster && kernel.bounds.requiredCluster[0] == 0;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    return requiredCluster(0);
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    return requiredCluster(1);
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    return requiredCluster(2);
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    return settings.nonPortableCluster;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    return settings.clusterPolicy;
  default:
    fail(CUDA_ERROR_INVALID_VALUE, "%d is no attribute of functions", static_cast<int>(attribute));
  }
}

void setAttribute(const Kernel &kernel, FunctionSettings &settings, CUfunction_attribute attribute, int value,
                  const Device &device) {
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: {
    const int most =
        static_cast<int>(device.properties->sharedPerCtaOptIn) - static_cast<int>(kernel.staticSharedBytes);
    if (value < 0 || value > most) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d bytes of dynamic shared memory for '%s', expected 0 to %d", value,
           kernel.name.c_str(), most);
    }
    settings.maxDynamicSharedBytes = value;
    return;
  }
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    if (value < -1 || value > 100) {
      fail(CUDA_ERROR_INVALID_VALUE, "a carveout of %d, expected -1 to 100 percent", value);
    }
    settings.carveout = value;
    return;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH: {
    if (kernel.bounds.requiredCluster[0] != 0) {
      fail(CUDA_ERROR_NOT_PERMITTED, "'%s' was compiled for one cluster size", kernel.name.c_str());
    }
    if (value < 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "a cluster of %d", value);
    }
    settings.cluster[attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH] = static_cast<uint32_t>(value);
    return;
  }
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    settings.nonPortableCluster = value != 0;
    return;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    if (value < CU_CLUSTER_SCHEDULING_POLICY_DEFAULT || value > CU_CLUSTER_SCHEDULING_POLICY_LOAD_BALANCING) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no policy", value);
    }
    settings.clusterPolicy = value;
    return;
  default:
    fail(CUDA_ERROR_INVALID_VALUE, "attribute %d of functions cannot be set", static_cast<int>(attribute));
  }
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle) {
  return callInContext([&](Context &context) {
    requirePointer(value, "pi");
    const std::shared_ptr<Function> function = functionOf(handle, context);
    *value = attributeOf(*function->kernel, function->settings, *function->module->loaded, attribute,
                         function->module->context.device);
  });
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<Function> function = functionOf(handle, context);
    setAttribute(*function->kernel, function->settings, attribute, value, function->module->context.device);
    if (const std::shared_ptr<LibraryKernel> kernel = Driver::instance().libraryKernels.find(handle)) {
      kernel->settings[context.device.ordinal] = function->settings;
    }
  });
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config) {
  return callInContext([&](Context &context) {
    if (config < CU_FUNC_CACHE_PREFER_NONE || config > CU_FUNC_CACHE_PREFER_EQUAL) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no cache configuration", static_cast<int>(config));
    }
    functionOf(handle, context)->settings.cache = config;
  });
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig) {
  return callInContext([&](Context &context) { functionOf(handle, context); });
}

CUresult cuFuncGetModule(CUmodule *module, CUfunction handle) {
  return callInContext([&](Context &context) {
    requirePointer(module, "hmod");
    *module = handleOf<CUmodule>(functionOf(handle, context)->module);
  });
}

CUresult cuFuncGetName(const char **name, CUfunction handle) {
  return callInContext([&](Context &context) {
    requirePointer(name, "name");
    *name = functionOf(handle, context)->kernel->name.c_str();
  });
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *bytes) {
  return callInContext([&](Context &context) {
    requirePointer(offset, "paramOffset");
    const std::shared_ptr<Function> function = functionOf(handle, context);
    const std::vector<Parameter> &parameters = function->kernel->parameters;
    if (index >= parameters.size()) {
      fail(CUDA_ERROR_INVALID_VALUE, "parameter %zu of '%s', which has %zu", index, function->kernel->name.c_str(),
           parameters.size());
    }
    *offset = parameters[index].offset;
    if (bytes) {
      *bytes = parameters[index].size;
    }
  });
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction handle) {
  return callInContext([&](Context &context) {
    requirePointer(state, "state");
    functionOf(handle, context);
    *state = CU_FUNCTION_LOADING_STATE_LOADED; // Decoded with its module.
  });
}

CUresult cuFuncLoad(CUfunction handle) {
  return callInContext([&](Context &context) { functionOf(handle, context); });
}

// --- occupancy

static unsigned blocksPerMultiprocessor(const Function &function, int threads, size_t shared) {
  if (threads <= 0 || threads > static_cast<int>(function.kernel->maxThreads) || shared > UINT32_MAX) {
    return 0;
  }
  return occupancyOf(*function.kernel, static_cast<uint32_t>(threads), static_cast<uint32_t>(shared),
                     *function.module->context.device.properties)
      .ctas();
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int threads,
                                                              size_t shared, unsigned int flags) {
  return callInContext([&](Context &context) {
    requirePointer(blocks, "numBlocks");
    if (threads <= 0 || (flags & ~static_cast<unsigned>(CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d threads, flags 0x%x", threads, flags);
    }
    *blocks = static_cast<int>(blocksPerMultiprocessor(*functionOf(handle, context), threads, shared));
  });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int threads, size_t shared) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, shared, 0);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction handle,
                                                   CUoccupancyB2DSize sharedOf, size_t shared, int limit,
                                                   unsigned int flags) {
  return callInContext([&](Context &context) {
    requirePointer(grid, "minGridSize");
    requirePointer(block, "blockSize");
    if (flags & ~static_cast<unsigned>(CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE)) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    const std::shared_ptr<Function> function = functionOf(handle, context);
    int most = static_cast<int>(function->kernel->maxThreads);
    if (limit > 0) {
      most = std::min(most, limit);
    }
    // The largest block among those that keep the most threads resident; blocks are whole warps, the last apart.
    unsigned best = 0;
    *block = *grid = 0;
    for (int threads = most; threads > 0; threads = (threads - 1) / 32 * 32) {
      const unsigned blocks = blocksPerMultiprocessor(*function, threads, sharedOf ? sharedOf(threads) : shared);
      if (blocks * static_cast<unsigned>(threads) > best) {
        best = blocks * static_cast<unsigned>(threads);
        *block = threads;
        *grid = static_cast<int>(blocks * function->module->context.device.properties->multiprocessors);
      }
    }
  });
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction function, CUoccupancyB2DSize sharedOf,
                                          size_t shared, int limit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, sharedOf, shared, limit, 0);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction handle, int blocks, int threads) {
  return callInContext([&](Context &context) {
    requirePointer(bytes, "dynamicSmemSize");
    const std::shared_ptr<Function> function = functionOf(handle, context);
    if (blocks <= 0 || threads <= 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d blocks of %d threads", blocks, threads);
    }
    const uint32_t most = function->module->context.device.properties->sharedPerCtaOptIn;
    const uint32_t statically = function->kernel->staticSharedBytes;
    *bytes = 0;
    // Shared memory is given out in units of 1,024 bytes.
    for (uint32_t all = most / 1024 * 1024; all >= statically && all > 0; all -= 1024) {
      if (blocksPerMultiprocessor(*function, threads, all - statically) >= static_cast<unsigned>(blocks)) {
        *bytes = all - statically;
        return;
      }
    }
  });
}

CUresult cuOccupancyMaxActiveClusters(int *clusters, CUfunction handle, const CUlaunchConfig *config) {
  return callInContext([&](Context &context) {
    requirePointer(clusters, "numClusters");
    requirePointer(config, "config");
    const std::shared_ptr<Function> function = functionOf(handle, context);
    uint32_t cluster[3];
    clusterOf(*config, *function, cluster);
    const uint64_t size = uint64_t(cluster[0]) * cluster[1] * cluster[2];
    const int threads = static_cast<int>(config->blockDimX * config->blockDimY * config->blockDimZ);
    const unsigned blocks = blocksPerMultiprocessor(*function, threads, config->sharedMemBytes);
    *clusters =
        static_cast<int>(uint64_t(blocks) * function->module->context.device.properties->multiprocessors / size);
  });
}

CUresult cuOccupancyMaxPotentialClusterSize(int *size, CUfunction handle, const CUlaunchConfig *config) {
  return callInContext([&](Context &context) {
    requirePointer(size, "clusterSize");
    requirePointer(config, "config");
    const std::shared_ptr<Function> function = functionOf(handle, context);
    const DeviceProperties &device = *function->module->context.device.properties;
    const int threads = static_cast<int>(config->blockDimX * config->blockDimY * config->blockDimZ);
    const unsigned blocks = blocksPerMultiprocessor(*function, threads, config->sharedMemBytes);
    *size = blocks == 0                             ? 0
            : function->settings.nonPortableCluster ? static_cast<int>(device.maxClusterCtasNonPortable)
                                                    : static_cast<int>(device.maxClusterCtas);
  });
}

} // namespace emulator::cuda
