#include "tests/runtime/emulator/driver/driver_test.h"

namespace emulator::cuda {

const char *const kernelsPtx = R"(
.version 8.7
.target sm_90a
.address_size 64

.visible .global .align 4 .u32 counter = 7;
.visible .const .align 4 .u32 table[4] = {1, 2, 3, 4};
.extern .shared .align 16 .b8 dynamic[];

.visible .entry add(.param .u64 c, .param .u64 a, .param .u64 b, .param .u32 n) {
  .reg .pred %p;
  .reg .u32 %r<6>;
  .reg .u64 %rd<8>;
  .reg .f32 %f<4>;
  ld.param.u64 %rd1, [c];
  ld.param.u64 %rd2, [a];
  ld.param.u64 %rd3, [b];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p bra end;
  mul.wide.u32 %rd4, %r5, 4;
  add.u64 %rd5, %rd2, %rd4;
  add.u64 %rd6, %rd3, %rd4;
  add.u64 %rd7, %rd1, %rd4;
  ld.global.f32 %f1, [%rd5];
  ld.global.f32 %f2, [%rd6];
  add.f32 %f3, %f1, %f2;
  st.global.f32 [%rd7], %f3;
end:
  ret;
}

.visible .entry increment(.param .u64 p, .param .u32 n) {
  .reg .pred %p;
  .reg .u32 %r<7>;
  .reg .u64 %rd<4>;
  ld.param.u64 %rd1, [p];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p bra end;
  mul.wide.u32 %rd2, %r5, 4;
  add.u64 %rd3, %rd1, %rd2;
  ld.global.u32 %r6, [%rd3];
  add.u32 %r6, %r6, 1;
  st.global.u32 [%rd3], %r6;
end:
  ret;
}

.visible .entry fill(.param .u64 p, .param .u32 value, .param .u32 n) {
  .reg .pred %p;
  .reg .u32 %r<7>;
  .reg .u64 %rd<4>;
  ld.param.u64 %rd1, [p];
  ld.param.u32 %r6, [value];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p bra end;
  mul.wide.u32 %rd2, %r5, 4;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r6;
end:
  ret;
}

.visible .entry await(.param .u64 flag, .param .u64 out) {
  .reg .pred %p;
  .reg .u32 %r<2>;
  .reg .u64 %rd<3>;
  ld.param.u64 %rd1, [flag];
  ld.param.u64 %rd2, [out];
again:
  ld.acquire.sys.global.u32 %r1, [%rd1];
  setp.eq.u32 %p, %r1, 0;
  @%p bra again;
  st.global.u32 [%rd2], %r1;
  ret;
}

.visible .entry launch_and_await(.param .u64 flag) {
  .reg .pred %p;
  .reg .u32 %r<2>;
  .reg .u64 %rd<2>;
  griddepcontrol.launch_dependents;
  ld.param.u64 %rd1, [flag];
again:
  ld.acquire.sys.global.u32 %r1, [%rd1];
  setp.eq.u32 %p, %r1, 0;
  @%p bra again;
  ret;
}

.visible .entry signal(.param .u64 flag, .param .u32 value) {
  .reg .u32 %r<2>;
  .reg .u64 %rd<2>;
  ld.param.u64 %rd1, [flag];
  ld.param.u32 %r1, [value];
  st.release.sys.global.u32 [%rd1], %r1;
  ret;
}

.visible .entry store_null() {
  .reg .u64 %rd<2>;
  mov.u64 %rd1, 0;
  st.global.u32 [%rd1], 1;
  ret;
}

.visible .entry misaligned(.param .u64 p) {
  .reg .u64 %rd<2>;
  .reg .u32 %r<2>;
  ld.param.u64 %rd1, [p];
  ld.global.u32 %r1, [%rd1+2];
  st.global.u32 [%rd1], %r1;
  ret;
}

.visible .entry traps() {
  trap;
  ret;
}

.visible .entry primary(.param .u64 p) {
  .reg .pred %p;
  .reg .u32 %r<2>;
  .reg .u64 %rd<2>;
  ld.param.u64 %rd1, [p];
  griddepcontrol.launch_dependents;
  mov.u32 %r1, 0;
again:
  add.u32 %r1, %r1, 1;
  setp.lt.u32 %p, %r1, 2000;
  @%p bra again;
  mov.u32 %r1, 1;
  st.global.u32 [%rd1], %r1;
  ret;
}

.visible .entry secondary(.param .u64 p, .param .u64 out) {
  .reg .u32 %r<2>;
  .reg .u64 %rd<3>;
  ld.param.u64 %rd1, [p];
  ld.param.u64 %rd2, [out];
  griddepcontrol.wait;
  ld.global.u32 %r1, [%rd1];
  add.u32 %r1, %r1, 1;
  st.global.u32 [%rd2], %r1;
  ret;
}

.visible .entry shared(.param .u64 out) {
  .reg .u32 %r<2>;
  .reg .u64 %rd<2>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %dynamic_smem_size;
  st.global.u32 [%rd1], %r1;
  ret;
}

.visible .entry many(.param .u8 a, .param .u16 b, .param .u32 c, .param .u64 d, .param .u64 out) {
  .reg .u16 %h<2>;
  .reg .u32 %r<4>;
  .reg .u64 %rd<5>;
  ld.param.u8 %r1, [a];
  ld.param.u16 %r2, [b];
  ld.param.u32 %r3, [c];
  ld.param.u64 %rd1, [d];
  ld.param.u64 %rd2, [out];
  add.u32 %r1, %r1, %r2;
  add.u32 %r1, %r1, %r3;
  cvt.u64.u32 %rd3, %r1;
  add.u64 %rd4, %rd3, %rd1;
  st.global.u64 [%rd2], %rd4;
  ret;
}

.visible .entry bump_counter() {
  .reg .u32 %r<3>;
  .reg .u64 %rd<2>;
  ld.global.u32 %r1, [counter];
  ld.const.u32 %r2, [table+8];
  add.u32 %r1, %r1, %r2;
  st.global.u32 [counter], %r1;
  ret;
}
)";

} // namespace emulator::cuda
