#include "checker/checker.h"
#include "checker/cluster_state.h"
#include <bit>

namespace emulator {

using namespace checking;

namespace {

/// The cluster that this thread told of last.
struct Last {
  const Cluster *cluster = nullptr;
  ClusterState *state = nullptr;
  const void *owner = nullptr;
  uint64_t epoch = 0;
};
thread_local Last last;

/// Of clusters; one count for all checkers, since memory remembers whose accesses it has seen. Under serialMutex.
uint64_t lastSerial = 0;
std::mutex serialMutex;

} // namespace

Checker::Checker() : impl(std::make_unique<Impl>(*this)) {
  // A checker that comes to lie where another one was must not be taken for it.
  static std::atomic<uint64_t> checkers = 0;
  impl->epoch = ++checkers << 32;
}
Checker::~Checker() = default;

ClusterState &Checker::Impl::of(const Cluster &cluster) {
  if (last.cluster == &cluster && last.owner == this && last.epoch == epoch.load(std::memory_order_relaxed)) {
    return *last.state;
  }
  std::lock_guard lock(mutex);
  last = {&cluster, clusters.at(&cluster).get(), this, epoch.load(std::memory_order_relaxed)};
  return *last.state;
}

/// The cluster whose events this thread tells of now.
ClusterState *Checker::Impl::running(const Cta *cta) {
  if (cta) {
    return &of(cta->cluster);
  }
  return last.owner == this && last.epoch == epoch.load(std::memory_order_relaxed) ? last.state : nullptr;
}

void Checker::leaked(std::string_view what) {
  Report report;
  report.kind = ReportKind::Leak;
  report.text = std::string(what) + " is not released when its context ends";
  log.add(std::move(report));
}

void Checker::gridBegins(Grid &grid) {
  std::shared_ptr<GridState> state = std::make_shared<GridState>();
  state->module = grid.config.module;
  state->kernel = grid.config.kernel->name;
  state->kernelHash = std::hash<std::string>()(state->kernel);
  state->primarySerials = grid.config.primarySerials;
  std::lock_guard lock(impl->mutex);
  for (const std::shared_ptr<Grid> &primary : grid.config.primaries) {
    auto found = impl->grids.find(primary.get());
    if (found != impl->grids.end()) {
      state->primaryStates.push_back(found->second);
    }
  }
  impl->grids[&grid] = std::move(state);
}

void Checker::gridEnds(Grid &grid) {
  std::lock_guard lock(impl->mutex);
  auto found = impl->grids.find(&grid);
  if (found == impl->grids.end()) {
    return;
  }
  ++impl->epoch;
  const uint64_t now = ++impl->time;
  found->second->ended = now;
  for (const std::shared_ptr<ClusterState> &cluster : found->second->clusters) {
    impl->endedAt[cluster->serial] = {now, grid.serial};
    impl->bySerial.erase(cluster->serial);
    auto registered = impl->clusters.find(cluster->cluster);
    if (registered != impl->clusters.end() && registered->second == cluster) {
      impl->clusters.erase(registered);
    }
  }
  found->second->clusters.clear(); // Each held the other.
  impl->grids.erase(found);
  if (impl->grids.empty()) {
    // What runs from now on begins behind everything that was released.
    std::lock_guard releasing(impl->releasedMutex);
    impl->released.clear();
    impl->anyReleased = false;
  }
}

void Checker::ctaBegins(Cta &cta) {
  std::lock_guard lock(impl->mutex);
  std::shared_ptr<ClusterState> &slot = impl->clusters[&cta.cluster];
  std::shared_ptr<GridState> &grid = impl->grids.at(&cta.grid());
  if (cta.rank == 0) { // A cluster's CTAs begin in the order of their ranks.
    if (!grid->begun) {
      grid->begun = ++impl->time;
    }
    std::lock_guard counting(serialMutex);
    if (lastSerial >= maxSerial) {
      // Serials begin again: no memory may remember the clusters that had them.
      for (const Allocation *allocation : GlobalMemory::instance().all()) {
        if (allocation->shadow) {
          allocation->shadow->forgetAccesses();
        }
      }
      lastSerial = 0;
      impl->endedAt.clear();
    }
    std::shared_ptr<ClusterState> state = std::make_shared<ClusterState>();
    state->cluster = &cta.cluster;
    state->serial = ++lastSerial;
    state->grid = grid;
    state->ctas.resize(cta.cluster.ctas.size());
    state->warpsPerCta = static_cast<uint32_t>(cta.warps.size());
    state->warps.resize(state->ctas.size() * state->warpsPerCta);
    state->records->add({}); // Number 0 is nobody.
    for (uint32_t i = 0; i < state->warps.size(); ++i) {
      WarpState &warp = state->warps[i];
      warp.number = i;
      warp.groups.push_back({allLanes, {}});
      warp.groups[0].known.resize(static_cast<uint32_t>(state->warps.size()));
    }
    grid->clusters.push_back(state);
    impl->bySerial[state->serial] = state;
    slot = std::move(state);
    ++impl->epoch;
  }
  CtaState &mine = slot->ctas[cta.rank];
  mine.cta = &cta;
  std::copy(std::begin(cta.index), std::end(cta.index), std::begin(mine.index));
  mine.shadow = std::make_unique<SharedShadow>(cta.sharedEnd());
  for (const std::unique_ptr<Warp> &warp : cta.warps) {
    slot->warps[slot->warpNumber(*warp)].warp = warp.get();
  }
}

void Checker::fault(const Fault &fault) {
  ClusterState *state = fault.actor.warp ? &impl->of(fault.actor.warp->cta.cluster) : impl->running(nullptr);
  if (!state) {
    return;
  }
  ReportKind kind = ReportKind::Fault;
  switch (fault.kind) {
  case Fault::Kind::IllegalAddress:
    kind = ReportKind::OutOfBounds;
    break;
  case Fault::Kind::Misaligned:
    kind = ReportKind::Misaligned;
    break;
  case Fault::Kind::Deadlock:
    kind = ReportKind::Deadlock;
    break;
  case Fault::Kind::IllegalBarrier:
    if (fault.text.starts_with("mbarrier at")) {
      return; // Told as a misuse already.
    }
    kind = ReportKind::MbarrierMisuse;
    break;
  default:
    break;
  }
  const Warp *warp = fault.actor.warp;
  const uint32_t number = warp && kind != ReportKind::Deadlock ? state->of(*warp).number : state->warpCount();
  std::string address;
  if (kind == ReportKind::OutOfBounds || kind == ReportKind::Misaligned) {
    const uint64_t shared = fault.address >= sharedWindow ? fault.address - sharedWindow : fault.address;
    const bool isShared = shared < sharedWindowBytes && (shared >> sharedRankShift) < state->ctas.size() && warp;
    address = isShared ? Impl::sharedAddress(*warp->cta.cluster.ctas[shared >> sharedRankShift],
                                             shared & ((uint64_t(1) << sharedRankShift) - 1))
                       : Impl::globalAddress(fault.address);
  }
  impl->report(*state, kind, fault.text, address, fault.actor.op, number,
               fault.lanes ? std::countr_zero(fault.lanes) : -1, "instruction");
  if (kind != ReportKind::Deadlock) {
    return;
  }
  for (const CtaState &cta : state->ctas) {
    for (const auto &[offset, index] : cta.mbarriers) {
      const Mbarrier *barrier = cta.cta ? cta.cta->mbarriers.find(offset) : nullptr;
      if (barrier && barrier->bytes != 0 && barrier->pending == 0) {
        const Record &record = (*state->records)[state->mbarriers[index].record];
        impl->report(*state, ReportKind::WrongTransactionCount,
                     "all arrivals came, and " + std::to_string(barrier->bytes) +
                         " bytes are outstanding that no copy will complete",
                     Impl::sharedAddress(*cta.cta, offset), record.op, record.warp, -1, "expect_tx");
      }
    }
  }
}

void Checker::dependencyPassed(Warp &warp, const Op &) {
  WarpState &mine = impl->of(warp.cta.cluster).of(warp);
  for (LaneGroup &group : mine.groups) {
    group.known.dependency = true;
  }
  ++mine.version;
}

} // namespace emulator
