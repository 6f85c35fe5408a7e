#ifndef TESTS_RUNTIME_EMULATOR_DRIVER_DRIVER_TEST_H
#define TESTS_RUNTIME_EMULATOR_DRIVER_DRIVER_TEST_H

// A fresh primary context for each test, and small kernels in PTX.

#include "driver/api/functions.h"
#include "include/elah_emulator.h"
#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace emulator::cuda {

#define ASSERT_CUDA(call) ASSERT_EQ(call, CUDA_SUCCESS)
#define EXPECT_CUDA(call) EXPECT_EQ(call, CUDA_SUCCESS)

/// The PTX of some kernels:
/// - add(float *c, const float *a, const float *b, u32 n): c = a + b
/// - increment(u32 *p, u32 n): ++p[i], not atomically
/// - fill(u32 *p, u32 value, u32 n)
/// - await(u32 *flag, u32 *out): spins until *flag != 0, then *out = *flag
/// - signal(u32 *flag, u32 value): *flag = value, for somebody who awaits it
/// - store_null(): stores to address 0; misaligned(u32 *p): loads from p + 2; traps(): trap
/// - primary(u32 *p): launches its dependents, spins a while, *p = 1; secondary(u32 *p, u32 *out): waits for the
///   dependency, *out = *p + 1
/// - shared(u32 *out): *out = the dynamic shared memory's size
/// - many(u8, u16, u32, u64, out): parameters of all sizes
/// - and variables `counter` (u32, 7) and `table` (u32[4], const)
extern const char *const kernelsPtx;

class DriverTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_CUDA(cuInit(0));
    ASSERT_CUDA(cuDeviceGet(&device, 0));
    ASSERT_CUDA(cuDevicePrimaryCtxRetain(&context, device));
    ASSERT_CUDA(cuCtxSetCurrent(context));
    elah_emulator_set_option("print", "0");
    elah_emulator_clear();
  }
  void TearDown() override {
    EXPECT_CUDA(cuDevicePrimaryCtxReset_v2(device));
    EXPECT_CUDA(cuDevicePrimaryCtxRelease_v2(device));
    EXPECT_CUDA(cuCtxSetCurrent(nullptr));
  }

  CUfunction kernel(const char *name) {
    CUfunction function = nullptr;
    if (!module) {
      EXPECT_CUDA(cuModuleLoadData(&module, kernelsPtx));
    }
    EXPECT_CUDA(cuModuleGetFunction(&function, module, name));
    return function;
  }

  template <typename T> CUdeviceptr upload(const std::vector<T> &values) {
    CUdeviceptr address = 0;
    EXPECT_CUDA(cuMemAlloc_v2(&address, values.size() * sizeof(T)));
    EXPECT_CUDA(cuMemcpyHtoD_v2(address, values.data(), values.size() * sizeof(T)));
    return address;
  }

  template <typename T> std::vector<T> download(CUdeviceptr address, size_t count) {
    std::vector<T> values(count);
    EXPECT_CUDA(cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)));
    return values;
  }

  template <typename... Arguments>
  CUresult launch(CUfunction function, unsigned grid, unsigned block, CUstream stream, Arguments... arguments) {
    void *parameters[] = {&arguments..., nullptr};
    return cuLaunchKernel(function, grid, 1, 1, block, 1, 1, 0, stream, parameters, nullptr);
  }

  CUdevice device = 0;
  CUcontext context = nullptr;
  CUmodule module = nullptr;
};

} // namespace emulator::cuda

#endif
