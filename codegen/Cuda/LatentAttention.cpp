#include "codegen/Cuda/LatentAttention.h"
#include "codegen/Cuda/AttentionLayout.h"
#include "codegen/Cuda/KernelText.h"
#include "dialects/Kernel/LatentRow.h"
#include <algorithm>
#include <cassert>

namespace elah::cuda {
namespace {

constexpr int64_t tileRows = 64;

// LatentAttentionConfig's.
int64_t threadsOf(const LatentAttentionShape &shape) { return shape.isFp8 ? 384 : 256; }
int64_t sharedBytesOf(const LatentAttentionShape &shape) {
  const int64_t latentTiles = (shape.rank + 63) / 64, halfTiles = (shape.rank + 127) / 128;
  int64_t queryTiles = (shape.rank + shape.ropeDim + 63) / 64;
  int64_t pageTiles = std::max(queryTiles, 2 * halfTiles), barriers = 2 * pageTiles + 2;
  if (shape.isFp8) {
    queryTiles = latentTiles + 1;
    pageTiles = 2 * halfTiles + 1;
    barriers = 2 * 3 + 2 + 2 * 2;
  }
  const int64_t rowValues = 4 * 64, planWords = 2 * threadsOf(shape) / 32 + 4;
  const int64_t tiles = queryTiles + 2 * pageTiles + (shape.isFp8 ? 0 : 1);
  return tiles * 64 * 128 + barriers * 8 + rowValues * 4 + planWords * 4;
}

} // namespace

AttentionLayout layoutOf(const LatentAttentionShape &shape, const LatentAttentionSchedule &schedule) {
  AttentionLayout layout;
  layout.heads = shape.heads;
  layout.valueDim = shape.rank;
  layout.tileHeads = std::min(shape.heads, tileRows);
  layout.tileTokens = tileRows / layout.tileHeads;
  layout.units = (shape.heads + layout.tileHeads - 1) / layout.tileHeads;
  layout.parts = schedule.parts;
  return layout;
}

std::string whyNoLatentAttention(const LatentAttentionShape &shape) {
  auto number = [](int64_t value) { return std::to_string(value); };
  if (shape.rank % 16 != 0 || shape.ropeDim % 16 != 0) {
    return "a rank of " + number(shape.rank) + " and rotary values of " + number(shape.ropeDim) +
           ", expected multiples of 16, as tensor cores take them";
  }
  // Half of the output, 64 rows x rank / 2 in f32, is in the registers of 128 threads.
  if (shape.rank > 512 || shape.ropeDim > 64) {
    return "a rank of " + number(shape.rank) + " and rotary values of " + number(shape.ropeDim) +
           ", expected at most 512 and 64, for which there are registers and shared memory";
  }
  if (shape.isFp8 && shape.ropeDim == 0) {
    return "an FP8 cache without rotary values, expected a tile of these beside the latent's";
  }
  return "";
}

std::vector<LatentAttentionSchedule> legalLatentAttentionSchedules(const LatentAttentionShape &shape,
                                                                   const CudaTarget &target) {
  std::vector<LatentAttentionSchedule> schedules;
  if (!whyNoLatentAttention(shape).empty() || sharedBytesOf(shape) > target.sharedPerBlock) {
    return schedules;
  }
  // Units read the same pages at the same time, from L2 all but the first. More parts than fill the GPU once would only
  // combine more; fewer leave room for kernels beside, or suit steps that do not fill it.
  const int64_t units = layoutOf(shape, {1}).units;
  for (int64_t parts = std::max<int64_t>(1, target.multiprocessors / units);; parts /= 2) {
    schedules.push_back({parts});
    if (parts <= 4) {
      return schedules;
    }
  }
}

LatentAttentionSchedule chooseLatentAttentionSchedule(const LatentAttentionShape &shape, int64_t tokens,
                                                      int64_t context, const CudaTarget &target) {
  std::vector<LatentAttentionSchedule> schedules = legalLatentAttentionSchedules(shape, target);
  assert(!schedules.empty());
  LatentAttentionSchedule chosen = schedules.front();
  chosen.parts = std::min(chosen.parts, busyParts(tokens, context));
  return chosen;
}

std::vector<KernelSpec> specializeLatentAttention(const LatentAttentionShape &shape,
                                                  const LatentAttentionSchedule &schedule) {
  const AttentionLayout layout = layoutOf(shape, schedule);
  const uint64_t dims = static_cast<uint64_t>(shape.rank + shape.ropeDim);
  const std::string constants =
      "constexpr elah::LatentAttentionShape shape = {.heads = " + std::to_string(shape.heads) +
      ", .rank = " + std::to_string(shape.rank) + ", .ropeDim = " + std::to_string(shape.ropeDim) +
      ", .isFp8 = " + (shape.isFp8 ? "true" : "false") +
      "};\nconstexpr elah::LatentAttentionSchedule schedule = {.parts = " + std::to_string(schedule.parts) + "};\n";
  const std::string parameters =
      "const uint16_t *, const void *rows, const int *positions, const int *sequences, const int *pages,\n"
      "    elah::uint16_t *output, const elah::Dims *dims, void *scratch";
  const std::string suffix = "_h" + std::to_string(shape.heads) + "_" + std::to_string(shape.rank) + "_" +
                             std::to_string(shape.ropeDim) + (shape.isFp8 ? "_fp8" : "") + "_p" +
                             std::to_string(schedule.parts) + "_scale" + identifierPart(floatLiteral(shape.scale));

  KernelSpec attention;
  attention.family = "latent_attention";
  attention.symbol = "latent_attention" + suffix;
  attention.schedule = std::string("64 rows, 2 warpgroups in turn, ") + (shape.isFp8 ? "1 that dequantizes, " : "") +
                       std::to_string(schedule.parts) + " parts x " + std::to_string(layout.units) + " units";
  attention.operands = 6;
  attention.threads = static_cast<unsigned>(threadsOf(shape));
  attention.sharedBytes = static_cast<unsigned>(sharedBytesOf(shape));
  attention.maxRegisters = shape.isFp8 ? 168 : 255;
  attention.scratchBytes = Extent::of(layout.scratchBytes());
  attention.grid.outer = layout.parts * layout.units;
  TensorMap queries;
  queries.operand = 0;
  queries.sizes = {Extent::of(static_cast<int64_t>(dims)), Extent::of(shape.heads), Extent::tokens()};
  queries.strides = {2 * dims, 2 * dims * static_cast<uint64_t>(shape.heads)};
  queries.box = {64, static_cast<uint32_t>(layout.tileHeads), static_cast<uint32_t>(layout.tileTokens)};
  queries.swizzle = MapSwizzle::B128;
  // Pages apart, so that the rows before a page's first are out of bounds.
  TensorMap cache = queries;
  cache.operand = 1;
  // No page lies behind the last, so that their number may be given too large: as many as there are rows.
  cache.sizes = {Extent::of(static_cast<int64_t>(dims)), Extent::of(pageTokens), Extent::cacheRows()};
  cache.strides = {2 * dims, 2 * dims * pageTokens};
  cache.box = {64, pageTokens, 1};
  if (shape.isFp8) {
    const kernel::Fp8LatentRow row{shape.rank, shape.ropeDim};
    cache.byteOffset = static_cast<uint64_t>(row.ropeOffset());
    cache.sizes[0] = Extent::of(shape.ropeDim);
    cache.strides = {static_cast<uint64_t>(row.bytes()), static_cast<uint64_t>(row.bytes() * pageTokens)};
  }
  TensorMap output = queries;
  output.operand = 5;
  output.sizes[0] = Extent::of(shape.rank);
  output.strides = {2 * static_cast<uint64_t>(shape.rank), 2 * static_cast<uint64_t>(shape.rank * shape.heads)};
  output.box[2] = 1;
  attention.maps = {queries, cache, output};
  attention.source =
      "#include \"kernels/latent_attention.cuh\"\nusing elah::uint16_t;\n" + constants +
      "static_assert(elah::LatentAttentionConfig<shape, schedule>::sharedBytes == " +
      std::to_string(attention.sharedBytes) + ");\nextern \"C\" __global__ void __launch_bounds__(" +
      std::to_string(attention.threads) + ", 1)\n" + attention.symbol + "(" + parameters +
      ",\n    const __grid_constant__ elah::TensorMap queries, const __grid_constant__ elah::TensorMap cache,\n"
      "    const __grid_constant__ elah::TensorMap outputs) {\n"
      "  elah::latentAttention<shape, schedule>({positions, sequences, pages, dims}, rows, &queries, &cache, &outputs, "
      "scratch,\n                                         " +
      floatLiteral(shape.scale) + ");\n}\n";

  KernelSpec combine = combiningKernel(layout);
  combine.family = "latent_attention_combine";
  combine.symbol = "latent_attention_combine" + suffix;
  combine.operands = attention.operands;
  combine.source = "#include \"kernels/latent_attention.cuh\"\nusing elah::uint16_t;\n" + constants +
                   "extern \"C\" __global__ void __launch_bounds__(256, 4)\n" + combine.symbol + "(" + parameters +
                   ") {\n  elah::latentAttentionCombine<shape, schedule>(output, scratch);\n}\n";
  return {attention, combine};
}

} // namespace elah::cuda
