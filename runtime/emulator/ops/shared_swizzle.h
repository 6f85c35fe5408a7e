#ifndef RUNTIME_EMULATOR_OPS_SHARED_SWIZZLE_H
#define RUNTIME_EMULATOR_OPS_SHARED_SWIZZLE_H

// How tensor copies and wgmma permute 16-byte pieces of shared memory, so that eight rows of a tile lie in different
// banks. The permutation is an XOR of address bits, the same for both (PTX ISA, "swizzling modes"): 128B swaps the
// pieces of 128-byte rows by the row's number modulo 8, 64B and 32B those of 64- and 32-byte rows by bits 7 and up.

#include <cstdint>

namespace emulator {

/// The value is the span in bytes.
enum class SwizzleSpan : uint32_t { None = 16, B32 = 32, B64 = 64, B128 = 128 };

/// Where the byte at `address` of the unswizzled layout lies. `phase` is subtracted from the row's number: a wgmma
/// descriptor's base offset.
constexpr uint32_t swizzled(uint32_t address, SwizzleSpan span, uint32_t phase = 0) {
  uint32_t mask = (static_cast<uint32_t>(span) >> 4) - 1;
  return address ^ ((((address >> 7) - phase) & mask) << 4);
}

} // namespace emulator

#endif
