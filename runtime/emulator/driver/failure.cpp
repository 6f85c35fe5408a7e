#include "driver/failure.h"
#include "driver/log.h"
#include <cstdio>
#include <vector>

namespace emulator::driver {

static std::string formattedList(const char *format, va_list arguments) {
  va_list copy;
  va_copy(copy, arguments);
  const int size = std::vsnprintf(nullptr, 0, format, copy);
  va_end(copy);
  std::string text(static_cast<size_t>(size), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  return text;
}

std::string formatted(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = formattedList(format, arguments);
  va_end(arguments);
  return text;
}

void fail(CUresult code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = formattedList(format, arguments);
  va_end(arguments);
  throw Failure{code, std::move(text)};
}

/// "CUresult emulator::cuda::cuMemFree_v2(CUdeviceptr)" -> "cuMemFree_v2".
static std::string_view functionName(std::string_view signature) {
  signature = signature.substr(0, signature.find('('));
  const size_t before = signature.find_last_of(" :*");
  return before == std::string_view::npos ? signature : signature.substr(before + 1);
}

void logFailure(std::string_view function, CUresult code, const std::string &reason) {
  const char *name = nameOf(code);
  std::string line(functionName(function));
  line += ": ";
  line += name ? name : std::to_string(code);
  if (!reason.empty()) {
    line += ": " + reason;
  }
  Log::instance().add(line);
}

} // namespace emulator::driver
