// Asynchronous operations: with what order they are issued, and who waits for them.

#include "checker/cluster_state.h"
#include <algorithm>
#include <bit>

namespace emulator {

using namespace checking;

namespace {

Record::Kind kindOf(Observer::AsyncKind kind) {
  switch (kind) {
  case Observer::AsyncKind::CopyAsync:
    return Record::Kind::Copy;
  case Observer::AsyncKind::Wgmma:
    return Record::Kind::Wgmma;
  case Observer::AsyncKind::StoreAsync:
    return Record::Kind::Store;
  default:
    return Record::Kind::Bulk;
  }
}

} // namespace

void Checker::asyncIssued(Warp &warp, const Op &op, Lanes lanes, uint64_t id, AsyncKind kind) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  impl->settle(state, mine);
  Record record;
  record.op = &op;
  record.warp = mine.number;
  record.lane = kind == AsyncKind::Wgmma ? -1 : static_cast<int8_t>(std::countr_zero(lanes));
  record.kind = kindOf(kind);
  record.asyncProxy = kind != AsyncKind::CopyAsync;
  record.sequence = ++mine.issued[static_cast<size_t>(record.kind)];
  Operation operation;
  operation.record = state.records->add(record);
  operation.known = Impl::snapshot(mine, lanes);
  operation.lanes = lanes;
  operation.issueEvent = state.events;
  if (record.kind == Record::Kind::Bulk) {
    for (const WarpState &warp : state.warps) {
      operation.clocks.push_back(warp.clock);
    }
  }
  state.operations.insert_or_assign(id, std::move(operation));
  if (kind == AsyncKind::Wgmma && !mine.wgmmaFenced) {
    impl->report(state, ReportKind::MissingWgmmaFence,
                 "wgmma.mma_async without wgmma.fence between it and earlier uses of its registers", "", &op,
                 mine.number, -1, "wgmma");
  }
}

void Checker::asyncRuns(uint64_t id, Cta &cta) {
  ClusterState &state = impl->of(cta.cluster);
  auto found = state.operations.find(id);
  state.current = found == state.operations.end() ? nullptr : &found->second;
}

void Checker::asyncSourceRead(uint64_t, Cta &cta) { impl->of(cta.cluster).current = nullptr; }

void Checker::asyncDone(uint64_t id, Cta &cta) {
  ClusterState &state = impl->of(cta.cluster);
  state.current = nullptr;
  auto found = state.operations.find(id);
  if (found == state.operations.end()) {
    return;
  }
  if (uint32_t number = found->second.record) {
    const Record &record = (*state.records)[number];
    WarpState &warp = state.warps[record.warp];
    if (record.kind == Record::Kind::Bulk && record.completionCount == 0 && found->second.readsShared &&
        record.sequence > warp.lastSource) {
      warp.lastSource = record.sequence;
      warp.lastSourceRecord = number;
    }
  }
  state.operations.erase(found);
}

void Checker::groupCommitted(Warp &warp, const Op &, AsyncKind kind, Lanes lanes) {
  WarpState &mine = impl->of(warp.cta.cluster).of(warp);
  const size_t k = static_cast<size_t>(kindOf(kind));
  if (kind == AsyncKind::Wgmma) {
    lanes = 1;
  }
  mine.commits[k].resize(warpLanes);
  for (; lanes; lanes &= lanes - 1) {
    mine.commits[k][static_cast<unsigned>(std::countr_zero(lanes))].push_back(mine.issued[k]);
  }
}

void Checker::groupWaited(Warp &warp, const Op &, AsyncKind kind, unsigned pending, bool readOnly, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  const size_t k = static_cast<size_t>(kindOf(kind));
  mine.commits[k].resize(warpLanes);
  // Of the last groups; what is older than any wait asks for is forgotten.
  auto reached = [&](std::vector<uint32_t> &commits) -> uint32_t {
    if (commits.size() <= pending) {
      return 0;
    }
    const uint32_t last = commits[commits.size() - 1 - pending];
    if (commits.size() > pending + 256) {
      commits.erase(commits.begin(), commits.end() - pending - 64);
    }
    return last;
  };
  if (kind == AsyncKind::Wgmma) {
    // A group is all four warps' (ops/warpgroup_matrix.cpp).
    const size_t committed = mine.wgmmasForgotten + mine.commits[k][0].size();
    const size_t done = committed - std::min<size_t>(committed, pending);
    const uint32_t inCta = mine.number % state.warpsPerCta, first = mine.number - inCta + inCta / 4 * 4;
    const uint32_t end = std::min(first + 4, mine.number - inCta + state.warpsPerCta);
    for (uint32_t other = first; other < end; ++other) {
      const WarpState &theirs = state.warps[other];
      if (theirs.commits[k].empty() || done <= theirs.wgmmasForgotten ||
          done - theirs.wgmmasForgotten > theirs.commits[k][0].size()) {
        continue;
      }
      const uint32_t last = theirs.commits[k][0][done - theirs.wgmmasForgotten - 1];
      for (LaneGroup &group : mine.groups) {
        group.known.raise(other, Knowledge::WgmmaDone, last);
      }
    }
    ++mine.version;
    if (std::vector<uint32_t> &commits = mine.commits[k][0]; commits.size() > pending + 256) {
      const size_t old = commits.size() - pending - 64;
      commits.erase(commits.begin(), commits.begin() + static_cast<std::ptrdiff_t>(old));
      mine.wgmmasForgotten += old;
    }
    if (pending == 0) {
      mine.wgmmaFenced = false;
    }
    return;
  }
  const Knowledge::Word word = kind == AsyncKind::CopyAsync ? Knowledge::CopyDone
                               : readOnly                   ? Knowledge::BulkRead
                                                            : Knowledge::BulkDone;
  for (Lanes rest = lanes; rest;) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    const uint32_t last = reached(mine.commits[k][lane]);
    Lanes same = 0;
    for (Lanes others = rest; others; others &= others - 1) {
      const unsigned other = static_cast<unsigned>(std::countr_zero(others));
      same |= Lanes(other == lane || reached(mine.commits[k][other]) == last) << other;
    }
    if (last) {
      Impl::raise(mine, same, word, last);
    }
    rest &= ~same;
  }
}

void Checker::wgmmaFence(Warp &warp, const Op &) { impl->of(warp.cta.cluster).of(warp).wgmmaFenced = true; }

void Checker::registerInFlight(Warp &warp, const Op &op, const Op &wgmma) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  // Only for the words: a place for the other side.
  const uint32_t number = impl->recordOf(state, mine, wgmma, Scope::None);
  impl->report(state, ReportKind::RegisterInFlight,
               "a register of a wgmma is used before wgmma.wait_group has waited for it", "", &op, mine.number, -1,
               "instruction", number ? makeEpoch(state.serial, number, 0, manyLanes) : 0, "wgmma");
}

void Checker::undefinedRegister(Warp &warp, const Op &op, Lanes lanes, std::string_view name) {
  ClusterState &state = impl->of(warp.cta.cluster);
  impl->report(state, ReportKind::UninitialisedRegister,
               "register " + std::string(name) + " is read, which this lane has not written", "", &op,
               state.of(warp).number, std::countr_zero(lanes), "instruction");
}

} // namespace emulator
