#ifndef RUNTIME_EMULATOR_OPS_ADDRESSES_H
#define RUNTIME_EMULATOR_OPS_ADDRESSES_H

// From the address operands of instructions to bytes of the host, with the checks of hardware (alignment, bounds) and
// word of it to the observer. Loads, stores and atomics resolve their lanes together; what has a shape of its own
// (copies, matrices, mbarriers) resolves lane by lane.

#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include <mutex>
#include <string>

namespace emulator {

// --- Words of an instruction.

/// `.const .global .local .param{::entry,::func} .shared{::cta,::cluster}`, Generic where none stands next.
ptx::Space spaceWord(Decoder &decoder);
/// `.cta .cluster .gpu .sys`, None where none stands next.
Scope scopeWord(Decoder &decoder);
/// Cache operators, eviction priorities and prefetch sizes, in any order, which have no effect here; true if
/// `.L2::cache_hint` was among them, which brings one more operand.
bool cacheWords(Decoder &decoder, bool store);

/// The state space that an instruction names, where it matters whose shared memory.
enum class NamedSpace : uint8_t {
  Generic,
  Global,
  SharedCta,    ///< the CTA's own shared memory
  SharedCluster ///< that of any CTA of the cluster
};
/// Reads `.shared`, `.shared::cta`, `.shared::cluster`, `.global` or nothing.
NamedSpace spaceNamed(Decoder &decoder, bool clusterAllowed, bool globalAllowed = false);
inline ptx::Space spaceOf(NamedSpace space) {
  return space == NamedSpace::Generic  ? ptx::Space::Generic
         : space == NamedSpace::Global ? ptx::Space::Global
                                       : ptx::Space::Shared;
}

// --- A warp's lanes together.

/// What an instruction that accesses memory knows of its address, and of the access.
struct MemoryForm {
  Operand base;
  bool narrow = false;
  int64_t offset = 0;
  ptx::Space space = ptx::Space::Generic;
  uint32_t bytes = 0; ///< a lane's, all elements
  MemoryAccess::Kind kind = MemoryAccess::Kind::Read;
  Ordering ordering = Ordering::Weak;
  Scope scope = Scope::None;
};

/// Fills the address part of a form from `[base+offset]`.
void readAddress(Decoder &decoder, const ptx::Operand &operand, ptx::Space space, MemoryForm &form);

/// Where each lane's access goes. Null where the access is a fault, which the grid then has.
struct LaneAddresses {
  std::byte *host[warpLanes];
};

/// Resolves, checks and tells the observer.
bool resolve(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes, LaneAddresses &result);

/// Tells the observer, which there is, of an access: to shared memory of `shared`, or (null) to global memory.
void tellAccess(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes, const Cta *shared,
                const uint64_t (&addresses)[warpLanes]);

/// Held from before an atomic operation or a strong store is told until its bytes are written, where somebody observes:
/// host threads then tell of them in the order in which memory sees them. Otherwise a count's last comer could be told
/// of before those who came before it.
std::unique_lock<std::mutex> inMemoryOrder(const Warp &warp);

// --- One lane's.

inline uint64_t addressOf(const Warp &warp, const Decoder::Address &address, unsigned lane) {
  if (address.narrow) {
    return static_cast<uint32_t>(warp.read<uint32_t>(address.base)[lane] + address.offset);
  }
  return warp.read<uint64_t>(address.base)[lane] + address.offset;
}

/// Resolves `bytes` at `address`; on failure stops the grid and gives no bytes. Shared targets only where
/// `space` says so, or the generic address does and `wantsShared`.
Target resolve(Warp &warp, const Op &op, unsigned lane, uint64_t address, NamedSpace space, uint64_t bytes,
               uint64_t alignment, bool wantsShared);

/// Tells of an access that an asynchronous operation makes.
void tellAccess(Cta &issuer, const Op *op, MemoryAccess::Kind kind, Proxy proxy, const Cta *shared, uint64_t address,
                uint64_t bytes);

std::string hexadecimal(uint64_t value);

} // namespace emulator

#endif
