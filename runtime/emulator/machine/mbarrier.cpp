#include "machine/mbarrier.h"
#include "machine/cta.h"
#include "machine/grid.h"
#include <cstring>

namespace emulator {

namespace {

constexpr int64_t countLimit = (1 << 20) - 1; // PTX ISA, mbarrier: "supported contents"

// The state word, which is also the object's image in memory: pending arrivals in bits 0-19, the expected count in
// 20-39, completed phases in 40-62, and bit 63 so that no zeroed memory looks like a barrier.
uint64_t stateOf(const Mbarrier &barrier) {
  return (static_cast<uint64_t>(barrier.pending) & 0xFFFFF) | uint64_t(barrier.count & 0xFFFFF) << 20 |
         uint64_t(barrier.phase & 0x7FFFFF) << 40 | uint64_t(1) << 63;
}

uint32_t phaseOf(uint64_t state) { return static_cast<uint32_t>(state >> 40) & 0x7FFFFF; }

std::string hexadecimal(uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%x", value);
  return text;
}

/// "shared+0x408 (barriers)".
std::string placeOf(const Cta &owner, uint32_t offset) {
  std::string name;
  for (const Parameter &variable : owner.cluster.grid.config.kernel->sharedVariables) {
    if (offset >= variable.offset && offset < variable.offset + variable.size) {
      name = " (" + variable.name + ")";
    }
  }
  return "shared+" + hexadecimal(offset) + name;
}

} // namespace

uint32_t Mbarriers::pendingCount(uint64_t state) { return state & 0xFFFFF; }

void Mbarriers::misused(Actor actor, uint32_t offset, const std::string &text, bool fatal) {
  if (Observer *observer = owner.grid().observer) {
    observer->mbarrierMisused(actor, owner, offset, text);
  }
  if (fatal) {
    faulted = true;
    Fault fault;
    fault.kind = Fault::Kind::IllegalBarrier;
    fault.actor = actor;
    fault.address = owner.sharedAddress(offset);
    fault.text = "mbarrier at " + placeOf(owner, offset) + ": " + text;
    owner.warps.front()->fault(std::move(fault));
  }
}

void Mbarriers::write(uint32_t offset, Mbarrier &barrier) {
  barrier.image = stateOf(barrier);
  std::memcpy(owner.shared() + offset, &barrier.image, sizeof(barrier.image));
}

Mbarrier *Mbarriers::known(Actor actor, uint32_t offset, std::string_view what) {
  auto found = barriers.find(offset);
  if (found == barriers.end()) {
    misused(actor, offset, std::string(what) + " on memory that holds no mbarrier", true);
    return nullptr;
  }
  if (!find(offset)) {
    misused(actor, offset, std::string(what) + " on an mbarrier whose bytes were overwritten", true);
    return nullptr;
  }
  if (owner.finished()) {
    // By a thread this is a fault; what a copy completes too late only the checker tells.
    misused(actor, offset, std::string(what) + " on an mbarrier of a CTA that has exited", actor.warp != nullptr);
    return nullptr;
  }
  return &found->second;
}

void Mbarriers::settle(uint32_t offset, Mbarrier &barrier) {
  if (barrier.pending == 0 && barrier.bytes == 0) {
    uint32_t finished = barrier.phase++;
    barrier.pending = barrier.count;
    if (Observer *observer = owner.grid().observer) {
      observer->mbarrierPhase(owner, offset, finished);
    }
  }
  write(offset, barrier);
}

void Mbarriers::initialise(Actor actor, uint32_t offset, uint32_t count) {
  if (find(offset)) {
    misused(actor, offset, "initialised again without mbarrier.inval", false);
  }
  if (count == 0 || count > countLimit) {
    misused(actor, offset, "initialised with count " + std::to_string(count) + ", expected 1 to 1048575", true);
    return;
  }
  if (Observer *observer = owner.grid().observer) {
    observer->mbarrierInit(actor, owner, offset, count);
  }
  Mbarrier &barrier = barriers[offset];
  barrier = Mbarrier{};
  barrier.count = count;
  barrier.pending = count;
  write(offset, barrier);
}

void Mbarriers::invalidate(Actor actor, uint32_t offset) {
  if (!find(offset)) {
    misused(actor, offset, "mbarrier.inval on memory that holds no mbarrier", false);
    return;
  }
  if (Observer *observer = owner.grid().observer) {
    observer->mbarrierInvalidated(actor, owner, offset);
  }
  barriers.erase(offset);
  uint64_t nothing = 0;
  std::memcpy(owner.shared() + offset, &nothing, sizeof(nothing));
}

uint64_t Mbarriers::arrive(Actor actor, uint32_t offset, uint32_t arrivals, bool release, Lanes lanes, bool drop) {
  Mbarrier *barrier = known(actor, offset, "arrival");
  if (!barrier) {
    return 0;
  }
  uint64_t state = stateOf(*barrier);
  if (arrivals > barrier->pending) {
    misused(actor, offset,
            std::to_string(arrivals) + " arrivals where " + std::to_string(barrier->pending) + " of " +
                std::to_string(barrier->count) + " are pending",
            true);
    return state;
  }
  if (Observer *observer = owner.grid().observer) {
    observer->mbarrierArrives(actor, owner, offset, arrivals, release, lanes);
  }
  barrier->pending -= arrivals;
  if (drop) { // The next phases expect fewer (PTX ISA, mbarrier.arrive_drop).
    barrier->count -= arrivals;
  }
  settle(offset, *barrier);
  return state;
}

void Mbarriers::expect(Actor actor, uint32_t offset, int64_t bytes) {
  Mbarrier *barrier = known(actor, offset, "expect_tx");
  if (!barrier) {
    return;
  }
  if (Observer *observer = owner.grid().observer) {
    observer->mbarrierExpects(actor, owner, offset, bytes);
  }
  barrier->bytes += bytes;
  if (barrier->bytes > countLimit) {
    misused(actor, offset, std::to_string(barrier->bytes) + " bytes expected, more than 1048575", true);
    return;
  }
  settle(offset, *barrier);
}

void Mbarriers::complete(Actor actor, uint32_t offset, int64_t bytes) {
  Mbarrier *barrier = known(actor, offset, "complete_tx");
  if (!barrier) {
    return;
  }
  if (Observer *observer = owner.grid().observer) {
    observer->mbarrierCompletes(actor, owner, offset, bytes);
  }
  barrier->bytes -= bytes;
  if (barrier->bytes < -countLimit) {
    misused(actor, offset, std::to_string(-barrier->bytes) + " bytes completed before they were expected", true);
    return;
  }
  settle(offset, *barrier);
}

void Mbarriers::addPending(Actor actor, uint32_t offset, uint32_t arrivals) {
  Mbarrier *barrier = known(actor, offset, "cp.async.mbarrier.arrive");
  if (!barrier) {
    return;
  }
  barrier->pending += arrivals;
  if (barrier->pending > countLimit) {
    misused(actor, offset, "more than 1048575 pending arrivals", true);
    return;
  }
  write(offset, *barrier);
}

void Mbarriers::mustNotComplete(Actor actor, uint32_t offset, uint32_t arrivals) {
  const Mbarrier *barrier = find(offset);
  if (barrier && barrier->pending == arrivals) {
    misused(actor, offset, "an arrival with .noComplete completes the phase", true);
  }
}

bool Mbarriers::mustBeValid(Actor actor, uint32_t offset, std::string_view what) {
  return known(actor, offset, what) != nullptr;
}

bool Mbarriers::passed(uint32_t offset, unsigned parity) const {
  const Mbarrier *barrier = find(offset);
  return barrier && (barrier->phase & 1) != (parity & 1);
}

bool Mbarriers::passedState(uint32_t offset, uint64_t state) const {
  const Mbarrier *barrier = find(offset);
  return barrier && (barrier->phase & 0x7FFFFF) != phaseOf(state);
}

const Mbarrier *Mbarriers::find(uint32_t offset) const {
  auto found = barriers.find(offset);
  if (found == barriers.end() || std::memcmp(owner.shared() + offset, &found->second.image, sizeof(uint64_t)) != 0) {
    return nullptr;
  }
  return &found->second;
}

std::string Mbarriers::describe(uint32_t offset) const {
  std::string text = "mbarrier at " + placeOf(owner, offset);
  auto found = barriers.find(offset);
  if (found == barriers.end()) {
    return text + ": none was initialised";
  }
  const Mbarrier &barrier = found->second;
  text += ", phase " + std::to_string(barrier.phase) + ": " + std::to_string(barrier.count - barrier.pending) + " of " +
          std::to_string(barrier.count) + " arrivals, " + std::to_string(barrier.bytes) + " bytes outstanding";
  return find(offset) ? text : text + " (its bytes were overwritten)";
}

} // namespace emulator
