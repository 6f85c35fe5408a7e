// Every access against those before it: initialised, ordered, fenced.

#include "checker/cluster_state.h"
#include <algorithm>
#include <bit>
#include <iterator>

namespace emulator {

using namespace checking;

struct Checker::Impl::Check {
  ClusterState &state;
  const MemoryAccess &access;
  Viewer viewer;
  Epoch self = 0; ///< with the viewer's lane
  uint32_t clock = 0;
  bool reads = false, writes = false, async = false;
  Scope strong = Scope::None; ///< None: a weak access
  SharedShadow *shared = nullptr;
  Shadow *global = nullptr;
  Shadow::Page *page = nullptr; ///< of `global`, the last one
  uint64_t pageNumber = ~uint64_t(0);
  /// Epochs without their lanes, of a write and of reads, that are ordered (and fenced) by what the viewer knows, in
  /// all lanes: neighbouring cells were often accessed by the same instructions.
  Epoch okay = nobody, okayReads[4] = {nobody, nobody, nobody, nobody};
  unsigned learnt = 0;
  bool knows(Epoch reader) const {
    const Epoch instruction = reader >> 6;
    return okayReads[0] == instruction || okayReads[1] == instruction || okayReads[2] == instruction ||
           okayReads[3] == instruction;
  }
  /// Likewise a read that is not ordered, in no lane.
  Epoch stranger = nobody;
  bool isStranger(Epoch reader) const { return reader >> 6 == stranger; }
  void learn(Epoch reader) { okayReads[learnt++ % 4] = reader >> 6; }
  void forget() {
    okay = stranger = nobody;
    std::fill(std::begin(okayReads), std::end(okayReads), nobody);
  }
  /// Epochs without clock and lane, likewise: of the viewer's own warp.
  Epoch ownWrite = nobody, ownRead = nobody;
  static constexpr Epoch nobody = ~Epoch(0);
  bool uninitialisedTold = false;
};

namespace {

// Who finds an epoch in global memory's shadow may look up its record, which another host thread wrote before.
Epoch loadWord(const Epoch &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
void storeWord(Epoch &word, Epoch value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

std::string whatOf(const MemoryAccess &access, bool async) {
  std::string what = access.kind == MemoryAccess::Kind::Read    ? "read"
                     : access.kind == MemoryAccess::Kind::Write ? "write"
                                                                : "atomic operation";
  return (async ? "asynchronous " : "") + what + " of " + std::to_string(access.bytes) + " bytes";
}

} // namespace

uint32_t Checker::Impl::recordOf(ClusterState &state, WarpState &warp, const Op &op, Scope strong) {
  WarpState::CachedRecord &cached = warp.cache[reinterpret_cast<uintptr_t>(&op) / sizeof(Op) % warp.cache.size()];
  if (cached.op == &op) {
    return cached.record;
  }
  auto [at, added] = warp.records.emplace(&op, 0);
  if (added) {
    Record record;
    record.op = &op;
    record.warp = warp.number;
    record.strong = strong;
    at->second = state.records->add(record);
  }
  cached = {&op, at->second};
  return at->second;
}

/// The readers of a cell, with one more. Readers that are ordered before the new one need no place any more.
Epoch Checker::Impl::withReader(Check &check, Epoch readers) {
  const Epoch self = check.self;
  ClusterState &state = check.state;
  auto sameWarp = [&](Epoch other) {
    return serialOf(other) == state.serial && (*state.records)[recordNumber(other)].kind == Record::Kind::Thread &&
           (*state.records)[recordNumber(other)].warp == check.viewer.warp;
  };
  // Of one warp one entry is enough, as long as it stands for the latest and for all lanes.
  auto together = [&](Epoch other, Epoch &result) {
    if (check.viewer.operation || !sameWarp(other)) {
      return false;
    }
    if (laneOf(other) == laneOf(self)) {
      result = self;
      return true;
    }
    if (clockOf(other) == clockOf(self)) {
      result = (other & ~Epoch(63)) | manyLanes;
      return true;
    }
    return false;
  };
  if (!isMarked(readers, setMark)) {
    Epoch result = 0;
    if (readers == 0) {
      return self;
    }
    if (together(readers, result)) {
      return result;
    }
    if (!check.isStranger(readers) && ordered(readers, true, check.viewer)) {
      if (orderedInAllLanes(check, readers)) {
        check.learn(readers);
      }
      return self;
    }
  }
  ClusterState::Transition &transition =
      state.transitions[(readers * 0x9e3779b97f4a7c15 ^ self * 0xc2b2ae3d27d4eb4f) >> 58];
  if (transition.from == readers && transition.added == self) {
    return transition.result;
  }
  thread_local std::vector<Epoch> next;
  if (isMarked(readers, setMark)) {
    const std::span<const Epoch> set = state.sets[indexOf(readers)];
    next.assign(set.begin(), set.end());
  } else {
    next.assign(1, readers);
  }
  bool placed = false, changed = false;
  for (size_t i = 0; i < next.size();) {
    Epoch result = 0;
    if (!placed && together(next[i], result)) {
      changed |= next[i] != result;
      next[i++] = result;
      placed = true;
    } else if (check.isStranger(next[i])) {
      ++i;
    } else if (check.knows(next[i]) || ordered(next[i], true, check.viewer)) {
      next.erase(next.begin() + static_cast<std::ptrdiff_t>(i));
      changed = true;
    } else {
      if (orderedInNoLane(check, next[i])) {
        check.stranger = next[i] >> 6;
      }
      ++i;
    }
  }
  if (!placed) {
    next.push_back(self);
    changed = true;
  }
  Epoch result = readers;
  if (next.size() == 1) {
    result = next[0];
  } else if (changed) {
    if (state.sets.full()) {
      state.sets.collect(state.ctas);
      state.transitions = {};
    }
    result = marked(setMark, state.sets.add(next));
  }
  transition = {readers, self, result};
  return result;
}

void ReaderSets::collect(std::span<CtaState> ctas) {
  ReaderSets kept;
  std::vector<uint64_t> numbers(ends.size());
  auto renumber = [&](Cell &cell) {
    if (isMarked(cell.read, setMark)) {
      uint64_t &number = numbers[indexOf(cell.read)]; // From 1; 0: not kept yet.
      if (!number) {
        number = kept.add((*this)[indexOf(cell.read)]) + 1;
      }
      cell.read = marked(setMark, number - 1);
    }
  };
  size_t cells = 0;
  for (CtaState &cta : ctas) {
    cells += cta.shadow->cells.size();
    for (Cell &cell : cta.shadow->cells) {
      renumber(cell);
    }
    for (ByteCells &bytes : cta.shadow->byteCells) {
      for (Cell &cell : bytes.bytes) {
        renumber(cell);
      }
    }
  }
  kept.limit = std::max({limit, cells, 4 * kept.ends.size()}); // So that looking at every cell pays.
  *this = std::move(kept);
}

/// Of an epoch that is ordered (and fenced): whether it would be for whatever lane of the other side and of the viewer.
bool Checker::Impl::orderedInAllLanes(const Check &check, Epoch epoch) {
  ClusterState &state = check.state;
  if (serialOf(epoch) != state.serial) {
    auto earlier = state.earlier.find(serialOf(epoch));
    return earlier != state.earlier.end() && earlier->second;
  }
  const Record &record = (*state.records)[recordNumber(epoch)];
  if (record.kind != Record::Kind::Thread) {
    return true;
  }
  const uint32_t *clocks = check.viewer.known->clocks(record.warp);
  const uint32_t *fenced = check.async ? clocks + Knowledge::Fenced : clocks;
  bool all = true;
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    all &= clocks[lane] >= clockOf(epoch) && fenced[lane] >= clockOf(epoch);
  }
  return all;
}

/// Of an epoch that is not ordered: whether it is in no lane of either side. Of the viewer's own warp that is never
/// said.
bool Checker::Impl::orderedInNoLane(const Check &check, Epoch epoch) {
  if (serialOf(epoch) != check.state.serial) {
    return false;
  }
  const Record &record = (*check.state.records)[recordNumber(epoch)];
  if (record.kind != Record::Kind::Thread || record.warp == check.viewer.warp) {
    return false;
  }
  const uint32_t *clocks = check.viewer.known->clocks(record.warp);
  bool none = true;
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    none &= clocks[lane] < clockOf(epoch);
  }
  return none;
}

/// Whether an epoch is of the lane whose access is checked, which was then before it. `known` remembers the answer for
/// the instruction.
bool Checker::Impl::byTheSameLane(Check &check, Epoch epoch, Epoch &known) {
  if (laneOf(epoch) != check.viewer.lane || check.viewer.operation) {
    return false;
  }
  if (epoch >> 26 == known) {
    return true;
  }
  if (serialOf(epoch) != check.state.serial) {
    return false;
  }
  const Record &record = (*check.state.records)[recordNumber(epoch)];
  if (record.kind != Record::Kind::Thread || record.warp != check.viewer.warp) {
    return false;
  }
  known = epoch >> 26;
  return true;
}

/// The access to one cell where there is nothing to find, as nearly always: false where somebody has to look. `bits` is
/// the cell's state: all is written, and no mbarrier lies there.
[[gnu::always_inline]] inline bool Checker::Impl::accessPlainCell(Check &check, Cell &cell, uint8_t bits) {
  if (bits != 15) {
    return false;
  }
  const Epoch write = loadWord(cell.write), self = check.self;
  if (write && write >> 6 != check.okay && write >> 6 != self >> 6 && !byTheSameLane(check, write, check.ownWrite)) {
    return false;
  }
  const Epoch read = loadWord(cell.read);
  if (check.writes) {
    if (read) {
      if (isMarked(read, setMark)) {
        for (Epoch reader : check.state.sets[indexOf(read)]) {
          if (!check.knows(reader)) {
            return false;
          }
        }
      } else if (!check.knows(read) && read >> 6 != self >> 6 && !byTheSameLane(check, read, check.ownRead)) {
        return false;
      }
      storeWord(cell.read, 0);
    }
    storeWord(cell.write, self);
    return true;
  }
  if (read == self) {
    return true;
  }
  // withReader says why these are all that there is to keep.
  if (!check.shared || read == 0 || byTheSameLane(check, read, check.ownRead)) {
    storeWord(cell.read, self);
  } else if (read >> 6 == self >> 6) {
    cell.read = (read & ~Epoch(63)) | manyLanes;
  } else if (check.knows(read)) {
    cell.read = self;
  } else {
    cell.read = withReader(check, read);
  }
  return true;
}

/// A cell's access. What it finds is reported, and the cell goes on as if it had been right.
void Checker::Impl::accessCell(Check &check, Cell &cell, uint64_t address) {
  ClusterState &state = check.state;
  const Op *op = check.access.actor.op;
  // Strong accesses whose scopes include each other do not race (PTX ISA, "morally strong operations").
  auto strongBoth = [&](Epoch other) {
    if (check.strong == Scope::None) {
      return false;
    }
    if (serialOf(other) == state.serial) {
      const Record &record = (*state.records)[recordNumber(other)];
      const bool sameCta = record.warp / state.warpsPerCta == check.viewer.warp / state.warpsPerCta;
      return record.strong != Scope::None && (sameCta || (check.strong != Scope::Cta && record.strong != Scope::Cta));
    }
    std::shared_ptr<ClusterState> holder = clusterOf(other, state);
    return check.strong >= Scope::Gpu && (!holder || (*holder->records)[recordNumber(other)].strong >= Scope::Gpu);
  };
  auto sameInstruction = [&](Epoch other) { return !check.viewer.operation && (other ^ check.self) >> 6 == 0; };
  auto race = [&](Epoch other, bool otherWrote) {
    ReportKind kind = check.shared ? ReportKind::SharedRace : ReportKind::GlobalRace;
    const Record *record = serialOf(other) == state.serial ? &(*state.records)[recordNumber(other)] : nullptr;
    if (record && check.shared) {
      // The store read before, or reads now what was written after it was issued.
      const bool storeFirst = record->kind == Record::Kind::Bulk && record->completionCount == 0 && !otherWrote;
      const bool writeFirst = check.reads && check.viewer.operation && state.current && otherWrote &&
                              record->kind == Record::Kind::Thread && record->warp < state.current->clocks.size() &&
                              clockOf(other) > state.current->clocks[record->warp];
      if (storeFirst || writeFirst) {
        kind = ReportKind::SourceInUse;
      }
    }
    if (repeated(state, kind, op, other)) {
      return;
    }
    std::string text = "shared memory that a bulk store may still read is overwritten";
    if (kind != ReportKind::SourceInUse) {
      text = std::string(check.writes ? "a write" : "a read") + " that nothing orders after an earlier " +
             (otherWrote ? "write" : "read");
      if (record && record->kind != Record::Kind::Thread) {
        text += " by an asynchronous operation that is not waited for";
      }
      if (check.async) {
        text += "; this one is by an asynchronous operation, which is ordered as its issue was";
      }
    }
    report(state, kind, text, check.shared ? sharedAddress(*check.access.cta, address) : globalAddress(address), op,
           check.viewer.warp, check.viewer.operation ? -1 : static_cast<int>(check.viewer.lane),
           whatOf(check.access, check.async), other, otherWrote ? "write" : "read");
  };
  const Epoch write = loadWord(cell.write);
  if (write && write >> 6 != check.okay && !sameInstruction(write) && !strongBoth(write)) {
    if (!ordered(write, false, check.viewer)) {
      race(write, true);
    } else {
      bool crossed = false;
      if (check.async && !fenced(write, check.viewer)) {
        crossed = true;
        if (!repeated(state, ReportKind::MissingProxyFence, op, write)) {
          report(state, ReportKind::MissingProxyFence,
                 std::string(check.writes ? "written" : "read") +
                     " through the async proxy after a generic write, without fence.proxy.async between",
                 check.shared ? sharedAddress(*check.access.cta, address) : globalAddress(address), op,
                 check.viewer.warp, -1, whatOf(check.access, true), write, "write");
        }
      }
      if (!crossed && orderedInAllLanes(check, write)) {
        check.okay = write >> 6;
      }
    }
  }
  const Epoch read = loadWord(cell.read);
  if (check.writes) {
    if (read) {
      auto against = [&](Epoch reader) {
        if (check.knows(reader) || sameInstruction(reader) || strongBoth(reader)) {
          return;
        }
        if (!ordered(reader, true, check.viewer)) {
          race(reader, false);
        } else if (orderedInAllLanes(check, reader)) {
          check.learn(reader);
        }
      };
      if (isMarked(read, setMark)) {
        for (Epoch reader : state.sets[indexOf(read)]) {
          against(reader);
        }
      } else {
        against(read);
      }
      storeWord(cell.read, 0);
    }
    storeWord(cell.write, check.self);
    return;
  }
  if (read == check.self) {
    return;
  }
  if (check.shared) {
    cell.read = withReader(check, read);
  } else {
    storeWord(cell.read, check.self);
  }
}

void Checker::Impl::accessWord(Check &check, Cell *cell, uint8_t *bits, uint64_t word, uint8_t mask) {
  if (check.reads && (*bits & mask) != mask && !check.uninitialisedTold && !(*bits & holdsMbarrier)) {
    check.uninitialisedTold = true;
    if (!repeated(check.state, ReportKind::UninitialisedMemory, check.access.actor.op, 0)) {
      report(check.state, ReportKind::UninitialisedMemory, "bytes are read that nobody has written",
             check.shared ? sharedAddress(*check.access.cta, word) : globalAddress(word), check.access.actor.op,
             check.viewer.warp, check.viewer.operation ? -1 : static_cast<int>(check.viewer.lane),
             whatOf(check.access, check.async));
    }
  }
  if (check.writes) {
    if (*bits & holdsMbarrier) {
      report(check.state, ReportKind::MbarrierOverwritten, "an mbarrier that is in use is overwritten",
             sharedAddress(*check.access.cta, word), check.access.actor.op, check.viewer.warp,
             check.viewer.operation ? -1 : static_cast<int>(check.viewer.lane), whatOf(check.access, check.async));
    }
    if ((*bits & mask) != mask) {
      __atomic_fetch_or(bits, mask, __ATOMIC_RELAXED);
    }
  }
  const Epoch write = loadWord(cell->write);
  if (mask == 15 && !isMarked(write, bytesMark)) {
    accessCell(check, *cell, word);
    return;
  }
  // Bytes have cells of their own from now on.
  ByteCells *parts = nullptr;
  if (check.shared) {
    if (!isMarked(write, bytesMark)) {
      ByteCells fresh = {{*cell, *cell, *cell, *cell}};
      *cell = {marked(bytesMark, check.shared->byteCells.size()), 0};
      check.shared->byteCells.push_back(fresh);
    }
    parts = &check.shared->byteCells[indexOf(cell->write)];
  } else {
    std::lock_guard lock(check.global->mutex);
    const Epoch now = loadWord(cell->write);
    if (!isMarked(now, bytesMark)) {
      Cell whole = {now, loadWord(cell->read)};
      check.global->byteCells.push_back(std::make_unique<ByteCells>(ByteCells{{whole, whole, whole, whole}}));
      storeWord(cell->read, 0);
      storeWord(cell->write, marked(bytesMark, check.global->byteCells.size() - 1));
    }
    parts = check.global->byteCells[indexOf(loadWord(cell->write))].get();
  }
  for (unsigned byte = 0; byte < 4; ++byte) {
    if (mask >> byte & 1) {
      accessCell(check, parts->bytes[byte], word + byte);
    }
  }
}

inline void Checker::Impl::accessRange(Check &check, uint64_t address, uint64_t bytes) {
  auto access = [&](uint64_t word, uint8_t mask) __attribute__((always_inline)) {
    Cell *cell = nullptr;
    uint8_t *bits = nullptr;
    if (check.shared) {
      if (word / 4 >= check.shared->cells.size()) {
        return;
      }
      cell = &check.shared->cells[word / 4];
      bits = &check.shared->state[word / 4];
    } else {
      const uint64_t number = (word - check.global->address) / 4;
      if (number / Shadow::pageCells != check.pageNumber) {
        uint32_t ignored = 0;
        check.page = &check.global->page(word, ignored);
        check.pageNumber = number / Shadow::pageCells;
      }
      cell = &check.page->cells[number % Shadow::pageCells];
      bits = &check.page->state[number % Shadow::pageCells];
    }
    if (mask != 15 || !accessPlainCell(check, *cell, __atomic_load_n(bits, __ATOMIC_RELAXED))) {
      accessWord(check, cell, bits, word, mask);
    }
  };
  const uint64_t end = address + bytes;
  if (((address | bytes) & 3) == 0) {
    for (uint64_t word = address; word < end; word += 4) {
      access(word, 15);
    }
    return;
  }
  for (uint64_t word = address & ~uint64_t(3); word < end; word += 4) {
    uint8_t mask = 15;
    if (word < address) {
      mask &= static_cast<uint8_t>(15 << (address - word));
    }
    if (word + 4 > end) {
      mask &= static_cast<uint8_t>((1 << (end - word)) - 1);
    }
    access(word, mask);
  }
}

/// A tensor map that this grid wrote must have come through fence.proxy.tensormap.
void Checker::Impl::tensorMapRead(ClusterState &state, const MemoryAccess &access) {
  const Warp *warp = access.actor.warp;
  const uint64_t address = access.addresses[std::countr_zero(access.lanes)];
  const Allocation *allocation = GlobalMemory::instance().find(address);
  if (!warp || access.shared || !allocation) {
    return;
  }
  WarpState &mine = state.of(*warp);
  uint32_t index = 0;
  Shadow &shadow = shadowOf(*allocation);
  for (uint64_t at = address; at < address + access.bytes; at += 4) {
    const Epoch write = loadWord(shadow.page(at, index).cells[index].write);
    if (!write || isMarked(write, bytesMark)) {
      continue;
    }
    const unsigned lane = static_cast<unsigned>(std::countr_zero(access.lanes));
    Viewer viewer{state, mine.number, lane, &known(mine, lane)};
    if (serialOf(write) != state.serial && orderedForeign(write, false, viewer) && state.earlier[serialOf(write)]) {
      continue; // A kernel's end is a fence.
    }
    viewer.known = mine.tensorMapFence.get();
    if (!viewer.known || !ordered(write, false, viewer)) {
      report(state, ReportKind::MissingTensorMapFence,
             "a tensor map is used after a write to it, without fence.proxy.tensormap between", globalAddress(at),
             access.actor.op, mine.number, static_cast<int>(lane), "use of a tensor map", write, "write");
      return;
    }
  }
}

void Checker::access(const MemoryAccess &access) {
  if (access.local || access.proxy == Proxy::Constant) {
    return;
  }
  ClusterState *state = access.actor.warp ? &impl->of(access.actor.warp->cta.cluster) : impl->running(access.cta);
  if (!state) {
    return;
  }
  if (access.proxy == Proxy::TensorMap) {
    impl->tensorMapRead(*state, access);
    return;
  }
  const Warp *warp = access.actor.warp;
  Impl::Check check{*state, access, {*state}};
  check.reads = access.kind != MemoryAccess::Kind::Write;
  check.writes = access.kind != MemoryAccess::Kind::Read;
  if (access.ordering != Ordering::Weak) { // Volatile has no scope of its own, and is as strong as .relaxed.sys.
    check.strong = access.scope == Scope::None ? Scope::System : access.scope;
  }
  check.viewer.cta = access.cta;
  if (access.shared) {
    CtaState &owner = state->ctas[access.cta->rank];
    check.shared = owner.shadow.get();
    const Cta *visitor = warp ? &warp->cta : nullptr;
    if (!warp && state->current && state->current->record) {
      visitor = state->ctas[(*state->records)[state->current->record].warp / state->warpsPerCta].cta;
    }
    owner.visited |= visitor != access.cta;
    if (owner.ended) {
      impl->report(*state, ReportKind::DeadCta, "access to the shared memory of a CTA that has exited",
                   Impl::sharedAddress(*access.cta, access.addresses[std::countr_zero(access.lanes)]), access.actor.op,
                   warp ? state->of(*warp).number : 0, std::countr_zero(access.lanes), whatOf(access, !warp));
      return;
    }
  }
  const Allocation *allocation = nullptr;
  auto place = [&](uint64_t address) {
    if (access.shared) {
      return true;
    }
    if (!allocation || address - allocation->address >= allocation->size) {
      allocation = GlobalMemory::instance().find(address);
      // What no kernel may write has no races, and needs no shadow, which is larger than what it stands for.
      check.global = allocation && allocation->writable ? &shadowOf(*allocation) : nullptr;
      check.pageNumber = ~uint64_t(0);
    }
    return check.global != nullptr;
  };
  if (!warp) {
    const Operation *operation = state->current;
    if (!operation || operation->record == 0) {
      return;
    }
    const Record &record = (*state->records)[operation->record];
    check.viewer.warp = record.warp;
    check.viewer.lane = record.lane < 0 ? 0 : static_cast<unsigned>(record.lane);
    check.viewer.known = operation->known.get();
    check.viewer.operation = operation->record;
    check.async = access.proxy == Proxy::Async;
    check.self = makeEpoch(state->serial, operation->record, 0, 0);
    if (check.reads && check.writes) {
      // "Each reduction operation ... has .relaxed.gpu semantics" (PTX ISA, cp.reduce.async.bulk).
      check.strong = (*state->records)[operation->record].strong = Scope::Gpu;
    }
    if (access.shared && check.reads && !check.writes) {
      state->current->readsShared = true;
    }
    for (Lanes rest = access.lanes; rest; rest &= rest - 1) {
      const uint64_t address = access.addresses[std::countr_zero(rest)];
      if (place(address)) {
        impl->accessRange(check, address, access.bytes);
      }
    }
    return;
  }
  WarpState &mine = state->of(*warp);
  impl->settle(*state, mine);
  if (mine.published) {
    if (mine.clock >= maxClock) {
      return; // Clocks have run out, after a million meetings: this warp is no longer checked.
    }
    ++mine.clock;
    mine.published = false;
  }
  const uint32_t record = impl->recordOf(*state, mine, *access.actor.op, check.strong);
  check.viewer.warp = mine.number;
  check.viewer.known = &mine.groups.front().known;
  const bool oneGroup = mine.groups.size() == 1;
  const Epoch base = makeEpoch(state->serial, record, mine.clock, 0);
  if (record != 0) {
    for (Lanes rest = access.lanes; rest; rest &= rest - 1) {
      const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      if (!place(access.addresses[lane])) {
        continue;
      }
      if (!oneGroup) {
        const Knowledge *known = &Impl::known(mine, lane);
        if (known != check.viewer.known) {
          check.viewer.known = known;
          check.forget();
        }
      }
      check.viewer.lane = lane;
      check.self = base | lane;
      impl->accessRange(check, access.addresses[lane], access.bytes);
    }
  }
  if (check.strong != Scope::None) {
    impl->acquireAndRelease(*state, mine, access);
  }
}

void Checker::lanesCollide(Warp &warp, const Op &op, unsigned lane, unsigned otherLane, const std::byte *place) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  std::string address = Impl::globalAddress(reinterpret_cast<uintptr_t>(place));
  ReportKind kind = ReportKind::GlobalRace;
  for (const CtaState &cta : state.ctas) {
    const uintptr_t offset =
        cta.cta ? reinterpret_cast<uintptr_t>(place) - reinterpret_cast<uintptr_t>(cta.cta->shared()) : ~uintptr_t(0);
    if (cta.cta && offset < cta.cta->sharedEnd()) {
      kind = ReportKind::SharedRace;
      address = Impl::sharedAddress(*cta.cta, offset);
    }
  }
  const uint32_t record = impl->recordOf(state, mine, op, Scope::None);
  impl->report(state, kind,
               "lanes of one instruction write different values to one place: which of them stays is undefined",
               address, &op, mine.number, static_cast<int>(lane), "write",
               record ? makeEpoch(state.serial, record, mine.clock, otherLane) : 0, "write");
}

} // namespace emulator
