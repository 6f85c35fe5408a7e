#ifndef RUNTIME_EMULATOR_DRIVER_API_FUNCTIONS_H
#define RUNTIME_EMULATOR_DRIVER_API_FUNCTIONS_H

// The functions of the driver API that the emulator executes, under the names that the library exports: newer versions
// of a function have a suffix (cuMemAlloc_v2), as in CUDA.

#include "driver/api/types.h"

namespace emulator::cuda {

extern "C" {
#define FUNCTION(base, symbol, since, parameters) CUresult symbol parameters;
#define STREAM_FUNCTION(base, symbol, suffix, since, parameters)                                                       \
  CUresult symbol parameters;                                                                                          \
  CUresult symbol##_##suffix parameters;
#define ALIAS(base, symbol, since)
#include "driver/api/functions.inc"
#undef FUNCTION
#undef STREAM_FUNCTION
#undef ALIAS
}

} // namespace emulator::cuda

#endif
