#ifndef TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_FLASHMLA_H
#define TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_FLASHMLA_H

// How FlashMLA's dense decode over a paged latent cache (bf16) is launched: the schedule, the split attention, and the
// combination of the splits, the last two overlapped by programmatic dependent launch.

#include "tests/runtime/emulator/hardware_proven/ready_ptx.h"

#include <algorithm>
#include <cmath>

namespace emulator {

class FlashMla {
public:
  static constexpr int headK = 576, headV = 512, page = 64;
  static constexpr const char *attentionFile = "flashmla_dense_decode_bf16.ptx",
                              *fastMathFile = "flashmla_dense_decode_bf16_fast_math.ptx";

  struct Step {
    int batch = 1, queries = 1, heads = 128;
    bool causal = false;
    int pages = 1, tablePitch = 1; ///< Of the cache; of the page table.
    float scale = 1 / std::sqrt(float(headK));

    int rows() const { return queries * heads; }
    int rowBlocks() const { return (rows() + 63) / 64; }
  };
  struct Operands {
    uint64_t q, cache, table, lengths, out, lse; ///< Addresses.
  };

  /// Launches of the last run.
  std::shared_ptr<Grid> planning, attending, combining;

  explicit FlashMla(const char *file = attentionFile)
      : scheduler(readyModule("flashmla_sched_meta.ptx")), attention(readyModule(file)),
        combiner(readyModule("flashmla_combine.ptx")) {}

  /// False where there is no folder with the kernels.
  bool isThere() const { return scheduler && attention && combiner; }

  /// `parts`: blocks of each of rowBlocks(). `overlapped`: the splits' combination starts before the attention ends.
  std::optional<Fault> run(const Step &step, const Operands &operands, int parts, bool overlapped,
                           const RunOptions &options, Observer *observer) {
    const int rows = step.rows(), splitRows = (step.batch + parts) * rows;
    DeviceBuffer schedule(size_t(parts) * 32), splits(size_t(step.batch + 1) * 4), lseParts(size_t(splitRows) * 4),
        outParts(size_t(splitRows) * headV * 4);

    ScheduleParameters s = {};
    s.batch = step.batch, s.queries = step.queries, s.block = page, s.overhead = 5, s.topk = s.extraTopk = -1;
    s.lengths = operands.lengths, s.schedule = schedule.address(), s.splits = splits.address(), s.parts = parts;
    planning = start(scheduler, kernelNamed(*scheduler, "get_mla_metadata"), {1, 1, 1}, 32,
                     uint32_t(step.batch * 5 + 1) * 4, Parameters().add(s), options, observer);
    if (std::optional<Fault> fault = planning->wait()) {
      return fault;
    }

    AttentionParameters a = {};
    a.batch = step.batch, a.queries = step.queries, a.rows = rows, a.headK = headK, a.headV = headV;
    a.headsQ = a.headsQPerK = step.heads, a.headsK = 1, a.pages = step.pages, a.causal = step.causal;
    a.scale = step.scale, a.scaleLog2 = a.scale * float(M_LOG2E);
    a.q = operands.q, a.k = operands.cache, a.o = operands.out, a.lse = operands.lse;
    a.qRow = headK, a.qHead = headK, a.qBatch = int64_t(rows) * headK;
    a.kRow = headK, a.kHead = headK, a.kBatch = int64_t(page) * headK;
    a.oRow = headV, a.oHead = int64_t(rows) * headV, a.oBatch = int64_t(rows) * headV;
    a.table = operands.table, a.tableBatch = step.tablePitch, a.pageSize = page, a.lengths = operands.lengths;
    a.schedule = schedule.address(), a.parts = parts, a.splits = splits.address(), a.totalSplits = step.batch + parts;
    a.lseParts = lseParts.address(), a.oParts = outParts.address();
    TensorParameters t = {};
    const uint64_t wide = headK * 2, narrow = headV * 2, sequence = uint64_t(rows), batch = uint64_t(step.batch);
    t.shapeQ[0] = rows, t.shapeQ[1] = headK, t.shapeQ[2] = 1, t.shapeQ[3] = step.batch;
    t.shapeK[0] = 1, t.shapeK[1] = step.pages;
    t.shapeO[0] = rows, t.shapeO[1] = headV, t.shapeO[2] = 1, t.shapeO[3] = step.batch;
    t.q =
        tiledMap(TensorType::BF16, a.q, {headK, sequence, 1, batch}, {wide, wide, wide * sequence}, {64, 64, 1, 1}, 3);
    t.k = tiledMap(TensorType::BF16, a.k, {headK, page, 1, uint64_t(step.pages)}, {wide, wide, wide * page},
                   {64, 64, 1, 1}, 3);
    t.o = tiledMap(TensorType::BF16, a.o, {headV, sequence, 1, batch}, {narrow, narrow * sequence, narrow * sequence},
                   {64, 64, 1, 1}, 3);
    attending = start(attention, kernelNamed(*attention, "flash_fwd_splitkv_mla"),
                      {uint32_t(step.rowBlocks()), 1, uint32_t(parts)}, 256, 230912, Parameters().add(a).add(t),
                      options, observer);
    if (!overlapped) {
      if (std::optional<Fault> fault = attending->wait()) {
        return fault;
      }
    }

    CombineParameters c = {};
    c.batch = step.batch, c.queries = step.queries, c.heads = step.heads, c.headV = headV;
    c.lse = operands.lse, c.out = operands.out, c.lseParts = lseParts.address(), c.outParts = outParts.address();
    c.lseBatch = c.partsLse = rows, c.lseQuery = c.partsLseQuery = step.heads;
    c.outBatch = c.partsOut = rows * headV, c.outQuery = c.partsOutQuery = step.heads * headV;
    c.outHead = c.partsOutHead = headV;
    c.schedule = schedule.address(), c.splits = splits.address(), c.parts = parts;
    // The kernel is made for 32, 64, 96, 128 or 160 splits.
    const std::string width = std::to_string((parts + 31) / 32 * 32);
    combining = start(combiner, kernelNamed(*combiner, "ELi512ELi8ELi" + width + "E"),
                      {uint32_t(step.batch * step.queries), 1, uint32_t((step.heads + 7) / 8)}, 256, 0,
                      Parameters().add(c), options, observer, {attending});
    std::optional<Fault> fault = attending->wait(), last = combining->wait();
    return fault ? fault : last;
  }

private:
  std::shared_ptr<LoadedModule> scheduler, attention, combiner;

  /// What the three kernels take (their parameter structs, by field).
  struct ScheduleParameters {
    int batch, queries, block, overhead, topk, extraTopk;
    uint64_t topkLength, extraTopkLength, lengths, schedule, splits;
    int parts;
    uint64_t stream;
  };
  static_assert(sizeof(ScheduleParameters) == 80);

  struct AttentionParameters {
    int batch, queries, rows, headK, headV, headsQ, headsK, pages, headsQPerK;
    bool causal;
    float scale, scaleLog2;
    uint64_t q, k, o, lse;
    int64_t qBatch, kBatch, oBatch, qRow, kRow, oRow, qHead, kHead, oHead;
    uint64_t table;
    int64_t tableBatch;
    int pageSize;
    uint64_t lengths, schedule;
    int parts;
    uint64_t splits;
    int totalSplits;
    uint64_t lseParts, oParts, stream;
  };
  static_assert(sizeof(AttentionParameters) == 240);

  struct TensorParameters {
    alignas(128) int shapeQ[4];
    TensorMapParameter q, unusedQ;
    alignas(128) int shapeK[4];
    TensorMapParameter k, unusedK;
    alignas(128) int shapeO[4];
    TensorMapParameter o, unusedO;
  };
  static_assert(sizeof(TensorParameters) == 1152);

  struct CombineParameters {
    int batch, queries, heads, headV;
    uint64_t lse, out;
    int lseBatch, lseQuery, outBatch, outQuery, outHead;
    uint64_t lseParts, outParts;
    int partsLse, partsLseQuery, partsOut, partsOutQuery, partsOutHead;
    uint64_t schedule, splits;
    int parts;
    uint64_t sink, stream;
  };
  static_assert(sizeof(CombineParameters) == 136);

  static std::shared_ptr<Grid> start(std::shared_ptr<LoadedModule> module, const Kernel *kernel,
                                     std::vector<uint32_t> grid, uint32_t block, uint32_t shared,
                                     const Parameters &parameters, const RunOptions &options, Observer *observer,
                                     std::vector<std::shared_ptr<Grid>> primaries = {}) {
    LaunchConfig config;
    config.observer = observer;
    config.module = std::move(module);
    config.kernel = kernel;
    std::copy_n(grid.begin(), 3, config.grid);
    config.block[0] = block;
    config.dynamicSharedBytes = shared;
    config.parameters = parameters.bytes;
    config.parameters.resize(kernel->parameterBytes);
    config.primaries = std::move(primaries);
    return Machine::instance().launch(std::move(config), options);
  }
};

} // namespace emulator

#endif
