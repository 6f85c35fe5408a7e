#ifndef RUNTIME_EMULATOR_COUNTERS_COUNTING_OBSERVER_H
#define RUNTIME_EMULATOR_COUNTERS_COUNTING_OBSERVER_H

// Counts what one launch executes and moves. Each host thread counts for itself, by instruction of the program; classes
// and totals are made at the end.

#include "checker/observer.h"
#include "counters/launch_counters.h"
#include <memory>
#include <mutex>
#include <vector>

namespace emulator {

class CountingObserver final : public Observer {
public:
  CountingObserver();
  ~CountingObserver() override;

  /// After the grid has ended.
  LaunchCounters counters(const Grid &grid) const;

  bool wantsInstructions() const override { return true; }
  void instruction(Warp &, const Op &, Lanes) override;
  void access(const MemoryAccess &) override;
  void barrierArrives(Warp &, const Op &, unsigned barrier, Lanes) override;
  void barrierPasses(Warp &, const Op &, unsigned barrier, Lanes) override;
  void clusterArrives(Warp &, const Op &, bool release, Lanes) override;
  void clusterPasses(Warp &, const Op &, bool acquire, Lanes) override;
  void mbarrierArrives(Actor, Cta &owner, uint32_t offset, uint32_t arrivals, bool release, Lanes) override;
  void mbarrierPasses(Warp &, const Op &, Cta &owner, uint32_t offset, Lanes) override;
  void groupWaited(Warp &, const Op &, AsyncKind, unsigned pending, bool readOnly, Lanes) override;

private:
  struct Counts;
  Counts &mine();

  const uint64_t serial;
  mutable std::mutex mutex;
  std::vector<std::unique_ptr<Counts>> threads;
};

} // namespace emulator

#endif
