#ifndef RUNTIME_EMULATOR_DRIVER_HOST_ACCESS_H
#define RUNTIME_EMULATOR_DRIVER_HOST_ACCESS_H

// What the checker is told of memory that no kernel touches: copies and memsets write it.

#include <cstdint>

namespace emulator::driver {

/// A copy or memset has written these.
void hostWrote(uint64_t address, uint64_t bytes);
/// A copy has moved `bytes` between two allocations.
void hostCopied(uint64_t to, uint64_t from, uint64_t bytes);

} // namespace emulator::driver

#endif
