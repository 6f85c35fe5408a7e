// The emulator's own declarations of the driver API against the toolkit's cuda.h, where there is one: every value,
// size, offset and signature. All of it is checked when this file is compiled.

#include "driver/api/types.h"

#define __CUDA_API_VERSION_INTERNAL 1 // cuda.h then declares every variant of a function under its own name.
#include <cstddef>
#include <cuda.h>
#include <cudaProfiler.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <string_view>
#include <type_traits>

namespace ours = emulator::cuda;

#define SAME(name) static_assert(static_cast<long long>(ours::name) == static_cast<long long>(::name), #name);
#include "tests/runtime/emulator/driver/enumerators.inc"
#undef SAME

static_assert(CUDA_VERSION != 13000 || (int(ours::CU_DEVICE_ATTRIBUTE_MAX) == int(::CU_DEVICE_ATTRIBUTE_MAX) &&
                                        int(ours::CU_FUNC_ATTRIBUTE_MAX) == int(::CU_FUNC_ATTRIBUTE_MAX) &&
                                        int(ours::CU_JIT_NUM_OPTIONS) == int(::CU_JIT_NUM_OPTIONS)));

#define SIZE(type) static_assert(sizeof(ours::type) == sizeof(::type) && alignof(ours::type) == alignof(::type), #type);
#define OFFSET(type, field) static_assert(offsetof(ours::type, field) == offsetof(::type, field), #type "." #field);

SIZE(CUdeviceptr)
SIZE(CUmemGenericAllocationHandle)
SIZE(CUuuid)
SIZE(CUdevprop)
OFFSET(CUdevprop, maxGridSize)
OFFSET(CUdevprop, SIMDWidth)
OFFSET(CUdevprop, textureAlign)
SIZE(CUexecAffinityParam)
SIZE(CUctxCreateParams)
OFFSET(CUctxCreateParams, numExecAffinityParams)
OFFSET(CUctxCreateParams, cigParams)
SIZE(CUmemLocation)
SIZE(CUmemAllocationProp)
OFFSET(CUmemAllocationProp, location)
OFFSET(CUmemAllocationProp, win32HandleMetaData)
OFFSET(CUmemAllocationProp, allocFlags)
SIZE(CUmemAccessDesc)
OFFSET(CUmemAccessDesc, flags)
SIZE(CUmemPoolProps)
OFFSET(CUmemPoolProps, location)
OFFSET(CUmemPoolProps, maxSize)
OFFSET(CUmemPoolProps, usage)
SIZE(CUmemcpyAttributes)
OFFSET(CUmemcpyAttributes, dstLocHint)
OFFSET(CUmemcpyAttributes, flags)
SIZE(CUDA_MEMCPY2D)
OFFSET(CUDA_MEMCPY2D, srcMemoryType)
OFFSET(CUDA_MEMCPY2D, srcPitch)
OFFSET(CUDA_MEMCPY2D, dstXInBytes)
OFFSET(CUDA_MEMCPY2D, dstPitch)
OFFSET(CUDA_MEMCPY2D, Height)
SIZE(CUDA_MEMCPY3D)
OFFSET(CUDA_MEMCPY3D, srcLOD)
OFFSET(CUDA_MEMCPY3D, srcDevice)
OFFSET(CUDA_MEMCPY3D, srcHeight)
OFFSET(CUDA_MEMCPY3D, dstXInBytes)
OFFSET(CUDA_MEMCPY3D, dstDevice)
OFFSET(CUDA_MEMCPY3D, dstHeight)
OFFSET(CUDA_MEMCPY3D, Depth)
SIZE(CUDA_MEMCPY3D_PEER)
OFFSET(CUDA_MEMCPY3D_PEER, srcContext)
OFFSET(CUDA_MEMCPY3D_PEER, dstContext)
OFFSET(CUDA_MEMCPY3D_PEER, Depth)
SIZE(CUtensorMap)
SIZE(CUstreamBatchMemOpParams)
OFFSET(CUstreamBatchMemOpParams, waitValue.address)
OFFSET(CUstreamBatchMemOpParams, waitValue.value64)
OFFSET(CUstreamBatchMemOpParams, waitValue.flags)
OFFSET(CUstreamBatchMemOpParams, writeValue.alias)
SIZE(CUaccessPolicyWindow)
OFFSET(CUaccessPolicyWindow, missProp)
SIZE(CUlaunchMemSyncDomainMap)
SIZE(CUlaunchAttributeValue)
OFFSET(CUlaunchAttributeValue, clusterDim.z)
OFFSET(CUlaunchAttributeValue, programmaticEvent.triggerAtBlockStart)
OFFSET(CUlaunchAttributeValue, launchCompletionEvent.flags)
OFFSET(CUlaunchAttributeValue, deviceUpdatableKernelNode.devNode)
SIZE(CUlaunchAttribute)
OFFSET(CUlaunchAttribute, value)
SIZE(CUlaunchConfig)
OFFSET(CUlaunchConfig, blockDimX)
OFFSET(CUlaunchConfig, sharedMemBytes)
OFFSET(CUlaunchConfig, hStream)
OFFSET(CUlaunchConfig, attrs)
OFFSET(CUlaunchConfig, numAttrs)
SIZE(CUgraphEdgeData)
OFFSET(CUgraphEdgeData, type)
SIZE(CUDA_KERNEL_NODE_PARAMS_v1)
SIZE(CUDA_KERNEL_NODE_PARAMS)
OFFSET(CUDA_KERNEL_NODE_PARAMS, kernelParams)
OFFSET(CUDA_KERNEL_NODE_PARAMS, kern)
OFFSET(CUDA_KERNEL_NODE_PARAMS, ctx)
SIZE(CUDA_MEMSET_NODE_PARAMS)
OFFSET(CUDA_MEMSET_NODE_PARAMS, elementSize)
OFFSET(CUDA_MEMSET_NODE_PARAMS, height)
SIZE(CUDA_MEMSET_NODE_PARAMS_v2)
OFFSET(CUDA_MEMSET_NODE_PARAMS_v2, ctx)
SIZE(CUDA_MEMCPY_NODE_PARAMS)
OFFSET(CUDA_MEMCPY_NODE_PARAMS, copyParams)
SIZE(CUDA_HOST_NODE_PARAMS)
SIZE(CUDA_MEM_ALLOC_NODE_PARAMS)
OFFSET(CUDA_MEM_ALLOC_NODE_PARAMS, accessDescs)
OFFSET(CUDA_MEM_ALLOC_NODE_PARAMS, dptr)
SIZE(CUDA_BATCH_MEM_OP_NODE_PARAMS)
OFFSET(CUDA_BATCH_MEM_OP_NODE_PARAMS, paramArray)
SIZE(CUgraphNodeParams)
OFFSET(CUgraphNodeParams, kernel)
OFFSET(CUgraphNodeParams, memcpy)
OFFSET(CUgraphNodeParams, graph.ownership)
OFFSET(CUgraphNodeParams, reserved2)
SIZE(CUDA_GRAPH_INSTANTIATE_PARAMS)
OFFSET(CUDA_GRAPH_INSTANTIATE_PARAMS, hErrNode_out)
OFFSET(CUDA_GRAPH_INSTANTIATE_PARAMS, result_out)
SIZE(CUgraphExecUpdateResultInfo)
OFFSET(CUgraphExecUpdateResultInfo, errorFromNode)

// The list of functions, with its types' names meaning cuda.h's: each has cuda.h's signature. The profiler's old
// initialiser takes an enumeration in cuda.h.
#define FUNCTION(base, symbol, since, parameters)                                                                      \
  static_assert(std::is_same_v<decltype(&::symbol), CUresult(*) parameters> ||                                         \
                    std::string_view(#symbol) == "cuProfilerInitialize",                                               \
                #symbol);
#define STREAM_FUNCTION(base, symbol, suffix, since, parameters)                                                       \
  FUNCTION(base, symbol, since, parameters)                                                                            \
  FUNCTION(base, symbol##_##suffix, since, parameters)
#define ALIAS(base, symbol, since)
#include "driver/api/functions.inc"

#define UNSUPPORTED(base, symbol, since) [[maybe_unused]] static const auto symbol##Exists = &::symbol;
#include "driver/api/unsupported.inc"

// And the library exports what the lists promise.
static void expectExported(const char *symbol) {
  static void *library = dlopen("libcuda.so.1", RTLD_NOW);
  ASSERT_NE(library, nullptr) << dlerror();
  EXPECT_NE(dlsym(library, symbol), nullptr) << symbol;
}

TEST(ApiLayout, EveryFunctionIsExported) {
#undef FUNCTION
#undef STREAM_FUNCTION
#undef UNSUPPORTED
#define FUNCTION(base, symbol, since, parameters) expectExported(#symbol);
#define STREAM_FUNCTION(base, symbol, suffix, since, parameters)                                                       \
  expectExported(#symbol);                                                                                             \
  expectExported(#symbol "_" #suffix);
#define UNSUPPORTED(base, symbol, since) expectExported(#symbol);
#include "driver/api/functions.inc"
#include "driver/api/unsupported.inc"
}
