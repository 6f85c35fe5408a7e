#ifndef RUNTIME_EMULATOR_MACHINE_LIVENESS_H
#define RUNTIME_EMULATOR_MACHINE_LIVENESS_H

// From where to where each virtual register of a function is needed.

#include <cstdint>
#include <vector>

namespace emulator {

/// What one instruction does, seen by the allocator. Registers are numbers.
struct InstructionEffects {
  std::vector<uint32_t> reads, writes;
  /// Registers that the instruction goes on using after it was issued (wgmma).
  std::vector<uint32_t> late;
  bool lands = false;       ///< waits for earlier instructions with `late` registers
  bool landsAll = false;    ///< … and none of them is in flight behind it
  bool conditional = false; ///< runs for some lanes only: a write leaves the old value in others
  bool fallsThrough = true;
  std::vector<uint32_t> targets; ///< of branches: instruction numbers
};

struct LiveInterval {
  uint32_t reg = 0;
  uint32_t begin = 0, end = 0;   ///< instruction numbers, both included
  bool undefinedAtEntry = false; ///< some path reads it before any write
};

/// One interval for each register that occurs, sorted by begin. An interval covers every place where the register's
/// value may still be read, with the loops around it.
std::vector<LiveInterval> liveIntervals(const std::vector<InstructionEffects> &instructions, uint32_t registerCount);

} // namespace emulator

#endif
