#include "tests/runtime/emulator/driver/driver_test.h"
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

namespace emulator::cuda {
namespace {

class Launches : public DriverTest {
protected:
  CUresult launchWith(CUfunction function, CUlaunchConfig config, std::vector<CUlaunchAttribute> attributes,
                      void **parameters) {
    config.attrs = attributes.data();
    config.numAttrs = static_cast<unsigned>(attributes.size());
    return cuLaunchKernelEx(&config, function, parameters, nullptr);
  }
  static CUlaunchAttribute cluster(unsigned x, unsigned y = 1, unsigned z = 1) {
    CUlaunchAttribute attribute{};
    attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim = {x, y, z};
    return attribute;
  }
  /// The kernel may begin before the one in front of it has ended.
  static CUlaunchAttribute dependent() {
    CUlaunchAttribute attribute{};
    attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attribute.value.programmaticStreamSerializationAllowed = 1;
    return attribute;
  }
};

TEST_F(Launches, AddVectors) {
  std::vector<float> a(1000), b(1000), sum(1000);
  for (int i = 0; i < 1000; ++i) {
    a[i] = i * 0.5f;
    b[i] = 3.f - i;
    sum[i] = a[i] + b[i];
  }
  const CUdeviceptr x = upload(a), y = upload(b), z = upload(std::vector<float>(1000));
  EXPECT_CUDA(launch(kernel("add"), 8, 128, nullptr, z, x, y, 1000u));
  EXPECT_EQ(download<float>(z, 1000), sum);
}

TEST_F(Launches, ParametersComeInTwoWays) {
  const CUdeviceptr out = upload(std::vector<uint64_t>(1));
  uint8_t a = 200;
  uint16_t b = 60000;
  uint32_t c = 70000;
  uint64_t d = uint64_t(1) << 40;
  EXPECT_CUDA(launch(kernel("many"), 1, 1, nullptr, a, b, c, d, out));
  const uint64_t expected = 200 + 60000 + 70000 + (uint64_t(1) << 40);
  EXPECT_EQ(download<uint64_t>(out, 1)[0], expected);
  struct {
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d, out;
  } buffer{a, b, c, d + 1, out};
  size_t size = sizeof buffer;
  void *extra[] = {launchParamBufferPointer, &buffer, launchParamBufferSize, &size, launchParamEnd};
  EXPECT_CUDA(cuLaunchKernel(kernel("many"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
  EXPECT_EQ(download<uint64_t>(out, 1)[0], expected + 1);
  size = 8;
  EXPECT_EQ(cuLaunchKernel(kernel("many"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuLaunchKernel(kernel("many"), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Launches, DynamicSharedMemoryIsOptedInto) {
  const CUdeviceptr out = upload(std::vector<uint32_t>(1));
  CUdeviceptr pointer = out;
  void *parameters[] = {&pointer};
  CUfunction shared = kernel("shared");
  EXPECT_CUDA(cuLaunchKernel(shared, 1, 1, 1, 1, 1, 1, 49152, nullptr, parameters, nullptr));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 49152u);
  EXPECT_EQ(cuLaunchKernel(shared, 1, 1, 1, 1, 1, 1, 49156, nullptr, parameters, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_CUDA(cuFuncSetAttribute(shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 232448));
  EXPECT_CUDA(cuLaunchKernel(shared, 1, 1, 1, 1, 1, 1, 232448, nullptr, parameters, nullptr));
  EXPECT_EQ(download<uint32_t>(out, 1)[0], 232448u);
}

TEST_F(Launches, ShapesAreChecked) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(1));
  CUdeviceptr pointer = a;
  uint32_t value = 0, count = 0;
  void *parameters[] = {&pointer, &value, &count};
  CUfunction fill = kernel("fill");
  auto shape = [&](unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz) {
    return cuLaunchKernel(fill, gx, gy, gz, bx, by, bz, 0, nullptr, parameters, nullptr);
  };
  EXPECT_CUDA(shape(1, 1, 1, 1024, 1, 1));
  EXPECT_CUDA(shape(1, 65535 / 64, 1, 1, 1, 64));
  EXPECT_EQ(shape(0, 1, 1, 32, 1, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(shape(1, 65536, 1, 32, 1, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(shape(1, 1, 1, 1025, 1, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(shape(1, 1, 1, 1, 1, 65), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(shape(1, 1, 1, 64, 32, 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_CUDA(cuCtxSynchronize());
}

TEST_F(Launches, ClustersAreChecked) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(1024));
  CUdeviceptr pointer = a;
  uint32_t value = 3, count = 1024;
  void *parameters[] = {&pointer, &value, &count};
  CUfunction fill = kernel("fill");
  const CUlaunchConfig config{16, 1, 1, 64, 1, 1, 0, nullptr, nullptr, 0};
  EXPECT_CUDA(launchWith(fill, config, {cluster(4)}, parameters));
  EXPECT_EQ(download<uint32_t>(a, 1024), std::vector<uint32_t>(1024, 3));
  EXPECT_EQ(launchWith(fill, config, {cluster(3)}, parameters), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  EXPECT_EQ(launchWith(fill, config, {cluster(0)}, parameters), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launchWith(fill, config, {cluster(16)}, parameters), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  EXPECT_CUDA(cuFuncSetAttribute(fill, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
  EXPECT_CUDA(launchWith(fill, config, {cluster(16)}, parameters));
  EXPECT_CUDA(cuCtxSynchronize());
}

TEST_F(Launches, CooperativeGridsMustFit) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(1024));
  CUdeviceptr pointer = a;
  uint32_t value = 3, count = 1024;
  void *parameters[] = {&pointer, &value, &count};
  EXPECT_CUDA(cuLaunchCooperativeKernel(kernel("fill"), 132 * 2, 1, 1, 1024, 1, 1, 0, nullptr, parameters));
  EXPECT_EQ(cuLaunchCooperativeKernel(kernel("fill"), 132 * 2 + 1, 1, 1, 1024, 1, 1, 0, nullptr, parameters),
            CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
  EXPECT_CUDA(cuCtxSynchronize());
}

TEST_F(Launches, DependentsOverlapAndWait) {
  CUstream stream = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  const CUlaunchConfig config{1, 1, 1, 1, 1, 1, 0, stream, nullptr, 0};
  const CUdeviceptr p = upload(std::vector<uint32_t>(1, 0)), out = upload(std::vector<uint32_t>(1, 0));
  CUdeviceptr pointers[2] = {p, out};
  void *parameters[] = {&pointers[0], &pointers[1]};
  for (int i = 0; i < 20; ++i) {
    ASSERT_CUDA(cuMemsetD32Async(p, 0, 1, stream));
    ASSERT_CUDA(launchWith(kernel("primary"), config, {}, parameters));
    ASSERT_CUDA(launchWith(kernel("secondary"), config, {dependent()}, parameters));
    ASSERT_CUDA(cuStreamSynchronize(stream));
    ASSERT_EQ(download<uint32_t>(out, 1)[0], 2u);
  }
}

TEST_F(Launches, ChainsOfDependentsEndWithTheFirst) {
  CUstream stream = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  const CUlaunchConfig config{1, 1, 1, 1, 1, 1, 0, stream, nullptr, 0};
  uint32_t *flag = nullptr;
  ASSERT_CUDA(cuMemHostAlloc(reinterpret_cast<void **>(&flag), 4, 0));
  *flag = 0;
  CUdeviceptr pointer = reinterpret_cast<CUdeviceptr>(flag), out = upload(std::vector<uint32_t>(1, 7));
  uint32_t value = 1, none = 0;
  void *first[] = {&pointer}, *others[] = {&out, &value, &none};
  // The first launches its dependents, and waits for the host. None of the others waits for it.
  ASSERT_CUDA(launchWith(kernel("launch_and_await"), config, {}, first));
  for (int i = 0; i < 4; ++i) {
    ASSERT_CUDA(launchWith(kernel("fill"), config, {dependent()}, others));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
  __atomic_store_n(flag, 1u, __ATOMIC_RELEASE);
  EXPECT_CUDA(cuStreamSynchronize(stream));
  EXPECT_CUDA(cuMemFreeHost(flag));
}

TEST_F(Launches, ProgrammaticEventsHappen) {
  CUstream stream = nullptr, other = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  ASSERT_CUDA(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  CUevent event = nullptr;
  ASSERT_CUDA(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  CUlaunchAttribute attribute{};
  attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT;
  attribute.value.programmaticEvent.event = event;
  const CUdeviceptr p = upload(std::vector<uint32_t>(1, 0));
  CUdeviceptr pointer = p;
  void *parameters[] = {&pointer};
  ASSERT_CUDA(launchWith(kernel("primary"), {1, 1, 1, 1, 1, 1, 0, stream, nullptr, 0}, {attribute}, parameters));
  EXPECT_CUDA(cuStreamWaitEvent(other, event, 0));
  EXPECT_CUDA(cuStreamSynchronize(other));
  EXPECT_CUDA(cuStreamSynchronize(stream));
  EXPECT_EQ(download<uint32_t>(p, 1)[0], 1u);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define KEEPS_SHADOWS
#endif
#endif

#ifndef KEEPS_SHADOWS // Sanitizers hold more for each byte that there ever was.
/// Bytes that the process holds.
static size_t residentBytes() {
  size_t all = 0, resident = 0;
  std::FILE *file = std::fopen("/proc/self/statm", "r");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(std::fscanf(file, "%zu %zu", &all, &resident), 2);
  std::fclose(file);
  return resident * 4096;
}

TEST_F(Launches, LeaveNothingBehind) {
  const CUdeviceptr a = upload(std::vector<uint32_t>(1));
  CUfunction fill = kernel("fill");
  auto many = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_CUDA(launch(fill, 1, 1, nullptr, a, 3u, 1u));
      if (i % 100 == 99) {
        ASSERT_CUDA(cuCtxSynchronize());
      }
    }
  };
  many(5000); // Also fills what keeps the freed for a while.
  const size_t before = residentBytes();
  many(10000);
  EXPECT_LT(residentBytes(), before + (4 << 20));
}
#endif

} // namespace
} // namespace emulator::cuda
