// The schedule space of GEMM kernels, and a simple model that chooses in it. Bounds and figures: PTX ISA (wgmma, tensor
// copies), CUDA programming guide (shared memory), and the published times of FP8 GEMMs on H800 with which the model's
// constants agree within about a tenth.
#include "codegen/Cuda/GemmSchedule.h"
#include "codegen/Cuda/Rounding.h"
#include "codegen/Cuda/TimeModel.h"
#include <algorithm>
#include <bit>
#include <elah/cuda_kernel.h>

namespace elah::cuda {
namespace {

int64_t outputColumnsOf(const GemmProblem &problem, const GemmSchedule &schedule) {
  return schedule.tileColumns / problem.halves();
}
bool isStaged(const GemmProblem &problem) {
  return problem.output != GemmOutput::F32 && problem.output != GemmOutput::F32Add;
}
int64_t outputBytes(const GemmProblem &problem) {
  return problem.output == GemmOutput::SwigluF8 ? 1 : isStaged(problem) ? 2 : 4;
}

/// Whether a product of `tileColumns` e4m3 columns meets at most two blocks of 128 weight rows, wherever it begins.
bool meetsTwoBlocks(const GemmProblem &problem, int64_t tileColumns) {
  for (int64_t column = 0; column < problem.columns; column += tileColumns) {
    if (column % 128 + tileColumns > 256) {
      return false;
    }
  }
  return true;
}

int64_t tilesOf(const GemmProblem &problem, const GemmSchedule &schedule, int64_t rows) {
  int64_t columnTiles = roundUp(ceilDiv(problem.columns, outputColumnsOf(problem, schedule)), schedule.clusterColumns);
  if (problem.batch == GemmBatch::Experts) {
    // As if every expert had as many rows as the others, and as many experts as there are rows for.
    int64_t experts = std::min(problem.batches, rows);
    return experts * ceilDiv(ceilDiv(rows, std::max<int64_t>(experts, 1)), schedule.tileRows) * columnTiles;
  }
  return problem.batches * roundUp(ceilDiv(rows, schedule.tileRows), schedule.clusterRows) * columnTiles;
}

} // namespace

int64_t GemmProblem::weightPitch() const { return roundUp(depth, 16 / elementBytes()); }

Extent GemmProblem::rowExtent() const {
  if (batch == GemmBatch::Experts) {
    return Extent::tokens(rowsOfToken);
  }
  return rows == GemmRows::LogitRows ? Extent::logitRows() : Extent::tokens();
}

std::string GemmSchedule::describe() const {
  std::string text = "tile " + std::to_string(tileRows) + "x" + std::to_string(tileColumns) + ", " +
                     std::to_string(mathWarpgroups) + (mathWarpgroups == 1 ? " warpgroup, " : " warpgroups, ") +
                     std::to_string(stages) + " stages";
  if (clusterRows > 1 || clusterColumns > 1) {
    text += clusterRows > 1 ? ", pairs share weights" : ", pairs share rows";
  }
  if (splits > 1) {
    text += ", k in " + std::to_string(splits);
  }
  return text + ", groups of " + std::to_string(rowGroup) + ", " + std::to_string(blocks) + " blocks";
}

unsigned gemmSharedBytes(const GemmProblem &problem, const GemmSchedule &schedule) {
  int64_t bytes = 0;
  if (isStaged(problem)) {
    bytes += roundUp(schedule.tileRows * outputColumnsOf(problem, schedule) * outputBytes(problem), 1024);
  }
  bytes += schedule.stages * (schedule.tileRows + schedule.tileColumns) * 128;
  bytes += 16 * schedule.stages + 16;
  if (problem.batch == GemmBatch::Experts) {
    bytes += 4 * (problem.batches + 1 + 32);
  }
  return static_cast<unsigned>(bytes);
}

std::string whyNoGemm(const GemmProblem &problem) {
  // What of `values` is no multiple of so many bytes, in words; empty if all are.
  auto misaligned = [](std::initializer_list<std::pair<const char *, int64_t>> values, int64_t elementBytes) {
    for (auto [what, elements] : values) {
      if (elements * elementBytes % 16) {
        return "found " + std::string(what) + " of " + std::to_string(elements) + " values, expected a multiple of " +
               std::to_string(16 / elementBytes) + ": tensor maps and copies take 16 bytes";
      }
    }
    return std::string();
  };
  if (problem.columns < 1 || problem.depth < 1 || problem.batches < 1) {
    return "found no columns, depth or batches, expected at least one of each";
  }
  // Strides of a tensor map are multiples of 16 bytes.
  std::string reason = misaligned({{"input rows", problem.inputPitch},
                                   {"input heads", problem.inputStride},
                                   {"a slice of the input behind a head's beginning", problem.inputOffset}},
                                  problem.elementBytes());
  if (!reason.empty()) {
    return reason;
  }
  if (isStaged(problem)) {
    reason = misaligned({{"output columns", problem.columns},
                         {"output rows", problem.outputPitch},
                         {"output heads", problem.outputStride},
                         {"a slice of the output behind a head's beginning", problem.outputOffset}},
                        outputBytes(problem));
    if (!reason.empty()) {
      return reason;
    }
  } else if (problem.columns % 2 || problem.outputPitch % 2) {
    return "found " + std::to_string(problem.columns % 2 ? problem.columns : problem.outputPitch) +
           " columns of f32, expected pairs: a thread stores two";
  } else if (problem.batch == GemmBatch::Heads) {
    return "found heads of f32, expected bf16";
  }
  if (problem.output == GemmOutput::SwigluF8 && problem.element != GemmElement::F8) {
    return "found bf16 operands of a quantized output, expected e4m3";
  }
  if (problem.output == GemmOutput::SwigluBF16 && problem.element != GemmElement::BF16) {
    return "found e4m3 operands of a SwiGLU in bf16, expected bf16 or a quantized output";
  }
  if (problem.batch == GemmBatch::Experts && problem.hasBias) {
    return "found a bias of experts, expected none";
  }
  return "";
}

std::string whyIllegal(const GemmProblem &problem, const GemmSchedule &schedule, int64_t rows,
                       const CudaTarget &target) {
  auto number = [](int64_t value) { return std::to_string(value); };
  if (schedule.mathWarpgroups < 1 || schedule.mathWarpgroups > 2) {
    return "found " + number(schedule.mathWarpgroups) + " warpgroups of math, expected 1 or 2";
  }
  const int64_t warpgroupRows = schedule.tileRows / schedule.mathWarpgroups;
  if (schedule.tileRows % schedule.mathWarpgroups || (warpgroupRows != 64 && warpgroupRows != 128)) {
    return "found " + number(schedule.tileRows) + " rows, expected 64 or 128 a warpgroup, as wgmma has 64";
  }
  if (schedule.tileColumns < 16 || schedule.tileColumns > 256 || schedule.tileColumns % (16 * problem.halves())) {
    return "found " + number(schedule.tileColumns) + " columns, expected a multiple of " +
           number(16 * problem.halves()) + " up to 256, as wgmma has";
  }
  const int64_t columns = schedule.tileColumns;
  // Registers of a thread: sums, and with e4m3 a product that the tensor core sums, beside some 40 others.
  int64_t sums = warpgroupRows / 64 * columns / 2;
  if (problem.element == GemmElement::F8) {
    if (problem.output == GemmOutput::SwigluF8 && columns != 256) {
      return "found " + number(columns) + " columns of a quantized SwiGLU, expected 256: a scale's 128 of each half";
    }
    if (columns > 192 && columns != 256) {
      return "found " + number(columns) + " columns, expected at most 192, or 256 in two products";
    }
    if (columns <= 192 && 128 % columns && !meetsTwoBlocks(problem, columns)) {
      return "found columns of three blocks of weights in a tile of " + number(columns) + ", expected at most two";
    }
    sums += columns == 256 ? 64 : columns / 2;
  }
  if (sums > 192) {
    return "found " + number(sums) + " accumulators in a thread, expected at most 192";
  }
  if (problem.element == GemmElement::BF16 && problem.hasBias && !isStaged(problem) && schedule.mathWarpgroups == 2 &&
      sums > 112) {
    return "found " + number(sums) + " accumulators in a thread that adds a bias, expected at most 112: more spill";
  }
  const bool isBusySwiglu = problem.isSwiglu() && (problem.batch == GemmBatch::Experts || problem.hasBias);
  if (problem.element == GemmElement::BF16 && isBusySwiglu && sums > 128) {
    return "found " + number(sums) + " accumulators in a thread of a SwiGLU with experts or a bias, expected at most " +
           "128: more spill";
  }
  if (schedule.clusterRows * schedule.clusterColumns > 2 || schedule.clusterRows < 1 || schedule.clusterColumns < 1) {
    return "found a cluster of " + number(schedule.clusterRows * schedule.clusterColumns) + " blocks, expected 1 or 2";
  }
  if (problem.batch == GemmBatch::Experts && schedule.clusterRows > 1) {
    return "found pairs of row tiles, expected pairs of column tiles: two tiles of rows may be of different experts";
  }
  if (schedule.blocks % (schedule.clusterRows * schedule.clusterColumns)) {
    return "found " + number(schedule.blocks) + " blocks, expected whole clusters";
  }
  if (schedule.stages < 2) {
    return "found " + number(schedule.stages) + " stage, expected 2: one is filled while one is multiplied";
  }
  if (schedule.rowGroup < 1) {
    return "found no rows in a group, expected at least one";
  }
  unsigned bytes = gemmSharedBytes(problem, schedule);
  if (bytes > target.sharedPerBlock) {
    return "found " + number(bytes) + " bytes of shared memory, expected at most " + number(target.sharedPerBlock);
  }
  if (schedule.splits < 1 || schedule.splits > 32) {
    return "found k in " + number(schedule.splits) + " parts, expected 1 .. 32";
  }
  if (schedule.splits > 1) {
    if (problem.batch == GemmBatch::Experts) {
      return "found parts of k with experts, expected none: their tiles are not known beforehand";
    }
    const int64_t most = schedule.mathWarpgroups == 2 ? 32 : 112;
    if (problem.element == GemmElement::BF16 && sums > most) {
      return "found " + number(sums) + " accumulators in a thread of parts of k, expected at most " + number(most) +
             ": more of them spill where parts are added";
    }
    // Each part has a block of k at least; e4m3 parts begin at multiples of four.
    int64_t granule = problem.element == GemmElement::F8 ? 4 : 1;
    int64_t partBlocks = roundUp(ceilDiv(problem.depthBlocks(), schedule.splits), granule);
    if (partBlocks * (schedule.splits - 1) >= problem.depthBlocks()) {
      return "found k in " + number(schedule.splits) + " parts, expected no more than there are blocks of k for";
    }
    int64_t semaphores = tilesOf(problem, schedule, rows) * schedule.mathWarpgroups;
    if (semaphores > ELAH_CUDA_SEMAPHORE_BYTES / 4) {
      return "found " + number(semaphores) + " semaphores, expected at most " + number(ELAH_CUDA_SEMAPHORE_BYTES / 4);
    }
  }
  return "";
}

/// Widths of tiles that are worth a try: powers of two, whose columns share a scale, and of the others those for which
/// there is no narrower one that needs as few tiles.
static std::vector<unsigned> widthsOf(const GemmProblem &problem) {
  std::vector<unsigned> widths;
  const int64_t halves = problem.halves(), step = 16 * halves;
  int64_t tilesBefore = 0;
  for (int64_t width = step; width <= 256; width += step) {
    const int64_t tiles = ceilDiv(problem.columns, width / halves);
    const bool isPower = std::has_single_bit(static_cast<uint64_t>(width));
    // A quantized SwiGLU has one width only.
    if (tiles != tilesBefore || (isPower && tilesBefore > 1) || problem.output == GemmOutput::SwigluF8) {
      widths.push_back(static_cast<unsigned>(width));
    }
    tilesBefore = tiles;
  }
  return widths;
}

/// So many tiles of rows a group that what runs at a time needs the fewest rows and columns together.
static unsigned rowGroupOf(const GemmProblem &problem, const GemmSchedule &schedule) {
  auto bytes = [&](int64_t group) {
    return group * schedule.tileRows * schedule.clusterRows + ceilDiv(schedule.blocks, group * schedule.clusterRows) *
                                                                  outputColumnsOf(problem, schedule) * problem.halves();
  };
  return bytes(8) <= bytes(16) ? 8 : 16;
}

std::vector<GemmSchedule> legalGemmSchedules(const GemmProblem &problem, int64_t rows, const CudaTarget &target) {
  std::vector<GemmSchedule> schedules;
  // 128 rows of one warpgroup are legal, too, but nothing then hides the end of a product.
  constexpr std::pair<unsigned, unsigned> tileRows[] = {{64, 1}, {128, 2}, {256, 2}};
  struct Sharing {
    unsigned clusterRows, clusterColumns, splits;
  };
  // Parts of k are for few tiles, for which pairs have nothing to share that counts.
  constexpr Sharing sharings[] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2},  {1, 1, 3},
                                  {1, 1, 4}, {1, 1, 6}, {1, 1, 8}, {1, 1, 12}, {1, 1, 16}};
  for (auto [rowsOfTile, warpgroups] : tileRows) {
    for (unsigned columns : widthsOf(problem)) {
      for (auto [clusterRows, clusterColumns, splits] : sharings) {
        GemmSchedule schedule{.tileRows = rowsOfTile,
                              .tileColumns = columns,
                              .mathWarpgroups = warpgroups,
                              .stages = 2,
                              .clusterRows = clusterRows,
                              .clusterColumns = clusterColumns,
                              .splits = splits,
                              .blocks = target.multiprocessors / 2 * 2};
        schedule.rowGroup = rowGroupOf(problem, schedule);
        // Whole tiles, or whole blocks of a pair, without a row or column; more parts than there is room for.
        const int64_t tileColumns = ceilDiv(problem.columns, outputColumnsOf(problem, schedule));
        if ((rowsOfTile > 64 && rowsOfTile / 2 >= rows) || (clusterRows > 1 && rows <= rowsOfTile) ||
            (clusterColumns > 1 && tileColumns == 1) ||
            (splits > 1 && tilesOf(problem, schedule, rows) * splits > 2 * schedule.blocks)) {
          continue;
        }
        // As many stages as fit and help: k is no longer than that.
        unsigned stageBytes = (rowsOfTile + columns) * 128 + 16;
        unsigned others = gemmSharedBytes(problem, schedule) - 2 * stageBytes;
        if (others + 2 * stageBytes > target.sharedPerBlock) {
          continue;
        }
        schedule.stages = std::min({(target.sharedPerBlock - others) / stageBytes, 16u,
                                    static_cast<unsigned>(std::max<int64_t>(2, problem.depthBlocks()))});
        if (whyIllegal(problem, schedule, rows, target).empty()) {
          schedules.push_back(schedule);
        }
      }
    }
  }
  return schedules;
}

double predictGemmSeconds(const GemmProblem &problem, const GemmSchedule &schedule, int64_t rows,
                          const CudaTarget &target) {
  // The time of a tile is that of the slowest of its parts: the tensor cores, shared memory, the L2 cache, the memory.
  const double clock = target.tensorMhz * 1e6;
  const double flopsPerClock = problem.element == GemmElement::F8 ? target.fp8FlopsPerClock : target.bf16FlopsPerClock;
  const double tileDepth = 128.0 / problem.elementBytes();
  const double tensorEfficiency = 0.80;
  const int64_t tiles = tilesOf(problem, schedule, rows);
  const int64_t items = tiles * schedule.splits;
  const int64_t multiprocessors = schedule.blocks;
  const double waves = static_cast<double>(ceilDiv(items, multiprocessors));
  const double busy = std::min<double>(static_cast<double>(items), static_cast<double>(multiprocessors));
  const double blocksOfItem = static_cast<double>(ceilDiv(problem.depthBlocks(), schedule.splits));

  // Cycles of a block of k.
  const double tensor = 2.0 * schedule.tileRows * schedule.tileColumns * tileDepth / (flopsPerClock * tensorEfficiency);
  // wgmma reads 64 rows of the input and all columns for each 64 rows; TMA writes both once (128 bytes a cycle).
  const double subtiles = schedule.tileRows / 64.0;
  const double shared =
      (subtiles * (64.0 + schedule.tileColumns) + schedule.tileRows + schedule.tileColumns) * 128 / 128;
  const double l2Bytes = (schedule.tileRows / static_cast<double>(schedule.clusterColumns) +
                          schedule.tileColumns / static_cast<double>(schedule.clusterRows)) *
                         128;
  const double l2 = l2Bytes / std::min(64.0, target.l2BytesPerClock / busy);
  // e4m3: products become sums in other registers; another warpgroup's products hide it, if there is one.
  double promotion = 0;
  if (problem.element == GemmElement::F8) {
    double cycles = schedule.tileRows / schedule.mathWarpgroups * schedule.tileColumns / 128.0 * 1.15 + 60;
    promotion = schedule.mathWarpgroups == 2 ? std::max(0.0, 0.1 * cycles) : cycles;
  } else {
    promotion = schedule.mathWarpgroups == 2 ? 0 : 20;
  }
  const double blockCycles = std::max({tensor + promotion, shared, l2});

  // A tile's beginning and end, of which the loads of the next tile hide a part. The warps that multiply also round and
  // store, some 24 bytes a cycle: what is stored hides behind no product, which counts where k is short.
  const double storedBytes =
      static_cast<double>(schedule.tileRows * outputColumnsOf(problem, schedule) * outputBytes(problem));
  double itemCycles = blocksOfItem * blockCycles + 900 + storedBytes / 24;
  if (schedule.splits > 1) {
    // Partial sums to L2 and back, the last block reads all of them.
    double bytes = 4.0 * schedule.tileRows * schedule.tileColumns;
    itemCycles += 1500 + bytes * (1 + schedule.splits) / 64;
  }
  double seconds = (waves * itemCycles + timeModel::fillCycles) / clock;

  // The memory: weights once (of the experts that have rows), rows in and out.
  const double weightMatrices =
      problem.batch == GemmBatch::Experts ? std::min<double>(problem.batches, rows) : problem.batches;
  double bytes = weightMatrices * problem.columns * problem.halves() * problem.depth * problem.elementBytes();
  bytes += rows * (problem.depth * problem.elementBytes() + problem.columns * outputBytes(problem)) *
           (problem.batch == GemmBatch::Heads ? problem.batches : 1);
  const double bandwidth =
      std::min(timeModel::memoryEfficiency * target.memoryBandwidth, busy * timeModel::bytesPerCycleOfBlock * clock);
  return std::max(seconds, bytes / bandwidth + timeModel::fillCycles / clock) + timeModel::launchSeconds;
}

GemmSchedule chooseGemmSchedule(const GemmProblem &problem, int64_t rows, const CudaTarget &target) {
  std::optional<GemmSchedule> best;
  double bestSeconds = 0;
  for (const GemmSchedule &schedule : legalGemmSchedules(problem, rows, target)) {
    double seconds = predictGemmSeconds(problem, schedule, rows, target);
    // Of equals the first: fewer rows, columns, blocks that depend on each other.
    if (!best || seconds < bestSeconds * 0.999) {
      best = schedule;
      bestSeconds = seconds;
    }
  }
  return best.value_or(GemmSchedule());
}

} // namespace elah::cuda
