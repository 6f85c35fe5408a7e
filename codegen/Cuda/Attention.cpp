#include "codegen/Cuda/Attention.h"
#include "codegen/Cuda/AttentionLayout.h"
#include "codegen/Cuda/KernelText.h"
#include <algorithm>
#include <cassert>

namespace elah::cuda {
namespace {

int64_t divisorUpTo(int64_t value, int64_t bound) {
  int64_t divisor = std::min(value, bound);
  while (value % divisor != 0) {
    --divisor;
  }
  return divisor;
}

int64_t threadsOf(const AttentionSchedule &schedule) { return 128 * (schedule.warpgroups + 1); }

/// AttentionConfig::sharedBytes.
int64_t sharedBytesOf(const AttentionShape &shape, const AttentionSchedule &schedule) {
  const int64_t rows = 64 * schedule.warpgroups;
  const int64_t keyTiles = (shape.headDim + 63) / 64, valueTiles = (shape.valueDim + 63) / 64;
  const int64_t pages = schedule.stages * (keyTiles + valueTiles) * pageTokens * 128;
  const int64_t staged = rows * (2 * ((shape.valueDim + 15) / 16 * 16) + 16);
  const int64_t barriers = 2 + 4 * schedule.stages, planBytes = 8 * threadsOf(schedule) / 32 + 16;
  return keyTiles * rows * 128 + pages + staged + 8 * barriers + planBytes;
}

} // namespace

AttentionLayout layoutOf(const AttentionShape &shape, const AttentionSchedule &schedule) {
  AttentionLayout layout;
  layout.heads = shape.heads;
  layout.valueDim = shape.valueDim;
  layout.tileHeads = divisorUpTo(shape.heads / shape.kvHeads, 64);
  layout.tileTokens = 64 * schedule.warpgroups / layout.tileHeads;
  layout.units = shape.heads / layout.tileHeads;
  layout.parts = schedule.parts;
  return layout;
}

std::string AttentionSchedule::describe() const {
  return std::to_string(64 * warpgroups) + " rows, " + std::to_string(stages) + " pages under way, " +
         std::to_string(parts) + (parts == 1 ? " part" : " parts");
}

std::string whyNoAttention(const AttentionShape &shape) {
  auto number = [](int64_t value) { return std::to_string(value); };
  const std::string widths = "heads of " + number(shape.headDim) + " and " + number(shape.valueDim) + " values";
  // Tensor maps have strides, and copies sizes, of a multiple of 16 bytes.
  if (shape.headDim % 8 != 0 || shape.valueDim % 8 != 0) {
    return widths + ", expected multiples of 8, as copies take them";
  }
  // 64 queries and 64 rows of the output in f32 are in the registers of 128 threads.
  if (shape.headDim > 192 || shape.valueDim > 128) {
    return widths + ", expected at most 192 and 128, for which there are registers";
  }
  if (!(shape.scale > 0)) {
    return "a scale of " + std::to_string(shape.scale) + ", expected a positive one";
  }
  return "";
}

std::vector<AttentionSchedule> legalAttentionSchedules(const AttentionShape &shape, int64_t tokens,
                                                       const CudaTarget &target) {
  std::vector<AttentionSchedule> schedules;
  if (!whyNoAttention(shape).empty()) {
    return schedules;
  }
  const int64_t units = layoutOf(shape, {}).units;
  // Tiles of 128 rows load a page for twice as many products, if there are rows for them: a step's tokens may be of one
  // sequence. A step that has fewer is of single tokens.
  const int64_t best = tokens * shape.heads / units > 64 ? 2 : 1;
  for (int64_t warpgroups : {best, 3 - best}) {
    for (int64_t stages : {6, 5, 4, 3, 2}) {
      // More parts than fill the GPU once would only combine more; fewer leave room for kernels beside.
      for (int64_t parts = std::max<int64_t>(1, target.multiprocessors / units);; parts /= 2) {
        const AttentionSchedule schedule = {warpgroups, stages, parts};
        if (sharedBytesOf(shape, schedule) <= target.sharedPerBlock) {
          schedules.push_back(schedule);
        }
        if (parts <= 4) {
          break;
        }
      }
    }
  }
  return schedules;
}

AttentionSchedule chooseAttentionSchedule(const AttentionShape &shape, int64_t tokens, int64_t context,
                                          const CudaTarget &target) {
  const std::vector<AttentionSchedule> schedules = legalAttentionSchedules(shape, tokens, target);
  assert(!schedules.empty());
  AttentionSchedule chosen = schedules.front();
  chosen.parts = std::min(chosen.parts, busyParts(tokens, context));
  return chosen;
}

std::vector<KernelSpec> specializeAttention(const AttentionShape &shape, const AttentionSchedule &schedule) {
  const AttentionLayout layout = layoutOf(shape, schedule);
  auto number = [](int64_t value) { return std::to_string(value); };
  const std::string threads = number(threadsOf(schedule));
  const std::string constants =
      "constexpr elah::AttentionShape shape = {.heads = " + number(shape.heads) +
      ", .kvHeads = " + number(shape.kvHeads) + ", .headDim = " + number(shape.headDim) +
      ", .valueDim = " + number(shape.valueDim) +
      "};\nconstexpr elah::AttentionSchedule schedule = {.warpgroups = " + number(schedule.warpgroups) +
      ", .stages = " + number(schedule.stages) + ", .parts = " + number(schedule.parts) + "};\n";
  const std::string parameters =
      "const uint16_t *, const uint16_t *, const uint16_t *, const int *positions, const int *sequences,\n"
      "    const int *pages, uint16_t *output, const elah::Dims *dims, void *scratch";
  const std::string suffix = "_h" + number(shape.heads) + "_" + number(shape.kvHeads) + "_d" + number(shape.headDim) +
                             "_" + number(shape.valueDim) + "_w" + number(schedule.warpgroups) + "_s" +
                             number(schedule.stages) + "_p" + number(schedule.parts);
  const std::string head = "#include \"kernels/attention.cuh\"\nusing elah::uint16_t;\n" + constants;

  // The scale is the attention's alone.
  KernelSpec attention;
  attention.family = "attention";
  attention.symbol = "attention" + suffix + "_scale" + identifierPart(floatLiteral(shape.scale));
  attention.schedule = schedule.describe();
  attention.operands = 7;
  attention.scratchBytes = Extent::of(layout.scratchBytes());
  attention.threads = static_cast<unsigned>(threadsOf(schedule));
  attention.sharedBytes = static_cast<unsigned>(sharedBytesOf(shape, schedule));
  attention.maxRegisters = schedule.warpgroups == 2 ? 168 : 255;
  attention.grid.outer = layout.parts * layout.units;

  auto mapOf = [](unsigned operand, int64_t dim, int64_t heads) {
    TensorMap map;
    map.operand = operand;
    map.sizes = {Extent::of(dim), Extent::of(heads)};
    map.strides = {2 * static_cast<uint64_t>(dim), 2 * static_cast<uint64_t>(dim * heads)};
    map.swizzle = MapSwizzle::B128;
    return map;
  };
  TensorMap query = mapOf(0, shape.headDim, shape.heads);
  query.sizes.push_back(Extent::tokens());
  query.box = {64, static_cast<uint32_t>(layout.tileHeads), static_cast<uint32_t>(layout.tileTokens)};
  attention.maps = {query, mapOf(1, shape.headDim, shape.kvHeads), mapOf(2, shape.valueDim, shape.kvHeads)};
  for (TensorMap *cache : {&attention.maps[1], &attention.maps[2]}) {
    // Pages apart, so that the rows before a page's first are out of bounds. No page lies behind the last, so that
    // their number may be given too large: as many as there are rows.
    cache->sizes.insert(cache->sizes.end(), {Extent::of(pageTokens), Extent::cacheRows()});
    cache->strides.push_back(cache->strides.back() * pageTokens);
    cache->box = {64, 1, pageTokens, 1};
  }
  attention.source =
      head + "static_assert(elah::AttentionConfig<shape, schedule>::sharedBytes == " + number(attention.sharedBytes) +
      ");\nextern \"C\" __global__ void __launch_bounds__(" + threads + ", 1)\n" + attention.symbol + "(" + parameters +
      ",\n    const __grid_constant__ elah::TensorMap query, const __grid_constant__ elah::TensorMap "
      "key,\n    const __grid_constant__ elah::TensorMap value) {\n  elah::attention<shape, "
      "schedule>({positions, sequences, pages, dims}, {&query, &key, &value}, output, scratch,\n"
      "      " +
      floatLiteral(shape.scale) + ");\n}\n";

  KernelSpec combine = combiningKernel(layout);
  combine.family = "attention_combine";
  combine.symbol = "attention_combine" + suffix;
  combine.operands = attention.operands;
  combine.source = head + "extern \"C\" __global__ void __launch_bounds__(256, 4)\n" + combine.symbol + "(" +
                   parameters + ") {\n  elah::attentionCombine<shape, schedule>(output, scratch);\n}\n";
  return {attention, combine};
}

} // namespace elah::cuda
