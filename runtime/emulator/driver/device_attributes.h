#ifndef RUNTIME_EMULATOR_DRIVER_DEVICE_ATTRIBUTES_H
#define RUNTIME_EMULATOR_DRIVER_DEVICE_ATTRIBUTES_H

#include "driver/driver.h"

namespace emulator::driver {

/// cuDeviceGetAttribute's answer; fails for a number that is no attribute.
int deviceAttribute(const Device &device, CUdevice_attribute attribute);

/// The bus that the device claims to be on: one each.
int pciBus(const Device &device);

} // namespace emulator::driver

#endif
