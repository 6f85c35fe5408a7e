// What a GEMM kernel is specialised by: the product's shape and the schedule, and what follows from both. The host's
// counterparts are in codegen/Cuda/GemmSchedule.h.
//
// output[t, c] = sum over k of input[t, k] * weight[c, k], per batch: heads of one input, or experts, each with its own
// rows. A SwiGLU weight holds the gate's rows and behind them the up projection's ("halves"); a tile takes as many
// columns of each, the gate's first.
#pragma once

#include "kernels/dims.cuh"

namespace elah {

enum class GemmElement { F8, BF16 };
enum class GemmOutput { BF16, F32, F32Add, SwigluBF16, SwigluF8 };
/// What the batch dimension of the weight is.
enum class GemmBatch { None, Heads, Experts };

struct GemmShape {
  GemmElement element;
  GemmOutput output;
  GemmBatch batch;
  int32_t columns;      ///< Of the output; with SwiGLU the weight has twice as many rows.
  int32_t depth;        ///< k
  int32_t batches;      ///< Heads or experts; 1.
  int32_t rowsDim;      ///< Index in Dims of the number of rows (not for experts, whose offsets say it).
  int32_t outputPitch;  ///< Elements between rows.
  int32_t outputStride; ///< Elements between heads.
  int32_t outputOffset; ///< Of the first head.
  bool hasBias;
};

struct GemmSchedule {
  int32_t tileRows;    ///< 64 for each warpgroup of math, or 128.
  int32_t tileColumns; ///< Weight rows of a tile, of both halves.
  int32_t mathWarpgroups;
  int32_t stages;         ///< Of the pipeline from global memory.
  int32_t clusterRows;    ///< Blocks that take tiles of the same columns and share the weights' loads: 1 or 2.
  int32_t clusterColumns; ///< Blocks that take tiles of the same rows and share the input's loads: 1 or 2.
  int32_t splits;         ///< Parts of k, by different blocks, summed in their order by the last.
  int32_t rowGroup;       ///< Tiles of so many rows are taken column by column, so that L2 holds what they share.
};

/// Constants of a kernel.
template <GemmShape shape, GemmSchedule schedule> struct GemmConfig {
  static constexpr bool isF8 = shape.element == GemmElement::F8;
  static constexpr bool isSwiglu = shape.output == GemmOutput::SwigluBF16 || shape.output == GemmOutput::SwigluF8;
  static constexpr bool hasExperts = shape.batch == GemmBatch::Experts;
  static constexpr int32_t halves = isSwiglu ? 2 : 1;

  static constexpr int32_t tileRows = schedule.tileRows, tileColumns = schedule.tileColumns;
  static constexpr int32_t outputColumns = tileColumns / halves; ///< Of a tile.
  static constexpr int32_t columnTiles = ceilDiv(shape.columns, outputColumns);
  static constexpr int32_t columnUnits = ceilDiv(columnTiles, schedule.clusterColumns); ///< Tiles that a cluster takes.

  static constexpr int32_t tileDepth = isF8 ? 128 : 64; ///< 128 bytes, the widest swizzle.
  static constexpr int32_t depthBlocks = ceilDiv(shape.depth, tileDepth);
  /// Scales are fetched four at a time, so parts of k begin at multiples of four.
  static constexpr int32_t partBlocks = roundUp(ceilDiv(depthBlocks, schedule.splits), isF8 ? 4 : 1);

  static constexpr int32_t mathThreads = schedule.mathWarpgroups * 128;
  static constexpr int32_t threads = mathThreads + 128;
  static constexpr int32_t warpgroupRows = tileRows / schedule.mathWarpgroups;
  static constexpr int32_t rowParts = warpgroupRows / 64; ///< Products of 64 rows that a warpgroup makes.
  static_assert(rowParts * 64 == warpgroupRows);
  static_assert(schedule.clusterRows * schedule.clusterColumns <= 2);
  static constexpr int32_t cluster = schedule.clusterRows * schedule.clusterColumns;
  static constexpr int32_t accumulators = tileColumns / 2; ///< Of a thread, for 64 rows.

  // The output tile, where it goes through shared memory: panels of 128, 64 or 32 bytes, swizzled so, one after the
  // other for each warpgroup.
  static constexpr bool isStaged = shape.output != GemmOutput::F32 && shape.output != GemmOutput::F32Add;
  static constexpr int32_t outputBytes = shape.output == GemmOutput::SwigluF8 ? 1 : 2;
  static constexpr int32_t rowBytes = outputColumns * outputBytes;
  static constexpr int32_t panelBytes = rowBytes % 128 == 0 ? 128 : rowBytes % 64 == 0 ? 64 : 32;
  static constexpr int32_t panels = rowBytes / panelBytes;
  static constexpr int32_t panelColumns = panelBytes / outputBytes;
  static_assert(!isStaged || panels * panelBytes == rowBytes);

  // Shared memory, in this order.
  static constexpr int32_t stagedBytes = isStaged ? roundUp(tileRows * rowBytes, 1024) : 0;
  static constexpr int32_t inputBytes = tileRows * 128, weightBytes = tileColumns * 128;
  static constexpr int32_t inputOffset = stagedBytes;
  static constexpr int32_t weightOffset = inputOffset + schedule.stages * inputBytes;
  static constexpr int32_t barrierOffset = weightOffset + schedule.stages * weightBytes;
  static constexpr int32_t flagOffset = barrierOffset + 16 * schedule.stages; ///< Of a word for each warpgroup.
  static constexpr int32_t tileStartOffset = flagOffset + 16;
  static constexpr int32_t sharedBytes = tileStartOffset + (hasExperts ? 4 * (shape.batches + 1 + 32) : 0);
};

/// The operands, of which a kernel uses those that its shape has.
struct GemmOperands {
  const float *inputScales;  ///< [rows, scalePitch]
  const float *weightScales; ///< [batches * halves, ceil(columns / 128), ceil(depth / 128)]
  const float *bias;
  const int32_t *offsets; ///< Where each expert's rows begin.
  void *output;
  float *outputScales;
  const Dims *dims;
  void *scratch;
  const TensorMap *inputMap, *weightMap, *outputMap;
};

} // namespace elah
