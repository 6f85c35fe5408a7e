#ifndef RUNTIME_EMULATOR_COUNTERS_TRACER_H
#define RUNTIME_EMULATOR_COUNTERS_TRACER_H

// What the warps of a launch do, over emulated time: when each ran, and how long it waited for which barrier or copy.
// Written as a trace for Perfetto or Chrome (Trace Event Format): a process is a CTA, a thread a warp.
//
// Clocks follow causes, not the order in which the host happened to run warps: a wait ends when the last arrival, copy
// or wgmma that it was for has come by its own clock. What warps tell each other by polling memory is not seen.

#include "checker/observer.h"
#include "counters/time_model.h"
#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace emulator {

class Tracer final : public Observer {
public:
  explicit Tracer(const TimeModel &model = TimeModel::simple());
  ~Tracer() override;

  /// After the grid has ended: the launch's cycles, with clusters started as multiprocessors become free.
  double cycles() const;
  /// Adds the launch to a trace file, which the process's first launch begins anew; an error's words where that fails.
  std::string write(const Grid &grid, const std::string &path) const;

  void gridBegins(Grid &) override;
  void gridEnds(Grid &) override;
  void ctaBegins(Cta &) override;
  void ctaEnds(Cta &) override;
  bool wantsInstructions() const override { return true; }
  void instruction(Warp &, const Op &, Lanes) override;
  void access(const MemoryAccess &) override;
  void barrierArrives(Warp &, const Op &, unsigned barrier, Lanes) override;
  void barrierPasses(Warp &, const Op &, unsigned barrier, Lanes) override;
  void clusterArrives(Warp &, const Op &, bool release, Lanes) override;
  void clusterPasses(Warp &, const Op &, bool acquire, Lanes) override;
  void mbarrierArrives(Actor, Cta &owner, uint32_t offset, uint32_t arrivals, bool release, Lanes) override;
  void mbarrierCompletes(Actor, Cta &owner, uint32_t offset, int64_t bytes) override;
  void mbarrierPhase(Cta &owner, uint32_t offset, uint32_t finishedPhase) override;
  void mbarrierPasses(Warp &, const Op &, Cta &owner, uint32_t offset, Lanes) override;
  void asyncIssued(Warp &, const Op &, Lanes, uint64_t id, AsyncKind) override;
  void asyncRuns(uint64_t id, Cta &) override;
  void asyncDone(uint64_t id, Cta &) override;
  void groupCommitted(Warp &, const Op &, AsyncKind, Lanes) override;
  void groupWaited(Warp &, const Op &, AsyncKind, unsigned pending, bool readOnly, Lanes) override;
  void warpgroupArrives(Warp &, const Op &, Lanes) override;
  void warpgroupPasses(Warp &, const Op &, Lanes) override;

private:
  struct ClusterTrace;
  struct WarpTrace;
  ClusterTrace &of(const Cta &cta);
  WarpTrace &of(const Warp &warp);
  void wait(const Warp &warp, const Op &op, double until);
  double timeOf(const Actor &actor, Cta &owner);

  const TimeModel &model;
  std::vector<std::unique_ptr<ClusterTrace>> clusters; ///< by number; each is one host thread's at a time
  std::vector<double> begins;                          ///< of clusters; after the end
  double end = 0;
  std::atomic<uint64_t> events = 0;
};

} // namespace emulator

#endif
