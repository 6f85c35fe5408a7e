#include "driver/host_access.h"

namespace emulator::driver {

void hostOwns(uint64_t, uint64_t) {}
void hostWrote(uint64_t, uint64_t) {}
void hostCopied(uint64_t, uint64_t, uint64_t) {}

} // namespace emulator::driver
