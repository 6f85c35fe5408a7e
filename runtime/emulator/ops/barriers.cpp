#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include "ops/addresses.h"
#include <bit>
#include <cstdio>

// PTX ISA 9.7.13.1 to 9.7.13.4, and what else concerns whole CTAs and clusters: bar, barrier, barrier.cluster,
// griddepcontrol, setmaxnreg, mapa, getctarank.

namespace emulator {

using ptx::Type;

namespace {

// --- Named barriers.

enum class Reduce : uint8_t { None, Count, And, Or };

struct BarrierForm {
  bool counted = false; ///< a number of threads is given
  bool waits = true;    ///< not bar.arrive
  Reduce reduce = Reduce::None;
};

uint32_t threadsAlive(const Cta &cta) {
  uint32_t count = 0;
  for (const std::unique_ptr<Warp> &warp : cta.warps) {
    count += static_cast<uint32_t>(std::popcount(warp->alive));
  }
  return count;
}

/// Begins the next generation if all have come. Threads that exited are not waited for.
void settle(Cta &cta, NamedBarrier &barrier) {
  const uint32_t expected = barrier.expected == NamedBarrier::everybody ? threadsAlive(cta) : barrier.expected;
  if (!barrier.expected || barrier.arrived < expected) {
    return;
  }
  barrier.results[barrier.generation & 1] = barrier.reduced;
  ++barrier.generation;
  barrier.expected = barrier.arrived = barrier.reduced = 0;
}

bool barrierReady(Warp &warp, const Wait &wait) {
  NamedBarrier &barrier = warp.cta.barriers[wait.b];
  const uint32_t generation = static_cast<uint32_t>(wait.a);
  if (barrier.generation == generation) {
    settle(warp.cta, barrier);
    if (barrier.generation == generation) {
      return false;
    }
  }
  const Op &op = *wait.op;
  const uint32_t result = barrier.results[generation & 1];
  switch (static_cast<const BarrierForm *>(op.form)->reduce) {
  case Reduce::None:
    break;
  case Reduce::Count: {
    uint32_t *d = warp.write<uint32_t>(op.operands[2]);
    forLanes(wait.lanes, [&](unsigned lane) { d[lane] = result; });
    break;
  }
  case Reduce::And:
  case Reduce::Or:
    warp.write(op.predicates[0], wait.lanes, result ? allLanes : 0);
  }
  if (warp.observer) {
    warp.observer->barrierPasses(warp, op, static_cast<unsigned>(wait.b), wait.lanes);
  }
  return true;
}

std::string describeBarrier(Warp &warp, const Wait &wait) {
  const NamedBarrier &barrier = warp.cta.barriers[wait.b];
  const uint32_t expected = barrier.expected == NamedBarrier::everybody ? threadsAlive(warp.cta) : barrier.expected;
  return "barrier " + std::to_string(wait.b) + ": " + std::to_string(barrier.arrived) + " of " +
         std::to_string(expected) + " threads arrived";
}

Flow barrier(Warp &warp, const Op &op, Lanes lanes) {
  const BarrierForm &form = *static_cast<const BarrierForm *>(op.form);
  const unsigned first = static_cast<unsigned>(std::countr_zero(lanes));
  const uint32_t number = warp.read<uint32_t>(op.operands[0])[first];
  const uint32_t count = form.counted ? warp.read<uint32_t>(op.operands[1])[first] : NamedBarrier::everybody;
  auto illegal = [&](std::string text) {
    return warp.fault(Fault::Kind::IllegalBarrier, op, lanes, number, std::move(text));
  };
  if (number >= warp.cta.barriers.size()) {
    return illegal("barrier " + std::to_string(number) + ", expected 0 to 15");
  }
  if (form.counted && (count == 0 || count % warpLanes)) {
    return illegal("barrier " + std::to_string(number) + " for " + std::to_string(count) +
                   " threads, expected a multiple of 32");
  }
  NamedBarrier &state = warp.cta.barriers[number];
  if (state.expected && state.expected != count) {
    auto words = [](uint32_t threads) { return threads == NamedBarrier::everybody ? "all" : std::to_string(threads); };
    return illegal("barrier " + std::to_string(number) + " for " + words(count) +
                   " threads, while others wait there for " + words(state.expected));
  }
  state.expected = count;
  // A warp counts as 32 threads, also where some have exited or never were.
  const uint32_t arrivals =
      form.counted && lanes == warp.alive ? warpLanes : static_cast<uint32_t>(std::popcount(lanes));
  if (form.counted && state.arrived + arrivals > count) {
    return illegal("arrival of " + std::to_string(arrivals) + " threads at barrier " + std::to_string(number) +
                   ", which has " + std::to_string(state.arrived) + " of " + std::to_string(count));
  }
  if (warp.observer) {
    warp.observer->barrierArrives(warp, op, number, lanes);
  }
  const Lanes yes = form.reduce == Reduce::None ? 0 : warp.read(op.predicates[1]) & lanes;
  if (form.reduce == Reduce::And && state.arrived == 0) {
    state.reduced = 1;
  }
  switch (form.reduce) {
  case Reduce::None:
    break;
  case Reduce::Count:
    state.reduced += static_cast<uint32_t>(std::popcount(yes));
    break;
  case Reduce::And:
    state.reduced &= yes == lanes;
    break;
  case Reduce::Or:
    state.reduced |= yes != 0;
    break;
  }
  state.arrived += arrivals;
  Wait wait;
  wait.ready = barrierReady;
  wait.describe = describeBarrier;
  wait.cta = &warp.cta;
  wait.a = state.generation;
  wait.b = number;
  settle(warp.cta, state);
  return form.waits ? warp.wait(wait) : Flow::Next;
}

void decodeBarrier(Decoder &d, Op &op, bool aligned) {
  d.accept("cta");
  BarrierForm form;
  unsigned next = 0;
  const unsigned what = d.oneOf({"sync", "arrive", "red"});
  form.waits = what != 1;
  if (what == 2) {
    const unsigned reduce = d.oneOf({"popc", "and", "or"});
    form.reduce = reduce == 0 ? Reduce::Count : reduce == 1 ? Reduce::And : Reduce::Or;
  }
  if (!aligned) {
    aligned = d.accept("aligned");
  }
  if (what == 2) {
    if (form.reduce == Reduce::Count) {
      d.expect("u32");
      op.operands[2] = d.destination(next++, Type::U32);
    } else {
      d.expect("pred");
      op.predicates[0] = d.predicateDestination(d.operand(next++));
    }
    op.predicates[1] = d.predicateSource(d.operand(d.operandCount() - 1));
  }
  const unsigned last = d.operandCount() - (what == 2 ? 1 : 0);
  op.operands[0] = d.source(next++, Type::U32);
  if (next < last) {
    form.counted = true;
    op.operands[1] = d.source(next++, Type::U32);
  } else if (what == 1) {
    d.error("expected a number of threads");
  }
  if (next != last) {
    d.error("found more operands than the barrier has");
  }
  op.convergence = aligned ? Convergence::Warp : Convergence::None;
  op.form = d.keep(form);
  op.run = barrier;
}

// --- barrier.cluster

void settleCluster(Cluster &cluster) {
  for (const std::unique_ptr<Cta> &cta : cluster.ctas) {
    for (const std::unique_ptr<Warp> &warp : cta->warps) {
      if (warp->alive & ~warp->clusterArrived) {
        return;
      }
    }
  }
  for (const std::unique_ptr<Cta> &cta : cluster.ctas) {
    for (const std::unique_ptr<Warp> &warp : cta->warps) {
      warp->clusterArrived = 0;
    }
  }
  ++cluster.barrierPhase;
  cluster.barrierArrived = 0;
}

enum ClusterBarrierFlags : int64_t { Ordered = 1 };

Flow clusterArrive(Warp &warp, const Op &op, Lanes lanes) {
  if (const Lanes twice = warp.clusterOwed & lanes) {
    return warp.fault(Fault::Kind::IllegalBarrier, op, twice, 0,
                      "a second barrier.cluster.arrive without barrier.cluster.wait in between");
  }
  if (warp.observer) {
    warp.observer->clusterArrives(warp, op, op.immediate & Ordered, lanes);
  }
  warp.clusterOwed |= lanes;
  warp.clusterArrived |= lanes;
  Cluster &cluster = warp.cta.cluster;
  cluster.barrierArrived += static_cast<uint32_t>(std::popcount(lanes));
  settleCluster(cluster);
  return Flow::Next;
}

bool clusterReady(Warp &warp, const Wait &wait) {
  if (warp.clusterArrived & wait.lanes) {
    settleCluster(warp.cta.cluster);
    if (warp.clusterArrived & wait.lanes) {
      return false;
    }
  }
  if (warp.observer) {
    warp.observer->clusterPasses(warp, *wait.op, wait.op->immediate & Ordered, wait.lanes);
  }
  return true;
}

std::string describeCluster(Warp &warp, const Wait &) {
  uint32_t alive = 0;
  for (const std::unique_ptr<Cta> &cta : warp.cta.cluster.ctas) {
    alive += threadsAlive(*cta);
  }
  return "barrier.cluster, phase " + std::to_string(warp.cta.cluster.barrierPhase) + ": " +
         std::to_string(warp.cta.cluster.barrierArrived) + " of " + std::to_string(alive) + " threads arrived";
}

Flow clusterWait(Warp &warp, const Op &op, Lanes lanes) {
  if (const Lanes early = lanes & ~warp.clusterOwed) {
    return warp.fault(Fault::Kind::IllegalBarrier, op, early, 0,
                      "barrier.cluster.wait without barrier.cluster.arrive before it");
  }
  warp.clusterOwed &= ~lanes;
  Wait wait;
  wait.ready = clusterReady;
  wait.describe = describeCluster;
  wait.cta = &warp.cta;
  return warp.wait(wait);
}

void decodeClusterBarrier(Decoder &d, Op &op) {
  const bool waits = d.oneOf({"arrive", "wait"});
  bool ordered = true;
  if (waits) {
    d.accept("acquire");
  } else if (!d.accept("release")) {
    ordered = !d.accept("relaxed");
  }
  op.convergence = d.accept("aligned") ? Convergence::Warp : Convergence::None;
  op.immediate = ordered ? Ordered : 0;
  d.operandsEnd(0);
  op.run = waits ? clusterWait : clusterArrive;
}

// --- griddepcontrol

bool primariesReady(Warp &warp, const Wait &wait) {
  if (!warp.grid().primariesEnded()) {
    return false;
  }
  if (warp.observer) {
    warp.observer->dependencyPassed(warp, *wait.op);
  }
  return true;
}

std::string describePrimaries(Warp &, const Wait &) { return "the grids that this one depends on"; }

Flow waitForPrimaries(Warp &warp, const Op &, Lanes) {
  Wait wait;
  wait.ready = primariesReady;
  wait.describe = describePrimaries;
  wait.external = true;
  return warp.wait(wait);
}

Flow launchDependents(Warp &warp, const Op &op, Lanes) {
  if (warp.observer) {
    warp.observer->dependentsLaunched(warp, op);
  }
  warp.grid().launchDependents(warp.cta);
  return Flow::Next;
}

// --- setmaxnreg

bool registersReady(Warp &warp, const Wait &wait) { return warp.cta.registersFree >= wait.a; }

std::string describeRegisters(Warp &warp, const Wait &wait) {
  return std::to_string(wait.a) + " registers for setmaxnreg, of which " + std::to_string(warp.cta.registersFree) +
         " are free";
}

Flow setRegisters(Warp &warp, const Op &op, Lanes) {
  const Kernel &kernel = *warp.grid().config.kernel;
  if (!kernel.bounds.maxThreads[0] && !kernel.bounds.requiredThreads[0] && !kernel.bounds.maxRegisters) {
    // Without bounds ptxas does not know how many registers the kernel begins with, and drops the instruction.
    return Flow::Next;
  }
  const uint32_t wanted = static_cast<uint32_t>(op.immediate) & 0xffff;
  const bool increases = op.immediate >> 16;
  if (!increases) {
    if (wanted < warp.registers) {
      warp.cta.registersFree += (warp.registers - wanted) * warpLanes;
      warp.registers = wanted;
    }
    return Flow::Next;
  }
  if (wanted <= warp.registers) {
    return Flow::Next;
  }
  const uint32_t more = (wanted - warp.registers) * warpLanes;
  if (warp.cta.registersFree < more) {
    Wait wait;
    wait.ready = registersReady;
    wait.describe = describeRegisters;
    wait.again = true;
    wait.a = more;
    return warp.wait(wait);
  }
  warp.cta.registersFree -= more;
  warp.registers = wanted;
  return Flow::Next;
}

void decodeSetRegisters(Decoder &d, Op &op) {
  const bool decreases = d.oneOf({"inc", "dec"});
  d.expect("sync");
  d.expect("aligned");
  d.expect("u32");
  const int64_t count = d.constant(0);
  if (count < 24 || count > 256 || count % 8) {
    d.error("found " + std::to_string(count) + " registers, expected a multiple of 8 from 24 to 256");
  }
  d.operandsEnd(1);
  op.immediate = count | (decreases ? 0 : 1 << 16);
  op.convergence = Convergence::Warp;
  op.run = setRegisters;
}

// --- Addresses of other CTAs' shared memory.

template <typename T> Flow mapAddress(Warp &warp, const Op &op, Lanes lanes) {
  T *d = warp.write<T>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]);
  const uint32_t *rank = warp.read<uint32_t>(op.operands[2]);
  constexpr T offsets = (T(1) << sharedRankShift) - 1;
  const T base = static_cast<T>(op.immediate);
  forLanes(lanes, [&](unsigned lane) {
    d[lane] = base + ((a[lane] & offsets) | static_cast<T>(rank[lane]) << sharedRankShift);
  });
  return Flow::Next;
}

template <typename T> Flow rankOfAddress(Warp &warp, const Op &op, Lanes lanes) {
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]);
  forLanes(lanes, [&](unsigned lane) { d[lane] = static_cast<uint32_t>(a[lane]) >> sharedRankShift; });
  return Flow::Next;
}

void decodeMapAddress(Decoder &d, Op &op) {
  const bool shared = d.accept("shared::cluster");
  const Type type = d.type({Type::U32, Type::U64});
  if (!shared && type == Type::U32) {
    d.error("generic addresses have 64 bits");
  }
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, Type::U32);
  d.operandsEnd(3);
  op.immediate = shared ? 0 : static_cast<int64_t>(sharedWindow);
  op.run = type == Type::U32 ? mapAddress<uint32_t> : mapAddress<uint64_t>;
}

void decodeRankOfAddress(Decoder &d, Op &op) {
  const bool shared = d.accept("shared::cluster");
  const Type type = d.type({Type::U32, Type::U64});
  if (!shared && type == Type::U32) {
    d.error("generic addresses have 64 bits");
  }
  op.operands[0] = d.destination(0, Type::U32);
  op.operands[1] = d.source(1, type);
  d.operandsEnd(2);
  op.run = type == Type::U32 ? rankOfAddress<uint32_t> : rankOfAddress<uint64_t>;
}

} // namespace

void addBarriers(OpcodeTable &table) {
  table.add("bar", [](Decoder &d, Op &op) { decodeBarrier(d, op, true); });
  table.add("barrier", [](Decoder &d, Op &op) { decodeBarrier(d, op, false); });
  table.add("barrier.cluster", decodeClusterBarrier);
  table.add("griddepcontrol", [](Decoder &d, Op &op) {
    const bool launches = d.oneOf({"wait", "launch_dependents"});
    d.operandsEnd(0);
    op.run = launches ? launchDependents : waitForPrimaries;
  });
  table.add("setmaxnreg", decodeSetRegisters);
  table.add("mapa", decodeMapAddress);
  table.add("getctarank", decodeRankOfAddress);
}

} // namespace emulator
