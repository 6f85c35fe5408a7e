// What attention reads of a token: its rotated queries, and its keys (rotated) and values in the cache. A block has a
// token.
#pragma once

#include "kernels/rotation.cuh"
#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct RopeAppendShape {
  int32_t heads, kvHeads, headDim, valueDim;
  int32_t pitch; ///< Of qkv, elements from row to row.
  Rotation rotation;
  int32_t vector; ///< Values of an access.
};

struct RopeAppendOperands {
  const uint16_t *qkv;
  const float *table;
  const int32_t *cacheRows;
  uint16_t *query, *keyCache, *valueCache;
  const Dims *dims;
};

template <RopeAppendShape shape, RowSchedule schedule>
__device__ inline void rope_append(const RopeAppendOperands &operands) {
  constexpr Rotation rotation = shape.rotation;
  constexpr int32_t vector = shape.vector, heads = shape.heads + shape.kvHeads;
  constexpr int32_t rotated = 2 * rotation.pairs, rest = (shape.headDim - rotated) / vector;
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t token = rowOfThread<schedule>(), thread = threadOfRow<schedule>();
  if (token >= operands.dims->tokens) {
    return;
  }
  const int64_t cacheRow = operands.cacheRows[token];
  const uint16_t *const qkv = operands.qkv + static_cast<int64_t>(token) * shape.pitch;
  uint16_t *const query = operands.query + static_cast<int64_t>(token) * (shape.heads * shape.headDim);
  uint16_t *const key = operands.keyCache + cacheRow * (shape.kvHeads * shape.headDim);
  uint16_t *const value = operands.valueCache + cacheRow * (shape.kvHeads * shape.valueDim);
  auto target = [&](int32_t head) {
    return head < shape.heads ? query + head * shape.headDim : key + (head - shape.heads) * shape.headDim;
  };
  auto copy = [](const uint16_t *from, uint16_t *to) {
    float x[vector];
    load_values<Element::BF16, vector>(from, 0, x);
    store_values<Element::BF16, vector>(to, 0, x);
  };
  if constexpr (rotation.pairs > 0) {
    constexpr int32_t units = rotation.pairs / pairsOfUnit(rotation.isHalf, vector); // Of a head.
    const float *const table = operands.table + static_cast<int64_t>(token) * rotated;
#pragma unroll 2
    for (int32_t i = thread; i < heads * units; i += schedule.threadsPerRow) {
      const int32_t head = i / units;
      rotate_unit<rotation, vector>(qkv + head * shape.headDim, target(head), table, i % units);
    }
  }
  if constexpr (rest > 0) {
#pragma unroll 2
    for (int32_t i = thread; i < heads * rest; i += schedule.threadsPerRow) {
      const int32_t head = i / rest, at = rotated + i % rest * vector;
      copy(qkv + head * shape.headDim + at, target(head) + at);
    }
  }
  // From the last thread on, as it has less of a row's other units.
  for (int32_t i = schedule.threadsPerRow - 1 - thread; i < shape.kvHeads * shape.valueDim / vector;
       i += schedule.threadsPerRow) {
    copy(qkv + heads * shape.headDim + i * vector, value + i * vector);
  }
}

} // namespace elah
