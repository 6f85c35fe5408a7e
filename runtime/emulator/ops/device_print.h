#ifndef RUNTIME_EMULATOR_OPS_DEVICE_PRINT_H
#define RUNTIME_EMULATOR_OPS_DEVICE_PRINT_H

// The functions that device code may call without defining them: vprintf, __assertfail, malloc and free.

#include "machine/program.h"
#include <string_view>

namespace emulator {

/// The handler of a call of the external function; null for one that is not known.
Handler externalFunction(std::string_view name);

} // namespace emulator

#endif
