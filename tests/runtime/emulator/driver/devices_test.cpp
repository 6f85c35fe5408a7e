#include "tests/runtime/emulator/driver/driver_test.h"
#include <set>

namespace emulator::cuda {
namespace {

class Devices : public DriverTest {};

TEST_F(Devices, OneByDefault) {
  int count = 0, version = 0;
  EXPECT_CUDA(cuDeviceGetCount(&count));
  EXPECT_EQ(count, 1);
  EXPECT_CUDA(cuDriverGetVersion(&version));
  EXPECT_EQ(version, 13000);
  CUdevice other = 0;
  EXPECT_EQ(cuDeviceGet(&other, 1), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuDeviceGet(&other, -1), CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(Devices, SaysWhatTheTargetIs) {
  char name[64];
  ASSERT_CUDA(cuDeviceGetName(name, sizeof name, device));
  EXPECT_STREQ(name, "NVIDIA H800");
  char cut[7];
  ASSERT_CUDA(cuDeviceGetName(cut, sizeof cut, device));
  EXPECT_STREQ(cut, "NVIDIA");
  size_t bytes = 0;
  ASSERT_CUDA(cuDeviceTotalMem_v2(&bytes, device));
  EXPECT_EQ(bytes, size_t(80) << 30);
  auto attribute = [&](CUdevice_attribute which) {
    int value = -1;
    EXPECT_CUDA(cuDeviceGetAttribute(&value, which, device));
    return value;
  };
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), 132);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE), 1980000);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), 9);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), 0);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN), 232448);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK), 1024);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE), 32);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH), 1);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED), 0);
}

TEST_F(Devices, EveryAttributeHasAValueAndNoOtherNumber) {
  for (int i = 1; i < CU_DEVICE_ATTRIBUTE_MAX; ++i) {
    int value = 0;
    EXPECT_CUDA(cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(i), device)) << i;
  }
  int value = 0;
  EXPECT_EQ(cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(0), device), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX, device), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetAttribute(nullptr, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Devices, AreFoundByTheirBus) {
  char bus[16];
  ASSERT_CUDA(cuDeviceGetPCIBusId(bus, sizeof bus, device));
  CUdevice found = -1;
  EXPECT_CUDA(cuDeviceGetByPCIBusId(&found, bus));
  EXPECT_EQ(found, device);
  EXPECT_EQ(cuDeviceGetByPCIBusId(&found, "0000:ff:00.0"), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuDeviceGetByPCIBusId(&found, "nonsense"), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetPCIBusId(bus, 4, device), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Devices, ErrorsHaveNamesAndTexts) {
  const char *text = nullptr;
  EXPECT_CUDA(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_CUDA(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "an illegal memory access was encountered");
  EXPECT_CUDA(cuGetErrorString(CUDA_SUCCESS, &text));
  EXPECT_STREQ(text, "no error");
  EXPECT_EQ(cuGetErrorString(static_cast<CUresult>(12345), &text), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(text, nullptr);
}

TEST_F(Devices, ContextsStack) {
  CUcontext first = nullptr, second = nullptr, current = nullptr;
  ASSERT_CUDA(cuCtxCreate_v4(&first, nullptr, 0, device));
  ASSERT_CUDA(cuCtxCreate_v4(&second, nullptr, CU_CTX_SCHED_YIELD, device));
  EXPECT_CUDA(cuCtxGetCurrent(&current));
  EXPECT_EQ(current, second);
  unsigned flags = 0;
  EXPECT_CUDA(cuCtxGetFlags(&flags));
  EXPECT_EQ(flags, unsigned(CU_CTX_SCHED_YIELD));
  EXPECT_CUDA(cuCtxPopCurrent_v2(&current));
  EXPECT_EQ(current, second);
  EXPECT_CUDA(cuCtxPushCurrent_v2(second));
  EXPECT_CUDA(cuCtxDestroy_v2(second)); // Is current: goes from the stack.
  EXPECT_CUDA(cuCtxGetCurrent(&current));
  EXPECT_EQ(current, first);
  EXPECT_CUDA(cuCtxPushCurrent_v2(context));
  EXPECT_CUDA(cuCtxDestroy_v2(first)); // Is not: stays, and is found destroyed.
  EXPECT_CUDA(cuCtxPopCurrent_v2(nullptr));
  CUdeviceptr address = 0;
  EXPECT_EQ(cuMemAlloc_v2(&address, 16), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  EXPECT_CUDA(cuCtxPopCurrent_v2(nullptr));
  EXPECT_EQ(cuCtxPushCurrent_v2(first), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(Devices, PrimaryContextsAreCounted) {
  CUcontext again = nullptr;
  ASSERT_CUDA(cuDevicePrimaryCtxRetain(&again, device));
  EXPECT_EQ(again, context);
  unsigned flags = 0;
  int active = 0;
  EXPECT_CUDA(cuDevicePrimaryCtxGetState(device, &flags, &active));
  EXPECT_EQ(active, 1);
  EXPECT_CUDA(cuDevicePrimaryCtxRelease_v2(device));
  EXPECT_CUDA(cuDevicePrimaryCtxGetState(device, &flags, &active));
  EXPECT_EQ(active, 1);
  EXPECT_EQ(cuCtxDestroy_v2(context), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(Devices, LimitsAndConfigurationsAreKept) {
  size_t value = 0;
  EXPECT_CUDA(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
  EXPECT_CUDA(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
  EXPECT_EQ(value, 4096u);
  EXPECT_EQ(cuCtxSetLimit(CU_LIMIT_SHMEM_SIZE, 1), CUDA_ERROR_UNSUPPORTED_LIMIT);
  EXPECT_EQ(cuCtxSetLimit(CU_LIMIT_MAX, 1), CUDA_ERROR_INVALID_VALUE);
  CUfunc_cache cache = CU_FUNC_CACHE_PREFER_NONE;
  EXPECT_CUDA(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
  EXPECT_CUDA(cuCtxGetCacheConfig(&cache));
  EXPECT_EQ(cache, CU_FUNC_CACHE_PREFER_L1);
  int least = 1, greatest = 1;
  EXPECT_CUDA(cuCtxGetStreamPriorityRange(&least, &greatest));
  EXPECT_EQ(least, 0);
  EXPECT_LT(greatest, 0);
}

} // namespace
} // namespace emulator::cuda
