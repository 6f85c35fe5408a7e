#ifndef RUNTIME_EMULATOR_OPS_ADDRESSING_H
#define RUNTIME_EMULATOR_OPS_ADDRESSING_H

// From the addresses of a warp's lanes to host memory, with the checks of hardware: alignment and bounds.

#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include <mutex>

namespace emulator {

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

/// `.const .global .local .param{::entry,::func} .shared{::cta,::cluster}`, Generic where none stands next.
ptx::Space spaceWord(Decoder &decoder);
/// `.cta .cluster .gpu .sys`, None where none stands next.
Scope scopeWord(Decoder &decoder);
/// Cache operators, eviction priorities and prefetch sizes, in any order, which have no effect here; true if
/// `.L2::cache_hint` was among them, which brings one more operand.
bool cacheWords(Decoder &decoder, bool store);

/// Where each lane's access goes. Null where the access is a fault, which the grid then has.
struct LaneAddresses {
  std::byte *host[warpLanes];
};

/// Held from before an atomic operation or a strong store is told until its bytes are written, where somebody observes:
/// host threads then tell of them in the order in which memory sees them. Otherwise a count's last comer could be told
/// of before those who came before it.
std::unique_lock<std::mutex> inMemoryOrder(const Warp &warp);

/// Resolves, checks and tells the observer.
bool resolve(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes, LaneAddresses &result);

} // namespace emulator

#endif
