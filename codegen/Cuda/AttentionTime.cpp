// How long attention takes, by what bounds it: in decode the cache is read once, in prefill the tensor cores multiply.
// One constant is fitted: products run at 0.72 of the tensor cores' rate at the clock that the power limit leaves,
// which is FlashMLA's 660 TFLOPS on H800 (its README), and what an H800's trace of a FlashAttention-3 forward shows
// (537 to 573 TFLOPS on 112 multiprocessors: DeepSeek's profile-data). The rest is the GEMM model's.
#include "codegen/Cuda/AttentionTime.h"
#include "codegen/Cuda/AttentionLayout.h"
#include "codegen/Cuda/Rounding.h"
#include "codegen/Cuda/TimeModel.h"
#include "dialects/Kernel/LatentRow.h"
#include <cmath>

namespace elah::cuda {
namespace {

constexpr double tensorEfficiency = 0.72;
/// Of a group of tokens, in pages: its queries come, its output goes.
constexpr double pagesOfGroup = 2;

struct AttentionCosts {
  int64_t keyDim, valueDim;
  double cacheBytes; ///< A token's, of all heads.
  double queryBytes; ///< A token's, in and out.
};

AttentionSeconds predict(const AttentionLayout &layout, const AttentionCosts &costs, const AttendedStep &step,
                         const CudaTarget &target) {
  const double clock = target.tensorMhz * 1e6;
  // Pages that the tiles of one unit see.
  double pages = 0;
  for (int64_t first = 0; first < step.tokens; first += layout.tileTokens) {
    const int64_t last = std::min(first + layout.tileTokens, step.tokens);
    pages += pagesOfGroup + static_cast<double>(ceilDiv(step.context - step.tokens + last, pageTokens));
  }
  pages *= static_cast<double>(step.sequences);
  // Parts have whole pages; units are blocks of their own.
  const double pagesOfPart = std::ceil(pages / static_cast<double>(layout.parts));
  const double waves = static_cast<double>(ceilDiv(layout.parts * layout.units, target.multiprocessors));
  const double busy = static_cast<double>(std::min<int64_t>(layout.parts * layout.units, target.multiprocessors));
  // wgmma has 64 rows, whether there are queries in them or not.
  const double cyclesOfPage = 2.0 * roundUp(layout.rows(), 64) * pageTokens *
                              static_cast<double>(costs.keyDim + costs.valueDim) /
                              (target.bf16FlopsPerClock * tensorEfficiency);
  const double products = waves * pagesOfPart * cyclesOfPage / clock;

  // From memory once; all units, and all tiles of a long prompt, then find it in L2.
  const double bytes = static_cast<double>(step.sequences) * (static_cast<double>(step.context) * costs.cacheBytes +
                                                              static_cast<double>(step.tokens) * costs.queryBytes);
  const double bandwidth = std::min(timeModel::memoryEfficiency * static_cast<double>(target.memoryBandwidth),
                                    busy * timeModel::bytesPerCycleOfBlock * clock);
  const double fixed = timeModel::fillCycles / clock + timeModel::launchSeconds;

  // At most two results a part are partial (AttentionLayout::scratchBytes); they go to L2 and come back.
  const double groups = static_cast<double>(step.sequences * ceilDiv(step.tokens, layout.tileTokens));
  const double partial = std::min(2.0 * static_cast<double>(layout.parts), groups * static_cast<double>(layout.parts)) *
                         static_cast<double>(layout.units * layout.rows() * 4 * (costs.valueDim + 1));
  const double combining =
      (layout.parts > 1 ? 2 * partial / (timeModel::l2Efficiency * target.l2BytesPerClock * clock) : 0) +
      timeModel::launchSeconds;
  return {std::max(products, bytes / bandwidth) + fixed, combining};
}

} // namespace

AttentionSeconds predictAttentionSeconds(const AttentionShape &shape, const AttentionSchedule &schedule,
                                         const AttendedStep &step, const CudaTarget &target) {
  const double cache = 2.0 * static_cast<double>(shape.kvHeads * (shape.headDim + shape.valueDim));
  const double query = 2.0 * static_cast<double>(shape.heads * (shape.headDim + shape.valueDim));
  return predict(layoutOf(shape, schedule), {shape.headDim, shape.valueDim, cache, query}, step, target);
}

AttentionSeconds predictLatentAttentionSeconds(const LatentAttentionShape &shape,
                                               const LatentAttentionSchedule &schedule, const AttendedStep &step,
                                               const CudaTarget &target) {
  const kernel::Fp8LatentRow quantized{shape.rank, shape.ropeDim};
  const int64_t width = shape.rank + shape.ropeDim;
  const double cache = static_cast<double>(shape.isFp8 ? quantized.bytes() : 2 * width);
  const double query = 2.0 * static_cast<double>(shape.heads * (width + shape.rank));
  return predict(layoutOf(shape, schedule), {width, shape.rank, cache, query}, step, target);
}

} // namespace elah::cuda
