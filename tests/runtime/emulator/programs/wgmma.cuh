// wgmma with 64 columns: descriptors, and one instruction chosen by macros:
//   INSTRUCTION "m64n64k16.f32.bf16.bf16", TAIL what stands behind the scale-d predicate, ACCUMULATOR float or int
#pragma once
#include "ptx.cuh"

/// A matrix in shared memory (PTX ISA 9.7.15.5.1.2.2): `mode` 0 for none, 1 for 128, 2 for 64, 3 for 32 bytes of swizzle.
static __device__ u64 descriptor(const void *start, u32 leading, u32 stride, u32 mode) {
  return (u64)(shared_address(start) >> 4 & 0x3fff) | (u64)(leading >> 4) << 16 | (u64)(stride >> 4) << 32 |
         (u64)mode << 62;
}

static __device__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
static __device__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int pending> static __device__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

#define ACCUMULATORS_F(d)                                                                                              \
  "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), "+f"(d[8]),         \
      "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]),          \
      "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]),         \
      "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
#define ACCUMULATORS_R(d)                                                                                              \
  "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]), "+r"(d[7]), "+r"(d[8]),         \
      "+r"(d[9]), "+r"(d[10]), "+r"(d[11]), "+r"(d[12]), "+r"(d[13]), "+r"(d[14]), "+r"(d[15]), "+r"(d[16]),          \
      "+r"(d[17]), "+r"(d[18]), "+r"(d[19]), "+r"(d[20]), "+r"(d[21]), "+r"(d[22]), "+r"(d[23]), "+r"(d[24]),         \
      "+r"(d[25]), "+r"(d[26]), "+r"(d[27]), "+r"(d[28]), "+r"(d[29]), "+r"(d[30]), "+r"(d[31])
#define ACCUMULATOR_LIST                                                                                               \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "  \
  "%24, %25, %26, %27, %28, %29, %30, %31}"

#ifndef INSTRUCTION
#define INSTRUCTION "m64n64k16.f32.bf16.bf16"
#define TAIL ", 1, 1, 0, 0"
#endif
#ifdef INTEGER
typedef int Accumulator;
#define ACCUMULATORS ACCUMULATORS_R
#else
typedef float Accumulator;
#define ACCUMULATORS ACCUMULATORS_F
#endif

static __device__ void wgmma(Accumulator (&d)[32], u64 a, u64 b, bool add) {
  asm volatile("{\n"
               ".reg .pred p;\n"
               "setp.ne.b32 p, %34, 0;\n"
               "wgmma.mma_async.sync.aligned." INSTRUCTION " " ACCUMULATOR_LIST ", %32, %33, p" TAIL ";\n"
               "}"
               : ACCUMULATORS(d)
               : "l"(a), "l"(b), "r"((int)add));
}

#ifdef FROM_REGISTERS
static __device__ void wgmma(Accumulator (&d)[32], const u32 (&a)[4], u64 b, bool add) {
  asm volatile("{\n"
               ".reg .pred p;\n"
               "setp.ne.b32 p, %37, 0;\n"
               "wgmma.mma_async.sync.aligned." INSTRUCTION " " ACCUMULATOR_LIST
               ", {%32, %33, %34, %35}, %36, p, 1, 1, 0;\n"
               "}"
               : ACCUMULATORS(d)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add));
}
#endif

/// Row and column of a thread's accumulator in the 64 x 64 tile of its warpgroup (PTX ISA, figure of wgmma's D).
static __device__ int row_of(int i) { return threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 % 2 * 8; }
static __device__ int column_of(int i) { return i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2; }

struct alignas(64) TensorMap {
  char bytes[128];
};
