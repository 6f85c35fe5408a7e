// What attention reads of a token: the rotated parts of its queries, which go beside the absorbed ones, and its row of
// the latent cache, normalized latent and rotated key (DeepSeek-V2, section 2.1). A token has several blocks, each with
// some heads; the first one writes the cache row, too.
#pragma once

#include "kernels/rotation.cuh"
#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct LatentAppendShape {
  int32_t heads, nope, rope, rank;
  int32_t latentPitch; ///< Elements from row to row.
  bool isHalf;
};

struct LatentAppendSchedule {
  int32_t threads, parts; ///< Blocks of a token.
};

struct LatentAppendOperands {
  const uint16_t *query, *latent;
  const float *normWeight, *table;
  const int32_t *cacheRows;
  uint16_t *absorbed, *cache;
  const Dims *dims;
  float epsilon;
};

template <LatentAppendShape shape, LatentAppendSchedule schedule>
__device__ inline void latent_append(const LatentAppendOperands &operands) {
  constexpr Rotation rotation = {shape.isHalf, shape.rope / 2};
  constexpr int32_t queryWidth = shape.nope + shape.rope, absorbedWidth = shape.rank + shape.rope;
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t token = static_cast<int32_t>(blockIdx.x) / schedule.parts,
                part = static_cast<int32_t>(blockIdx.x) % schedule.parts, thread = static_cast<int32_t>(threadIdx.x);
  if (token >= operands.dims->tokens) {
    return;
  }
  const float *const table = operands.table + static_cast<int64_t>(token) * shape.rope;
  const uint16_t *const query = operands.query + static_cast<int64_t>(token) * (shape.heads * queryWidth);
  uint16_t *const absorbed = operands.absorbed + static_cast<int64_t>(token) * (shape.heads * absorbedWidth);
  for (int32_t i = part * schedule.threads + thread; i < shape.heads * rotation.pairs;
       i += schedule.threads * schedule.parts) {
    const int32_t head = i / rotation.pairs;
    rotate_pair<rotation>(query + head * queryWidth + shape.nope, absorbed + head * absorbedWidth + shape.rank, table,
                          i % rotation.pairs);
  }
  if (part != 0) {
    return;
  }
  const uint16_t *const latent = operands.latent + static_cast<int64_t>(token) * shape.latentPitch;
  uint16_t *const row = operands.cache + static_cast<int64_t>(operands.cacheRows[token]) * absorbedWidth;
  constexpr int32_t share = ceilDiv(shape.rank, schedule.threads);
  float x[share], squares = 0;
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t at = thread + i * schedule.threads;
    x[i] = at < shape.rank ? ptx::cvt_f32_bf16(latent[at]) : 0;
    squares += x[i] * x[i];
  }
  squares = sumOfRow<RowSchedule{schedule.threads, 1}>(squares);
  const float factor = 1.0f / sqrtf(squares / shape.rank + operands.epsilon);
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t at = thread + i * schedule.threads;
    if (at < shape.rank) {
      row[at] = ptx::cvt_rn_bf16_f32(x[i] * factor * operands.normWeight[at]);
    }
  }
  for (int32_t i = thread; i < rotation.pairs; i += schedule.threads) {
    rotate_pair<rotation>(latent + shape.rank, row + shape.rank, table, i);
  }
}

} // namespace elah
