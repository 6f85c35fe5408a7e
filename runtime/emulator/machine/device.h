#ifndef RUNTIME_EMULATOR_MACHINE_DEVICE_H
#define RUNTIME_EMULATOR_MACHINE_DEVICE_H

// What the emulated device claims to be. The machine needs its limits; the driver shows the rest.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace emulator {

struct DeviceProperties {
  std::string_view target; ///< "h800"
  std::string_view name;   ///< as cuDeviceGetName gives it
  unsigned multiprocessors;
  uint64_t memoryBytes;
  unsigned clockKhz, memoryClockKhz, memoryBusBits;
  uint64_t l2Bytes;
  unsigned majorCapability = 9, minorCapability = 0;
  unsigned maxThreadsPerCta = 1024, maxThreadsPerSm = 2048, maxCtasPerSm = 32;
  unsigned registersPerSm = 65536, maxRegistersPerThread = 255;
  uint32_t sharedPerSm = 233472, sharedPerCtaOptIn = 232448, sharedPerCta = 49152;
  unsigned maxClusterCtas = 8, maxClusterCtasNonPortable = 16;
};

/// h800, h100, h100-pcie, h200, h20, gh200.
std::span<const DeviceProperties> knownDevices();
const DeviceProperties *deviceNamed(std::string_view target);

} // namespace emulator

#endif
