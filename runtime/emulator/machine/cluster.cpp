#include "machine/cta.h"
#include "machine/grid.h"
#include <algorithm>

// Turns of the warps of a cluster. What cannot go on waits; when nothing can, asynchronous work lands, then waits with
// a time limit end early, and when that does not help either, the cluster is deadlocked.

namespace emulator {

/// Instructions that a warp runs in one turn: long enough to stay in the caches, short enough that polling warps do not
/// hold up the others for long.
static constexpr unsigned warpTurn = 4096;
/// Rounds in which all warps only polled, after which other clusters get the host's thread.
static constexpr unsigned idleRounds = 16;

Cluster::Cluster(Grid &grid, uint32_t linear)
    : grid(grid), async(*this), random(grid.options.seed * 0x9e3779b97f4a7c15 + linear), linear(linear) {
  const LaunchConfig &config = grid.config;
  uint32_t first[3], rest = linear;
  for (unsigned d = 0; d < 3; ++d) {
    const uint32_t clusters = config.grid[d] / config.cluster[d];
    first[d] = rest % clusters * config.cluster[d];
    rest /= clusters;
  }
  uint32_t rank = 0;
  for (uint32_t z = 0; z < config.cluster[2]; ++z) {
    for (uint32_t y = 0; y < config.cluster[1]; ++y) {
      for (uint32_t x = 0; x < config.cluster[0]; ++x) {
        ctas.push_back(
            std::make_unique<Cta>(*this, rank++, (const uint32_t[3]){first[0] + x, first[1] + y, first[2] + z}));
      }
    }
  }
  ended.assign(ctas.size(), false);
  if (grid.options.adversarial) {
    for (const std::unique_ptr<Cta> &cta : ctas) {
      for (size_t warp = 0; warp < cta->warps.size(); ++warp) {
        delays.push_back(static_cast<uint32_t>(random() % 8));
      }
    }
  }
  if (grid.observer) {
    for (const std::unique_ptr<Cta> &cta : ctas) {
      grid.observer->ctaBegins(*cta);
    }
  }
}

Cluster::~Cluster() = default;

bool Cluster::finished() const {
  return std::all_of(ctas.begin(), ctas.end(), [](const std::unique_ptr<Cta> &cta) { return cta->finished(); });
}

// --- Addresses.

Target Cluster::resolveShared(Cta &cta, uint64_t address, uint64_t bytes) {
  const uint64_t rank = address >> sharedRankShift, offset = address & ((uint64_t(1) << sharedRankShift) - 1);
  Target target;
  if (rank >= ctas.size()) {
    return target;
  }
  Cta &owner = *ctas[rank];
  target.cta = &owner;
  target.offset = offset;
  if (offset >= reservedSharedBytes && offset + bytes <= owner.sharedEnd()) {
    target.bytes = owner.shared() + offset;
  }
  return target;
}

Target Cluster::resolveGlobal(uint64_t address, uint64_t bytes) {
  Target target;
  target.offset = address;
  const Allocation *allocation = GlobalMemory::instance().find(address);
  if (allocation && bytes <= allocation->size - (address - allocation->address) && grid.reaches(*allocation)) {
    target.allocation = allocation;
    target.writable = allocation->writable;
    target.bytes = reinterpret_cast<std::byte *>(address);
  }
  return target;
}

Target Cluster::resolveGeneric(Cta &cta, const Warp *warp, unsigned lane, uint64_t address, uint64_t bytes) {
  if (address - sharedWindow < sharedWindowBytes) {
    return resolveShared(cta, address - sharedWindow, bytes);
  }
  if (address - localWindow < localWindowBytes) {
    Target target;
    target.local = true;
    target.offset = address - localWindow;
    if (warp && target.offset + bytes <= grid.config.kernel->localBytes) {
      target.bytes = cta.localMemory(*warp, lane) + target.offset;
    }
    return target;
  }
  return resolveGlobal(address, bytes);
}

// --- Turns.

void Cluster::endCtas() {
  for (size_t i = 0; i < ctas.size(); ++i) {
    if (!ended[i] && ctas[i]->finished()) {
      ended[i] = true;
      async.finish(*ctas[i]);
      grid.launchDependents(*ctas[i]);
      if (grid.observer) {
        grid.observer->ctaEnds(*ctas[i]);
      }
    }
  }
}

/// Each warp once; true if any instruction ran.
bool Cluster::turn(uint64_t &budget, bool &yielded) {
  bool moved = false;
  yielded = true;
  size_t number = 0;
  bool ends = false;
  for (const std::unique_ptr<Cta> &cta : ctas) {
    for (const std::unique_ptr<Warp> &warp : cta->warps) {
      const size_t mine = number++;
      if (warp->finished() || grid.stopped()) {
        continue;
      }
      if (!delays.empty()) {
        // Now and then a warp sits out for long, so that others run as far ahead as they can.
        if (delays[mine]) {
          --delays[mine];
          moved = true;
          continue;
        }
        if (random() % 16 == 0) {
          delays[mine] = static_cast<uint32_t>(random() % 64);
        }
      }
      const unsigned length =
          static_cast<unsigned>(std::min<uint64_t>(budget, delays.empty() ? warpTurn : 1 + random() % 256));
      const uint64_t before = instructions;
      if (warp->run(length)) {
        moved = true;
        yielded &= warp->polls();
      }
      budget -= std::min(budget, std::max<uint64_t>(1, instructions - before));
      if (warp->finished()) {
        ends = true;
        if (grid.observer) {
          grid.observer->warpEnds(*warp);
        }
      }
      async.drift();
    }
  }
  if (ends) {
    endCtas();
  }
  yielded &= moved;
  return moved;
}

void Cluster::deadlock() {
  Fault fault;
  fault.kind = Fault::Kind::Deadlock;
  fault.actor.warp = ctas.front()->warps.front().get(); // Whose cluster it is; all its warps are in the text.
  fault.text = "nothing in the cluster can go on:\n" + describeWaits();
  if (grid.observer) {
    grid.observer->fault(fault);
  }
  grid.stop(std::move(fault));
}

bool Cluster::run(uint64_t budget) {
  bool any = false;
  for (unsigned idle = 0; budget && !finished() && !grid.stopped();) {
    bool yielded = false;
    const uint64_t signalsBefore = signals;
    const bool moved = turn(budget, yielded);
    if (signals != signalsBefore) {
      timeOuts = 0;
    }
    if (moved) {
      any = any || !yielded;
      if (!yielded) {
        idle = 0;
      } else if (++idle >= idleRounds) {
        return any;
      }
      continue;
    }
    if (finished() || grid.stopped()) {
      break;
    }
    if (async.unblock()) {
      timeOuts = 0;
      any = true;
      continue;
    }
    bool external = false, timedOut = false;
    for (const std::unique_ptr<Cta> &cta : ctas) {
      for (const std::unique_ptr<Warp> &warp : cta->warps) {
        external |= warp->stall().external;
      }
    }
    if (external) {
      return any;
    }
    for (const std::unique_ptr<Cta> &cta : ctas) {
      for (const std::unique_ptr<Warp> &warp : cta->warps) {
        timedOut |= warp->timeOut();
      }
    }
    if (!timedOut || ++timeOuts > grid.options.pollLimit) {
      deadlock();
      return true;
    }
  }
  return any;
}

std::string Cluster::describeWaits() {
  std::string text;
  for (const std::unique_ptr<Cta> &cta : ctas) {
    for (const std::unique_ptr<Warp> &warp : cta->warps) {
      text += warp->describeWaits();
    }
  }
  return text;
}

} // namespace emulator
