// What the emulator does not execute. The functions exist, so that programs that mention them link and run up to there.
// On all targets the caller removes the arguments, so a function without parameters can stand for any.

#include "driver/failure.h"

namespace emulator::cuda {

extern "C" {
#define UNSUPPORTED(base, symbol, since)                                                                               \
  CUresult symbol() {                                                                                                  \
    emulator::driver::logFailure(#symbol, CUDA_ERROR_NOT_SUPPORTED, "the emulator does not have this function");       \
    return CUDA_ERROR_NOT_SUPPORTED;                                                                                   \
  }
#include "driver/api/unsupported.inc"
#undef UNSUPPORTED
}

} // namespace emulator::cuda
