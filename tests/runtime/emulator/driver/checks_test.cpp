// The checker behind the driver API: on by an option, its reports kept and printed like faults.

#include "tests/runtime/emulator/driver/driver_test.h"

namespace emulator::cuda {
namespace {

// Thread i writes word i of shared memory and reads word i + 1, with a barrier between or without one.
constexpr const char *neighbours = R"(
.version 8.0
.target sm_90a
.address_size 64
.visible .entry neighbours(.param .u64 out, .param .u32 synchronises) {
  .reg .pred %p<2>;
  .reg .b32 %r<8>;
  .reg .b64 %rd<4>;
  .shared .align 4 .b8 words[512];
  ld.param.u64 %rd1, [out];
  ld.param.u32 %r1, [synchronises];
  mov.u32 %r2, %tid.x;
  mov.u32 %r3, words;
  shl.b32 %r4, %r2, 2;
  add.s32 %r5, %r3, %r4;
  st.shared.u32 [%r5], %r2;
  setp.eq.u32 %p1, %r1, 0;
  @%p1 bra $read;
  bar.sync 0;
$read:
  xor.b32 %r4, %r4, 128;
  add.s32 %r5, %r3, %r4;
  ld.shared.u32 %r6, [%r5];
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r6;
  ret;
}
.visible .entry copies(.param .u64 out, .param .u64 in) {
  .reg .b32 %r<3>;
  .reg .b64 %rd<6>;
  ld.param.u64 %rd1, [out];
  ld.param.u64 %rd2, [in];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %rd3, %r1, 4;
  add.s64 %rd4, %rd1, %rd3;
  add.s64 %rd5, %rd2, %rd3;
  ld.global.u32 %r2, [%rd5];
  st.global.u32 [%rd4], %r2;
  ret;
}
)";

class Checks : public DriverTest {
protected:
  void SetUp() override {
    DriverTest::SetUp();
    elah_emulator_clear();
    ASSERT_EQ(elah_emulator_set_option("check", "1"), 0);
    ASSERT_EQ(elah_emulator_set_option("print", "0"), 0);
    ASSERT_CUDA(cuModuleLoadData(&checked, neighbours));
  }
  void TearDown() override {
    elah_emulator_set_option("check", "0");
    elah_emulator_set_option("print", "1");
    elah_emulator_clear();
    DriverTest::TearDown();
  }
  CUfunction function(const char *name) {
    CUfunction found = nullptr;
    EXPECT_CUDA(cuModuleGetFunction(&found, checked, name));
    return found;
  }
  CUmodule checked = nullptr;
};

TEST_F(Checks, ARaceIsReportedAndABarrierMendsIt) {
  CUdeviceptr out = 0;
  ASSERT_CUDA(cuMemAlloc_v2(&out, 256));
  EXPECT_CUDA(launch(function("neighbours"), 1, 64, nullptr, out, 1u));
  EXPECT_CUDA(cuCtxSynchronize());
  EXPECT_EQ(elah_emulator_report_count(), 0u);
  EXPECT_CUDA(launch(function("neighbours"), 1, 64, nullptr, out, 0u));
  EXPECT_CUDA(cuCtxSynchronize());
  // The warp that comes first reads what nobody has written yet, which is told as well.
  std::string text, json;
  for (size_t i = 0; i < elah_emulator_report_count(); ++i) {
    if (elah_emulator_report_kind(i) == std::string("shared-race")) {
      text = elah_emulator_report_text(i);
      json = elah_emulator_report_json(i);
    }
  }
  EXPECT_NE(text.find("neighbours"), std::string::npos) << text;
  EXPECT_NE(text.find("ld.shared.u32"), std::string::npos) << text;
  EXPECT_NE(text.find("st.shared.u32"), std::string::npos) << text;
  EXPECT_NE(json.find("\"shared-race\""), std::string::npos) << json;
}

TEST_F(Checks, MemoryThatNobodyWroteIsReported) {
  CUdeviceptr out = 0, in = 0;
  ASSERT_CUDA(cuMemAlloc_v2(&out, 128));
  ASSERT_CUDA(cuMemAlloc_v2(&in, 128));
  ASSERT_CUDA(cuMemsetD32_v2(in, 7, 32));
  EXPECT_CUDA(launch(function("copies"), 1, 32, nullptr, out, in));
  EXPECT_CUDA(cuCtxSynchronize());
  EXPECT_EQ(elah_emulator_report_count(), 0u);
  CUdeviceptr fresh = 0;
  ASSERT_CUDA(cuMemAlloc_v2(&fresh, 128));
  EXPECT_CUDA(launch(function("copies"), 1, 32, nullptr, out, fresh));
  EXPECT_CUDA(cuCtxSynchronize());
  ASSERT_EQ(elah_emulator_report_count(), 1u);
  EXPECT_STREQ(elah_emulator_report_kind(0), "uninitialised-memory");
}

} // namespace
} // namespace emulator::cuda
