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
  constexpr int32_t rotated = 2 * rotation.pairs, rest = shape.headDim - rotated;
  constexpr int32_t heads = shape.heads + shape.kvHeads;
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
  if constexpr (rotation.pairs > 0) {
    const float *const table = operands.table + static_cast<int64_t>(token) * rotated;
    for (int32_t i = thread; i < heads * rotation.pairs; i += schedule.threadsPerRow) {
      const int32_t head = i / rotation.pairs;
      rotate_pair<rotation>(qkv + head * shape.headDim, target(head), table, i % rotation.pairs);
    }
  }
  if constexpr (rest > 0) {
    for (int32_t i = thread; i < heads * rest; i += schedule.threadsPerRow) {
      const int32_t head = i / rest, at = rotated + i % rest;
      target(head)[at] = qkv[head * shape.headDim + at];
    }
  }
  for (int32_t i = thread; i < shape.kvHeads * shape.valueDim; i += schedule.threadsPerRow) {
    value[i] = qkv[heads * shape.headDim + i];
  }
}

} // namespace elah
