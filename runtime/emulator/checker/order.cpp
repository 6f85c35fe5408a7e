// Whether an earlier access happened before one that is made now.

#include "checker/cluster_state.h"
#include <algorithm>
#include <bit>

namespace emulator {

using namespace checking;

namespace {

bool allAtLeast(const uint32_t *clocks, Lanes lanes, uint32_t clock) {
  Lanes behind = 0;
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    behind |= Lanes(clocks[lane] < clock) << lane;
  }
  return (behind & lanes) == 0;
}

/// By what somebody knows of the cluster that the epoch is of.
bool knows(const Knowledge &known, const Records &records, const std::vector<MbarrierState> *mbarriers, Epoch epoch,
           bool wasRead, const Cta *cta, Lanes needed) {
  const Record &record = records[recordNumber(epoch)];
  switch (record.kind) {
  case Record::Kind::Thread: {
    if (laneOf(epoch) == manyLanes) {
      return allAtLeast(known.clocks(record.warp), needed, clockOf(epoch));
    }
    return known.get(record.warp, Knowledge::Clock + laneOf(epoch)) >= clockOf(epoch);
  }
  case Record::Kind::Copy:
    return known.get(record.warp, Knowledge::CopyDone) >= record.sequence;
  case Record::Kind::Wgmma:
    return known.get(record.warp, Knowledge::WgmmaDone) >= record.sequence;
  case Record::Kind::Bulk:
  case Record::Kind::Store:
    for (uint32_t i = 0, count = records.completionCount(record); i < count; ++i) {
      const Records::Completion &completion = records.completion(record, i);
      // What was written into one CTA of a multicast is complete when that CTA's barrier says so.
      if (count > 1 && cta && mbarriers && (*mbarriers)[completion.mbarrier].owner != cta) {
        continue;
      }
      if (known.phases(completion.mbarrier) > completion.phase) {
        return true;
      }
    }
    return records.completionCount(record) == 0 && record.kind == Record::Kind::Bulk &&
           (known.get(record.warp, Knowledge::BulkDone) >= record.sequence ||
            (wasRead && known.get(record.warp, Knowledge::BulkRead) >= record.sequence));
  }
  return true;
}

} // namespace

bool Checker::Impl::ordered(Epoch epoch, bool wasRead, const Viewer &viewer) {
  if (serialOf(epoch) != viewer.state.serial) {
    return orderedForeign(epoch, wasRead, viewer);
  }
  const uint32_t number = recordNumber(epoch);
  if (number == 0 || (viewer.operation && number == viewer.operation)) {
    return true;
  }
  const Record &record = (*viewer.state.records)[number];
  Lanes needed = allLanes;
  if (record.kind == Record::Kind::Thread) {
    if (laneOf(epoch) == manyLanes) {
      const Warp *warp = viewer.state.warps[record.warp].warp;
      needed = warp ? warp->alive : 0; // Lanes that have exited meet nobody any more.
    }
    if (record.warp == viewer.warp && !viewer.operation) {
      if (laneOf(epoch) == viewer.lane) {
        return true;
      }
      needed &= ~(Lanes(1) << viewer.lane);
    }
  }
  return knows(*viewer.known, *viewer.state.records, &viewer.state.mbarriers, epoch, wasRead, viewer.cta, needed);
}

std::shared_ptr<ClusterState> Checker::Impl::clusterOf(Epoch epoch, ClusterState &state) {
  std::lock_guard lock(mutex);
  auto found = bySerial.find(serialOf(epoch));
  return found == bySerial.end() ? nullptr : found->second;
}

bool Checker::Impl::orderedForeign(Epoch epoch, bool wasRead, const Viewer &viewer) {
  ClusterState &state = viewer.state;
  const uint64_t serial = serialOf(epoch);
  auto remembered = state.earlier.find(serial);
  if (remembered != state.earlier.end()) {
    if (remembered->second) {
      return true;
    }
  } else {
    std::lock_guard lock(mutex);
    auto ended = endedAt.find(serial);
    // What is of no cluster of this checker was told to another one, whose time is over.
    bool earlier = ended != endedAt.end() ? ended->second.time <= state.grid->begun : !bySerial.contains(serial);
    if (earlier && ended != endedAt.end()) {
      // A primary that has ended by chance is no other than one that runs: griddepcontrol.wait orders the two.
      const std::vector<uint64_t> &primaries = state.grid->primarySerials;
      earlier = std::find(primaries.begin(), primaries.end(), ended->second.grid) == primaries.end();
    }
    state.earlier.emplace(serial, earlier);
    if (earlier) {
      return true;
    }
  }
  std::shared_ptr<ClusterState> other = clusterOf(epoch, state);
  if (!other) {
    // Its grid has ended while this one ran: an order between the two is the launcher's, who waited for neither.
    return viewer.known->dependency;
  }
  if (other->grid != state.grid && viewer.known->dependency) {
    for (const std::weak_ptr<GridState> &primary : state.grid->primaryStates) {
      if (primary.lock() == other->grid) {
        return true;
      }
    }
  }
  const Knowledge *known = viewer.known->ofCluster(serial);
  return recordNumber(epoch) == 0 ||
         (known && knows(*known, *other->records, nullptr, epoch, wasRead, nullptr, allLanes));
}

bool Checker::Impl::fenced(Epoch epoch, const Viewer &viewer) {
  if (serialOf(epoch) != viewer.state.serial || recordNumber(epoch) == 0) {
    return true;
  }
  const Record &record = (*viewer.state.records)[recordNumber(epoch)];
  if (record.kind == Record::Kind::Copy) {
    return viewer.known->get(record.warp, Knowledge::CopyFenced) >= record.sequence;
  }
  if (record.kind != Record::Kind::Thread) {
    return true;
  }
  return viewer.known->get(record.warp, Knowledge::Fenced + (laneOf(epoch) & 31)) >= clockOf(epoch);
}

} // namespace emulator
