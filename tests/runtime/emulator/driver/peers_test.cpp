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
