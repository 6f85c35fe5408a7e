#ifndef TESTS_RUNTIME_EMULATOR_PROGRAMS_PROGRAM_TEST_H
#define TESTS_RUNTIME_EMULATOR_PROGRAMS_PROGRAM_TEST_H

// Whole CUDA C++ programs: kernels from a .cu file, compiled by NVRTC when the test runs, driven through the driver
// API. Each test runs in every order of asynchronous work with the checker on, and must give right results and no
// reports.

#include "driver/api/functions.h"
#include "include/elah_emulator.h"
#include <cstdint>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace emulator::cuda {

#define ASSERT_CUDA(call) ASSERT_EQ(call, CUDA_SUCCESS)
#define EXPECT_CUDA(call) EXPECT_EQ(call, CUDA_SUCCESS)

struct RunOrder {
  const char *name, *order, *seed, *adversarial, *check;
};

struct Shape {
  unsigned x = 1, y = 1, z = 1;
};

struct LaunchShape {
  Shape grid, block;
  unsigned shared = 0;
  Shape cluster{};
  bool cooperative = false, dependent = false; ///< dependent: programmatic stream serialisation
  CUstream stream = nullptr;
};

class ProgramTest : public testing::TestWithParam<RunOrder> {
protected:
  void SetUp() override;
  void TearDown() override;

  /// A kernel of tests/runtime/emulator/programs/FILE.cu, compiled with `options`.
  CUfunction kernel(const std::string &file, const std::string &name, const std::vector<std::string> &options = {});

  template <typename T> CUdeviceptr upload(const std::vector<T> &values) {
    const CUdeviceptr address = reserve<T>(values.size());
    EXPECT_CUDA(cuMemcpyHtoD_v2(address, values.data(), values.size() * sizeof(T)));
    return address;
  }
  /// Memory that nobody has written.
  template <typename T> CUdeviceptr reserve(size_t count) {
    CUdeviceptr address = 0;
    EXPECT_CUDA(cuMemAlloc_v2(&address, count * sizeof(T)));
    return address;
  }
  template <typename T> std::vector<T> download(CUdeviceptr address, size_t count) {
    std::vector<T> values(count);
    EXPECT_CUDA(cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)));
    return values;
  }
  template <typename... Arguments> CUresult launch(CUfunction function, LaunchShape shape, Arguments... arguments) {
    void *parameters[] = {&arguments..., nullptr};
    return launchWith(function, shape, parameters);
  }

  /// A map of a row-major matrix; `box` in elements.
  CUtensorMap matrixMap(CUtensorMapDataType type, unsigned elementBytes, CUdeviceptr address, uint64_t rows,
                        uint64_t columns, uint64_t pitchBytes, uint32_t boxRows, uint32_t boxColumns,
                        CUtensorMapSwizzle swizzle);

  std::mt19937 random{7};
  /// Whole numbers, so that sums are exact in any order.
  std::vector<float> wholeNumbers(size_t count, int most);

private:
  CUresult launchWith(CUfunction function, LaunchShape shape, void **parameters);
  CUcontext context = nullptr;
};

#define INSTANTIATE_PROGRAM(suite)                                                                                     \
  INSTANTIATE_TEST_SUITE_P(Orders, suite, testing::ValuesIn(everyOrder),                                               \
                           [](const testing::TestParamInfo<RunOrder> &info) { return info.param.name; })

inline constexpr RunOrder everyOrder[] = {
    {"Unchecked", "eager", "0", "0", "0"}, {"Eager", "eager", "0", "0", "1"},    {"Lazy", "lazy", "0", "0", "1"},
    {"Random1", "random", "1", "0", "1"},  {"Random2", "random", "2", "1", "1"}, {"Random3", "random", "3", "1", "1"},
};

} // namespace emulator::cuda

#endif
