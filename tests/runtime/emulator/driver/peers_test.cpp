// Several devices. The environment is read once, so this is a program of its own.

#include "tests/runtime/emulator/driver/driver_test.h"
#include <cstdlib>

namespace emulator::cuda {
namespace {

class Peers : public testing::Test {
protected:
  void SetUp() override {
    setenv("ELAH_EMULATOR_DEVICE", "h200x2", 1);
    ASSERT_CUDA(cuInit(0));
    elah_emulator_set_option("print", "0");
    for (int i = 0; i < 2; ++i) {
      ASSERT_CUDA(cuDevicePrimaryCtxRetain(&contexts[i], i));
      ASSERT_CUDA(cuCtxSetCurrent(contexts[i]));
      ASSERT_CUDA(cuModuleLoadData(&modules[i], kernelsPtx));
      ASSERT_CUDA(cuMemAlloc_v2(&buffers[i], 400));
      ASSERT_CUDA(cuMemsetD32_v2(buffers[i], static_cast<unsigned>(i + 1), 100));
      ASSERT_CUDA(cuCtxSynchronize());
    }
  }
  void TearDown() override {
    for (int i = 0; i < 2; ++i) {
      EXPECT_CUDA(cuDevicePrimaryCtxReset_v2(i));
      EXPECT_CUDA(cuDevicePrimaryCtxRelease_v2(i));
    }
  }
  CUresult incrementOn(int on, CUdeviceptr address) {
    EXPECT_CUDA(cuCtxSetCurrent(contexts[on]));
    CUfunction increment = nullptr;
    EXPECT_CUDA(cuModuleGetFunction(&increment, modules[on], "increment"));
    uint32_t count = 100;
    void *parameters[] = {&address, &count};
    EXPECT_CUDA(cuLaunchKernel(increment, 1, 1, 1, 128, 1, 1, 0, nullptr, parameters, nullptr));
    return cuCtxSynchronize();
  }
  uint32_t first(CUdeviceptr address) {
    uint32_t value = 0;
    EXPECT_CUDA(cuMemcpyDtoH_v2(&value, address, 4));
    return value;
  }

  CUcontext contexts[2] = {};
  CUmodule modules[2] = {};
  CUdeviceptr buffers[2] = {};
};

TEST_F(Peers, AreTwo) {
  int count = 0;
  EXPECT_CUDA(cuDeviceGetCount(&count));
  EXPECT_EQ(count, 2);
  CUuuid first, second;
  EXPECT_CUDA(cuDeviceGetUuid_v2(&first, 0));
  EXPECT_CUDA(cuDeviceGetUuid_v2(&second, 1));
  EXPECT_NE(std::string(first.bytes, 16), std::string(second.bytes, 16));
  int can = 0;
  EXPECT_CUDA(cuDeviceCanAccessPeer(&can, 0, 1));
  EXPECT_EQ(can, 1);
  EXPECT_CUDA(cuDeviceCanAccessPeer(&can, 1, 1));
  EXPECT_EQ(can, 0);
  int value = 0;
  EXPECT_CUDA(cuDeviceGetP2PAttribute(&value, CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED, 0, 1));
  EXPECT_EQ(value, 1);
  EXPECT_EQ(cuDeviceGetP2PAttribute(&value, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0, 0), CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(Peers, CopyToOneAnother) {
  EXPECT_CUDA(cuMemcpyPeer(buffers[0], contexts[0], buffers[1], contexts[1], 400));
  EXPECT_EQ(first(buffers[0]), 2u);
  int owner = -1;
  EXPECT_CUDA(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, buffers[1]));
  EXPECT_EQ(owner, 1);
}

TEST_F(Peers, MustBeEnabledForKernels) {
  EXPECT_EQ(incrementOn(0, buffers[1]), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_CUDA(cuDevicePrimaryCtxReset_v2(0));
  EXPECT_CUDA(cuModuleLoadData(&modules[0], kernelsPtx));
  EXPECT_CUDA(cuCtxEnablePeerAccess(contexts[1], 0));
  EXPECT_EQ(cuCtxEnablePeerAccess(contexts[1], 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
  EXPECT_CUDA(incrementOn(0, buffers[1]));
  EXPECT_EQ(first(buffers[1]), 3u);
  EXPECT_CUDA(cuCtxDisablePeerAccess(contexts[1]));
  EXPECT_EQ(cuCtxDisablePeerAccess(contexts[1]), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
  EXPECT_EQ(cuCtxEnablePeerAccess(contexts[0], 0), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(incrementOn(0, buffers[1]), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(Peers, AccessGoesOneWay) {
  EXPECT_CUDA(cuCtxSetCurrent(contexts[0]));
  EXPECT_CUDA(cuCtxEnablePeerAccess(contexts[1], 0));
  EXPECT_CUDA(incrementOn(0, buffers[1]));
  EXPECT_EQ(incrementOn(1, buffers[0]), CUDA_ERROR_ILLEGAL_ADDRESS);
  // The fault is of one context; the other goes on.
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_CUDA(incrementOn(0, buffers[1]));
  EXPECT_EQ(first(buffers[1]), 4u);
}

TEST_F(Peers, CopiesAreOrderedByTheirStream) {
  CUstream streams[2];
  CUevent done = nullptr;
  for (int i = 0; i < 2; ++i) {
    ASSERT_CUDA(cuCtxSetCurrent(contexts[i]));
    ASSERT_CUDA(cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
  }
  // Device 0 writes and copies over; device 1 goes on behind the event.
  ASSERT_CUDA(cuCtxSetCurrent(contexts[0]));
  ASSERT_CUDA(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING));
  ASSERT_CUDA(cuMemsetD32Async(buffers[0], 40, 100, streams[0]));
  ASSERT_CUDA(cuMemcpyPeerAsync(buffers[1], contexts[1], buffers[0], contexts[0], 400, streams[0]));
  ASSERT_CUDA(cuEventRecord(done, streams[0]));
  ASSERT_CUDA(cuCtxSetCurrent(contexts[1]));
  ASSERT_CUDA(cuStreamWaitEvent(streams[1], done, 0));
  CUfunction increment = nullptr;
  ASSERT_CUDA(cuModuleGetFunction(&increment, modules[1], "increment"));
  uint32_t count = 100;
  void *parameters[] = {&buffers[1], &count};
  ASSERT_CUDA(cuLaunchKernel(increment, 1, 1, 1, 128, 1, 1, 0, streams[1], parameters, nullptr));
  ASSERT_CUDA(cuStreamSynchronize(streams[1]));
  EXPECT_EQ(first(buffers[1]), 41u);
}

TEST_F(Peers, PoolsAreOpenedByDevice) {
  CUmemoryPool pool = nullptr;
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, 1};
  ASSERT_CUDA(cuCtxSetCurrent(contexts[1]));
  ASSERT_CUDA(cuMemPoolCreate(&pool, &properties));
  CUdeviceptr block = 0;
  ASSERT_CUDA(cuMemAllocFromPoolAsync(&block, 400, pool, nullptr));
  ASSERT_CUDA(cuMemsetD32_v2(block, 5, 100));
  ASSERT_CUDA(cuCtxSynchronize());
  CUmemAccess_flags flags;
  CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  EXPECT_CUDA(cuMemPoolGetAccess(&flags, pool, &location));
  EXPECT_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_NONE);
  const CUmemAccessDesc open = {location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  ASSERT_CUDA(cuMemPoolSetAccess(pool, &open, 1));
  EXPECT_CUDA(cuMemPoolGetAccess(&flags, pool, &location));
  EXPECT_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  EXPECT_CUDA(incrementOn(0, block));
  EXPECT_EQ(first(block), 6u);
  const CUmemAccessDesc closed = {location, CU_MEM_ACCESS_FLAGS_PROT_NONE};
  ASSERT_CUDA(cuMemPoolSetAccess(pool, &closed, 1));
  EXPECT_EQ(incrementOn(0, block), CUDA_ERROR_ILLEGAL_ADDRESS);
  // A pool's own device cannot be shut out, and a pool is set for its own device alone.
  const CUmemAccessDesc own = {{CU_MEM_LOCATION_TYPE_DEVICE, 1}, CU_MEM_ACCESS_FLAGS_PROT_NONE};
  EXPECT_EQ(cuMemPoolSetAccess(pool, &own, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceSetMemPool(0, pool), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Peers, FunctionsBelongToTheirContext) {
  CUfunction increment = nullptr;
  EXPECT_CUDA(cuModuleGetFunction(&increment, modules[0], "increment"));
  EXPECT_CUDA(cuCtxSetCurrent(contexts[1]));
  uint32_t count = 0;
  void *parameters[] = {&buffers[1], &count};
  EXPECT_EQ(cuLaunchKernel(increment, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr), CUDA_ERROR_INVALID_HANDLE);
}

} // namespace
} // namespace emulator::cuda
