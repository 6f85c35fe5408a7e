#ifndef RUNTIME_EMULATOR_COUNTERS_INSTRUCTION_CLASS_H
#define RUNTIME_EMULATOR_COUNTERS_INSTRUCTION_CLASS_H

// PTX instructions by what they keep busy. Of PTX, not of what ptxas makes of it: a `mov` that the assembler removes
// counts, and a division is one instruction here.

#include "ptx/module.h"
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace emulator {

enum class InstructionClass : uint8_t {
  Integer, ///< and logic, bits, comparisons and selections of anything but floating point
  Float,   ///< f16 to f64, comparisons included
  Special, ///< ex2 lg2 rcp rsqrt sqrt sin cos tanh, and division
  Conversion,
  Move,
  Control,
  WarpWide, ///< shfl vote match redux elect activemask
  Global,   ///< loads and stores by the space that they name
  Shared,   ///< and ldmatrix, stmatrix
  Local,
  Constant, ///< and kernel parameters
  Generic,
  Atomic,
  Barrier, ///< bar, barrier, mbarrier, fences, setmaxnreg, griddepcontrol
  Copy,    ///< cp.async, bulk and tensor copies, st.async, and their groups
  Matrix,  ///< mma, wmma
  Wgmma,   ///< and its fences and groups
  Other,
};
constexpr unsigned instructionClasses = static_cast<unsigned>(InstructionClass::Other) + 1;

/// "integer".
std::string_view nameOf(InstructionClass which);
InstructionClass classOf(const ptx::Instruction &instruction);

/// "ld.global.nc.v4.u32": the instruction without its operands.
std::string formOf(const ptx::Instruction &instruction);

/// What a wgmma, mma or wmma multiplies: 2mnk operations. m is 0 for anything else.
struct MatrixShape {
  unsigned m = 0, n = 0, k = 0;
  std::string types;    ///< "f32.e4m3.e4m3"
  bool sharedA = false; ///< wgmma's A comes from shared memory
  uint64_t flops() const { return uint64_t(2) * m * n * k; }
};
MatrixShape matrixShapeOf(const ptx::Instruction &instruction);

} // namespace emulator

#endif
