// What attention reads of a token: the rotated parts of its queries, which go beside the absorbed ones, and its row of
// the latent cache, normalized latent and rotated key (DeepSeek-V2, section 2.1), in bf16 or, the latent, in FP8. A
// token has several blocks with some of the heads each, and one for the cache's row.
#pragma once

#include "kernels/latent_row.cuh"
#include "kernels/rotation.cuh"
#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct LatentAppendShape {
  int32_t heads, nope, rope, rank;
  int32_t latentPitch; ///< Elements from row to row.
  bool isHalf;
  bool isFp8;     ///< The cache.
  int32_t vector; ///< Values of an access.
};

struct LatentAppendSchedule {
  int32_t threads, parts; ///< Blocks of a token's queries.
};

struct LatentAppendOperands {
  const uint16_t *query, *latent;
  const float *normWeight, *table;
  const int32_t *cacheRows;
  uint16_t *absorbed;
  uint8_t *cache;
  const Dims *dims;
  float epsilon;
};

template <LatentAppendShape shape, LatentAppendSchedule schedule>
__device__ inline void latent_append(const LatentAppendOperands &operands) {
  constexpr Rotation rotation = {shape.isHalf, shape.rope / 2};
  constexpr int32_t units = rotation.pairs / pairsOfUnit(shape.isHalf, shape.vector); // Of a head.
  constexpr int32_t queryWidth = shape.nope + shape.rope, absorbedWidth = shape.rank + shape.rope;
  constexpr int32_t share = ceilDiv(ceilDiv(shape.rank, 8), schedule.threads);
  const int32_t token = static_cast<int32_t>(blockIdx.x) / (schedule.parts + 1),
                part = static_cast<int32_t>(blockIdx.x) % (schedule.parts + 1),
                thread = static_cast<int32_t>(threadIdx.x);
  float weight[share][8];
  ptx::griddepcontrol_launch_dependents();
  if (part == schedule.parts) {
#pragma unroll
    for (int32_t i = 0; i < share; ++i) {
      const int32_t first = (thread + i * schedule.threads) * 8;
      if (first < shape.rank) {
        load_unit_weights<shape.rank>(operands.normWeight, first, weight[i]);
      }
    }
  }
  ptx::griddepcontrol_wait();
  if (token >= operands.dims->tokens) {
    return;
  }
  const float *const table = operands.table + static_cast<int64_t>(token) * shape.rope;
  if (part < schedule.parts) {
    const uint16_t *const query = operands.query + static_cast<int64_t>(token) * (shape.heads * queryWidth);
    uint16_t *const absorbed = operands.absorbed + static_cast<int64_t>(token) * (shape.heads * absorbedWidth);
#pragma unroll 2
    for (int32_t i = part * schedule.threads + thread; i < shape.heads * units;
         i += schedule.threads * schedule.parts) {
      const int32_t head = i / units;
      rotate_unit<rotation, shape.vector>(query + head * queryWidth + shape.nope,
                                          absorbed + head * absorbedWidth + shape.rank, table, i % units);
    }
    return;
  }
  const uint16_t *const latent = operands.latent + static_cast<int64_t>(token) * shape.latentPitch;
  using Fp8Row = Fp8LatentRow<shape.rank, shape.rope>;
  constexpr int32_t rowBytes = shape.isFp8 ? Fp8Row::bytes : 2 * absorbedWidth,
                    keyOffset = shape.isFp8 ? Fp8Row::ropeOffset : 2 * shape.rank;
  uint8_t *const row = operands.cache + static_cast<int64_t>(operands.cacheRows[token]) * rowBytes;
  float x[share][8] = {}, squares = 0;
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threads) * 8;
    if (first < shape.rank) {
      load_unit<Element::BF16, shape.vector, shape.rank>(latent, 0, first, x[i]);
    }
#pragma unroll
    for (int32_t j = 0; j < 8; ++j) {
      squares += x[i][j] * x[i][j];
    }
  }
  squares = sumOfRow<RowSchedule{schedule.threads, 1}>(squares);
  const float factor = 1.0f / sqrtf(squares / shape.rank + operands.epsilon);
#pragma unroll
  for (int32_t i = 0; i < share; ++i) {
    const int32_t first = (thread + i * schedule.threads) * 8;
    if (first < shape.rank) {
#pragma unroll
      for (int32_t j = 0; j < 8; ++j) {
        x[i][j] *= factor * weight[i][j];
      }
    }
    if constexpr (shape.isFp8) {
      store_quantized_latent<shape.rank, shape.rope>(row, first, x[i]);
    } else if (first < shape.rank) {
      store_unit<Element::BF16, shape.vector, shape.rank>(row, 0, first, x[i]);
    }
  }
  // The last threads, which have less to do.
  for (int32_t i = schedule.threads - 1 - thread; i < units; i += schedule.threads) {
    rotate_unit<rotation, shape.vector>(latent + shape.rank, reinterpret_cast<uint16_t *>(row + keyOffset), table, i);
  }
}

} // namespace elah
