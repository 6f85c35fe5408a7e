// printf on the device: what it prints, and that it returns the number of arguments that its format asks for.
#include "tests/runtime/emulator/kernel_run.h"

using namespace emulator;

namespace {

/// Prints `format` with the values 1, 2, 3 of 32 bits; gives what was returned.
int32_t printed(const std::string &format, std::string &output) {
  std::string bytes;
  for (char c : format) {
    bytes += std::to_string(static_cast<int>(c)) + ", ";
  }
  const std::string text = ".version 8.0\n.target sm_90a\n.address_size 64\n"
                           ".extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 v);\n"
                           ".global .align 1 .b8 format[" +
                           std::to_string(format.size() + 1) + "] = {" + bytes + R"(0};
.visible .entry k(.param .u64 out) {
  .reg .b32 %r<4>;
  .reg .b64 %rd<6>;
  .local .align 8 .b8 values[16];
  ld.param.u64 %rd1, [out];
  st.local.u32 [values], 1;
  st.local.u32 [values+4], 2;
  st.local.u32 [values+8], 3;
  mov.u64 %rd2, values;
  cvta.local.u64 %rd2, %rd2;
  mov.u64 %rd3, format;
  cvta.global.u64 %rd3, %rd3;
  {
    .param .b64 f;
    .param .b64 v;
    .param .b32 r;
    st.param.b64 [f], %rd3;
    st.param.b64 [v], %rd2;
    call.uni (r), vprintf, (f, v);
    ld.param.b32 %r1, [r];
  }
  st.global.u32 [%rd1], %r1;
  ret;
}
)";
  DeviceBuffer out(4);
  KernelRun run;
  run.block = 1;
  testing::internal::CaptureStdout();
  std::optional<Fault> fault = run(text, Parameters().add(out.address()));
  output = testing::internal::GetCapturedStdout();
  EXPECT_FALSE(fault) << fault->text;
  return *out.as<int32_t>();
}

TEST(DevicePrint, ReturnsTheNumberOfArguments) {
  std::string output;
  EXPECT_EQ(printed("none 100%%", output), 0);
  EXPECT_EQ(output, "none 100%");
  EXPECT_EQ(printed("%d and %x", output), 2);
  EXPECT_EQ(output, "1 and 2");
  EXPECT_EQ(printed("%*d|%c", output), 3); // The width is an argument.
  EXPECT_EQ(output, std::string("2|") + char(3));
}

} // namespace
