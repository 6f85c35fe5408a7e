#include "machine/occupancy.h"
#include "machine/memory.h"
#include <algorithm>

namespace emulator {

unsigned Occupancy::ctas() const { return std::min(std::min(byRegisters, byShared), std::min(byThreads, byCtas)); }

std::string_view Occupancy::limit() const {
  const unsigned least = ctas();
  return byRegisters == least ? "registers"
         : byShared == least  ? "shared memory"
         : byThreads == least ? "threads"
                              : "CTAs";
}

Occupancy occupancyOf(const Kernel &kernel, uint32_t threads, uint32_t dynamicSharedBytes,
                      const DeviceProperties &device) {
  Occupancy result;
  if (!threads) {
    return result;
  }
  result.warpsPerCta = (threads + warpLanes - 1) / warpLanes;
  result.warpsPerMultiprocessor = device.maxThreadsPerSm / warpLanes;
  // Registers are given to warps in units of 256, shared memory to CTAs in units of 1,024 bytes with 1,024 reserved
  // (CUDA C++ programming guide, technical specifications by compute capability; cuda_occupancy.h).
  const uint32_t registersPerWarp = (std::max(1u, kernel.registers) * warpLanes + 255) / 256 * 256;
  const uint32_t shared = (kernel.staticSharedBytes + dynamicSharedBytes + reservedSharedBytes + 1023) / 1024 * 1024;
  result.byCtas = device.maxCtasPerSm;
  result.byThreads = result.warpsPerMultiprocessor / result.warpsPerCta;
  result.byRegisters = device.registersPerSm / (registersPerWarp * result.warpsPerCta);
  result.byShared = device.sharedPerSm / shared;
  return result;
}

} // namespace emulator
