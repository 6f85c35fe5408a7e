// Misuse of every function of the driver API gives the error that CUDA documents and a text, and never a crash: null
// arguments, handles that are none, handles of what is gone or of somebody else, values out of range.

#include "tests/runtime/emulator/driver/driver_test.h"
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <type_traits>

namespace emulator::cuda {
namespace {

class Misuse : public DriverTest {
protected:
  /// What the driver says of the calls since the last time.
  std::string saidSince() {
    std::vector<char> text(1 << 16);
    size_t size = text.size();
    EXPECT_CUDA(cuLogsDumpToMemory(&iterator, text.data(), &size, 0));
    return text.data();
  }
  void expect(const char *name, CUresult found, CUresult expected) {
    EXPECT_EQ(found, expected) << name;
    // Of what needs no driver (cuGetError..., cuGetExportTable) nothing is said.
    const bool silent = found == CUDA_SUCCESS || std::string(name).starts_with("cuGetE");
    const char *code = nullptr;
    EXPECT_CUDA(cuGetErrorName(found, &code));
    const std::string said = saidSince();
    EXPECT_EQ(said.find(": " + std::string(code) + ": ") == std::string::npos, silent) << name << ": '" << said << "'";
    EXPECT_TRUE(silent || said.starts_with("cu")) << name << ": '" << said << "'";
    const char *text = nullptr;
    EXPECT_CUDA(cuGetErrorString(found, &text));
    EXPECT_NE(text, nullptr);
    saidSince();
  }
  CUlogIterator iterator = 0;
};

enum class Give {
  Nothing,   ///< zeros and null pointers
  NoHandles, ///< pointers lead to zeros, handles are none, numbers are zero
};

alignas(4096) std::byte zeros[1 << 16];

template <typename T> T argument(Give give) {
  if constexpr (std::is_pointer_v<T>) {
    using Pointee = std::remove_pointer_t<T>;
    if (give == Give::Nothing || std::is_function_v<Pointee>) {
      return nullptr;
    }
    if constexpr (std::is_void_v<Pointee> || requires { sizeof(Pointee); }) {
      return reinterpret_cast<T>(zeros);
    } else if constexpr (!std::is_function_v<Pointee>) {
      return reinterpret_cast<T>(uintptr_t(0x10)); // A handle.
    }
    return nullptr;
  } else {
    return T();
  }
}

template <typename... Types> CUresult callWith(CUresult (*function)(Types...), Give give) {
  std::memset(zeros, 0, sizeof zeros);
  return function(argument<Types>(give)...);
}

/// What an unknown handle of a type is answered with; CUDA_SUCCESS: it is no handle.
template <typename T> constexpr CUresult refusalOf() {
  if constexpr (std::is_same_v<T, CUcontext>) {
    return CUDA_ERROR_INVALID_CONTEXT;
  } else if constexpr (std::is_same_v<T, CUstream> || std::is_same_v<T, CUevent> || std::is_same_v<T, CUmodule> ||
                       std::is_same_v<T, CUfunction> || std::is_same_v<T, CUlibrary> || std::is_same_v<T, CUkernel> ||
                       std::is_same_v<T, CUlinkState>) {
    return CUDA_ERROR_INVALID_HANDLE;
  } else if constexpr (std::is_same_v<T, CUgraph> || std::is_same_v<T, CUgraphExec> || std::is_same_v<T, CUgraphNode> ||
                       std::is_same_v<T, CUmemoryPool> || std::is_same_v<T, CUuserObject>) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

template <typename... Types> std::set<CUresult> refusalsOf(CUresult (*)(Types...)) {
  std::set<CUresult> refusals = {refusalOf<Types>()...};
  refusals.erase(CUDA_SUCCESS);
  return refusals;
}

struct Function {
  const char *name;
  std::function<CUresult(Give)> call;
  std::set<CUresult> refusals; ///< of unknown handles; none where it takes no handle
};

const std::vector<Function> &everyFunction() {
  static const std::vector<Function> all = {
#define FUNCTION(base, symbol, since, parameters)                                                                      \
  {#symbol, [](Give give) { return callWith(static_cast<CUresult(*) parameters>(symbol), give); },                     \
   refusalsOf(static_cast<CUresult(*) parameters>(symbol))},
#define STREAM_FUNCTION(base, symbol, suffix, since, parameters) FUNCTION(base, symbol, since, parameters)
#define ALIAS(base, symbol, since)
#include "driver/api/functions.inc"
#undef FUNCTION
#undef STREAM_FUNCTION
#undef ALIAS
  };
  return all;
}

/// What zeros and null pointers are answered with; by default with CUDA_ERROR_INVALID_VALUE.
const std::map<CUresult, std::set<std::string>> answersToNothing = {
    // Nothing is to be done, or null means something: the default stream, no context.
    {CUDA_SUCCESS,
     {"cuInit",
      "cuDevicePrimaryCtxRelease",
      "cuDevicePrimaryCtxRelease_v2",
      "cuDevicePrimaryCtxSetFlags",
      "cuDevicePrimaryCtxSetFlags_v2",
      "cuDevicePrimaryCtxReset",
      "cuDevicePrimaryCtxReset_v2",
      "cuCtxPopCurrent_v2",
      "cuCtxSetCurrent",
      "cuCtxSetFlags",
      "cuCtxSynchronize",
      "cuCtxSynchronize_v2",
      "cuCtxSetLimit",
      "cuCtxSetCacheConfig",
      "cuCtxGetStreamPriorityRange",
      "cuCtxResetPersistingL2Cache",
      "cuCtxSetSharedMemConfig",
      "cuMemGetInfo_v2",
      "cuMemFree_v2",
      "cuMemFreeHost",
      "cuMemcpy",
      "cuMemcpyHtoD_v2",
      "cuMemcpyDtoH_v2",
      "cuMemcpyDtoD_v2",
      "cuMemcpyAsync",
      "cuMemcpyHtoDAsync_v2",
      "cuMemcpyDtoHAsync_v2",
      "cuMemcpyDtoDAsync_v2",
      "cuMemsetD8_v2",
      "cuMemsetD16_v2",
      "cuMemsetD32_v2",
      "cuMemsetD2D8_v2",
      "cuMemsetD2D16_v2",
      "cuMemsetD2D32_v2",
      "cuMemsetD8Async",
      "cuMemsetD16Async",
      "cuMemsetD32Async",
      "cuMemsetD2D8Async",
      "cuMemsetD2D16Async",
      "cuMemsetD2D32Async",
      "cuStreamQuery",
      "cuStreamSynchronize",
      "cuStreamCopyAttributes",
      "cuDeviceGraphMemTrim",
      "cuProfilerStart",
      "cuProfilerStop"}},
    {CUDA_ERROR_INVALID_CONTEXT,
     {"cuCtxDestroy_v2", "cuCtxPushCurrent_v2", "cuMemcpyPeer", "cuMemcpyPeerAsync", "cuCtxEnablePeerAccess",
      "cuCtxDisablePeerAccess"}},
    {CUDA_ERROR_INVALID_HANDLE,
     {"cuModuleUnload",
      "cuModuleGetGlobal_v2",
      "cuLinkComplete",
      "cuLinkDestroy",
      "cuLibraryUnload",
      "cuLibraryGetGlobal",
      "cuLibraryGetManaged",
      "cuKernelSetAttribute",
      "cuKernelSetCacheConfig",
      "cuKernelGetParamInfo",
      "cuStreamWaitEvent",
      "cuStreamDestroy_v2",
      "cuEventRecord",
      "cuEventRecordWithFlags",
      "cuEventQuery",
      "cuEventSynchronize",
      "cuEventDestroy_v2",
      "cuFuncSetAttribute",
      "cuFuncSetCacheConfig",
      "cuFuncLoad",
      "cuLaunchKernel",
      "cuLaunchCooperativeKernel",
      "cuFuncSetSharedMemConfig",
      "cuGraphEventRecordNodeSetEvent",
      "cuGraphEventWaitNodeSetEvent"}},
    {CUDA_ERROR_ILLEGAL_STATE,
     {"cuStreamEndCapture", "cuStreamUpdateCaptureDependencies", "cuStreamUpdateCaptureDependencies_v2"}},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, {"cuStreamBeginCapture", "cuStreamBeginCapture_v2"}},
    {CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, {"cuMemHostUnregister"}},
    {CUDA_ERROR_NOT_FOUND, {"cuMemGetAddressRange_v2"}},
    {CUDA_ERROR_NOT_SUPPORTED, {"cuDeviceGetLuid", "cuProfilerInitialize"}},
};

TEST_F(Misuse, NullArguments) {
  for (const Function &function : everyFunction()) {
    ASSERT_CUDA(cuDevicePrimaryCtxRetain(&context, device)); // Some let go of it.
    ASSERT_CUDA(cuCtxSetCurrent(context));
    saidSince();
    CUresult expected = CUDA_ERROR_INVALID_VALUE;
    for (const auto &[code, names] : answersToNothing) {
      expected = names.contains(function.name) ? code : expected;
    }
    expect(function.name, function.call(Give::Nothing), expected);
  }
}

TEST_F(Misuse, UnknownHandles) {
  for (const Function &function : everyFunction()) {
    if (function.refusals.empty()) {
      continue;
    }
    saidSince();
    const CUresult found = function.call(Give::NoHandles);
    // Or something else was found first: a size of 0, a file without a name.
    const std::map<std::string, CUresult> others = {
        {"cuLinkAddFile", CUDA_ERROR_FILE_NOT_FOUND},
        {"cuLinkAddFile_v2", CUDA_ERROR_FILE_NOT_FOUND},
        {"cuMemcpy3DPeerAsync", CUDA_ERROR_INVALID_CONTEXT},
        {"cuMemSetMemPool", CUDA_ERROR_NOT_SUPPORTED},
    };
    auto other = others.find(function.name);
    const bool refused = function.refusals.contains(found) || found == CUDA_ERROR_INVALID_VALUE ||
                         (other != others.end() && found == other->second);
    EXPECT_TRUE(refused) << function.name << ": " << found;
    expect(function.name, found, found);
  }
}

// What was freed, or destroyed, is no longer there.
TEST_F(Misuse, WhatIsGone) {
  CUfunction function = kernel("fill");
  const CUdeviceptr memory = upload(std::vector<uint32_t>(4));
  CUstream stream = nullptr;
  CUevent event = nullptr;
  CUgraph graph = nullptr;
  CUgraphNode node = nullptr;
  CUgraphExec exec = nullptr;
  CUmemoryPool pool = nullptr;
  CUlibrary library = nullptr;
  CUkernel found = nullptr;
  CUcontext other = nullptr;
  void *host = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, 0));
  ASSERT_CUDA(cuEventCreate(&event, 0));
  ASSERT_CUDA(cuGraphCreate(&graph, 0));
  ASSERT_CUDA(cuGraphAddEmptyNode(&node, graph, nullptr, 0));
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, graph, 0));
  ASSERT_CUDA(cuMemHostAlloc(&host, 64, 0));
  ASSERT_CUDA(cuLibraryLoadData(&library, kernelsPtx, nullptr, nullptr, 0, nullptr, nullptr, 0));
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  ASSERT_CUDA(cuMemPoolCreate(&pool, &properties));
  ASSERT_CUDA(cuCtxCreate_v2(&other, 0, device));
  ASSERT_CUDA(cuCtxSetCurrent(context));

  ASSERT_CUDA(cuMemFree_v2(memory));
  ASSERT_CUDA(cuModuleUnload(module));
  ASSERT_CUDA(cuStreamDestroy_v2(stream));
  ASSERT_CUDA(cuEventDestroy_v2(event));
  ASSERT_CUDA(cuGraphExecDestroy(exec));
  ASSERT_CUDA(cuGraphDestroy(graph));
  ASSERT_CUDA(cuMemFreeHost(host));
  ASSERT_CUDA(cuLibraryUnload(library));
  ASSERT_CUDA(cuMemPoolDestroy(pool));
  ASSERT_CUDA(cuCtxDestroy_v2(other));
  uint32_t word = 0;
  CUdeviceptr address = 0;
  CUgraphNodeType type;
  saidSince();
  expect("cuMemFree_v2", cuMemFree_v2(memory), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemcpyHtoD_v2", cuMemcpyHtoD_v2(memory, &word, 4), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemcpyDtoH_v2", cuMemcpyDtoH_v2(&word, memory, 4), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemsetD32_v2", cuMemsetD32_v2(memory, 1, 4), CUDA_ERROR_INVALID_VALUE);
  expect("cuModuleUnload", cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
  expect("cuModuleGetFunction", cuModuleGetFunction(&function, module, "fill"), CUDA_ERROR_INVALID_HANDLE);
  expect("cuLaunchKernel", launch(function, 1, 1, nullptr, memory, 1u, 1u), CUDA_ERROR_INVALID_HANDLE);
  expect("cuStreamDestroy_v2", cuStreamDestroy_v2(stream), CUDA_ERROR_INVALID_HANDLE);
  expect("cuStreamSynchronize", cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
  expect("cuEventDestroy_v2", cuEventDestroy_v2(event), CUDA_ERROR_INVALID_HANDLE);
  expect("cuEventRecord", cuEventRecord(event, nullptr), CUDA_ERROR_INVALID_HANDLE);
  expect("cuGraphNodeGetType", cuGraphNodeGetType(node, &type), CUDA_ERROR_INVALID_VALUE);
  expect("cuGraphInstantiateWithFlags", cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_ERROR_INVALID_VALUE);
  expect("cuGraphLaunch", cuGraphLaunch(exec, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemFreeHost", cuMemFreeHost(host), CUDA_ERROR_INVALID_VALUE);
  expect("cuLibraryGetKernel", cuLibraryGetKernel(&found, library, "fill"), CUDA_ERROR_INVALID_HANDLE);
  expect("cuMemAllocFromPoolAsync", cuMemAllocFromPoolAsync(&address, 4, pool, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect("cuCtxSetCurrent", cuCtxSetCurrent(other), CUDA_ERROR_INVALID_CONTEXT);
  module = nullptr;
}

// What belongs to another context or graph, or is the host's.
TEST_F(Misuse, WhatIsForeign) {
  CUcontext other = nullptr;
  CUevent theirs = nullptr;
  CUstream stream = nullptr;
  ASSERT_CUDA(cuCtxCreate_v2(&other, 0, device));
  ASSERT_CUDA(cuEventCreate(&theirs, 0));
  ASSERT_CUDA(cuCtxSetCurrent(context));
  ASSERT_CUDA(cuStreamCreate(&stream, 0));
  CUgraph mine = nullptr, another = nullptr;
  CUgraphNode first = nullptr, second = nullptr, none = nullptr;
  CUgraphExec exec = nullptr;
  ASSERT_CUDA(cuGraphCreate(&mine, 0));
  ASSERT_CUDA(cuGraphCreate(&another, 0));
  const CUdeviceptr memory = upload(std::vector<uint32_t>(4));
  const CUDA_MEMSET_NODE_PARAMS zero{memory, 0, 0, 4, 4, 1};
  ASSERT_CUDA(cuGraphAddMemsetNode(&first, mine, nullptr, 0, &zero, context));
  ASSERT_CUDA(cuGraphAddMemsetNode(&second, another, nullptr, 0, &zero, context));
  ASSERT_CUDA(cuGraphInstantiateWithFlags(&exec, mine, 0));
  uint32_t word = 0;
  CUdeviceptr address = 0;
  CUDA_KERNEL_NODE_PARAMS parameters{};
  saidSince();
  expect("cuEventRecord", cuEventRecord(theirs, stream), CUDA_ERROR_INVALID_HANDLE);
  expect("cuGraphAddEmptyNode", cuGraphAddEmptyNode(&none, mine, &second, 1), CUDA_ERROR_INVALID_VALUE);
  expect("cuGraphAddDependencies", cuGraphAddDependencies(mine, &first, &second, 1), CUDA_ERROR_INVALID_VALUE);
  expect("cuGraphExecMemsetNodeSetParams", cuGraphExecMemsetNodeSetParams(exec, second, &zero, context),
         CUDA_ERROR_INVALID_VALUE);
  expect("cuGraphKernelNodeGetParams_v2", cuGraphKernelNodeGetParams_v2(first, &parameters), CUDA_ERROR_INVALID_VALUE);
  const CUdeviceptr hosts = reinterpret_cast<CUdeviceptr>(&word);
  expect("cuMemcpyDtoD_v2", cuMemcpyDtoD_v2(memory, hosts, 4), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemsetD8_v2", cuMemsetD8_v2(hosts, 0, 4), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemFree_v2", cuMemFree_v2(hosts), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemHostGetDevicePointer_v2", cuMemHostGetDevicePointer_v2(&address, &word, 0), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemHostUnregister", cuMemHostUnregister(&word), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  expect("cuCtxDestroy_v2", cuCtxDestroy_v2(context), CUDA_ERROR_INVALID_CONTEXT); // A primary one is released.
  EXPECT_CUDA(cuCtxDestroy_v2(other));
}

TEST_F(Misuse, WhatIsOutOfRange) {
  CUfunction fill = kernel("fill"), none = nullptr;
  const CUdeviceptr memory = upload(std::vector<uint32_t>(4));
  std::vector<uint32_t> words(64);
  CUdeviceptr address = 0;
  CUdevice where = 0;
  CUstream stream = nullptr;
  CUevent event = nullptr, untimed = nullptr;
  size_t size = 0, offset = 0;
  int value = 0;
  float milliseconds = 0;
  void *host = nullptr;
  ASSERT_CUDA(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
  ASSERT_CUDA(cuEventRecord(untimed, nullptr));
  CUtensorMap map;
  const cuuint64_t sizes[6] = {64, 64, 64, 64, 64, 64}, strides[5] = {64, 64, 64, 64, 64};
  const cuuint32_t box[6] = {16, 1, 1, 1, 1, 1}, steps[6] = {1, 1, 1, 1, 1, 1};
  auto encode = [&](unsigned rank, uint64_t at, cuuint32_t first) {
    const cuuint32_t boxes[6] = {first, 1, 1, 1, 1, 1};
    return cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, rank, reinterpret_cast<void *>(at), sizes,
                                  strides, rank > 5 ? box : boxes, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                  CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  auto launched = [&](unsigned grid, unsigned block, unsigned shared) {
    CUdeviceptr pointer = memory;
    uint32_t number = 0;
    void *parameters[] = {&pointer, &number, &number};
    return cuLaunchKernel(fill, grid, 1, 1, block, 1, 1, shared, nullptr, parameters, nullptr);
  };
  saidSince();
  expect("cuDeviceGet", cuDeviceGet(&where, 99), CUDA_ERROR_INVALID_DEVICE);
  expect("cuDeviceGet", cuDeviceGet(&where, -1), CUDA_ERROR_INVALID_DEVICE);
  expect("cuDeviceTotalMem_v2", cuDeviceTotalMem_v2(&size, 99), CUDA_ERROR_INVALID_DEVICE);
  expect("cuDeviceGetAttribute", cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(100000), device),
         CUDA_ERROR_INVALID_VALUE);
  expect("cuCtxSetLimit", cuCtxSetLimit(static_cast<CUlimit>(999), 1), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemAlloc_v2", cuMemAlloc_v2(&address, 0), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemAlloc_v2", cuMemAlloc_v2(&address, size_t(1) << 60), CUDA_ERROR_OUT_OF_MEMORY);
  expect("cuMemAllocManaged", cuMemAllocManaged(&address, 64, 9), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemHostAlloc", cuMemHostAlloc(&host, 64, 0x800), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemcpyHtoD_v2", cuMemcpyHtoD_v2(memory, words.data(), 17), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemcpyDtoH_v2", cuMemcpyDtoH_v2(words.data(), memory + 12, 8), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemsetD8_v2", cuMemsetD8_v2(memory, 0, 17), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemsetD32_v2", cuMemsetD32_v2(memory + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
  expect("cuMemsetD32_v2", cuMemsetD32_v2(memory, 0, SIZE_MAX / 2), CUDA_ERROR_INVALID_VALUE);
  expect("cuPointerGetAttribute", cuPointerGetAttribute(&value, static_cast<CUpointer_attribute>(999), memory),
         CUDA_ERROR_INVALID_VALUE);
  expect("cuModuleGetFunction", cuModuleGetFunction(&none, module, "nowhere"), CUDA_ERROR_NOT_FOUND);
  expect("cuModuleGetGlobal_v2", cuModuleGetGlobal_v2(&address, &size, module, "nowhere"), CUDA_ERROR_NOT_FOUND);
  expect("cuFuncGetParamInfo", cuFuncGetParamInfo(fill, 99, &offset, &size), CUDA_ERROR_INVALID_VALUE);
  expect("cuFuncSetAttribute", cuFuncSetAttribute(fill, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 10 << 20),
         CUDA_ERROR_INVALID_VALUE);
  expect("cuFuncSetAttribute", cuFuncSetAttribute(fill, static_cast<CUfunction_attribute>(99), 1),
         CUDA_ERROR_INVALID_VALUE);
  expect("cuLaunchKernel", launched(0, 1, 0), CUDA_ERROR_INVALID_VALUE);
  expect("cuLaunchKernel", launched(1, 2048, 0), CUDA_ERROR_INVALID_VALUE);
  expect("cuLaunchKernel", launched(1, 1, 1 << 20), CUDA_ERROR_INVALID_VALUE);
  expect("cuStreamCreate", cuStreamCreate(&stream, 77), CUDA_ERROR_INVALID_VALUE);
  expect("cuEventCreate", cuEventCreate(&event, 0x77), CUDA_ERROR_INVALID_VALUE);
  expect("cuStreamWaitEvent", cuStreamWaitEvent(nullptr, untimed, 5), CUDA_ERROR_INVALID_VALUE);
  expect("cuEventElapsedTime_v2", cuEventElapsedTime_v2(&milliseconds, untimed, untimed), CUDA_ERROR_INVALID_HANDLE);
  expect("cuOccupancyMaxActiveBlocksPerMultiprocessor", cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, fill, 0, 0),
         CUDA_ERROR_INVALID_VALUE);
  expect("cuTensorMapEncodeTiled", encode(6, memory, 16), CUDA_ERROR_INVALID_VALUE);
  expect("cuTensorMapEncodeTiled", encode(0, memory, 16), CUDA_ERROR_INVALID_VALUE);
  expect("cuTensorMapEncodeTiled", encode(2, memory + 8, 16), CUDA_ERROR_INVALID_VALUE);
  expect("cuTensorMapEncodeTiled", encode(2, memory, 257), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(encode(2, memory, 16));
  EXPECT_CUDA(launched(1, 1, 0));
  EXPECT_CUDA(cuCtxSynchronize());
}

} // namespace
} // namespace emulator::cuda
