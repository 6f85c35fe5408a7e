// The part of the CUDA driver API (version 12.0) that Elah uses, declared here so that a build needs no CUDA toolkit.
// Names, values and layouts are CUDA's; tests/runtime/cuda/driver_api_test.cpp compares them with cuda.h where there is
// one. The functions stand in one table, filled from a library that is opened at run time: NVIDIA's or the emulator's.
#ifndef RUNTIME_DRIVERS_CUDA_DRIVER_API_H
#define RUNTIME_DRIVERS_CUDA_DRIVER_API_H

#include <cstddef>
#include <cstdint>

namespace elah::cuda {

using CUdeviceptr = unsigned long long;
using CUdevice = int;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
};

enum CUdevice_attribute : int {
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
};

enum CUfunction_attribute : int {
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 14,
};

enum CUstreamCaptureMode : int { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };
constexpr unsigned CU_STREAM_NON_BLOCKING = 1;
constexpr unsigned CU_MEMHOSTREGISTER_READ_ONLY = 8;

enum CUtensorMapDataType : int {
  CU_TENSOR_MAP_DATA_TYPE_UINT8 = 0,
  CU_TENSOR_MAP_DATA_TYPE_INT32 = 3,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT16 = 6,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT32 = 7,
  CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9,
};
enum CUtensorMapInterleave : int { CU_TENSOR_MAP_INTERLEAVE_NONE = 0 };
enum CUtensorMapSwizzle : int {
  CU_TENSOR_MAP_SWIZZLE_NONE = 0,
  CU_TENSOR_MAP_SWIZZLE_32B = 1,
  CU_TENSOR_MAP_SWIZZLE_64B = 2,
  CU_TENSOR_MAP_SWIZZLE_128B = 3,
};
enum CUtensorMapL2promotion : int { CU_TENSOR_MAP_L2_PROMOTION_L2_256B = 3 };
enum CUtensorMapFloatOOBfill : int { CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0 };

struct alignas(64) CUtensorMap {
  uint64_t opaque[16];
};

enum CUlaunchAttributeID : int {
  CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4,
  CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};

union CUlaunchAttributeValue {
  char pad[64];
  struct {
    unsigned x, y, z;
  } clusterDim;
  int programmaticStreamSerializationAllowed;
};

struct CUlaunchAttribute {
  CUlaunchAttributeID id;
  char pad[8 - sizeof(CUlaunchAttributeID)];
  CUlaunchAttributeValue value;
};

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute *attrs;
  unsigned numAttrs;
};

/// ENTRY(member, exported symbol, parameters)
#define ELAH_CUDA_DRIVER_FUNCTIONS(ENTRY)                                                                              \
  ENTRY(init, cuInit, (unsigned flags))                                                                                \
  ENTRY(getErrorName, cuGetErrorName, (CUresult code, const char **name))                                              \
  ENTRY(getErrorString, cuGetErrorString, (CUresult code, const char **text))                                          \
  ENTRY(driverGetVersion, cuDriverGetVersion, (int *version))                                                          \
  ENTRY(deviceGetCount, cuDeviceGetCount, (int *count))                                                                \
  ENTRY(deviceGet, cuDeviceGet, (CUdevice * device, int ordinal))                                                      \
  ENTRY(deviceGetName, cuDeviceGetName, (char *name, int size, CUdevice device))                                       \
  ENTRY(deviceGetAttribute, cuDeviceGetAttribute, (int *value, CUdevice_attribute attribute, CUdevice device))         \
  ENTRY(devicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                      \
  ENTRY(devicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                      \
  ENTRY(ctxGetCurrent, cuCtxGetCurrent, (CUcontext * context))                                                         \
  ENTRY(ctxSetCurrent, cuCtxSetCurrent, (CUcontext context))                                                           \
  ENTRY(memGetInfo, cuMemGetInfo_v2, (size_t *free, size_t *total))                                                    \
  ENTRY(memAlloc, cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))                                                \
  ENTRY(memFree, cuMemFree_v2, (CUdeviceptr address))                                                                  \
  ENTRY(memHostAlloc, cuMemHostAlloc, (void **address, size_t bytes, unsigned flags))                                  \
  ENTRY(memFreeHost, cuMemFreeHost, (void *address))                                                                   \
  ENTRY(memHostRegister, cuMemHostRegister_v2, (void *address, size_t bytes, unsigned flags))                          \
  ENTRY(memHostUnregister, cuMemHostUnregister, (void *address))                                                       \
  ENTRY(memcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))      \
  ENTRY(memcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))            \
  ENTRY(memsetD8Async, cuMemsetD8Async, (CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream))          \
  ENTRY(moduleLoadData, cuModuleLoadData, (CUmodule * module, const void *image))                                      \
  ENTRY(moduleUnload, cuModuleUnload, (CUmodule module))                                                               \
  ENTRY(moduleGetFunction, cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name))            \
  ENTRY(funcSetAttribute, cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))        \
  ENTRY(launchKernel, cuLaunchKernelEx,                                                                                \
        (const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra))                          \
  ENTRY(streamCreate, cuStreamCreate, (CUstream * stream, unsigned flags))                                             \
  ENTRY(streamDestroy, cuStreamDestroy_v2, (CUstream stream))                                                          \
  ENTRY(streamSynchronize, cuStreamSynchronize, (CUstream stream))                                                     \
  ENTRY(streamBeginCapture, cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                      \
  ENTRY(streamEndCapture, cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                      \
  ENTRY(graphInstantiate, cuGraphInstantiateWithFlags,                                                                 \
        (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                                           \
  ENTRY(graphDestroy, cuGraphDestroy, (CUgraph graph))                                                                 \
  ENTRY(graphExecDestroy, cuGraphExecDestroy, (CUgraphExec executable))                                                \
  ENTRY(graphUpload, cuGraphUpload, (CUgraphExec executable, CUstream stream))                                         \
  ENTRY(graphLaunch, cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                         \
  ENTRY(tensorMapEncodeTiled, cuTensorMapEncodeTiled,                                                                  \
        (CUtensorMap * map, CUtensorMapDataType type, uint32_t rank, void *address, const uint64_t *sizes,             \
         const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,                                 \
         CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,               \
         CUtensorMapFloatOOBfill fill))

/// The functions of one library.
struct DriverFunctions {
#define ELAH_CUDA_MEMBER(member, symbol, parameters) CUresult(*member) parameters = nullptr;
  ELAH_CUDA_DRIVER_FUNCTIONS(ELAH_CUDA_MEMBER)
#undef ELAH_CUDA_MEMBER
};

} // namespace elah::cuda

#endif
