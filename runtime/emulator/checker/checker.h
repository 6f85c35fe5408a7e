#ifndef RUNTIME_EMULATOR_CHECKER_CHECKER_H
#define RUNTIME_EMULATOR_CHECKER_CHECKER_H

// Finds what hardware would let pass: the observer that asks of every access whether something orders it after the
// accesses it conflicts with, through the right proxy, on memory that means something.
//
// "Orders" is the PTX ISA's causality order, by vector clocks (checker/knowledge.h). Where the ISA leaves room, the
// checker is on the program's side: instructions with .sync order the lanes that take part, lanes of one instruction
// race with each other only where they write different values to one place, and an atomic operation may pass on what an
// earlier one released.

#include "checker/observer.h"
#include "checker/report.h"
#include <memory>

namespace emulator {

struct Allocation;

class Checker final : public Observer {
public:
  Checker();
  ~Checker() override;

  ReportLog &reports() { return log; }

  /// At the end of a context: allocations that nobody freed, modules that nobody unloaded ("buffer 3 (4096 bytes)").
  void leaked(std::string_view what);

  void gridBegins(Grid &) override;
  void gridEnds(Grid &) override;
  void ctaBegins(Cta &) override;
  void ctaEnds(Cta &) override;
  void fault(const Fault &) override;

  void access(const MemoryAccess &) override;
  void fence(Warp &, const Op &, Ordering, Scope, Lanes) override;
  void proxyFence(Warp &, const Op &, std::string_view proxies, Lanes) override;

  void warpSync(Warp &, const Op &, Lanes) override;
  void barrierArrives(Warp &, const Op &, unsigned barrier, Lanes) override;
  void barrierPasses(Warp &, const Op &, unsigned barrier, Lanes) override;
  void clusterArrives(Warp &, const Op &, bool release, Lanes) override;
  void clusterPasses(Warp &, const Op &, bool acquire, Lanes) override;

  void mbarrierInit(Actor, Cta &owner, uint32_t offset, uint32_t count) override;
  void mbarrierInvalidated(Actor, Cta &owner, uint32_t offset) override;
  void mbarrierArrives(Actor, Cta &owner, uint32_t offset, uint32_t arrivals, bool release, Lanes) override;
  void mbarrierExpects(Actor, Cta &owner, uint32_t offset, int64_t bytes) override;
  void mbarrierCompletes(Actor, Cta &owner, uint32_t offset, int64_t bytes) override;
  void mbarrierPhase(Cta &owner, uint32_t offset, uint32_t finishedPhase) override;
  void mbarrierPasses(Warp &, const Op &, Cta &owner, uint32_t offset, Lanes) override;
  void mbarrierMisused(Actor, Cta &owner, uint32_t offset, const std::string &text) override;

  void asyncIssued(Warp &, const Op &, Lanes, uint64_t id, AsyncKind) override;
  void asyncRuns(uint64_t id, Cta &) override;
  void asyncSourceRead(uint64_t id, Cta &) override;
  void asyncDone(uint64_t id, Cta &) override;
  void groupCommitted(Warp &, const Op &, AsyncKind, Lanes) override;
  void groupWaited(Warp &, const Op &, AsyncKind, unsigned pending, bool readOnly, Lanes) override;
  void wgmmaFence(Warp &, const Op &) override;
  void warpgroupArrives(Warp &, const Op &, Lanes) override;
  void warpgroupPasses(Warp &, const Op &, Lanes) override;
  void registerInFlight(Warp &, const Op &, const Op &wgmma) override;
  void lanesCollide(Warp &, const Op &, unsigned lane, unsigned otherLane, const std::byte *place) override;
  void undefinedRegister(Warp &, const Op &, Lanes, std::string_view name) override;

  void dependencyPassed(Warp &, const Op &) override;

  struct Impl;

private:
  ReportLog log;
  std::unique_ptr<Impl> impl;
};

} // namespace emulator

#endif
