// What lanes know, and how it spreads: by meetings, by releases that somebody acquires.

#include "checker/cluster_state.h"
#include <algorithm>
#include <bit>

namespace emulator {

using namespace checking;

namespace {

void raiseWords(uint32_t *mine, const uint32_t *theirs, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    mine[i] = std::max(mine[i], theirs[i]);
  }
}

#ifdef __x86_64__
/// The least x86-64 has no maximum of unsigned words.
__attribute__((target("avx2"))) void raiseWordsAvx2(uint32_t *__restrict mine, const uint32_t *__restrict theirs,
                                                    size_t count) {
  for (size_t i = 0; i < count; ++i) {
    mine[i] = mine[i] < theirs[i] ? theirs[i] : mine[i];
  }
}
#endif

} // namespace

void Knowledge::raiseAll(uint32_t *mine, const uint32_t *theirs, size_t count) {
#ifdef __x86_64__
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2 && mine != theirs) {
    raiseWordsAvx2(mine, theirs, count);
    return;
  }
#endif
  raiseWords(mine, theirs, count);
}

const Knowledge &Checker::Impl::known(const WarpState &warp, unsigned lane) {
  for (const LaneGroup &group : warp.groups) {
    if (group.lanes >> lane & 1) {
      return group.known;
    }
  }
  return warp.groups.front().known;
}

void Checker::Impl::split(WarpState &warp, Lanes lanes) {
  for (size_t i = 0, count = warp.groups.size(); i < count; ++i) {
    Lanes inside = warp.groups[i].lanes & lanes;
    if (inside && inside != warp.groups[i].lanes) {
      LaneGroup part = {inside, warp.groups[i].known};
      warp.groups[i].lanes &= ~lanes;
      warp.groups.push_back(std::move(part));
    }
  }
}

void Checker::Impl::join(WarpState &warp, Lanes lanes, const Knowledge &news) {
  split(warp, lanes);
  for (LaneGroup &group : warp.groups) {
    if (group.lanes & lanes) {
      group.known.join(news);
    }
  }
  ++warp.version;
}

void Checker::Impl::raise(WarpState &warp, Lanes lanes, Knowledge::Word word, uint32_t value) {
  split(warp, lanes);
  for (LaneGroup &group : warp.groups) {
    if (group.lanes & lanes) {
      group.known.raise(warp.number, word, value);
    }
  }
  ++warp.version;
}

void Checker::Impl::merge(WarpState &warp, Lanes lanes, const Knowledge *news) {
  split(warp, lanes);
  size_t first = warp.groups.size();
  for (size_t i = 0; i < warp.groups.size();) {
    if (!(warp.groups[i].lanes & lanes)) {
      ++i;
    } else if (first == warp.groups.size()) {
      first = i++;
    } else {
      warp.groups[first].known.join(warp.groups[i].known);
      warp.groups[first].lanes |= warp.groups[i].lanes;
      warp.groups.erase(warp.groups.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  if (first == warp.groups.size()) {
    return;
  }
  Knowledge &together = warp.groups[first].known;
  together.raiseClocks(warp.number, lanes, warp.clock);
  if (news) {
    together.join(*news);
  }
  warp.published = true;
  ++warp.version;
}

void Checker::Impl::publish(WarpState &warp, Lanes lanes, Knowledge &into) {
  for (const LaneGroup &group : warp.groups) {
    if (group.lanes & lanes) {
      into.join(group.known);
    }
  }
  into.raiseClocks(warp.number, lanes, warp.clock);
  warp.published = true;
}

std::shared_ptr<const Knowledge> Checker::Impl::snapshot(WarpState &warp, Lanes lanes) {
  if (!warp.snapshot || !warp.published || warp.snapshotLanes != lanes || warp.snapshotClock != warp.clock ||
      warp.snapshotVersion != warp.version) {
    std::shared_ptr<Knowledge> fresh = std::make_shared<Knowledge>();
    publish(warp, lanes, *fresh);
    warp.snapshot = std::move(fresh);
    warp.snapshotLanes = lanes;
    warp.snapshotClock = warp.clock;
    warp.snapshotVersion = warp.version;
  }
  return warp.snapshot;
}

namespace {

bool reaches(Scope scope, const ClusterState &from, uint32_t fromCta, const ClusterState &to, uint32_t toCta) {
  switch (scope) {
  case Scope::Cta:
    return from.serial == to.serial && fromCta == toCta;
  case Scope::Cluster:
    return from.serial == to.serial;
  default:
    return true;
  }
}

} // namespace

void Checker::Impl::settle(ClusterState &state, WarpState &warp) {
  if (warp.strongReads.empty()) {
    return;
  }
  std::vector<StrongRead> reads = std::move(warp.strongReads);
  warp.strongReads.clear();
  for (const StrongRead &read : reads) {
    Knowledge news;
    {
      std::lock_guard lock(releasedMutex);
      auto found = released.find(read.place);
      if (found == released.end()) {
        continue;
      }
      for (const Released &release : found->second) {
        if (release.serial != state.serial) {
          if (release.scope >= Scope::Gpu && read.scope >= Scope::Gpu) {
            news.addForeign(release.serial, release.known);
            for (const auto &[serial, clock] : release.known->foreign) {
              if (serial == state.serial) {
                news.join(*clock);
              } else {
                news.addForeign(serial, clock);
              }
            }
          }
        } else if (reaches(std::min(release.scope, read.scope), state, release.cta, state,
                           warp.number / state.warpsPerCta)) {
          news.join(*release.known);
        }
      }
    }
    if (read.acquires) {
      join(warp, Lanes(1) << read.lane, news);
      continue;
    }
    std::shared_ptr<Knowledge> &acquirable = warp.patterns.acquirable[read.lane];
    if (!acquirable) {
      acquirable = std::make_shared<Knowledge>();
    }
    acquirable->join(news);
    warp.patterns.any = true;
  }
}

/// A strong access may end a release pattern and begin an acquire pattern. Atomic operations go on with what was
/// released before them (release sequences); other writes do here too, which only makes the checker milder.
void Checker::Impl::acquireAndRelease(ClusterState &state, WarpState &warp, const MemoryAccess &access) {
  const bool reads = access.kind != MemoryAccess::Kind::Write, writes = access.kind != MemoryAccess::Kind::Read;
  const Ordering ordering = access.ordering;
  const bool both = ordering == Ordering::AcquireRelease || ordering == Ordering::SequentiallyConsistent;
  const bool acquires = both || ordering == Ordering::Acquire, releases = both || ordering == Ordering::Release;
  const Scope scope = access.scope == Scope::None ? Scope::System : access.scope;
  for (Lanes rest = access.lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    std::pair<uint64_t, uint64_t> place = {0, access.addresses[lane]};
    if (access.shared) {
      place = {state.serial, uint64_t(access.cta->rank) << 32 | access.addresses[lane]};
    }
    if (writes && (releases || warp.patterns.released[lane])) {
      Released release;
      release.known = releases ? snapshot(warp, Lanes(1) << lane) : warp.patterns.released[lane];
      release.scope = releases ? scope : std::min(scope, warp.patterns.releasedScope[lane]);
      release.serial = state.serial;
      release.cta = warp.number / state.warpsPerCta;
      std::lock_guard lock(releasedMutex);
      std::vector<Released> &at = released[place];
      bool known = false;
      for (Released &earlier : at) {
        if (earlier.serial == release.serial && earlier.cta == release.cta && earlier.scope == release.scope) {
          std::shared_ptr<Knowledge> together = std::make_shared<Knowledge>(*earlier.known);
          together->join(*release.known);
          earlier.known = std::move(together);
          known = true;
          break;
        }
      }
      if (!known) {
        at.push_back(std::move(release));
      }
      anyReleased = true;
    }
    if (reads && anyReleased) {
      warp.strongReads.push_back({place, lane, acquires, scope});
    }
  }
}

void Checker::fence(Warp &warp, const Op &op, Ordering ordering, Scope scope, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  impl->settle(state, mine);
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    if (mine.patterns.acquirable[lane]) {
      Impl::join(mine, Lanes(1) << lane, *mine.patterns.acquirable[lane]);
      mine.patterns.acquirable[lane] = nullptr;
    }
  }
  if (ordering == Ordering::Acquire) {
    return;
  }
  for (const LaneGroup &group : std::vector<LaneGroup>(mine.groups)) {
    for (Lanes rest = group.lanes & lanes; rest; rest &= rest - 1) {
      const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      mine.patterns.released[lane] = Impl::snapshot(mine, Lanes(1) << lane);
      mine.patterns.releasedScope[lane] = scope == Scope::None ? Scope::System : scope;
      mine.patterns.any = true;
    }
  }
}

void Checker::proxyFence(Warp &warp, const Op &op, std::string_view proxies, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  impl->settle(state, mine);
  if (proxies == "tensormap") {
    mine.tensorMapFence = Impl::snapshot(mine, lanes);
    return;
  }
  auto ownOrKnown = [&](const MbarrierState &barrier) {
    const Record &init = (*state.records)[recordNumber(barrier.init)];
    if (init.warp == mine.number && (lanes >> (laneOf(barrier.init) & 31) & 1)) {
      return true;
    }
    Impl::Viewer viewer{state, mine.number, static_cast<unsigned>(std::countr_zero(lanes)), nullptr};
    viewer.known = &Impl::known(mine, viewer.lane);
    return impl->ordered(barrier.init, false, viewer);
  };
  if (proxies == "mbarrier_init" || proxies.starts_with("async")) {
    for (MbarrierState &barrier : state.mbarriers) {
      if (barrier.live && !barrier.fenced && ownOrKnown(barrier)) {
        barrier.fenced = true;
      }
    }
  }
  if (!proxies.starts_with("async")) {
    return;
  }
  Impl::split(mine, lanes);
  for (LaneGroup &group : mine.groups) {
    if (group.lanes & lanes) {
      group.known.fence();
      for (Lanes rest = group.lanes & lanes; rest; rest &= rest - 1) {
        group.known.raise(mine.number, Knowledge::Fenced + static_cast<uint32_t>(std::countr_zero(rest)), mine.clock);
      }
    }
  }
  mine.published = true; // Later writes are not behind this fence.
  ++mine.version;
}

void Checker::warpSync(Warp &warp, const Op &op, Lanes lanes) {
  ClusterState &state = impl->of(warp.cta.cluster);
  WarpState &mine = state.of(warp);
  impl->settle(state, mine);
  Impl::merge(mine, lanes, nullptr);
}

} // namespace emulator
