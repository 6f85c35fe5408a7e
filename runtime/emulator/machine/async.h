#ifndef RUNTIME_EMULATOR_MACHINE_ASYNC_H
#define RUNTIME_EMULATOR_MACHINE_ASYNC_H

// Work that a lane issues and that happens later: bulk and tensor copies, cp.async, st.async, wgmma. When it happens is
// the run's Order; an operation that a correct program could still be waiting for must not have happened yet in Lazy,
// so that a missing wait reads poison.

#include "checker/observer.h"
#include "machine/options.h"
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

namespace emulator {

class Cluster;
class Cta;

/// One operation in flight. Reading the source and completing may be two moments (`wait_group.read` needs the first).
class AsyncOperation {
public:
  virtual ~AsyncOperation() = default;
  /// Reads the source, writes the destination, completes on its mbarrier or in its group.
  virtual void perform() = 0;
  /// For a wait on the mbarrier at (cta, offset): whether this operation will signal it.
  virtual bool signals(const Cta &cta, uint32_t offset) const { return false; }
  /// For a wait on groups of the warp: whether it belongs to a group that the wait needs.
  virtual bool belongsTo(const Warp &warp, Observer::AsyncKind kind) const { return false; }

  Actor actor;
  uint64_t id = 0;
  Observer::AsyncKind kind = Observer::AsyncKind::Bulk;
};

class AsyncEngine {
public:
  explicit AsyncEngine(Cluster &cluster) : cluster(cluster) {}

  uint64_t nextId() { return ++lastId; }
  /// Performs at once (Eager) or keeps.
  void issue(std::unique_ptr<AsyncOperation> operation);
  /// Performs those in flight for which `which` holds, in the order of issue (Random: in any order); true if any did.
  bool performWhere(const std::function<bool(const AsyncOperation &)> &which);
  /// Called by the scheduler between turns: in Random, sometimes performs one of those in flight.
  void drift();
  /// Called by the scheduler when nothing in the cluster can go on: performs what somebody waits for, else the oldest.
  bool unblock();
  bool idle() const { return inFlight.empty(); }

private:
  Cluster &cluster;
  std::deque<std::unique_ptr<AsyncOperation>> inFlight;
  uint64_t lastId = 0;
};

} // namespace emulator

#endif
