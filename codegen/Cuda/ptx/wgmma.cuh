// wgmma (PTX ISA 9.7.15): products of a warpgroup, 64 x n, from operands in shared memory (given by descriptors) or,
// for A, in registers. Accumulators: thread t of the warpgroup holds, for each 8 columns, rows 16 * (t / 32) + t % 32 /
// 4 and 8 below it, columns 2 * (t % 4) and the next: d[4 j + 0, 1] of the upper row, d[4 j + 2, 3] of the lower.
#pragma once

#include "ptx/types.cuh"

namespace elah::ptx {

__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int groups> __device__ inline void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}

/// No instruction: keeps the compiler from moving uses of accumulators over a fence or a wait. Whoever issues a product
/// says so before it, and after the wait for it.
template <int count> __device__ inline void wgmma_hold_registers(float (&d)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i) {
    asm volatile("" : "+f"(d[i])::"memory");
  }
}

/// The same for A operands in registers: nothing may be moved into them between the fence and the product.
template <int steps> __device__ inline void wgmma_hold_registers(uint32_t (&a)[steps][4]) {
#pragma unroll
  for (int i = 0; i < steps; ++i) {
    asm volatile("" : "+r"(a[i][0]), "+r"(a[i][1]), "+r"(a[i][2]), "+r"(a[i][3])::"memory");
  }
}

/// The layout of an operand in shared memory: bits 62-63 of its descriptor.
enum class MatrixSwizzle : uint64_t { None = 0, B128 = 1, B64 = 2, B32 = 3 };

/// Matrix descriptor (PTX ISA 9.7.15.5.1). `stride`: bytes between groups of 8 rows (K-major) or, for MN-major
/// operands, of 8 k; `leading`: bytes between atoms along the other dimension, unused for swizzled K-major ones.
__device__ inline uint64_t wgmma_descriptor(uint32_t address, uint32_t leading, uint32_t stride,
                                            MatrixSwizzle swizzle) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | static_cast<uint64_t>((leading & 0x3ffff) >> 4) << 16 |
         static_cast<uint64_t>((stride & 0x3ffff) >> 4) << 32 | static_cast<uint64_t>(swizzle) << 62;
}

// Accumulators as assembler operands: eight at a time, so many that n columns have n / 2.
#define ELAH_D16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define ELAH_D32 ELAH_D16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define ELAH_D48 ELAH_D32 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define ELAH_D64 ELAH_D48 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define ELAH_D80 ELAH_D64 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define ELAH_D96 ELAH_D80 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define ELAH_D112 ELAH_D96 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define ELAH_D128 ELAH_D112 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define ELAH_D144 ELAH_D128 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define ELAH_D160 ELAH_D144 ", %72, %73, %74, %75, %76, %77, %78, %79"
#define ELAH_D176 ELAH_D160 ", %80, %81, %82, %83, %84, %85, %86, %87"
#define ELAH_D192 ELAH_D176 ", %88, %89, %90, %91, %92, %93, %94, %95"
#define ELAH_D208 ELAH_D192 ", %96, %97, %98, %99, %100, %101, %102, %103"
#define ELAH_D224 ELAH_D208 ", %104, %105, %106, %107, %108, %109, %110, %111"
#define ELAH_D240 ELAH_D224 ", %112, %113, %114, %115, %116, %117, %118, %119"
#define ELAH_D256 ELAH_D240 ", %120, %121, %122, %123, %124, %125, %126, %127"
#define ELAH_D8 "%0, %1, %2, %3"
#define ELAH_R8 "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
#define ELAH_R16 "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
#define ELAH_R32                                                                                                       \
  ELAH_R16, "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15])
#define ELAH_R48                                                                                                       \
  ELAH_R32, "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23])
#define ELAH_R64                                                                                                       \
  ELAH_R48, "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
#define ELAH_R80                                                                                                       \
  ELAH_R64, "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39])
#define ELAH_R96                                                                                                       \
  ELAH_R80, "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47])
#define ELAH_R112                                                                                                      \
  ELAH_R96, "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55])
#define ELAH_R128                                                                                                      \
  ELAH_R112, "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
#define ELAH_R144                                                                                                      \
  ELAH_R128, "+f"(d[64]), "+f"(d[65]), "+f"(d[66]), "+f"(d[67]), "+f"(d[68]), "+f"(d[69]), "+f"(d[70]), "+f"(d[71])
#define ELAH_R160                                                                                                      \
  ELAH_R144, "+f"(d[72]), "+f"(d[73]), "+f"(d[74]), "+f"(d[75]), "+f"(d[76]), "+f"(d[77]), "+f"(d[78]), "+f"(d[79])
#define ELAH_R176                                                                                                      \
  ELAH_R160, "+f"(d[80]), "+f"(d[81]), "+f"(d[82]), "+f"(d[83]), "+f"(d[84]), "+f"(d[85]), "+f"(d[86]), "+f"(d[87])
#define ELAH_R192                                                                                                      \
  ELAH_R176, "+f"(d[88]), "+f"(d[89]), "+f"(d[90]), "+f"(d[91]), "+f"(d[92]), "+f"(d[93]), "+f"(d[94]), "+f"(d[95])
#define ELAH_R208                                                                                                      \
  ELAH_R192, "+f"(d[96]), "+f"(d[97]), "+f"(d[98]), "+f"(d[99]), "+f"(d[100]), "+f"(d[101]), "+f"(d[102]), "+f"(d[103])
#define ELAH_R224                                                                                                      \
  ELAH_R208, "+f"(d[104]), "+f"(d[105]), "+f"(d[106]), "+f"(d[107]), "+f"(d[108]), "+f"(d[109]), "+f"(d[110]),         \
      "+f"(d[111])
#define ELAH_R240                                                                                                      \
  ELAH_R224, "+f"(d[112]), "+f"(d[113]), "+f"(d[114]), "+f"(d[115]), "+f"(d[116]), "+f"(d[117]), "+f"(d[118]),         \
      "+f"(d[119])
#define ELAH_R256                                                                                                      \
  ELAH_R240, "+f"(d[120]), "+f"(d[121]), "+f"(d[122]), "+f"(d[123]), "+f"(d[124]), "+f"(d[125]), "+f"(d[126]),         \
      "+f"(d[127])

/// d (+)= A * B^T for e4m3, k = 32, both K-major in shared memory; d is overwritten if `accumulate` is 0.
template <int n>
__device__ inline void wgmma_k32_f32_e4m3_e4m3(float (&d)[n / 2], uint64_t a, uint64_t b, int32_t accumulate) {
#define ELAH_PRODUCT(N, A, B, P, ...)                                                                                  \
  if constexpr (n == N) {                                                                                              \
    asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, %" #P ", 0;\n"                                    \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k32.f32.e4m3.e4m3 {" ELAH_D##N "}, %" #A ", %" #B             \
                                                                                        ", accumulate, 1, 1;\n}"       \
                 : ELAH_R##N                                                                                           \
                 : "l"(a), "l"(b), "r"(accumulate));                                                                   \
  }
  ELAH_PRODUCT(8, 4, 5, 6, 7, 8, 9, 10)
  ELAH_PRODUCT(16, 8, 9, 10, 11, 12, 13, 14)
  ELAH_PRODUCT(32, 16, 17, 18, 19, 20, 21, 22)
  ELAH_PRODUCT(48, 24, 25, 26, 27, 28, 29, 30)
  ELAH_PRODUCT(64, 32, 33, 34, 35, 36, 37, 38)
  ELAH_PRODUCT(80, 40, 41, 42, 43, 44, 45, 46)
  ELAH_PRODUCT(96, 48, 49, 50, 51, 52, 53, 54)
  ELAH_PRODUCT(112, 56, 57, 58, 59, 60, 61, 62)
  ELAH_PRODUCT(128, 64, 65, 66, 67, 68, 69, 70)
  ELAH_PRODUCT(144, 72, 73, 74, 75, 76, 77, 78)
  ELAH_PRODUCT(160, 80, 81, 82, 83, 84, 85, 86)
  ELAH_PRODUCT(176, 88, 89, 90, 91, 92, 93, 94)
  ELAH_PRODUCT(192, 96, 97, 98, 99, 100, 101, 102)
  ELAH_PRODUCT(208, 104, 105, 106, 107, 108, 109, 110)
  ELAH_PRODUCT(224, 112, 113, 114, 115, 116, 117, 118)
  ELAH_PRODUCT(240, 120, 121, 122, 123, 124, 125, 126)
  ELAH_PRODUCT(256, 128, 129, 130, 131, 132, 133, 134)
#undef ELAH_PRODUCT
}

/// d (+)= A * B^T for bf16, k = 16; `tnsp_a`, `tnsp_b`: the operand is MN-major.
template <int n, int tnsp_a = 0, int tnsp_b = 0>
__device__ inline void wgmma_k16_f32_bf16_bf16(float (&d)[n / 2], uint64_t a, uint64_t b, int32_t accumulate) {
#define ELAH_PRODUCT(N, A, B, P, TA, TB, ...)                                                                          \
  if constexpr (n == N) {                                                                                              \
    asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, %" #P ", 0;\n"                                    \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" ELAH_D##N                                \
                 "}, %" #A ", %" #B ", accumulate, 1, 1, %" #TA ", %" #TB ";\n}"                                       \
                 : ELAH_R##N                                                                                           \
                 : "l"(a), "l"(b), "r"(accumulate), "n"(tnsp_a), "n"(tnsp_b));                                         \
  }
  ELAH_PRODUCT(8, 4, 5, 6, 7, 8, 9, 10)
  ELAH_PRODUCT(16, 8, 9, 10, 11, 12, 13, 14)
  ELAH_PRODUCT(32, 16, 17, 18, 19, 20, 21, 22)
  ELAH_PRODUCT(48, 24, 25, 26, 27, 28, 29, 30)
  ELAH_PRODUCT(64, 32, 33, 34, 35, 36, 37, 38)
  ELAH_PRODUCT(80, 40, 41, 42, 43, 44, 45, 46)
  ELAH_PRODUCT(96, 48, 49, 50, 51, 52, 53, 54)
  ELAH_PRODUCT(112, 56, 57, 58, 59, 60, 61, 62)
  ELAH_PRODUCT(128, 64, 65, 66, 67, 68, 69, 70)
  ELAH_PRODUCT(144, 72, 73, 74, 75, 76, 77, 78)
  ELAH_PRODUCT(160, 80, 81, 82, 83, 84, 85, 86)
  ELAH_PRODUCT(176, 88, 89, 90, 91, 92, 93, 94)
  ELAH_PRODUCT(192, 96, 97, 98, 99, 100, 101, 102)
  ELAH_PRODUCT(208, 104, 105, 106, 107, 108, 109, 110)
  ELAH_PRODUCT(224, 112, 113, 114, 115, 116, 117, 118)
  ELAH_PRODUCT(240, 120, 121, 122, 123, 124, 125, 126)
  ELAH_PRODUCT(256, 128, 129, 130, 131, 132, 133, 134)
#undef ELAH_PRODUCT
}

/// The same with A in registers: the fragment of a 64 x 16 matrix, laid out as accumulators are, two bf16 a register.
template <int n, int tnsp_b = 0>
__device__ inline void wgmma_k16_f32_bf16_bf16(float (&d)[n / 2], const uint32_t (&a)[4], uint64_t b,
                                               int32_t accumulate) {
#define ELAH_PRODUCT(N, A0, A1, A2, A3, B, P, TB)                                                                      \
  if constexpr (n == N) {                                                                                              \
    asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, %" #P ", 0;\n"                                    \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" ELAH_D##N                                \
                 "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B ", accumulate, 1, 1, %" #TB ";\n}"                \
                 : ELAH_R##N                                                                                           \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(tnsp_b));                  \
  }
  ELAH_PRODUCT(8, 4, 5, 6, 7, 8, 9, 10)
  ELAH_PRODUCT(16, 8, 9, 10, 11, 12, 13, 14)
  ELAH_PRODUCT(32, 16, 17, 18, 19, 20, 21, 22)
  ELAH_PRODUCT(48, 24, 25, 26, 27, 28, 29, 30)
  ELAH_PRODUCT(64, 32, 33, 34, 35, 36, 37, 38)
  ELAH_PRODUCT(80, 40, 41, 42, 43, 44, 45, 46)
  ELAH_PRODUCT(96, 48, 49, 50, 51, 52, 53, 54)
  ELAH_PRODUCT(112, 56, 57, 58, 59, 60, 61, 62)
  ELAH_PRODUCT(128, 64, 65, 66, 67, 68, 69, 70)
  ELAH_PRODUCT(144, 72, 73, 74, 75, 76, 77, 78)
  ELAH_PRODUCT(160, 80, 81, 82, 83, 84, 85, 86)
  ELAH_PRODUCT(176, 88, 89, 90, 91, 92, 93, 94)
  ELAH_PRODUCT(192, 96, 97, 98, 99, 100, 101, 102)
  ELAH_PRODUCT(208, 104, 105, 106, 107, 108, 109, 110)
  ELAH_PRODUCT(224, 112, 113, 114, 115, 116, 117, 118)
  ELAH_PRODUCT(240, 120, 121, 122, 123, 124, 125, 126)
  ELAH_PRODUCT(256, 128, 129, 130, 131, 132, 133, 134)
#undef ELAH_PRODUCT
}

#undef ELAH_D8
#undef ELAH_R8
#undef ELAH_D16
#undef ELAH_R16
#undef ELAH_D32
#undef ELAH_R32
#undef ELAH_D48
#undef ELAH_R48
#undef ELAH_D64
#undef ELAH_R64
#undef ELAH_D80
#undef ELAH_R80
#undef ELAH_D96
#undef ELAH_R96
#undef ELAH_D112
#undef ELAH_R112
#undef ELAH_D128
#undef ELAH_R128
#undef ELAH_D144
#undef ELAH_R144
#undef ELAH_D160
#undef ELAH_R160
#undef ELAH_D176
#undef ELAH_R176
#undef ELAH_D192
#undef ELAH_R192
#undef ELAH_D208
#undef ELAH_R208
#undef ELAH_D224
#undef ELAH_R224
#undef ELAH_D240
#undef ELAH_R240
#undef ELAH_D256
#undef ELAH_R256

} // namespace elah::ptx
