// Loads, stores and reductions with the cache behaviour and the ordering in their names (PTX ISA 9.7.9, 9.7.13.5).
// Addresses of shared memory are 32-bit ones of the shared window.
#pragma once

#include "ptx/types.cuh"

namespace elah::ptx {

__device__ inline uint32_t cvta_to_shared(const void *pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// Read-only data: nothing writes it while the kernel runs.

__device__ inline Words4 ld_global_nc_v4(const void *from) {
  Words4 words;
  asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
      : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
      : "l"(from));
  return words;
}

/// Read once: not kept in L1.
__device__ inline Words4 ld_global_nc_no_allocate_v4(const void *from) {
  Words4 words;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
      : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
      : "l"(from));
  return words;
}

__device__ inline float ld_global_nc_f32(const float *from) {
  float value;
  asm("ld.global.nc.f32 %0, [%1];" : "=f"(value) : "l"(from));
  return value;
}

__device__ inline Floats2 ld_global_nc_v2_f32(const float *from) {
  Floats2 values;
  asm("ld.global.nc.v2.f32 {%0, %1}, [%2];" : "=f"(values.x), "=f"(values.y) : "l"(from));
  return values;
}

// What this grid writes, too.

__device__ inline Words4 ld_global_v4(const void *from) {
  Words4 words;
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
               : "l"(from)
               : "memory");
  return words;
}

__device__ inline float ld_global_f32(const float *from) {
  float value;
  asm volatile("ld.global.f32 %0, [%1];" : "=f"(value) : "l"(from) : "memory");
  return value;
}

__device__ inline Floats4 ld_global_v4_f32(const float *from) {
  Floats4 values;
  asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(values.x), "=f"(values.y), "=f"(values.z), "=f"(values.w)
               : "l"(from)
               : "memory");
  return values;
}

__device__ inline void st_global_v4(void *to, Words4 words) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(words.x), "r"(words.y), "r"(words.z),
               "r"(words.w)
               : "memory");
}

__device__ inline void st_global_v4_f32(float *to, Floats4 values) {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(values.x), "f"(values.y), "f"(values.z),
               "f"(values.w)
               : "memory");
}

__device__ inline void st_global_v2_f32(float *to, float x, float y) {
  asm volatile("st.global.v2.f32 [%0], {%1, %2};" ::"l"(to), "f"(x), "f"(y) : "memory");
}

/// Adds where no other thread adds in this grid: like a load, an addition and a store, without the load's latency.
__device__ inline void red_global_add_v2_f32(float *to, float x, float y) {
  asm volatile("red.relaxed.gpu.global.add.v2.f32 [%0], {%1, %2};" ::"l"(to), "f"(x), "f"(y) : "memory");
}

// What other blocks write in this grid.

__device__ inline uint32_t ld_acquire_gpu(const uint32_t *from) {
  uint32_t value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
  return value;
}

__device__ inline void st_release_gpu(uint32_t *to, uint32_t value) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}

__device__ inline uint32_t atom_add_acq_rel_gpu(uint32_t *to, uint32_t value) {
  uint32_t old;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;" : "=r"(old) : "l"(to), "r"(value) : "memory");
  return old;
}

// Shared memory of any block of the cluster, at addresses that mapa gives.

__device__ inline uint32_t ld_shared_cluster_u32(uint32_t from) {
  uint32_t value;
  asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(value) : "r"(from) : "memory");
  return value;
}

__device__ inline uint64_t ld_shared_cluster_u64(uint32_t from) {
  uint64_t value;
  asm volatile("ld.shared::cluster.u64 %0, [%1];" : "=l"(value) : "r"(from) : "memory");
  return value;
}

// Shared memory.

__device__ inline Words4 ld_shared_v4(uint32_t from) {
  Words4 words;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
               : "r"(from)
               : "memory");
  return words;
}

__device__ inline uint32_t ld_shared_u32(uint32_t from) {
  uint32_t value;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(value) : "r"(from) : "memory");
  return value;
}

__device__ inline float ld_shared_f32(uint32_t from) {
  float value;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(from) : "memory");
  return value;
}

__device__ inline void st_shared_v4(uint32_t to, Words4 words) {
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(words.x), "r"(words.y), "r"(words.z),
               "r"(words.w)
               : "memory");
}

__device__ inline void st_shared_u32(uint32_t to, uint32_t value) {
  asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(value) : "memory");
}

__device__ inline void st_shared_f32(uint32_t to, float value) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(to), "f"(value) : "memory");
}

__device__ inline void st_shared_v2_f32(uint32_t to, float x, float y) {
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(to), "f"(x), "f"(y) : "memory");
}

} // namespace elah::ptx
