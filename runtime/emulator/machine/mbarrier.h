#ifndef RUNTIME_EMULATOR_MACHINE_MBARRIER_H
#define RUNTIME_EMULATOR_MACHINE_MBARRIER_H

// mbarrier objects (PTX ISA 9.7.13.15): 8 opaque bytes in shared memory for the program, a record here. A phase
// completes when the pending arrivals and the pending bytes are both zero; bytes may complete before they are expected,
// so the byte count is signed.

#include "checker/observer.h"
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace emulator {

class Cta;

struct Mbarrier {
  uint32_t count = 0;  ///< arrivals that a phase expects (changed by arrive_drop)
  int64_t pending = 0; ///< arrivals that this phase still waits for
  int64_t bytes = 0;   ///< transaction bytes that this phase still waits for
  uint32_t phase = 0;  ///< number of completed phases
  uint64_t image = 0;  ///< the bytes as the machine last wrote them: other bytes there mean somebody overwrote it
};

/// The mbarriers of one CTA's shared memory, by offset. Misuse goes to the observer and, where hardware would fault or
/// hang, becomes a fault of the actor's warp.
class Mbarriers {
public:
  explicit Mbarriers(Cta &owner) : owner(owner) {}

  /// mbarrier.pending_count of a state word.
  static uint32_t pendingCount(uint64_t state);

  void initialise(Actor actor, uint32_t offset, uint32_t count);
  void invalidate(Actor actor, uint32_t offset);
  /// Returns the state word before the arrival (what `mbarrier.arrive` gives).
  uint64_t arrive(Actor actor, uint32_t offset, uint32_t arrivals, bool release, Lanes lanes, bool drop = false);
  void expect(Actor actor, uint32_t offset, int64_t bytes);
  void complete(Actor actor, uint32_t offset, int64_t bytes);
  /// cp.async.mbarrier.arrive without .noinc: one more pending arrival.
  void addPending(Actor actor, uint32_t offset, uint32_t arrivals);
  /// An arrival that says it does not complete the phase (.noComplete).
  void mustNotComplete(Actor actor, uint32_t offset, uint32_t arrivals);
  /// False, and a fault, where there is no barrier to wait for.
  bool mustBeValid(Actor actor, uint32_t offset, std::string_view what);
  /// Whether the phase of the given parity has completed (the phase before a fresh barrier's first counts as complete).
  bool passed(uint32_t offset, unsigned parity) const;
  /// Whether the phase that `state` belongs to has completed.
  bool passedState(uint32_t offset, uint64_t state) const;
  /// Null where none was initialised, or its bytes were overwritten.
  const Mbarrier *find(uint32_t offset) const;
  std::string describe(uint32_t offset) const;
  /// A misuse has stopped the grid; a handler then returns Flow::Ended.
  bool faulted = false;

private:
  void settle(uint32_t offset, Mbarrier &barrier);
  Mbarrier *known(Actor actor, uint32_t offset, std::string_view what);
  void misused(Actor actor, uint32_t offset, const std::string &text, bool fatal);
  void write(uint32_t offset, Mbarrier &barrier);

  Cta &owner;
  std::map<uint32_t, Mbarrier> barriers;
};

} // namespace emulator

#endif
