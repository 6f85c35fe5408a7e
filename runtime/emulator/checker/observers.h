#ifndef RUNTIME_EMULATOR_CHECKER_OBSERVERS_H
#define RUNTIME_EMULATOR_CHECKER_OBSERVERS_H

// Several observers of one grid as one.

#include "checker/observer.h"
#include <utility>
#include <vector>

namespace emulator {

class Observers final : public Observer {
public:
  explicit Observers(std::vector<Observer *> all) : all(std::move(all)) {} ///< not owned

#define EMULATOR_TELL(event, parameters, ...)                                                                          \
  void event parameters override {                                                                                     \
    for (Observer *one : all) {                                                                                        \
      one->event(__VA_ARGS__);                                                                                         \
    }                                                                                                                  \
  }
  EMULATOR_TELL(gridBegins, (Grid & grid), grid)
  EMULATOR_TELL(gridEnds, (Grid & grid), grid)
  EMULATOR_TELL(ctaBegins, (Cta & cta), cta)
  EMULATOR_TELL(ctaEnds, (Cta & cta), cta)
  EMULATOR_TELL(warpEnds, (Warp & warp), warp)
  EMULATOR_TELL(fault, (const Fault &fault), fault)
  bool wantsInstructions() const override {
    for (const Observer *one : all) {
      if (one->wantsInstructions()) {
        return true;
      }
    }
    return false;
  }
  void instruction(Warp &warp, const Op &op, Lanes lanes) override {
    for (Observer *one : all) {
      if (one->wantsInstructions()) {
        one->instruction(warp, op, lanes);
      }
    }
  }
  EMULATOR_TELL(access, (const MemoryAccess &access), access)
  EMULATOR_TELL(fence, (Warp & warp, const Op &op, Ordering ordering, Scope scope, Lanes lanes), warp, op, ordering,
                scope, lanes)
  EMULATOR_TELL(proxyFence, (Warp & warp, const Op &op, std::string_view proxies, Lanes lanes), warp, op, proxies,
                lanes)
  EMULATOR_TELL(warpSync, (Warp & warp, const Op &op, Lanes lanes), warp, op, lanes)
  EMULATOR_TELL(barrierArrives, (Warp & warp, const Op &op, unsigned barrier, Lanes lanes), warp, op, barrier, lanes)
  EMULATOR_TELL(barrierPasses, (Warp & warp, const Op &op, unsigned barrier, Lanes lanes), warp, op, barrier, lanes)
  EMULATOR_TELL(clusterArrives, (Warp & warp, const Op &op, bool release, Lanes lanes), warp, op, release, lanes)
  EMULATOR_TELL(clusterPasses, (Warp & warp, const Op &op, bool acquire, Lanes lanes), warp, op, acquire, lanes)
  EMULATOR_TELL(mbarrierInit, (Actor actor, Cta &owner, uint32_t offset, uint32_t count), actor, owner, offset, count)
  EMULATOR_TELL(mbarrierInvalidated, (Actor actor, Cta &owner, uint32_t offset), actor, owner, offset)
  EMULATOR_TELL(mbarrierArrives,
                (Actor actor, Cta &owner, uint32_t offset, uint32_t arrivals, bool release, Lanes lanes), actor, owner,
                offset, arrivals, release, lanes)
  EMULATOR_TELL(mbarrierExpects, (Actor actor, Cta &owner, uint32_t offset, int64_t bytes), actor, owner, offset, bytes)
  EMULATOR_TELL(mbarrierCompletes, (Actor actor, Cta &owner, uint32_t offset, int64_t bytes), actor, owner, offset,
                bytes)
  EMULATOR_TELL(mbarrierPhase, (Cta & owner, uint32_t offset, uint32_t phase), owner, offset, phase)
  EMULATOR_TELL(mbarrierPasses, (Warp & warp, const Op &op, Cta &owner, uint32_t offset, Lanes lanes), warp, op, owner,
                offset, lanes)
  EMULATOR_TELL(mbarrierMisused, (Actor actor, Cta &owner, uint32_t offset, const std::string &text), actor, owner,
                offset, text)
  EMULATOR_TELL(asyncIssued, (Warp & warp, const Op &op, Lanes lanes, uint64_t id, AsyncKind kind), warp, op, lanes, id,
                kind)
  EMULATOR_TELL(asyncRuns, (uint64_t id, Cta &cta), id, cta)
  EMULATOR_TELL(asyncSourceRead, (uint64_t id, Cta &cta), id, cta)
  EMULATOR_TELL(asyncDone, (uint64_t id, Cta &cta), id, cta)
  EMULATOR_TELL(groupCommitted, (Warp & warp, const Op &op, AsyncKind kind, Lanes lanes), warp, op, kind, lanes)
  EMULATOR_TELL(groupWaited, (Warp & warp, const Op &op, AsyncKind kind, unsigned pending, bool readOnly, Lanes lanes),
                warp, op, kind, pending, readOnly, lanes)
  EMULATOR_TELL(wgmmaFence, (Warp & warp, const Op &op), warp, op)
  EMULATOR_TELL(warpgroupArrives, (Warp & warp, const Op &op, Lanes lanes), warp, op, lanes)
  EMULATOR_TELL(warpgroupPasses, (Warp & warp, const Op &op, Lanes lanes), warp, op, lanes)
  EMULATOR_TELL(registerInFlight, (Warp & warp, const Op &op, const Op &wgmma), warp, op, wgmma)
  EMULATOR_TELL(lanesCollide, (Warp & warp, const Op &op, unsigned lane, unsigned otherLane, const std::byte *place),
                warp, op, lane, otherLane, place)
  EMULATOR_TELL(undefinedRegister, (Warp & warp, const Op &op, Lanes lanes, std::string_view name), warp, op, lanes,
                name)
  EMULATOR_TELL(dependentsLaunched, (Warp & warp, const Op &op), warp, op)
  EMULATOR_TELL(dependencyPassed, (Warp & warp, const Op &op), warp, op)
#undef EMULATOR_TELL

private:
  std::vector<Observer *> all;
};

} // namespace emulator

#endif
