#ifndef RUNTIME_EMULATOR_OPS_BULK_COPY_H
#define RUNTIME_EMULATOR_OPS_BULK_COPY_H

// What bulk copies, tensor copies and st.async have in common: a completion (bytes on an mbarrier of each destination
// CTA, or a place in a bulk group of the lane), and groups by lane.

#include "ops/addresses.h"
#include "ops/reductions.h"
#include <array>
#include <optional>
#include <vector>

namespace emulator {

struct Warp::AsyncGroups {
  std::array<uint32_t, warpLanes> copiesCommitted = {}; ///< cp.async.commit_group, by lane
  std::array<uint32_t, warpLanes> bulkCommitted = {};
};

inline Warp::AsyncGroups &groupsOf(Warp &warp) {
  if (!warp.asyncGroups) {
    warp.asyncGroups = std::make_unique<Warp::AsyncGroups>();
  }
  return *warp.asyncGroups;
}

/// A mbarrier, or any place in shared memory, of some CTA.
struct SharedPlace {
  Cta *cta = nullptr;
  uint32_t offset = 0;
  std::byte *bytes() const { return cta->shared() + offset; }
};

/// An operation that completes bytes on mbarriers, or in a bulk group.
class CompletingOperation : public AsyncOperation {
public:
  std::vector<SharedPlace> barriers;
  uint32_t completedBytes = 0; ///< on each

  bool signals(const Cta &where, uint32_t offset) const override {
    for (const SharedPlace &barrier : barriers) {
      if (barrier.cta == &where && barrier.offset == offset) {
        return true;
      }
    }
    return false;
  }

protected:
  void complete() {
    for (const SharedPlace &barrier : barriers) {
      barrier.cta->mbarriers.complete({nullptr, issuer.op}, barrier.offset, completedBytes);
    }
  }
  const Op *op() const { return issuer.op; }
};

/// Bytes in shared memory that nobody may look at yet.
inline void poisonShared(std::byte *bytes, size_t count) { std::fill_n(bytes, count, std::byte(0xFF)); }

/// A `.multicast::cluster` mask's CTAs, with the places that have the offset of `place` in each; a fault where a CTA
/// is not in the cluster.
bool multicast(Warp &warp, const Op &op, unsigned lane, uint32_t mask, const SharedPlace &place,
               std::vector<SharedPlace> &places);

/// `.and`, `.add` … and the element type behind it, as bulk reductions have them for the destination.
struct ReductionForm {
  Reduction reduction = Reduction::Add;
  ptx::Type type = ptx::Type::U32;
};
ReductionForm readBulkReduction(Decoder &decoder, bool toGlobal);
Reduction readReductionName(Decoder &decoder);

void addBulkCopies(OpcodeTable &table);

} // namespace emulator

#endif
