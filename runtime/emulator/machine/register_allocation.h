#ifndef RUNTIME_EMULATOR_MACHINE_REGISTER_ALLOCATION_H
#define RUNTIME_EMULATOR_MACHINE_REGISTER_ALLOCATION_H

// Linear scan (Poletto and Sarkar, 1999) without spilling: slots are memory anyway, what counts is that a warp's
// registers stay within a cache.

#include "machine/liveness.h"
#include <cstdint>
#include <vector>

namespace emulator {

/// Registers are as wide as `granules` says, in units of 64 bytes (32 lanes of 16 bits); 0 stands for a predicate.
struct RegisterAllocation {
  std::vector<uint32_t> place; ///< by register: a byte offset, or a predicate's index from 1
  uint32_t registerBytes = 0, predicateCount = 1;
  uint32_t peakWords = 0; ///< most 32-bit registers that are alive at once
};

/// Two registers share a slot only if no instruction needs both, not even one that reads the one last and writes the
/// other first: so handlers may write a result before they have read all operands. A register that is undefined at
/// entry shares with none.
RegisterAllocation allocateRegisters(const std::vector<LiveInterval> &intervals, const std::vector<uint8_t> &granules,
                                     uint32_t firstByte);

} // namespace emulator

#endif
