#ifndef RUNTIME_EMULATOR_MACHINE_FUNCTION_CALL_H
#define RUNTIME_EMULATOR_MACHINE_FUNCTION_CALL_H

// Calls between functions. Parameters and results are bytes in the local memory of the frames on both sides (or, for
// `.reg` parameters, registers), and are copied lane by lane.

#include "machine/program.h"
#include "machine/warp.h"
#include <vector>

namespace emulator {

/// Where the caller keeps an argument or wants a result.
struct CallValue {
  bool inRegister = false;
  Operand slot;        ///< where in a register (or a constant)
  uint32_t offset = 0; ///< where in the frame's local memory
  uint32_t size = 0;
};

struct CallForm {
  const Code *code = nullptr;                       ///< null for an indirect call
  const std::vector<const Code *> *table = nullptr; ///< of an indirect call: code by address
  std::vector<CallValue> arguments, results;
};

/// The handler of `call`; operand 0 holds the address where the call is indirect.
Flow callFunction(Warp &warp, const Op &op, Lanes lanes);
/// The handler of `ret`: in a kernel the lanes exit.
Flow returnFromFunction(Warp &warp, const Op &op, Lanes lanes);

/// Functions' addresses as programs see them: `functionAddressBase + 16 * number`.
constexpr uint64_t functionAddressBase = 0x1000;

} // namespace emulator

#endif
