#include "tests/runtime/emulator/driver/driver_test.h"

namespace emulator::cuda {
namespace {

template <typename F> void *addressOf(F *function) { return reinterpret_cast<void *>(function); }

void *find(const char *name, int version, cuuint64_t flags = 0) {
  void *address = nullptr;
  EXPECT_CUDA(cuGetProcAddress_v2(name, &address, version, flags, nullptr)) << name;
  return address;
}

TEST(ProcAddress, FollowsVersions) {
  EXPECT_EQ(find("cuMemAlloc", 13000), addressOf(cuMemAlloc_v2));
  EXPECT_EQ(find("cuCtxCreate", 4000), addressOf(cuCtxCreate_v2));
  EXPECT_EQ(find("cuCtxCreate", 11040), addressOf(cuCtxCreate_v3));
  EXPECT_EQ(find("cuCtxCreate", 12050), addressOf(cuCtxCreate_v4));
  EXPECT_EQ(find("cuStreamGetCaptureInfo", 12020), addressOf(cuStreamGetCaptureInfo_v2));
  EXPECT_EQ(find("cuStreamGetCaptureInfo", 12030), addressOf(cuStreamGetCaptureInfo_v3));
  EXPECT_EQ(find("cuGraphInstantiate", 11000), addressOf(cuGraphInstantiate_v2));
  EXPECT_EQ(find("cuGraphInstantiate", 12000), addressOf(cuGraphInstantiateWithFlags));
  EXPECT_EQ(find("cuGetProcAddress", 11030), addressOf(cuGetProcAddress));
  EXPECT_EQ(find("cuGetProcAddress", 12000), addressOf(cuGetProcAddress_v2));
  EXPECT_NE(find("cuGreenCtxCreate", 13000), nullptr);
}

TEST(ProcAddress, FollowsDefaultStreams) {
  EXPECT_EQ(find("cuLaunchKernel", 13000), addressOf(cuLaunchKernel));
  EXPECT_EQ(find("cuLaunchKernel", 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM), addressOf(cuLaunchKernel));
  EXPECT_EQ(find("cuLaunchKernel", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM),
            addressOf(cuLaunchKernel_ptsz));
  EXPECT_EQ(find("cuMemcpyHtoD", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM),
            addressOf(cuMemcpyHtoD_v2_ptds));
  EXPECT_EQ(find("cuMemAlloc", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM), addressOf(cuMemAlloc_v2));
}

TEST(ProcAddress, SaysWhyThereIsNone) {
  void *address = &address;
  CUdriverProcAddressQueryResult status;
  EXPECT_EQ(cuGetProcAddress_v2("cuNoSuchThing", &address, 13000, 0, nullptr), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(address, nullptr);
  EXPECT_CUDA(cuGetProcAddress_v2("cuNoSuchThing", &address, 13000, 0, &status));
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  EXPECT_CUDA(cuGetProcAddress_v2("cuLaunchKernelEx", &address, 11000, 0, &status));
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
  EXPECT_CUDA(cuGetProcAddress_v2("cuLaunchKernelEx", &address, 11080, 0, &status));
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS);
  EXPECT_EQ(cuGetProcAddress_v2("cuInit", &address, 13000, 3, &status), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuGetProcAddress_v2(nullptr, &address, 13000, 0, &status), CUDA_ERROR_INVALID_VALUE);
}

TEST(ProcAddress, GivesNoPrivateTables) {
  const CUuuid id{};
  const void *table = &id;
  EXPECT_EQ(cuGetExportTable(&table, &id), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(table, nullptr);
}

/// Before cuInit nothing works but what needs no driver: in a process of its own, for other tests call cuInit.
TEST(ProcAddressDeathTest, NothingWorksBeforeInit) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        int count = 0;
        std::exit(cuDeviceGetCount(&count) == CUDA_ERROR_NOT_INITIALIZED && cuInit(1) == CUDA_ERROR_INVALID_VALUE &&
                          cuCtxSynchronize() != CUDA_SUCCESS
                      ? 0
                      : 1);
      },
      testing::ExitedWithCode(0), "");
}

} // namespace
} // namespace emulator::cuda
