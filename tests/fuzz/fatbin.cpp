// Fatbins from outside. A wrapper holds a pointer, which is the caller's to answer for: it is left out here.
#include "ptx/module.h"
#include <cstdlib>
#include <cstring>

using namespace emulator::ptx;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint32_t magic = 0;
  if (size >= sizeof(magic)) {
    std::memcpy(&magic, data, sizeof(magic));
  }
  if (magic == 0x466243b1) {
    return 0;
  }
  std::variant<std::string, Error> result = ptxOfFatbin(data, size, 90);
  if (const Error *error = std::get_if<Error>(&result); error && error->text.empty()) {
    std::abort();
  }
  return 0;
}
