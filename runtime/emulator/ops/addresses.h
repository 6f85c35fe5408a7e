#ifndef RUNTIME_EMULATOR_OPS_ADDRESSES_H
#define RUNTIME_EMULATOR_OPS_ADDRESSES_H

// Addresses of asynchronous instructions, resolved lane by lane, with the faults that a bad one makes.

#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/grid.h"

namespace emulator {

inline uint64_t addressOf(const Warp &warp, const Decoder::Address &address, unsigned lane) {
  if (address.narrow) {
    return static_cast<uint32_t>(warp.read<uint32_t>(address.base)[lane] + address.offset);
  }
  return warp.read<uint64_t>(address.base)[lane] + address.offset;
}

/// The state space that an instruction names for an operand.
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
