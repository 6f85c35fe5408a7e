#include "driver/host_access.h"
#include "checker/shadow.h"

namespace emulator::driver {

// Only allocations whose initialisation is tracked (MemoryMap::allocate, with the checker on) care.
void hostWrote(uint64_t address, uint64_t bytes) { emulator::hostWrote(address, bytes); }

// What was uninitialised at the source counts as written at the target: the read of the source was the mistake, and a
// copy of a whole buffer of which a part is used is none.
void hostCopied(uint64_t to, uint64_t, uint64_t bytes) { emulator::hostWrote(to, bytes); }

} // namespace emulator::driver
