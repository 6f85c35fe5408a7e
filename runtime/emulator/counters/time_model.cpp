#include "counters/time_model.h"

namespace emulator {

double TimeModel::issueCycles(InstructionClass which, const ptx::Instruction &) const {
  // A quarter of a multiprocessor takes this long for 32 lanes (CUDA C++ programming guide, throughput of native
  // arithmetic instructions, compute capability 9.0: 128 f32, 64 integer, 16 special results a cycle ...; shared memory
  // gives 32 words a cycle to all four quarters).
  switch (which) {
  case InstructionClass::Integer:
  case InstructionClass::Conversion:
    return 2;
  case InstructionClass::Special:
    return 8;
  case InstructionClass::WarpWide:
  case InstructionClass::Shared:
  case InstructionClass::Global:
  case InstructionClass::Local:
  case InstructionClass::Generic:
  case InstructionClass::Atomic:
    return 4;
  case InstructionClass::Matrix:
    return 16; // m16n8k16 of f16 at 1,024 multiplications a cycle and multiprocessor, by its quarter
  case InstructionClass::Constant:
  case InstructionClass::Control:
  case InstructionClass::Float:
  case InstructionClass::Move:
  case InstructionClass::Barrier:
  case InstructionClass::Copy:
  case InstructionClass::Wgmma:
  case InstructionClass::Other:
    break;
  }
  return 1;
}

double TimeModel::completionCycles(Observer::AsyncKind kind, const ptx::Instruction &instruction,
                                   uint64_t bytes) const {
  if (kind == Observer::AsyncKind::Wgmma) {
    // 4,096 operations a cycle and multiprocessor in 16 bits, twice as many in 8: n / 2 cycles for 32 bytes of k.
    return matrixShapeOf(instruction).n / 2.0;
  }
  // Memory's latency, and a multiprocessor's share of 3.35 TB/s among 132 at 1.7 GHz.
  constexpr double latency = 600, bytesPerCycle = 15;
  return latency + static_cast<double>(bytes) / bytesPerCycle;
}

const TimeModel &TimeModel::simple() {
  static const TimeModel model;
  return model;
}

} // namespace emulator
