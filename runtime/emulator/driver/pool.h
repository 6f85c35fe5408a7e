#ifndef RUNTIME_EMULATOR_DRIVER_POOL_H
#define RUNTIME_EMULATOR_DRIVER_POOL_H

// Memory pools (cuMemAllocAsync). The emulator takes every allocation fresh and gives every free one back: what a pool
// keeps is the account, and what its attributes say.

#include "driver/driver.h"
#include <atomic>
#include <map>

namespace emulator::driver {

struct Pool {
  int device = 0;
  bool byDefault = false;
  uint64_t maxBytes = 0; ///< 0: no limit
  std::map<CUmemPool_attribute, uint64_t> attributes;
  std::map<int, CUmemAccess_flags> access; ///< by device

  std::atomic<uint64_t> used = 0, usedHigh = 0;
  void allocated(uint64_t bytes);
  void freed(uint64_t bytes) { used -= bytes; }
};

std::shared_ptr<Pool> createPool(int device, uint64_t maxBytes);
Pool &poolOf(CUmemoryPool handle);

} // namespace emulator::driver

#endif
