// What must be over when a CTA exits: its bulk stores, the bytes that its mbarriers expect, and all that others do in
// its shared memory. The last by order, not by what came first in this run: the CTA is there as long as one of its
// lanes is, so some lane's exit must come after the access.

#include "checker/cluster_state.h"
#include <algorithm>

namespace emulator {

using namespace checking;

namespace {

void checkStores(Checker::Impl &checker, ClusterState &state, const Cta &cta) {
  for (uint32_t i = 0; i < state.warpsPerCta; ++i) {
    WarpState &warp = state.warps[cta.rank * state.warpsPerCta + i];
    if (warp.lastSource == 0) {
      continue;
    }
    bool waited = false;
    for (const LaneGroup &group : warp.groups) {
      waited |= std::max(group.known.get(warp.number, Knowledge::BulkRead),
                         group.known.get(warp.number, Knowledge::BulkDone)) >= warp.lastSource;
    }
    if (!waited) {
      const Record &record = (*state.records)[warp.lastSourceRecord];
      checker.report(
          state, ReportKind::SourceInUse,
          "the CTA exits while a bulk store may still read its shared memory: no wait_group stands behind it", "",
          record.op, warp.number, record.lane, "bulk store");
    }
  }
}

void checkTransactions(Checker::Impl &checker, ClusterState &state, const CtaState &mine) {
  for (const auto &[offset, index] : mine.mbarriers) {
    const MbarrierState &barrier = state.mbarriers[index];
    if (barrier.bytes != 0) {
      const Record &record = (*state.records)[barrier.record];
      checker.report(state, ReportKind::WrongTransactionCount,
                     barrier.bytes > 0 ? std::to_string(barrier.bytes) + " bytes are expected that no copy completed"
                                       : std::to_string(-barrier.bytes) + " bytes were copied that nobody expected",
                     Checker::Impl::sharedAddress(*mine.cta, offset), record.op, record.warp, -1, "expect_tx");
    }
  }
}

/// What the exit comes after: all that any of the CTA's lanes knew at its end.
Knowledge knownAtExit(Checker::Impl &checker, ClusterState &state, const Cta &cta) {
  Knowledge known;
  for (uint32_t i = 0; i < state.warpsPerCta; ++i) {
    WarpState &warp = state.warps[cta.rank * state.warpsPerCta + i];
    checker.settle(state, warp);
    for (const LaneGroup &group : warp.groups) {
      known.join(group.known);
    }
  }
  return known;
}

void checkVisitors(Checker::Impl &checker, ClusterState &state, const CtaState &mine) {
  const Cta &cta = *mine.cta;
  const uint32_t firstWarp = cta.rank * state.warpsPerCta;
  const Knowledge known = knownAtExit(checker, state, cta);
  const Checker::Impl::Viewer exit = {state, firstWarp, 0, &known, 0, &cta};
  auto report = [&](Epoch epoch, uint32_t offset, const std::string &what) {
    const Record &record = (*state.records)[recordNumber(epoch)];
    const bool thread = record.kind == Record::Kind::Thread;
    const int lane = !thread ? record.lane : laneOf(epoch) == manyLanes ? -1 : static_cast<int>(laneOf(epoch));
    checker.report(state, ReportKind::DeadCta,
                   what + " that nothing orders before the exit of the CTA whose shared memory it is",
                   Checker::Impl::sharedAddress(cta, offset), record.op, record.warp, lane,
                   (thread ? "" : "asynchronous ") + what);
  };
  auto check = [&](Epoch epoch, bool wasRead, uint32_t offset) {
    if (!epoch || serialOf(epoch) != state.serial || recordNumber(epoch) == 0) {
      return;
    }
    const Record &record = (*state.records)[recordNumber(epoch)];
    if (record.warp / state.warpsPerCta == cta.rank) {
      return;
    }
    bool before = false;
    if (record.kind == Record::Kind::Thread && laneOf(epoch) == manyLanes) {
      // Some of these lanes; which ones is not kept.
      for (uint32_t lane = 0; lane < warpLanes; ++lane) {
        before |= known.get(record.warp, Knowledge::Clock + lane) >= clockOf(epoch);
      }
    } else {
      before = checker.ordered(epoch, wasRead, exit);
    }
    if (!before) {
      report(epoch, offset, wasRead ? "a read" : "a write");
    }
  };
  auto checkCell = [&](const Cell &cell, uint32_t offset) {
    check(cell.write, false, offset);
    if (!isMarked(cell.read, setMark)) {
      check(cell.read, true, offset);
      return;
    }
    for (Epoch reader : state.sets[indexOf(cell.read)]) {
      check(reader, true, offset);
    }
  };
  for (uint32_t i = 0; i < mine.shadow->cells.size(); ++i) {
    const Cell &cell = mine.shadow->cells[i];
    if (!isMarked(cell.write, bytesMark)) {
      checkCell(cell, 4 * i);
      continue;
    }
    for (uint32_t byte = 0; byte < 4; ++byte) {
      checkCell(mine.shadow->byteCells[indexOf(cell.write)].bytes[byte], 4 * i + byte);
    }
  }
  for (const auto &[offset, index] : mine.mbarriers) {
    for (const MbarrierState::Visit &visit : state.mbarriers[index].visits) {
      if (known.phases(index) <= visit.phase && !checker.ordered(visit.epoch, false, exit)) {
        report(visit.epoch, offset, "an arrival");
      }
    }
  }
}

} // namespace

void Checker::ctaEnds(Cta &cta) {
  ClusterState &state = impl->of(cta.cluster);
  CtaState &mine = state.ctas[cta.rank];
  checkStores(*impl, state, cta);
  checkTransactions(*impl, state, mine);
  if (mine.visited) {
    checkVisitors(*impl, state, mine);
  }
  mine.ended = true;
  bool allEnded = true;
  for (const CtaState &other : state.ctas) {
    allEnded &= other.ended;
  }
  if (!allEnded) {
    return;
  }
  // What stays is what other clusters may ask of it: who did what.
  std::lock_guard lock(impl->mutex);
  impl->clusters.erase(&cta.cluster);
  ++impl->epoch;
  for (CtaState &other : state.ctas) {
    other.shadow = nullptr;
    other.cta = nullptr;
  }
  state.warps.clear();
  state.mbarriers.clear();
  state.operations.clear();
  state.sets.clear();
}

} // namespace emulator
