#ifndef RUNTIME_EMULATOR_MACHINE_WARP_H
#define RUNTIME_EMULATOR_MACHINE_WARP_H

// 32 lanes with a program counter each (independent thread scheduling): lanes that stand at the same place run together
// as a group. Any group that is not waiting may run; one that branches backwards without progress lets others run, so
// that an elected lane may poll while the other 31 wait for it. Groups merge where they meet, and must meet before
// `.sync` and `.aligned` instructions.

#include "checker/observer.h"
#include "machine/program.h"
#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace emulator {

class Cta;
class Grid;

/// What a group of lanes waits for. Polled by the cluster's scheduler; `describe` gives deadlock reports their words
/// ("mbarrier at shared+0x400, phase 1: 0 of 2 arrivals, 16384 bytes outstanding").
struct Wait {
  bool (*ready)(Warp &, const Wait &) = nullptr;
  std::string (*describe)(Warp &, const Wait &) = nullptr;
  bool again =
      false; ///< the instruction runs once more when ready (it looks again); otherwise the group goes on behind it
  /// May end without being ready when nothing else in the machine can go on (try_wait's time limit). The instruction
  /// then runs again and finds `Warp::takeTimeOut`.
  bool mayTimeOut = false;
  /// What it waits for may come from outside of the cluster (another grid), so waiting long is no deadlock.
  bool external = false;
  const Op *op = nullptr; ///< the instruction and its lanes; Warp::wait fills these in. `ready`, which says yes only
  Lanes lanes = 0;        ///< once, may finish the instruction's work for them
  Cta *cta = nullptr;
  uint64_t a = 0, b = 0;
  bool mbarrier = false; ///< for the mbarrier at offset `a` of `cta`: operations in flight may signal it
};

struct Frame {
  const Code *code = nullptr;
  /// Lanes that have written each register of Code::undefinedSlots, by slot offset / 64; only where somebody observes.
  Lanes *written = nullptr;
  std::byte *registers = nullptr; ///< Code::registerBytes
  uint32_t *predicates = nullptr; ///< Code::predicateCount words
  uint32_t localBase = 0;         ///< of the frame in each lane's local memory
};

class Warp {
public:
  Warp(Cta &cta, unsigned index);
  ~Warp();
  Warp(const Warp &) = delete;

  Cta &cta;
  const unsigned index;         ///< in the CTA
  Lanes alive = 0;              ///< lanes that exist and have not exited
  Observer *observer = nullptr; ///< the grid's, or null
  uint32_t registers = 0;       ///< that a thread may use now (setmaxnreg)
  Lanes clusterArrived = 0;     ///< lanes that have arrived at barrier.cluster in the phase that runs
  Lanes clusterOwed = 0;        ///< lanes that have arrived and not waited yet

  Grid &grid() const;
  /// Whether the instruction runs again because its wait timed out (see Wait::mayTimeOut); true once.
  bool takeTimeOut();
  unsigned warpgroup() const { return index / 4; }

  // --- for handlers: the registers of the group that runs.
  template <typename T> const T *read(Operand operand) const {
    const std::byte *base = operand.constant ? constants : frame->registers;
    return reinterpret_cast<const T *>(base + operand.offset);
  }
  template <typename T> T *write(Operand operand) { return reinterpret_cast<T *>(frame->registers + operand.offset); }
  Lanes read(Predicate predicate) const {
    Lanes value = frame->predicates[predicate.index];
    return predicate.negated ? ~value : value;
  }
  /// Sets the predicate in `lanes`, leaves the others.
  void write(Predicate predicate, Lanes lanes, Lanes value) {
    Lanes &word = frame->predicates[predicate.index];
    word = (word & ~lanes) | (value & lanes);
  }

  // --- for handlers that steer.
  /// Blocks the running group.
  Flow wait(const Wait &what);
  /// The running group's lanes in `taken` go to `target`, the others on. Gives Moved.
  Flow branch(uint32_t target, Lanes taken);
  /// The running group's lanes in `lanes` leave it, to come to this instruction once more by themselves.
  void putOff(Lanes lanes);
  Flow exit(Lanes lanes);
  /// Stops the grid: the launch ends with the error that the kind stands for.
  Flow fault(Fault fault);
  /// As above, with the running instruction as the actor.
  Flow fault(Fault::Kind kind, const Op &op, Lanes lanes, uint64_t address, std::string text);
  uint32_t pc() const; ///< of the running group
  /// The running group's lanes, whether or not they passed the guard.
  Lanes group() const;
  /// For Convergence::Meeting: all lanes that meet, also those at other instructions.
  Lanes meeting() const;
  /// The running group's lanes in `lanes` enter a function, in a frame of its own; false where the stack is full.
  bool enter(const Code &code, Lanes lanes);
  /// The running group's lanes in `lanes` go back to behind the call. Gives Moved.
  Flow leave(Lanes lanes);
  /// The frame that called the running one, null in a kernel; and the call.
  const Frame *caller() const;
  const Op *callOp() const;
  /// Instructions that the cluster has run: the emulated clock.
  uint64_t clock() const;

  /// Coordinates of a lane's thread in the CTA.
  void threadIndex(unsigned lane, uint32_t (&xyz)[3]) const;

  // --- the wgmma machinery's (ops/warpgroup_matrix.cpp), kept by warp.
  struct WgmmaState;
  std::shared_ptr<WgmmaState> wgmma; ///< null until the first; shared only so that the type may stay incomplete here
  /// Slots of the running frame under a wgmma in flight; the interpreter looks only while this is not empty.
  std::vector<Op::Slot> slotsInFlight;
  std::vector<const Op *> opsInFlight; ///< the wgmma of each

  // --- asynchronous groups by lane (ops/async_copies.cpp).
  struct AsyncGroups;
  std::shared_ptr<AsyncGroups> asyncGroups;

  const Frame *frame = nullptr; ///< of the running group
  const std::byte *constants = nullptr;

  // --- the interpreter's own (machine/warp.cpp).
  struct Impl;
  std::unique_ptr<Impl> impl;
  /// Runs groups until none can, or `budget` instructions are done; true if any progress was made.
  bool run(unsigned budget);
  bool finished() const { return alive == 0; }
  /// What its groups wait for.
  void eachWait(const std::function<void(const Wait &)> &visit) const;
  /// Some group waits and none can run: the cluster asks when all its warps say so.
  struct Stall {
    bool mayTimeOut = false, external = false;
  };
  /// Ends one wait that may time out; true if there was one.
  bool timeOut();
  Stall stall() const;
  /// "warp 3, lanes 0xffffffff: mbarrier …, at line 20: mbarrier.try_wait …" for each group, a line each.
  std::string describeWaits();
  bool yielded = false; ///< the last run ended because all who could run were polling

  /// Strong loads and atomic operations tell what they meet in each lane, and then that they are done. A loop that
  /// polls meets the same again; whoever meets something new gets on.
  void sees(const void *address, const void *value, size_t bytes);
  void seesNoMore(const Op &op, Lanes lanes);
  /// Has looked again at what it saw, and not got away from that since.
  bool polls() const { return sinceLook < longestPollingLoop; }

private:
  /// Instructions. A turn may be too short to come around a polling loop, so a few that are none prove nothing.
  static constexpr unsigned longestPollingLoop = 64;
  uint64_t sinceLook = longestPollingLoop;
  bool seesNew = false;
  uint64_t seeing = 0;               ///< a hash of what the instruction has met so far
  std::array<uint64_t, 8> seen = {}; ///< the last ones, for loops that look at several places
  unsigned lastSeen = 0;
  /// What the last of these instructions found in their first lane, for reports.
  struct Look {
    const Op *op = nullptr;
    Lanes lanes = 0;
    const void *address = nullptr;
    uint64_t value = 0;
  };
  std::array<Look, 4> looks;
  Look look; ///< of the instruction that runs
  unsigned lastLook = 0;
  const Look *lookOf(const Code &code, Lanes lanes) const;
  std::string describe(const Look &look) const;
};

/// Calls `each(lane)` for the set lanes; a plain loop over 32 where all are set, which the compiler vectorises.
template <typename Each> inline void forLanes(Lanes lanes, Each each) {
  if (lanes == allLanes) {
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      each(lane);
    }
    return;
  }
  for (; lanes; lanes &= lanes - 1) {
    each(static_cast<unsigned>(__builtin_ctz(lanes)));
  }
}

} // namespace emulator

#endif
