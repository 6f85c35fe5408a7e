// What a kernel's fault does to its context, and what is told of it.

#include "tests/runtime/emulator/driver/driver_test.h"
#include <cstring>

namespace emulator::cuda {
namespace {

class Faults : public DriverTest {
protected:
  void expectSticky(CUresult code) {
    EXPECT_EQ(cuCtxSynchronize(), code);
    CUdeviceptr address = 0;
    EXPECT_EQ(cuMemAlloc_v2(&address, 4), code);
    EXPECT_EQ(cuStreamSynchronize(nullptr), code);
    // The context begins anew with a reset.
    EXPECT_CUDA(cuDevicePrimaryCtxReset_v2(device));
    module = nullptr;
    EXPECT_CUDA(cuMemAlloc_v2(&address, 4));
    EXPECT_CUDA(launch(kernel("fill"), 1, 1, nullptr, address, 1u, 1u));
    EXPECT_EQ(download<uint32_t>(address, 1)[0], 1u);
  }
};

TEST_F(Faults, IllegalAddress) {
  EXPECT_CUDA(launch(kernel("store_null"), 1, 1, nullptr));
  expectSticky(CUDA_ERROR_ILLEGAL_ADDRESS);
  ASSERT_GE(elah_emulator_report_count(), 1u);
  EXPECT_STREQ(elah_emulator_report_kind(0), "illegal address");
  const std::string text = elah_emulator_report_text(0), json = elah_emulator_report_json(0);
  EXPECT_NE(text.find("store_null"), std::string::npos) << text;
  EXPECT_NE(text.find("st.global.u32"), std::string::npos) << text;
  EXPECT_NE(json.find("\"code\":700"), std::string::npos) << json;
  EXPECT_EQ(elah_emulator_report_text(1000), nullptr);
  elah_emulator_clear();
  EXPECT_EQ(elah_emulator_report_count(), 0u);
}

TEST_F(Faults, BeyondAnAllocation) {
  CUdeviceptr a = upload(std::vector<uint32_t>(100));
  EXPECT_CUDA(launch(kernel("fill"), 1, 128, nullptr, a, 1u, 101u));
  expectSticky(CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(Faults, WriteToMemoryRegisteredToBeRead) {
  std::vector<uint32_t> host(100, 1);
  ASSERT_CUDA(cuMemHostRegister_v2(host.data(), 400, memHostDeviceMap | memHostReadOnly));
  CUdeviceptr address = 0;
  ASSERT_CUDA(cuMemHostGetDevicePointer_v2(&address, host.data(), 0));
  EXPECT_CUDA(launch(kernel("increment"), 1, 128, nullptr, address, 100u));
  expectSticky(CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(host, std::vector<uint32_t>(100, 1));
}

TEST_F(Faults, MisalignedAddress) {
  EXPECT_CUDA(launch(kernel("misaligned"), 1, 1, nullptr, upload(std::vector<uint32_t>(4))));
  expectSticky(CUDA_ERROR_MISALIGNED_ADDRESS);
}

TEST_F(Faults, Trap) {
  EXPECT_CUDA(launch(kernel("traps"), 1, 1, nullptr));
  expectSticky(CUDA_ERROR_LAUNCH_FAILED);
}

TEST_F(Faults, DropWhatComesAfter) {
  CUstream stream = nullptr;
  ASSERT_CUDA(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  uint32_t *pinned = nullptr;
  ASSERT_CUDA(cuMemHostAlloc(reinterpret_cast<void **>(&pinned), 4, 0));
  *pinned = 1;
  struct Seen {
    bool host = false;
    CUresult callback = CUDA_SUCCESS;
  } seen;
  CUdeviceptr address = reinterpret_cast<CUdeviceptr>(pinned);
  CUfunction traps = kernel("traps"), fill = kernel("fill");
  ASSERT_CUDA(cuLaunchHostFunc(stream, [](void *) {}, nullptr));
  ASSERT_CUDA(launch(traps, 1, 1, stream));
  launch(fill, 1, 1, stream, address, 2u, 1u);
  cuLaunchHostFunc(stream, [](void *data) { static_cast<Seen *>(data)->host = true; }, &seen);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(*pinned, 1u);
  EXPECT_FALSE(seen.host);
}

TEST_F(Faults, OneContextAlone) {
  CUcontext other = nullptr;
  ASSERT_CUDA(cuCtxCreate_v4(&other, nullptr, 0, device));
  CUmodule own = nullptr;
  ASSERT_CUDA(cuModuleLoadData(&own, kernelsPtx));
  CUfunction traps = nullptr;
  ASSERT_CUDA(cuModuleGetFunction(&traps, own, "traps"));
  ASSERT_CUDA(launch(traps, 1, 1, nullptr));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_CUDA(cuCtxDestroy_v2(other));
  EXPECT_CUDA(cuCtxSetCurrent(context));
  EXPECT_EQ(launch(traps, 1, 1, nullptr), CUDA_ERROR_INVALID_HANDLE);
  const CUdeviceptr a = upload(std::vector<uint32_t>(1));
  EXPECT_CUDA(launch(kernel("fill"), 1, 1, nullptr, a, 1u, 1u));
  EXPECT_EQ(download<uint32_t>(a, 1)[0], 1u);
}

TEST_F(Faults, OptionsAreCheckedByName) {
  EXPECT_EQ(elah_emulator_set_option("order", "random"), 0);
  EXPECT_EQ(elah_emulator_set_option("order", "eager"), 0);
  EXPECT_EQ(elah_emulator_set_option("order", "later"), -1);
  EXPECT_EQ(elah_emulator_set_option("colour", "red"), -1);
  EXPECT_EQ(elah_emulator_set_option("seed", "-1"), -1);
  EXPECT_EQ(elah_emulator_set_option(nullptr, "1"), -1);
}

} // namespace
} // namespace emulator::cuda
