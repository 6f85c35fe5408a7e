#include "counters/counting_observer.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

namespace emulator {

namespace {

constexpr uint64_t sectorBytes = 32, lineBytes = 128;
constexpr unsigned banks = 32, bankBytes = 4;

uint64_t piecesOf(uint64_t address, uint64_t bytes, uint64_t size) {
  return bytes ? (address + bytes - 1) / size - address / size + 1 : 0;
}

/// How many different ones there are of at most 32 values; sorted ones, the usual case, take a step each.
class Distinct {
public:
  void add(uint64_t value) {
    if (count && (value == values[count - 1] ||
                  (value <= greatest && std::find(values, values + count, value) != values + count))) {
      return;
    }
    greatest = count ? std::max(greatest, value) : value;
    values[count++] = value;
  }
  unsigned count = 0;

private:
  uint64_t greatest = 0;
  uint64_t values[2 * warpLanes];
};

void addGlobal(LaunchCounters::Global &to, const MemoryAccess &access) {
  Distinct sectors, lines;
  for (Lanes rest = access.lanes; rest; rest &= rest - 1) {
    const uint64_t address = access.addresses[std::countr_zero(rest)];
    // A lane's access lies in one sector (it is aligned to its size), in two at most.
    sectors.add(address / sectorBytes);
    sectors.add((address + access.bytes - 1) / sectorBytes);
    lines.add(address / lineBytes);
    lines.add((address + access.bytes - 1) / lineBytes);
  }
  ++to.requests;
  to.bytes += uint64_t(std::popcount(access.lanes)) * access.bytes;
  to.sectors += sectors.count;
  to.lines += lines.count;
}

/// The passes that lanes need over the banks. Accesses of 8 bytes go by halves of the warp, those of 16 by quarters, so
/// that a pass moves 128 bytes at most; within a pass lanes may share a word, but not a bank.
void addShared(LaunchCounters::Shared &to, const MemoryAccess &access) {
  const unsigned words = std::max(1u, access.bytes / bankBytes);
  const unsigned lanesOfPass = std::max(1u, warpLanes / words);
  for (unsigned first = 0; first < warpLanes; first += lanesOfPass) {
    uint32_t held[banks][warpLanes];
    uint8_t depth[banks] = {};
    unsigned deepest = 0;
    for (unsigned lane = first; lane < first + lanesOfPass; ++lane) {
      if (!(access.lanes >> lane & 1)) {
        continue;
      }
      for (unsigned i = 0; i < words; ++i) {
        const uint32_t word = static_cast<uint32_t>(access.addresses[lane] / bankBytes) + i;
        const unsigned bank = word % banks;
        if (std::find(held[bank], held[bank] + depth[bank], word) == held[bank] + depth[bank]) {
          held[bank][depth[bank]++] = word;
          deepest = std::max<unsigned>(deepest, depth[bank]);
        }
      }
    }
    to.wavefronts += deepest;
    to.conflicts += deepest ? deepest - 1 : 0;
  }
  ++to.requests;
  to.bytes += uint64_t(std::popcount(access.lanes)) * access.bytes;
}

void addPrivate(LaunchCounters::Private &to, const MemoryAccess &access) {
  ++to.requests;
  to.bytes += uint64_t(std::popcount(access.lanes)) * access.bytes;
}

bool has(const ptx::Instruction &instruction, std::string_view word) {
  return std::find(instruction.modifiers.begin(), instruction.modifiers.end(), word) != instruction.modifiers.end();
}

/// Which machinery makes an instruction's copy; null for what is none (groups, prefetches).
LaunchCounters::Copies LaunchCounters::*copiesOf(const ptx::Instruction &instruction) {
  if (instruction.opcode == "st" || instruction.opcode == "red") {
    return has(instruction, "async") ? &LaunchCounters::remoteStores : nullptr;
  }
  if (instruction.opcode != "cp" || has(instruction, "prefetch") || has(instruction, "mbarrier") ||
      has(instruction, "commit_group") || has(instruction, "wait_group") || has(instruction, "wait_all")) {
    return nullptr;
  }
  return has(instruction, "tensor") ? &LaunchCounters::tensorCopies
         : has(instruction, "bulk") ? &LaunchCounters::bulkCopies
                                    : &LaunchCounters::laneCopies;
}

bool tests(const ptx::Instruction &instruction) {
  return instruction.opcode == "mbarrier" && (has(instruction, "test_wait") || has(instruction, "try_wait"));
}

void add(LaunchCounters::Global &to, const LaunchCounters::Global &from) {
  to.requests += from.requests;
  to.bytes += from.bytes;
  to.sectors += from.sectors;
  to.lines += from.lines;
}

void add(LaunchCounters::Shared &to, const LaunchCounters::Shared &from) {
  to.requests += from.requests;
  to.bytes += from.bytes;
  to.wavefronts += from.wavefronts;
  to.conflicts += from.conflicts;
}

void add(LaunchCounters::Private &to, const LaunchCounters::Private &from) {
  to.requests += from.requests;
  to.bytes += from.bytes;
}

void add(LaunchCounters::Copies &to, const LaunchCounters::Copies &from) {
  to.operations += from.operations;
  to.globalRead += from.globalRead;
  to.globalWritten += from.globalWritten;
  to.sharedRead += from.sharedRead;
  to.sharedWritten += from.sharedWritten;
  to.sectors += from.sectors;
  to.lines += from.lines;
}

void add(LaunchCounters::Barriers &to, const LaunchCounters::Barriers &from) {
  to.arrivals += from.arrivals;
  to.waits += from.waits;
}

} // namespace

/// One thread's.
struct CountingObserver::Counts {
  struct OfOp : LaunchCounters::Executed {
    uint64_t passes = 0, passedLanes = 0; ///< of a test of an mbarrier
  };
  struct OfCode {
    const Code *code;
    std::vector<OfOp> ops;
  };
  std::vector<std::unique_ptr<OfCode>> codes;
  OfCode *last = nullptr;
  /// What asynchronous instructions move, by instruction.
  std::vector<std::pair<const ptx::Instruction *, LaunchCounters::Copies>> copies;
  LaunchCounters traffic; ///< its bytes and barriers

  OfOp &of(const Code &code, const Op &op) {
    if (!last || last->code != &code) [[unlikely]] {
      auto found = std::find_if(codes.begin(), codes.end(), [&](const auto &known) { return known->code == &code; });
      if (found == codes.end()) {
        codes.push_back(std::make_unique<OfCode>(OfCode{&code, std::vector<OfOp>(code.ops.size())}));
        found = codes.end() - 1;
      }
      last = found->get();
    }
    return last->ops[static_cast<size_t>(&op - code.ops.data())];
  }
  LaunchCounters::Copies &copiesBy(const ptx::Instruction &instruction) {
    for (auto &[known, moved] : copies) {
      if (known == &instruction) {
        return moved;
      }
    }
    return copies.emplace_back(&instruction, LaunchCounters::Copies()).second;
  }
};

static std::atomic<uint64_t> lastSerial = 0;

CountingObserver::CountingObserver() : serial(++lastSerial) {}
CountingObserver::~CountingObserver() = default;

CountingObserver::Counts &CountingObserver::mine() {
  // By serial number, for another observer may come to lie where one was.
  thread_local uint64_t known = 0;
  thread_local Counts *counts = nullptr;
  thread_local std::vector<std::pair<uint64_t, Counts *>> others; // A thread takes turns at the grids that run.
  if (known == serial) [[likely]] {
    return *counts;
  }
  auto found = std::find_if(others.begin(), others.end(), [&](const auto &other) { return other.first == serial; });
  if (found == others.end()) {
    std::lock_guard lock(mutex);
    threads.push_back(std::make_unique<Counts>());
    if (others.size() == 64) {
      others.erase(others.begin()); // Should that one go on after all, it counts in one more.
    }
    found = others.insert(others.end(), {serial, threads.back().get()});
  }
  known = serial;
  counts = found->second;
  return *counts;
}

void CountingObserver::instruction(Warp &warp, const Op &op, Lanes lanes) {
  Counts::OfOp &counted = mine().of(*warp.frame->code, op);
  if (!lanes) {
    ++counted.skipped;
    return;
  }
  ++counted.warps;
  counted.lanes += static_cast<unsigned>(std::popcount(lanes));
}

void CountingObserver::access(const MemoryAccess &access) {
  if (!access.lanes || access.proxy == Proxy::TensorMap) {
    return;
  }
  LaunchCounters &traffic = mine().traffic;
  const bool reads = access.kind != MemoryAccess::Kind::Write, writes = access.kind != MemoryAccess::Kind::Read;
  if (!access.actor.warp) {
    // wgmma's reads follow from its shape: warps of a group share what each is told to read here.
    const ptx::Instruction *source = access.actor.op ? access.actor.op->source : nullptr;
    if (!source || source->opcode == "wgmma") {
      return;
    }
    LaunchCounters::Copies &moved = mine().copiesBy(*source);
    for (Lanes rest = access.lanes; rest; rest &= rest - 1) {
      const uint64_t address = access.addresses[std::countr_zero(rest)];
      (access.shared ? moved.sharedRead : moved.globalRead) += reads ? access.bytes : 0;
      (access.shared ? moved.sharedWritten : moved.globalWritten) += writes ? access.bytes : 0;
      if (!access.shared) {
        moved.sectors += piecesOf(address, access.bytes, sectorBytes);
        moved.lines += piecesOf(address, access.bytes, lineBytes);
      }
    }
    return;
  }
  if (access.local) {
    addPrivate(traffic.local, access);
  } else if (access.proxy == Proxy::Constant) {
    addPrivate(traffic.constant, access);
  } else if (access.shared) {
    addShared(reads && writes ? traffic.sharedAtomics : reads ? traffic.sharedLoads : traffic.sharedStores, access);
  } else {
    addGlobal(reads && writes ? traffic.globalAtomics : reads ? traffic.globalLoads : traffic.globalStores, access);
  }
}

void CountingObserver::barrierArrives(Warp &, const Op &, unsigned, Lanes) { ++mine().traffic.named.arrivals; }
void CountingObserver::barrierPasses(Warp &, const Op &, unsigned, Lanes) { ++mine().traffic.named.waits; }
void CountingObserver::clusterArrives(Warp &, const Op &, bool, Lanes) { ++mine().traffic.clusters.arrivals; }
void CountingObserver::clusterPasses(Warp &, const Op &, bool, Lanes) { ++mine().traffic.clusters.waits; }

void CountingObserver::mbarrierArrives(Actor, Cta &, uint32_t, uint32_t arrivals, bool, Lanes) {
  mine().traffic.mbarriers.arrivals += arrivals;
}

void CountingObserver::mbarrierPasses(Warp &warp, const Op &op, Cta &, uint32_t, Lanes lanes) {
  Counts &counts = mine();
  ++counts.traffic.mbarriers.waits;
  Counts::OfOp &counted = counts.of(*warp.frame->code, op);
  ++counted.passes;
  counted.passedLanes += static_cast<unsigned>(std::popcount(lanes));
}

void CountingObserver::groupWaited(Warp &, const Op &, AsyncKind, unsigned, bool, Lanes) {
  ++mine().traffic.groupWaits;
}

LaunchCounters CountingObserver::counters(const Grid &grid) const {
  LaunchCounters total;
  const LaunchConfig &config = grid.config;
  const Kernel &kernel = *config.kernel;
  total.kernel = kernel.name;
  std::copy_n(config.grid, 3, total.grid);
  std::copy_n(config.block, 3, total.block);
  std::copy_n(config.cluster, 3, total.cluster);
  total.staticSharedBytes = kernel.staticSharedBytes;
  total.dynamicSharedBytes = config.dynamicSharedBytes;
  total.registers = kernel.registers;
  total.occupancy = occupancyOf(kernel, config.block[0] * config.block[1] * config.block[2], config.dynamicSharedBytes,
                                grid.device());
  std::lock_guard lock(mutex);
  for (const std::unique_ptr<Counts> &counts : threads) {
    for (const std::unique_ptr<Counts::OfCode> &code : counts->codes) {
      for (size_t i = 0; i < code->ops.size(); ++i) {
        const Op &op = code->code->ops[i];
        LaunchCounters::Executed executed = code->ops[i];
        if (op.ownWork || (!executed.warps && !executed.skipped)) {
          continue;
        }
        const ptx::Instruction &source = *op.source;
        if (tests(source)) {
          const uint64_t passes = std::min(executed.warps, code->ops[i].passes);
          total.polls += executed.warps - passes;
          executed.warps = passes;
          executed.lanes = code->ops[i].passedLanes;
        }
        total.instructions += executed;
        total.byClass[static_cast<size_t>(classOf(source))] += executed;
        total.byForm[formOf(source)] += executed;
        if (auto member = copiesOf(source)) {
          // Each lane of st.async, red.async and bulk copies issues its own; a warp's cp.async is one.
          (total.*member).operations += member == &LaunchCounters::laneCopies ? executed.warps : executed.lanes;
        }
        if (const MatrixShape shape = matrixShapeOf(source); shape.m) {
          const bool wgmma = source.opcode == "wgmma";
          constexpr unsigned warps = 4, rowBytes = 32; // wgmma's k is 32 bytes of every type.
          LaunchCounters::Products &products = (wgmma ? total.wgmma : total.matrix)[shape.types];
          products.instructions += wgmma ? executed.warps / warps : executed.warps;
          products.flops += wgmma ? executed.warps * (shape.flops() / warps) : executed.warps * shape.flops();
          if (wgmma) {
            total.wgmmaSharedBytes +=
                executed.warps * (uint64_t(rowBytes) * (shape.n + (shape.sharedA ? shape.m : 0)) / warps);
          }
        }
      }
    }
    for (const auto &[instruction, moved] : counts->copies) {
      if (auto member = copiesOf(*instruction)) {
        add(total.*member, moved);
      }
    }
    const LaunchCounters &traffic = counts->traffic;
    for (auto member : {&LaunchCounters::globalLoads, &LaunchCounters::globalStores, &LaunchCounters::globalAtomics}) {
      add(total.*member, traffic.*member);
    }
    for (auto member : {&LaunchCounters::sharedLoads, &LaunchCounters::sharedStores, &LaunchCounters::sharedAtomics}) {
      add(total.*member, traffic.*member);
    }
    add(total.local, traffic.local);
    add(total.constant, traffic.constant);
    for (auto member : {&LaunchCounters::named, &LaunchCounters::clusters, &LaunchCounters::mbarriers}) {
      add(total.*member, traffic.*member);
    }
    total.groupWaits += traffic.groupWaits;
  }
  return total;
}

} // namespace emulator
