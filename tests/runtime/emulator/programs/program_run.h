#ifndef TESTS_RUNTIME_EMULATOR_PROGRAMS_PROGRAM_RUN_H
#define TESTS_RUNTIME_EMULATOR_PROGRAMS_PROGRAM_RUN_H

// Whole CUDA C++ programs: kernels from a .cu file, compiled by NVRTC when they run, driven through the driver API. A
// program says by GoogleTest's assertions what it must compute; the checker must have nothing to say. They run in many
// orders (programs_test.cpp), and with bugs put into them (mutations/).

#include "driver/api/functions.h"
#include "include/elah_emulator.h"
#include <cstdint>
#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace emulator::cuda {

#define ASSERT_CUDA(call) ASSERT_EQ(call, CUDA_SUCCESS)
#define EXPECT_CUDA(call) EXPECT_EQ(call, CUDA_SUCCESS)

struct RunOrder {
  const char *order = "eager"; ///< of asynchronous work: eager, lazy, random
  uint64_t seed = 0;
  bool adversarial = false, check = true;
  unsigned patience = 10000; ///< Milliseconds of polling that make a deadlock.
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

/// Changes what a program does, for those who want it to go wrong.
struct ProgramEdits {
  std::function<std::string(const std::string &)> source; ///< Of a kernel, headers included.
  std::function<void(LaunchShape &)> launch;
  struct MatrixMap {
    uint64_t rows, columns;
    uint32_t boxRows, boxColumns;
    CUtensorMapSwizzle swizzle;
  };
  std::function<void(MatrixMap &)> map;
};

/// One program, from a fresh context to its end. There is one at a time in a process.
class ProgramRun {
public:
  explicit ProgramRun(const RunOrder &order, ProgramEdits edits = {});
  ProgramRun(const ProgramRun &) = delete;
  ~ProgramRun();

  /// Why there is no compiler for kernels; empty where there is one.
  static std::string whyUnavailable();

  /// A kernel of tests/runtime/emulator/programs/FILE.cu, compiled with `options`.
  CUfunction kernel(const std::string &file, const std::string &name, const std::vector<std::string> &options = {});
  /// What the compiler has refused so far.
  const std::string &compilerLog() const { return refused; }

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

  /// Waits for all kernels.
  CUresult finish();
  /// The checker's reports so far, as text.
  static std::vector<std::string> reports();

private:
  CUresult launchWith(CUfunction function, LaunchShape shape, void **parameters);

  ProgramEdits edits;
  std::string refused;
  CUcontext context = nullptr;
};

struct Program {
  std::string name;
  std::function<void(ProgramRun &)> run;
};
std::vector<Program> scalarPrograms();
std::vector<Program> matrixPrograms();
std::vector<Program> asynchronousPrograms();
/// All of these.
std::vector<Program> allPrograms();

} // namespace emulator::cuda

#endif
