// Barriers of a CTA and of a cluster, and mbarriers.

#include "checker/cluster_state.h"
#include <algorithm>
#include <bit>

namespace emulator {

using namespace checking;

namespace {

void arrive(ClusterState &state, WarpState &warp, Meeting &meeting, Lanes lanes, bool release) {
  if (!meeting.arriving) {
    meeting.arriving = std::make_shared<Knowledge>();
  }
  if (release) {
    Checker::Impl::publish(warp, lanes, *meeting.arriving);
  }
  meeting.entered.resize(state.warpCount());
  meeting.entered[warp.number] = meeting.arriving;
}

void pass(WarpState &warp, Meeting &meeting, Lanes lanes, bool acquire) {
  if (warp.number >= meeting.entered.size() || !meeting.entered[warp.number]) {
    return;
  }
  std::shared_ptr<Knowledge> &entered = meeting.entered[warp.number];
  // The first who passes closes the meeting: those who come later come to the next one.
  if (meeting.arriving == entered) {
    meeting.arriving = nullptr;
  }
  if (acquire) {
    Checker::Impl::merge(warp, lanes, entered.get());
  }
}

} // namespace

void Checker::barrierArrives(Warp &warp, const Op &op, unsigned barrier, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  impl->settle(state, mine);
  arrive(state, mine, state.ctas[warp.cta.rank].barriers[barrier & 15], lanes, true);
}

void Checker::barrierPasses(Warp &warp, const Op &op, unsigned barrier, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  pass(state.of(warp), state.ctas[warp.cta.rank].barriers[barrier & 15], lanes, true);
}

void Checker::warpgroupArrives(Warp &warp, const Op &, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  impl->settle(state, mine);
  arrive(state, mine, state.ctas[warp.cta.rank].warpgroups[warp.warpgroup() & 7], lanes, true);
}

void Checker::warpgroupPasses(Warp &warp, const Op &, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  pass(state.of(warp), state.ctas[warp.cta.rank].warpgroups[warp.warpgroup() & 7], lanes, true);
}

void Checker::clusterArrives(Warp &warp, const Op &op, bool release, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  impl->settle(state, mine);
  // The CTAs of a cluster that meet know each other's mbarriers, also through the async proxy; with a relaxed arrival
  // those that fence.mbarrier_init stands behind.
  Impl::Viewer viewer{state, mine.number, static_cast<unsigned>(std::countr_zero(lanes)), nullptr};
  viewer.known = &Impl::known(mine, viewer.lane);
  for (MbarrierState &barrier : state.mbarriers) {
    if (!barrier.live || barrier.announced) {
      continue;
    }
    const Record &init = (*state.records)[recordNumber(barrier.init)];
    const bool own = init.warp == mine.number || impl->ordered(barrier.init, false, viewer);
    if (own && (release || barrier.fenced)) {
      barrier.announcing = true;
    }
  }
  arrive(state, mine, state.clusterBarrier, lanes, release);
}

void Checker::clusterPasses(Warp &warp, const Op &op, bool acquire, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  for (MbarrierState &barrier : state.mbarriers) {
    if (barrier.announcing) {
      barrier.announced = barrier.fenced = true;
      barrier.announcing = false;
    }
  }
  pass(state.of(warp), state.clusterBarrier, lanes, acquire);
}

// --- mbarriers.

MbarrierState *Checker::Impl::mbarrier(ClusterState &state, const Cta &owner, uint32_t offset) {
  auto found = state.ctas[owner.rank].mbarriers.find(offset);
  return found == state.ctas[owner.rank].mbarriers.end() ? nullptr : &state.mbarriers[found->second];
}

/// Whoever uses an mbarrier must come after its initialisation.
void Checker::Impl::usesMbarrier(ClusterState &state, const Actor &actor, Lanes lanes, MbarrierState &barrier,
                                 const std::string &what) {
  if (barrier.announced) {
    return;
  }
  Viewer viewer{state};
  bool async = false;
  if (actor.warp) {
    WarpState &mine = state.of(*actor.warp);
    settle(state, mine);
    viewer.warp = mine.number;
    viewer.lane = lanes ? static_cast<unsigned>(std::countr_zero(lanes)) : 0;
    viewer.known = &known(mine, viewer.lane);
    // Within a warp the program's order will do: lane 0 initialises, an elected one uses.
    if ((*state.records)[recordNumber(barrier.init)].warp == mine.number) {
      return;
    }
  } else if (state.current && state.current->record) {
    const Record &record = (*state.records)[state.current->record];
    viewer.warp = record.warp;
    viewer.known = state.current->known.get();
    viewer.operation = state.current->record;
    async = record.asyncProxy;
  } else {
    return;
  }
  const std::string address = sharedAddress(*barrier.owner, barrier.offset);
  const int lane = actor.warp ? static_cast<int>(viewer.lane) : -1;
  if (!ordered(barrier.init, false, viewer)) {
    report(state, ReportKind::MbarrierMisuse, what + " that nothing orders after the mbarrier's initialisation",
           address, actor.op, viewer.warp, lane, what, barrier.init, "mbarrier.init");
  } else if (async && !barrier.fenced) {
    report(state, ReportKind::MissingMbarrierInitFence,
           "an mbarrier is used through the async proxy after its initialisation, without fence.mbarrier_init or "
           "fence.proxy.async between",
           address, actor.op, viewer.warp, lane, what, barrier.init, "mbarrier.init");
  }
}

/// An arrival from another CTA must come before the barrier's CTA exits (checker/cta_exit.cpp).
void Checker::Impl::visits(ClusterState &state, const Actor &actor, Lanes lanes, MbarrierState &barrier) {
  WarpState &mine = state.of(*actor.warp);
  if (mine.published && mine.clock < maxClock) {
    ++mine.clock;
    mine.published = false;
  }
  state.ctas[barrier.owner->rank].visited = true;
  const uint32_t record = recordOf(state, mine, *actor.op, Scope::System);
  for (; lanes; lanes &= lanes - 1) {
    const uint32_t lane = static_cast<uint32_t>(std::countr_zero(lanes));
    const MbarrierState::Visit visit = {makeEpoch(state.serial, record, mine.clock, lane), mine.number, barrier.phase};
    auto known = std::ranges::find_if(barrier.visits, [&](const MbarrierState::Visit &other) {
      return other.warp == visit.warp && laneOf(other.epoch) == lane;
    });
    known == barrier.visits.end() ? barrier.visits.push_back(visit) : static_cast<void>(*known = visit);
  }
}

/// A phase completed while the running operation, which completes on the mbarrier, was under way.
void Checker::Impl::reportEarlyPhase(ClusterState &state, MbarrierState &barrier) {
  if (barrier.countReported) {
    return;
  }
  barrier.countReported = true;
  const Record &copy = (*state.records)[state.current->record];
  report(state, ReportKind::WrongTransactionCount,
         "a phase completed while a copy that completes on the mbarrier was under way: fewer bytes were expected than "
         "are copied",
         sharedAddress(*barrier.owner, barrier.offset), copy.op, copy.warp, copy.lane, "copy",
         barrier.record ? makeEpoch(state.serial, barrier.record, 0, manyLanes) : 0, "expect_tx");
}

void Checker::mbarrierInit(Actor actor, Cta &owner, uint32_t offset, uint32_t count) {
  ClusterState &state = impl->of(owner.cluster);
  CtaState &cta = state.ctas[owner.rank];
  if (!actor.warp) {
    return;
  }
  WarpState &mine = state.of(*actor.warp);
  impl->settle(state, mine);
  if (mine.published && mine.clock < maxClock) {
    ++mine.clock;
    mine.published = false;
  }
  MbarrierState barrier;
  barrier.owner = &owner;
  barrier.offset = offset;
  barrier.live = true;
  barrier.init = makeEpoch(state.serial, impl->recordOf(state, mine, *actor.op, Scope::System), mine.clock, 0);
  cta.mbarriers[offset] = static_cast<uint32_t>(state.mbarriers.size());
  state.mbarriers.push_back(std::move(barrier));
  for (uint32_t cell = offset / 4; cell < offset / 4 + 2 && cell < cta.shadow->cells.size(); ++cell) {
    cta.shadow->cells[cell] = {};
    cta.shadow->state[cell] |= holdsMbarrier;
  }
}

void Checker::mbarrierInvalidated(Actor actor, Cta &owner, uint32_t offset) {
  ClusterState &state = impl->of(owner.cluster);
  CtaState &cta = state.ctas[owner.rank];
  if (MbarrierState *barrier = impl->mbarrier(state, owner, offset)) {
    impl->usesMbarrier(state, actor, 1, *barrier, "mbarrier.inval");
    barrier->live = false;
    cta.mbarriers.erase(offset);
  }
  for (uint32_t cell = offset / 4; cell < offset / 4 + 2 && cell < cta.shadow->cells.size(); ++cell) {
    cta.shadow->state[cell] = 0;
  }
}

void Checker::mbarrierArrives(Actor actor, Cta &owner, uint32_t offset, uint32_t arrivals, bool release, Lanes lanes) {
  ClusterState &state = impl->of(owner.cluster);
  MbarrierState *barrier = impl->mbarrier(state, owner, offset);
  if (!barrier) {
    return;
  }
  impl->usesMbarrier(state, actor, lanes, *barrier, "arrival at an mbarrier");
  if (actor.warp) {
    WarpState &mine = state.of(*actor.warp);
    impl->settle(state, mine);
    if (actor.warp->cta.rank != owner.rank) {
      impl->visits(state, actor, lanes, *barrier);
    }
    if (release) {
      Impl::publish(mine, lanes, barrier->arriving);
    }
    return;
  }
  if (state.current && state.current->record) { // cp.async.mbarrier.arrive: all copies before it are complete.
    const Record &record = (*state.records)[state.current->record];
    barrier->arriving.join(*state.current->known);
    barrier->arriving.raise(record.warp, Knowledge::CopyDone, record.sequence);
  }
}

void Checker::mbarrierExpects(Actor actor, Cta &owner, uint32_t offset, int64_t bytes) {
  ClusterState &state = impl->of(owner.cluster);
  if (MbarrierState *barrier = impl->mbarrier(state, owner, offset)) {
    impl->usesMbarrier(state, actor, 0, *barrier, "expect_tx");
    barrier->bytes += bytes;
    if (actor.warp) {
      barrier->record = impl->recordOf(state, state.of(*actor.warp), *actor.op, Scope::System);
    }
  }
}

void Checker::mbarrierCompletes(Actor actor, Cta &owner, uint32_t offset, int64_t bytes) {
  ClusterState &state = impl->of(owner.cluster);
  MbarrierState *barrier = impl->mbarrier(state, owner, offset);
  if (!barrier) {
    return;
  }
  impl->usesMbarrier(state, actor, 0, *barrier, "complete_tx");
  barrier->bytes -= bytes;
  if (actor.warp || !state.current || !state.current->record) {
    return;
  }
  Record &record = (*state.records)[state.current->record];
  if (barrier->lastPhaseEvent > state.current->issueEvent) {
    impl->reportEarlyPhase(state, *barrier);
  }
  state.records->complete(record, {static_cast<uint32_t>(barrier - state.mbarriers.data()), barrier->phase});
}

void Checker::mbarrierPhase(Cta &owner, uint32_t offset, uint32_t finishedPhase) {
  ClusterState &state = impl->of(owner.cluster);
  if (MbarrierState *barrier = impl->mbarrier(state, owner, offset)) {
    barrier->phase = finishedPhase + 1;
    barrier->completed.join(barrier->arriving);
    barrier->arriving = Knowledge();
    barrier->lastPhaseEvent = ++state.events;
  }
}

void Checker::mbarrierPasses(Warp &warp, const Op &op, Cta &owner, uint32_t offset, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  MbarrierState *barrier = impl->mbarrier(state, owner, offset);
  if (!barrier) {
    return;
  }
  impl->usesMbarrier(state, {&warp, &op}, lanes, *barrier, "wait for an mbarrier");
  const uint32_t index = static_cast<uint32_t>(barrier - state.mbarriers.data());
  Impl::split(mine, lanes);
  for (LaneGroup &group : mine.groups) {
    if (group.lanes & lanes) {
      group.known.join(barrier->completed);
      group.known.raisePhases(index, barrier->phase);
    }
  }
  ++mine.version;
}

void Checker::mbarrierMisused(Actor actor, Cta &owner, uint32_t offset, const std::string &text) {
  ClusterState &state = impl->of(owner.cluster);
  ReportKind kind = text.find("exited") != std::string::npos        ? ReportKind::DeadCta
                    : text.find("overwritten") != std::string::npos ? ReportKind::MbarrierOverwritten
                    : text.find("bytes") != std::string::npos       ? ReportKind::WrongTransactionCount
                                                                    : ReportKind::MbarrierMisuse;
  uint32_t warp = actor.warp ? state.of(*actor.warp).number : state.warpCount();
  MbarrierState *barrier = impl->mbarrier(state, owner, offset);
  if (kind == ReportKind::DeadCta && !actor.warp && barrier && state.current && state.current->record &&
      barrier->lastPhaseEvent > state.current->issueEvent) {
    // Nobody waited for this copy, because the phase completed without it.
    impl->reportEarlyPhase(state, *barrier);
    return;
  }
  impl->report(state, kind, text, Impl::sharedAddress(owner, offset), actor.op, warp, -1, "mbarrier operation",
               barrier ? barrier->init : 0, "mbarrier.init");
}

} // namespace emulator
