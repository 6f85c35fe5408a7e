// cp.async.bulk and cp.async.bulk.tensor (PTX ISA 9.7.9.25, 9.7.9.27). Coordinates: innermost first, in elements.
#pragma once

#include "ptx/types.cuh"

namespace elah::ptx {

__device__ inline void prefetch_tensormap(const void *map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Loads: global to shared memory, completing bytes on an mbarrier.

__device__ inline void cp_async_bulk_tensor_2d_load(uint32_t to, const void *map, int32_t c0, int32_t c1,
                                                    uint32_t barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
               "[%4];" ::"r"(to),
               "l"(map), "r"(c0), "r"(c1), "r"(barrier)
               : "memory");
}

__device__ inline void cp_async_bulk_tensor_3d_load(uint32_t to, const void *map, int32_t c0, int32_t c1, int32_t c2,
                                                    uint32_t barrier) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, "
               "%4}], [%5];" ::"r"(to),
               "l"(map), "r"(c0), "r"(c1), "r"(c2), "r"(barrier)
               : "memory");
}

__device__ inline void cp_async_bulk_tensor_4d_load(uint32_t to, const void *map, int32_t c0, int32_t c1, int32_t c2,
                                                    int32_t c3, uint32_t barrier) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, "
               "%4, %5}], [%6];" ::"r"(to),
               "l"(map), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(barrier)
               : "memory");
}

/// To the same offset in each block of the cluster whose bit is set in `blocks`, completing on its own mbarrier there.
__device__ inline void cp_async_bulk_tensor_2d_multicast(uint32_t to, const void *map, int32_t c0, int32_t c1,
                                                         uint32_t barrier, uint16_t blocks) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
               "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
               "l"(map), "r"(c0), "r"(c1), "r"(barrier), "h"(blocks)
               : "memory");
}

__device__ inline void cp_async_bulk_tensor_3d_multicast(uint32_t to, const void *map, int32_t c0, int32_t c1,
                                                         int32_t c2, uint32_t barrier, uint16_t blocks) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
               "[%0], [%1, {%2, %3, %4}], [%5], %6;" ::"r"(to),
               "l"(map), "r"(c0), "r"(c1), "r"(c2), "r"(barrier), "h"(blocks)
               : "memory");
}

/// `bytes` that lie together, a multiple of 16.
__device__ inline void cp_async_bulk_load(uint32_t to, const void *from, uint32_t bytes, uint32_t barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(from), "r"(bytes), "r"(barrier)
               : "memory");
}

/// To L2 only: a hint. `bytes` that lie together, a multiple of 16.
__device__ inline void cp_async_bulk_prefetch_l2(const void *from, uint32_t bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
}

// Stores: shared to global memory, in bulk groups of the executing thread.

__device__ inline void cp_async_bulk_tensor_2d_store(const void *map, int32_t c0, int32_t c1, uint32_t from) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(c0),
               "r"(c1), "r"(from)
               : "memory");
}

__device__ inline void cp_async_bulk_tensor_3d_store(const void *map, int32_t c0, int32_t c1, int32_t c2,
                                                     uint32_t from) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3}], [%4];" ::"l"(map),
               "r"(c0), "r"(c1), "r"(c2), "r"(from)
               : "memory");
}

__device__ inline void cp_async_bulk_store(void *to, uint32_t from, uint32_t bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from), "r"(bytes)
               : "memory");
}

__device__ inline void cp_async_bulk_commit_group() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

/// Until at most `groups` bulk groups of this thread have yet to read their sources.
template <int groups> __device__ inline void cp_async_bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(groups) : "memory");
}

/// Until at most `groups` bulk groups of this thread have yet to complete.
template <int groups> __device__ inline void cp_async_bulk_wait_group() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(groups) : "memory");
}

/// 16 bytes by cp.async; of them `bytes` are read, the others become zero.
__device__ inline void cp_async_16(uint32_t to, const void *from, uint32_t bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

__device__ inline void cp_async_commit_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int groups> __device__ inline void cp_async_wait_group() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

/// Arrives on the mbarrier when all cp.async of this thread so far are done; the arrival is counted by its init.
__device__ inline void cp_async_mbarrier_arrive_noinc(uint32_t barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

} // namespace elah::ptx
