#ifndef RUNTIME_EMULATOR_DRIVER_FAILURE_H
#define RUNTIME_EMULATOR_DRIVER_FAILURE_H

// How a call fails: inside the driver by an exception that carries the code and the reason, outside by the code alone.
// The reason goes to the log (ELAH_EMULATOR_LOG=FILE or stderr), one line a failed call, and to cuLogs*.

#include "driver/api/types.h"
#include <cstdarg>
#include <string>
#include <string_view>

namespace emulator::driver {

using namespace emulator::cuda;

struct Failure {
  CUresult code;
  std::string reason;
};

/// Throws a Failure; `format` as printf's.
[[noreturn]] void fail(CUresult code, const char *format, ...) __attribute__((format(printf, 2, 3)));

std::string formatted(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// "CUDA_ERROR_INVALID_VALUE" and "invalid argument"; null for a number that is no code.
const char *nameOf(CUresult code);
const char *textOf(CUresult code);

/// Tells the log of a call that failed. `function` may be a whole signature.
void logFailure(std::string_view function, CUresult code, const std::string &reason);

} // namespace emulator::driver

#endif
