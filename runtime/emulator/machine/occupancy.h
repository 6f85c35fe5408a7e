#ifndef RUNTIME_EMULATOR_MACHINE_OCCUPANCY_H
#define RUNTIME_EMULATOR_MACHINE_OCCUPANCY_H

// How many CTAs of a kernel a multiprocessor holds at a time, and what it runs out of first.

#include "machine/device.h"
#include "machine/program.h"
#include <string_view>

namespace emulator {

struct Occupancy {
  unsigned byRegisters = 0, byShared = 0, byThreads = 0, byCtas = 0; ///< CTAs that each would admit
  unsigned warpsPerCta = 0, warpsPerMultiprocessor = 0;              ///< the latter: that it could hold
  unsigned ctas() const;
  /// "registers", "shared memory", "threads" or "CTAs": what admits the fewest.
  std::string_view limit() const;
};

Occupancy occupancyOf(const Kernel &kernel, uint32_t threads, uint32_t dynamicSharedBytes,
                      const DeviceProperties &device);

} // namespace emulator

#endif
