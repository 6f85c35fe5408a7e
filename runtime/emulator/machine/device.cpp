#include "machine/device.h"

// Multiprocessors, clocks and memory as NVIDIA's data sheets and cuDeviceGetAttribute of these boards give them.
// A memory clock is half of the data rate's; 5,120 or 6,144 bits of HBM.

namespace emulator {

static constexpr DeviceProperties hopper(std::string_view target, std::string_view name, unsigned multiprocessors,
                                         uint64_t gibibytes, unsigned clockMhz, unsigned memoryClockMhz,
                                         unsigned memoryBusBits, uint64_t l2Mebibytes) {
  DeviceProperties properties{};
  properties.target = target;
  properties.name = name;
  properties.multiprocessors = multiprocessors;
  properties.memoryBytes = gibibytes << 30;
  properties.clockKhz = clockMhz * 1000;
  properties.memoryClockKhz = memoryClockMhz * 1000;
  properties.memoryBusBits = memoryBusBits;
  properties.l2Bytes = l2Mebibytes << 20;
  return properties;
}

static constexpr DeviceProperties devices[] = {
    hopper("h800", "NVIDIA H800", 132, 80, 1980, 2619, 5120, 50),
    hopper("h100", "NVIDIA H100 80GB HBM3", 132, 80, 1980, 2619, 5120, 50),
    hopper("h100-pcie", "NVIDIA H100 PCIe", 114, 80, 1755, 1593, 5120, 50),
    hopper("h200", "NVIDIA H200", 132, 141, 1980, 3201, 6144, 50),
    hopper("h20", "NVIDIA H20", 78, 96, 1980, 2619, 6144, 60),
    hopper("gh200", "NVIDIA GH200 480GB", 132, 96, 1980, 2619, 6144, 60),
};

std::span<const DeviceProperties> knownDevices() { return devices; }

const DeviceProperties *deviceNamed(std::string_view target) {
  for (const DeviceProperties &device : devices) {
    if (device.target == target) {
      return &device;
    }
  }
  return nullptr;
}

} // namespace emulator
