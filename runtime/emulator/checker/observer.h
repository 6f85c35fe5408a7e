#ifndef RUNTIME_EMULATOR_CHECKER_OBSERVER_H
#define RUNTIME_EMULATOR_CHECKER_OBSERVER_H

// What the machine tells of a running grid, to whoever wants to know: the checker, the counters, the trace. A grid has
// one observer or none; where there is none, nothing is computed for it.

#include "machine/program.h"
#include <cstdint>
#include <span>
#include <string>

namespace emulator {

class Grid;
class Cluster;
class Cta;
class Warp;
struct LaunchConfig;

/// Which proxy an access goes through (PTX ISA, memory consistency model: "proxies").
enum class Proxy : uint8_t { Generic, Async, TensorMap, Constant };

/// Who did something, for a report.
struct Actor {
  const Warp *warp = nullptr; ///< null: an asynchronous operation; `op` still says which instruction issued it
  const Op *op = nullptr;
};

enum class Scope : uint8_t { None, Cta, Cluster, Gpu, System };
/// What an access or fence orders (PTX ISA, memory consistency model).
enum class Ordering : uint8_t { Weak, Volatile, Relaxed, Acquire, Release, AcquireRelease, SequentiallyConsistent };

struct MemoryAccess {
  Actor actor;
  enum class Kind : uint8_t { Read, Write, ReadWrite } kind = Kind::Read;
  Proxy proxy = Proxy::Generic;
  Ordering ordering = Ordering::Weak;
  Scope scope = Scope::None;
  bool shared = false; ///< shared memory of `cta`; global (or constant) otherwise; local is told too, with `local`
  bool local = false;
  const Cta *cta = nullptr;            ///< whose shared memory
  Lanes lanes = 0;                     ///< one address a lane, or lane 0 alone for asynchronous operations
  const uint64_t *addresses = nullptr; ///< [32]: global addresses, or offsets in the CTA's shared memory
  uint32_t bytes = 0;                  ///< each
};

struct Fault {
  enum class Kind : uint8_t {
    IllegalAddress,
    Misaligned,
    IllegalInstruction,
    Trap,
    Assertion,
    Deadlock,
    IllegalBarrier,
    StackOverflow,
    Unsupported
  } kind = Kind::Trap;
  Actor actor;
  Lanes lanes = 0;
  uint64_t address = 0;
  std::string text; ///< found, expected
};

/// Calls come from the host thread that runs the cluster; different clusters call at the same time.
class Observer {
public:
  virtual ~Observer() = default;

  virtual void gridBegins(Grid &) {}
  virtual void gridEnds(Grid &) {}
  virtual void ctaBegins(Cta &) {}
  virtual void ctaEnds(Cta &) {}
  virtual void warpEnds(Warp &) {}
  virtual void fault(const Fault &) {}

  /// Before an instruction runs: once, even where it waits and then looks again. `lanes` is 0 where the guard lets none
  /// pass. Only where `wantsInstructions`.
  virtual bool wantsInstructions() const { return false; }
  virtual void instruction(Warp &, const Op &, Lanes) {}

  // Memory. Told before the bytes move; asynchronous operations tell when they move them.
  virtual void access(const MemoryAccess &) {}
  virtual void fence(Warp &, const Op &, Ordering, Scope, Lanes) {}
  /// `proxies`: "async", "async.shared::cta", "async.global", "tensormap", "alias", "mbarrier_init".
  virtual void proxyFence(Warp &, const Op &, std::string_view proxies, Lanes) {}

  // Meetings. What happens before an arrival happens before what follows the wait.
  virtual void warpSync(Warp &, const Op &, Lanes) {}
  virtual void barrierArrives(Warp &, const Op &, unsigned barrier, Lanes) {}
  virtual void barrierPasses(Warp &, const Op &, unsigned barrier, Lanes) {}
  virtual void clusterArrives(Warp &, const Op &, bool release, Lanes) {}
  virtual void clusterPasses(Warp &, const Op &, bool acquire, Lanes) {}

  // mbarriers; `offset` in `owner`'s shared memory. `actor.warp` is null for arrivals by asynchronous operations.
  virtual void mbarrierInit(Actor, Cta &owner, uint32_t offset, uint32_t count) {}
  virtual void mbarrierInvalidated(Actor, Cta &owner, uint32_t offset) {}
  virtual void mbarrierArrives(Actor, Cta &owner, uint32_t offset, uint32_t arrivals, bool release, Lanes) {}
  virtual void mbarrierExpects(Actor, Cta &owner, uint32_t offset, int64_t bytes) {}
  virtual void mbarrierCompletes(Actor, Cta &owner, uint32_t offset, int64_t bytes) {}
  virtual void mbarrierPhase(Cta &owner, uint32_t offset, uint32_t finishedPhase) {}
  /// A wait that succeeded: the phase it saw completed.
  virtual void mbarrierPasses(Warp &, const Op &, Cta &owner, uint32_t offset, Lanes) {}
  virtual void mbarrierMisused(Actor, Cta &owner, uint32_t offset, const std::string &text) {}

  // Asynchronous operations: issued by a lane, read their source, write their destination, complete. `id` is unique in
  // the cluster. Groups: cp.async and bulk groups are a lane's, wgmma groups a warp's.
  enum class AsyncKind : uint8_t { CopyAsync, Bulk, Tensor, Wgmma, StoreAsync };
  virtual void asyncIssued(Warp &, const Op &, Lanes, uint64_t id, AsyncKind) {}
  /// What is told until asyncSourceRead or asyncDone is this operation's doing.
  virtual void asyncRuns(uint64_t id, Cta &) {}
  virtual void asyncSourceRead(uint64_t id, Cta &) {}
  virtual void asyncDone(uint64_t id, Cta &) {}
  virtual void groupCommitted(Warp &, const Op &, AsyncKind, Lanes) {}
  /// A wait_group that returned: all but the last `pending` groups are done (`readOnly`: have read their sources).
  virtual void groupWaited(Warp &, const Op &, AsyncKind, unsigned pending, bool readOnly, Lanes) {}
  virtual void wgmmaFence(Warp &, const Op &) {}
  /// The warps of a warpgroup meet at wgmma.fence, as at a barrier.
  virtual void warpgroupArrives(Warp &, const Op &, Lanes) {}
  virtual void warpgroupPasses(Warp &, const Op &, Lanes) {}
  /// An instruction touches registers of a wgmma that is in flight.
  virtual void registerInFlight(Warp &, const Op &, const Op &wgmma) {}
  /// A weak store in which two lanes write different values to one place: which of them stays is undefined.
  virtual void lanesCollide(Warp &, const Op &, unsigned lane, unsigned otherLane, const std::byte *place) {}
  virtual void undefinedRegister(Warp &, const Op &, Lanes, std::string_view name) {}

  // Programmatic dependent launch.
  virtual void dependentsLaunched(Warp &, const Op &) {}
  virtual void dependencyPassed(Warp &, const Op &) {}
};

} // namespace emulator

#endif
