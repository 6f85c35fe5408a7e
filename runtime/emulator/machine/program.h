#ifndef RUNTIME_EMULATOR_MACHINE_PROGRAM_H
#define RUNTIME_EMULATOR_MACHINE_PROGRAM_H

// A kernel as the machine runs it: instructions with their handlers, registers in slots.
//
// Real kernels declare up to 48,000 virtual registers; a warp that stored them all would not fit a cache. So the
// decoder allocates slots by linear scan over liveness (correct under divergence, since a lane's column of a slot
// follows that lane's own control flow), and a warp's registers stay within some ten KiB.

#include "ptx/module.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace emulator {

constexpr unsigned warpLanes = 32;
/// One bit a lane.
using Lanes = uint32_t;
constexpr Lanes allLanes = ~Lanes(0);

class Warp;
struct Op;

/// What an instruction did to the group of lanes that ran it.
enum class Flow : uint8_t {
  Next,    ///< the group goes on behind it
  Moved,   ///< the handler set the group's program counter, or split the group
  Blocked, ///< the handler called Warp::wait; nothing more runs in this group until that is ready
  Yield,   ///< goes on behind it, but others run first (polling loops, nanosleep)
  Ended,   ///< the lanes have exited, or a fault stopped the grid
};

/// Executes one instruction for `lanes`, which are never empty and have passed the guard.
using Handler = Flow (*)(Warp &warp, const Op &op, Lanes lanes);

/// Where an operand's 32 values lie: in the warp's registers, or (immediates, addresses of variables) in the program's
/// constants, which all warps share. `offset` counts bytes; values of a type T lie as T[32], 16-bit ones as
/// uint16_t[32].
struct Operand {
  uint32_t offset : 31 = 0;
  uint32_t constant : 1 = 0;
};

/// A predicate register: a word with one bit a lane. Number 0 is always true.
struct Predicate {
  uint16_t index = 0;
  bool negated = false;
};

/// Which lanes must have come together before the instruction runs (PTX ISA: `.sync`, `.aligned`).
enum class Convergence : uint8_t {
  None,
  Members, ///< all living lanes of the mask in operand `maskOperand`, at one place or at equal ones (see exchange())
  Warp,    ///< all living lanes of the warp
  Meeting, ///< as Members, without results (bar.warp.sync)
};

struct Op {
  Handler run = nullptr;
  Predicate guard;
  Convergence convergence = Convergence::None;
  uint8_t maskOperand = 0;
  bool ownWork = false;        ///< the machine's, beside the instruction that `source` is: no instruction itself
  bool readsUndefined = false; ///< a register that some path does not write; the checker looks
  uint32_t target = 0;         ///< of a branch: an index into Code::ops
  Operand operands[6];         ///< what they are is the handler's affair
  Predicate predicates[3];
  int64_t immediate = 0;
  const void *form = nullptr; ///< what else the handler's decoder found, of its own type; the program owns it

  const ptx::Instruction *source = nullptr;
  /// Slots that the instruction reads and writes, for the checks on registers: {byte offset, bytes}.
  struct Slot {
    uint32_t offset, size;
  };
  std::span<const Slot> reads, writes;
};

/// A slot that is filled when a frame comes into being and only read after: special registers that do not change, and
/// addresses that depend on the CTA or the frame.
struct FrameValue {
  enum class Kind : uint8_t {
    Special,        ///< `special`, a SpecialRegister
    SharedAddress,  ///< of `addend` in the CTA's shared memory
    LocalAddress,   ///< of `addend` in the frame's local memory
    ParameterSpace, ///< address of the kernel's parameters, plus `addend`
  } kind;
  uint8_t special = 0;
  uint8_t bytes = 4; ///< a lane: 4 or 8
  uint32_t offset = 0;
  int64_t addend = 0;
};

/// One function's instructions. The last is always an exit or a return.
struct Code {
  const ptx::Function *function = nullptr;
  std::vector<FrameValue> frameValues;
  /// Where a parameter or result lies in the frame's local memory; kernels have none of these.
  struct LocalVariable {
    uint32_t offset = 0, size = 0;
    bool inRegister = false; ///< a `.reg` parameter: `offset` is a slot's
  };
  std::vector<LocalVariable> parameters, results;
  /// Registers that some path reads before it has written them, by slot: {offset, name}. Predicates by index.
  std::vector<std::pair<uint32_t, std::string>> undefinedSlots;
  std::vector<Op> ops;
  uint32_t registerBytes = 0; ///< a frame's, 64-byte aligned
  uint32_t predicateCount = 1;
  uint32_t localBytes = 0; ///< per lane: .local variables and call parameters
  std::vector<std::shared_ptr<void>> forms;
  std::vector<Op::Slot> slots;
};

struct Parameter {
  std::string name;
  uint32_t offset, size;
};

/// A kernel, ready to launch.
struct Kernel {
  std::string name;
  const Code *code = nullptr;
  std::vector<Parameter> parameters;
  uint32_t parameterBytes = 0;
  /// Where variables lie in the CTA's shared memory, in ascending order; size 0: all that follows (dynamic).
  std::vector<Parameter> sharedVariables;
  uint32_t staticSharedBytes = 0; ///< without the 1,024 bytes that the hardware reserves
  uint32_t constantBytes = 0, localBytes = 0;
  ptx::LaunchBounds bounds;
  /// A guess at what ptxas would allocate: the peak of live 32-bit registers, within the launch bounds.
  uint32_t registers = 0;
  uint32_t maxThreads = 1024;
};

} // namespace emulator

#endif
