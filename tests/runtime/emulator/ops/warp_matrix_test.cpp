// mma.sync, ldmatrix, stmatrix, movmatrix and wmma from PTX to bytes. The arithmetic by type is warp_product_test's.
#include "tests/runtime/emulator/kernel_run.h"

#include <bit>
#include <functional>

using namespace emulator;

namespace {

std::string kernel(const std::string &body) {
  return ".version 8.8\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 ps, .param .u64 pd)\n{\n"
         ".shared .align 128 .b8 tile[2048];\n.reg .b32 %r<40>;\n.reg .b64 %rd<10>;\n.reg .f32 %f<30>;\n"
         ".reg .pred %p<4>;\nld.param.u64 %rd1, [ps];\nld.param.u64 %rd2, [pd];\nmov.u32 %r0, %tid.x;\nmov.u32 %r1, "
         "tile;\n"
         "mul.wide.u32 %rd3, %r0, 16;\nadd.s64 %rd4, %rd2, %rd3;\nadd.s64 %rd5, %rd1, %rd3;\n" +
         body + "ret;\n}\n";
}

/// Runs one warp on 2,048 bytes of source; gives 2,048 bytes of result.
std::vector<uint16_t> run(const std::string &body, const std::vector<uint16_t> &source) {
  DeviceBuffer from(source), to(std::vector<uint16_t>(1024, 0xEEEE));
  KernelRun launch;
  launch.block = 32;
  std::optional<Fault> fault = launch(kernel(body), Parameters().add(from.address()).add(to.address()));
  EXPECT_FALSE(fault) << fault->text;
  return std::vector<uint16_t>(to.as<uint16_t>(), to.as<uint16_t>() + 1024);
}

std::vector<uint16_t> numbers() {
  std::vector<uint16_t> values(1024);
  for (unsigned i = 0; i < values.size(); ++i) {
    values[i] = static_cast<uint16_t>(i);
  }
  return values;
}

/// Copies the source's first 512 bytes to the tile, 16 a thread: thread L's are row L % 8 of matrix L / 8.
const std::string fill =
    "shl.b32 %r2, %r0, 4;\nadd.u32 %r2, %r2, %r1;\nld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%rd5];\n"
    "st.shared.v4.b32 [%r2], {%r4, %r5, %r6, %r7};\nbar.sync 0;\n";
const std::string give = "st.global.v4.b32 [%rd4], {%r10, %r11, %r12, %r13};\n";

std::vector<uint16_t> halves(const std::function<float(unsigned)> &value) {
  std::vector<uint16_t> bits(1024);
  for (unsigned i = 0; i < bits.size(); ++i) {
    bits[i] = std::bit_cast<uint16_t>(static_cast<_Float16>(value(i)));
  }
  return bits;
}

} // namespace

TEST(MatrixMoves, LoadsFourMatrices) {
  for (bool transposed : {false, true}) {
    std::vector<uint16_t> result = run(fill + "ldmatrix.sync.aligned.m8n8.x4" + (transposed ? ".trans" : "") +
                                           ".shared.b16 {%r10, %r11, %r12, %r13}, [%r2];\n" + give,
                                       numbers());
    for (unsigned lane = 0; lane < 32; ++lane) {
      for (unsigned i = 0; i < 8; ++i) { // register i / 2, half i % 2
        unsigned row = lane / 4, column = lane % 4 * 2 + i % 2;
        ASSERT_EQ(result[lane * 8 + i], i / 2 * 64 + (transposed ? column * 8 + row : row * 8 + column));
      }
    }
  }
}

TEST(MatrixMoves, LoadsFewerMatrices) {
  // Addresses of lanes that no matrix needs are not looked at.
  std::vector<uint16_t> one = run(fill +
                                      "setp.lt.u32 %p0, %r0, 8;\nselp.b32 %r2, %r2, 0, %p0;\n"
                                      "mov.b32 %r11, 0;\nmov.b32 %r12, 0;\nmov.b32 %r13, 0;\n"
                                      "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r2];\n" +
                                      give,
                                  numbers());
  std::vector<uint16_t> two = run(fill +
                                      "setp.lt.u32 %p0, %r0, 16;\nselp.b32 %r2, %r2, 0, %p0;\n"
                                      "mov.b32 %r12, 0;\nmov.b32 %r13, 0;\n"
                                      "ldmatrix.sync.aligned.x2.m8n8.shared.b16 {%r10, %r11}, [%r2];\n" +
                                      give,
                                  numbers());
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(one[lane * 8], lane / 4 * 8 + lane % 4 * 2);
    EXPECT_EQ(two[lane * 8 + 3], 64 + lane / 4 * 8 + lane % 4 * 2 + 1);
  }
}

TEST(MatrixMoves, StoresWhatLoadsRead) {
  for (const char *form : {"", ".trans"}) {
    std::vector<uint16_t> result =
        run(fill + "ldmatrix.sync.aligned.m8n8.x4" + form + ".shared.b16 {%r10, %r11, %r12, %r13}, [%r2];\n" +
                "add.u32 %r3, %r2, 512;\nstmatrix.sync.aligned.m8n8.x4" + form +
                ".shared.b16 [%r3], {%r10, %r11, %r12, %r13};\nbar.sync 0;\n"
                "ld.shared.v4.b32 {%r10, %r11, %r12, %r13}, [%r3];\n" +
                give,
            numbers());
    for (unsigned i = 0; i < 256; ++i) {
      ASSERT_EQ(result[i], i);
    }
  }
}

TEST(MatrixMoves, TransposesInRegisters) {
  std::vector<uint16_t> result = run(fill +
                                         "mov.b32 %r11, 0;\nmov.b32 %r12, 0;\nmov.b32 %r13, 0;\n"
                                         "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r2];\n"
                                         "movmatrix.sync.aligned.m8n8.trans.b16 %r10, %r10;\n" +
                                         give,
                                     numbers());
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(result[lane * 8], lane % 4 * 2 * 8 + lane / 4);
    EXPECT_EQ(result[lane * 8 + 1], (lane % 4 * 2 + 1) * 8 + lane / 4);
  }
}

TEST(WarpMatrix, MultipliesLoadedFragments) {
  // A (16 x 16) at 0, its halves as ldmatrix wants them; B (8 columns of 16) behind. Small whole numbers: exact.
  auto value = [](unsigned i) { return float(int(i * 7 % 5) - 2); };
  std::vector<uint16_t> source = halves(value);
  const std::string load = "ld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%rd5];\nadd.s64 %rd6, %rd5, 512;\n"
                           "ld.global.v2.b32 {%r8, %r9}, [%rd6];\nmov.f32 %f0, 0f3F800000;\n";
  std::vector<uint16_t> result = run(load + "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, "
                                            "{%r4, %r5, %r6, %r7}, {%r8, %r9}, {%f0, %f0, %f0, %f0};\n"
                                            "st.global.v4.f32 [%rd4], {%f1, %f2, %f3, %f4};\n",
                                     source);
  // Fragments straight from memory: lane L has 8 halves of A at 8 L, and 4 of B at 256 + 8 L.
  float a[16][16], b[16][8];
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned i = 0; i < 8; ++i) {
      a[lane / 4 + 8 * (i / 2 % 2)][lane % 4 * 2 + i % 2 + 8 * (i / 4)] = value(lane * 8 + i);
    }
    for (unsigned i = 0; i < 4; ++i) {
      b[lane % 4 * 2 + i % 2 + 8 * (i / 2)][lane / 4] = value(256 + lane * 8 + i);
    }
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned i = 0; i < 4; ++i) {
      float sum = 1, got = 0;
      for (unsigned k = 0; k < 16; ++k) {
        sum += a[lane / 4 + 8 * (i / 2)][k] * b[k][lane % 4 * 2 + i % 2];
      }
      std::memcpy(&got, &result[lane * 8 + i * 2], 4);
      ASSERT_EQ(got, sum) << lane << " " << i;
    }
  }
}

TEST(WarpMatrix, Fragments) {
  // wmma on 16 x 16 x 16: A row-major, B column-major, C and D f32 row-major.
  auto value = [](unsigned i) { return float(int(i * 11 % 7) - 3); };
  const std::string registers = "{%r4, %r5, %r6, %r7, %r8, %r9, %r10, %r11}",
                    others = "{%r12, %r13, %r14, %r15, %r16, %r17, %r18, %r19}",
                    sums = "{%f1, %f2, %f3, %f4, %f5, %f6, %f7, %f8}";
  std::string zero;
  for (unsigned i = 1; i <= 8; ++i) {
    zero += "mov.f32 %f" + std::to_string(i) + ", 0f40000000;\n";
  }
  std::vector<uint16_t> result =
      run("mov.u32 %r3, 16;\nadd.s64 %rd6, %rd1, 512;\nwmma.load.a.sync.aligned.row.m16n16k16.global.f16 " + registers +
              ", [%rd1], %r3;\nwmma.load.b.sync.aligned.col.m16n16k16.global.f16 " + others + ", [%rd6], %r3;\n" +
              zero + "wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 " + sums + ", " + registers + ", " + others +
              ", " + sums + ";\nwmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%rd2], " + sums + ", %r3;\n",
          halves(value));
  for (unsigned row = 0; row < 16; ++row) {
    for (unsigned column = 0; column < 16; ++column) {
      float sum = 2, got = 0;
      for (unsigned k = 0; k < 16; ++k) {
        sum += value(row * 16 + k) * value(256 + column * 16 + k);
      }
      std::memcpy(&got, &result[(row * 16 + column) * 2], 4);
      ASSERT_EQ(got, sum) << row << " " << column;
    }
  }
}
