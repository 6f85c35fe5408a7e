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
#include <vector>

namespace emulator {

class Cluster;
class Cta;

/// One operation in flight. It happens in two steps, because `wait_group.read` needs no more than the first.
class AsyncOperation {
public:
  virtual ~AsyncOperation() = default;
  /// Reads all that it reads; called once, before `finish`.
  virtual void readSource() = 0;
  /// Makes the destination unusable, where that is the issuer's to wait for; called when the operation is kept.
  virtual void poison() {}
  /// Writes the destination, completes on its mbarrier or in its group.
  virtual void finish() = 0;
  /// For a wait on the mbarrier at (cta, offset): whether this operation will signal it.
  virtual bool signals(const Cta &cta, uint32_t offset) const { return false; }
  /// Operations with the same key happen in the order of issue (a warp's wgmmas, its cp.asyncs and the arrivals that
  /// follow them); null: in any order.
  virtual const void *ordered() const { return nullptr; }

  Actor issuer;
  Cta *cta = nullptr; ///< whose warp issued it
  Lanes lanes = 0;
  uint64_t id = 0;
  Observer::AsyncKind kind = Observer::AsyncKind::Bulk;
  /// The number of the lanes' commit_group groups that were complete at the issue, for copies that belong to one.
  static constexpr uint32_t noGroup = ~uint32_t(0);
  uint32_t group = noGroup;
  bool sourceRead = false; ///< the engine's
};

class AsyncEngine {
public:
  explicit AsyncEngine(Cluster &cluster) : cluster(cluster) {}

  uint64_t nextId() { return ++lastId; }
  /// Performs at once (Eager) or keeps. Gives the operation its id and tells the observer.
  void issue(Warp &warp, const Op &op, Lanes lanes, std::unique_ptr<AsyncOperation> operation);
  using Which = std::function<bool(const AsyncOperation &)>;
  /// Performs those in flight for which `which` holds, in the order of issue (Random: in any order); true if any did.
  bool performWhere(const Which &which);
  /// As above, but no more than the reading of their sources.
  bool readWhere(const Which &which);
  /// Performs all that this CTA's warps issued: it is about to end, or its memory to go.
  void finish(const Cta &cta);
  /// Called by the scheduler between turns: in Random, sometimes performs one of those in flight.
  void drift();
  /// Called by the scheduler when nothing in the cluster can go on: performs what somebody waits for, else the oldest.
  bool unblock();
  /// A test_wait failed: after some of these on one mbarrier, what would signal it is performed.
  void polled(const Cta &cta, uint32_t offset);
  bool idle() const { return inFlight.empty(); }

private:
  void perform(std::vector<bool> chosen);
  void performAt(size_t index);

  Cluster &cluster;
  std::deque<std::unique_ptr<AsyncOperation>> inFlight;
  uint64_t lastId = 0;
  unsigned polls = 0;
};

} // namespace emulator

#endif
