// Rows in the order of their experts: each gets a copy of its token's row, so that an expert's rows lie together and
// TMA can fetch them. A thread's loads are all under way before it stores anything.
#pragma once

#include "kernels/quantized_rows.cuh"
#include "kernels/rows.cuh"
#include "ptx/barrier.cuh"

namespace elah {

struct DispatchShape {
  int32_t rowWords;    ///< Of 16 bytes, of an input and an output row.
  int32_t inputWords;  ///< The same, from row to row of the input.
  int32_t outputWords; ///< ... of the output.
  int32_t scaleWords;  ///< Of 16 bytes, of a row's scales; 0: there are none.
  int32_t rowsOfToken; ///< Experts of a token, the shared ones included.
};

struct DispatchOperands {
  const void *input;
  const float *inputScales;
  const int32_t *gather;
  void *output;
  float *outputScales;
  const Dims *dims;
};

/// Of `count` words of 16 bytes, a thread's share.
template <int32_t count, RowSchedule schedule>
__device__ inline void loadShare(const Words4 *from, Words4 (&words)[ceilDiv(count, schedule.threadsPerRow)]) {
#pragma unroll
  for (int32_t i = 0; i < ceilDiv(count, schedule.threadsPerRow); ++i) {
    const int32_t at = threadOfRow<schedule>() + i * schedule.threadsPerRow;
    if (at < count) {
      words[i] = from[at];
    }
  }
}
template <int32_t count, RowSchedule schedule>
__device__ inline void storeShare(Words4 *to, const Words4 (&words)[ceilDiv(count, schedule.threadsPerRow)]) {
#pragma unroll
  for (int32_t i = 0; i < ceilDiv(count, schedule.threadsPerRow); ++i) {
    const int32_t at = threadOfRow<schedule>() + i * schedule.threadsPerRow;
    if (at < count) {
      to[at] = words[i];
    }
  }
}

template <DispatchShape shape, RowSchedule schedule> __device__ inline void dispatch(const DispatchOperands &operands) {
  ptx::griddepcontrol_launch_dependents();
  ptx::griddepcontrol_wait();
  const int32_t row = rowOfThread<schedule>();
  if (row >= operands.dims->tokens * shape.rowsOfToken) {
    return;
  }
  const int64_t token = operands.gather[row];
  const Words4 *from = static_cast<const Words4 *>(operands.input) + token * shape.inputWords;
  Words4 *to = static_cast<Words4 *>(operands.output) + static_cast<int64_t>(row) * shape.outputWords;
  Words4 words[ceilDiv(shape.rowWords, schedule.threadsPerRow)];
  loadShare<shape.rowWords, schedule>(from, words);
  if constexpr (shape.scaleWords > 0) {
    const Words4 *scales = reinterpret_cast<const Words4 *>(operands.inputScales) + token * shape.scaleWords;
    Words4 *copies = reinterpret_cast<Words4 *>(operands.outputScales) + static_cast<int64_t>(row) * shape.scaleWords;
    Words4 scaleWords[ceilDiv(shape.scaleWords, schedule.threadsPerRow)];
    loadShare<shape.scaleWords, schedule>(scales, scaleWords);
    storeShare<shape.scaleWords, schedule>(copies, scaleWords);
  }
  storeShare<shape.rowWords, schedule>(to, words);
}

} // namespace elah
