#ifndef RUNTIME_EMULATOR_OPS_REDUCTIONS_H
#define RUNTIME_EMULATOR_OPS_REDUCTIONS_H

// Elementwise read-modify-write of memory, as atom, red, cp.reduce.async.bulk and red.async do it: atomic for each
// element, also against other host threads.

#include "ptx/module.h"
#include <cstddef>
#include <cstdint>

namespace emulator {

enum class Reduction : uint8_t { Add, Min, Max, Inc, Dec, And, Or, Xor };

/// memory = reduction(memory, operand); returns the bits that were there. `type` is one of U32, S32, U64, S64, B32,
/// B64, F16, BF16, F32, F64.
uint64_t reduceElement(Reduction reduction, ptx::Type type, std::byte *memory, const std::byte *operand);

} // namespace emulator

#endif
