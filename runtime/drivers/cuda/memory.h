#ifndef RUNTIME_DRIVERS_CUDA_MEMORY_H
#define RUNTIME_DRIVERS_CUDA_MEMORY_H

#include "drivers/cuda/device.h"
#include <cstdint>
#include <memory>
#include <utility>

namespace elah::cuda {

/// Memory of a device, freed at the end. The device's scope must be open.
class DeviceMemory {
public:
  DeviceMemory() = default;
  static Result<DeviceMemory> allocate(const Device &device, uint64_t bytes, const char *what);
  ~DeviceMemory() { reset(); }
  DeviceMemory(DeviceMemory &&other) noexcept
      : device(other.device), start(std::exchange(other.start, 0)), size(other.size) {}
  DeviceMemory &operator=(DeviceMemory &&other) noexcept {
    reset();
    device = other.device;
    start = std::exchange(other.start, 0);
    size = other.size;
    return *this;
  }

  CUdeviceptr address() const { return start; }
  uint64_t bytes() const { return size; }

private:
  void reset() {
    if (start) {
      device->functions().memFree(start);
      start = 0;
    }
  }

  const Device *device = nullptr;
  CUdeviceptr start = 0;
  uint64_t size = 0;
};

/// Memory of the host that devices copy from and to without the processor's help.
class PinnedMemory {
public:
  PinnedMemory() = default;
  static Result<PinnedMemory> allocate(const Device &device, uint64_t bytes, const char *what);
  ~PinnedMemory() { reset(); }
  PinnedMemory(PinnedMemory &&other) noexcept
      : device(other.device), start(std::exchange(other.start, nullptr)), size(other.size) {}
  PinnedMemory &operator=(PinnedMemory &&other) noexcept {
    reset();
    device = other.device;
    start = std::exchange(other.start, nullptr);
    size = other.size;
    return *this;
  }

  uint8_t *data() const { return start; }
  uint64_t bytes() const { return start ? size : 0; }

private:
  void reset() {
    if (start) {
      device->functions().memFreeHost(start);
      start = nullptr;
    }
  }

  const Device *device = nullptr;
  uint8_t *start = nullptr;
  uint64_t size = 0;
};

/// Memory of this process that kernels on the emulator read where it is. Sessions of one artifact register the same
/// memory, which a driver allows once: the last of them ends it.
class RegisteredMemory {
public:
  RegisteredMemory() = default;
  static Result<RegisteredMemory> share(std::shared_ptr<const Device> device, const uint8_t *start, uint64_t bytes);
  ~RegisteredMemory() { reset(); }
  RegisteredMemory(RegisteredMemory &&other) noexcept : start(std::exchange(other.start, nullptr)) {}
  RegisteredMemory &operator=(RegisteredMemory &&other) noexcept {
    reset();
    start = std::exchange(other.start, nullptr);
    return *this;
  }

  /// Whether it is registered here; its address is what it was.
  explicit operator bool() const { return start; }

private:
  void reset();
  const uint8_t *start = nullptr;
};

/// Copies `bytes` from ordinary memory, a mapped file perhaps, by `threads` threads through pinned memory: pages are
/// brought in from the file, and copied to the device, at the same time.
Status upload(const Device &device, const uint8_t *from, CUdeviceptr to, uint64_t bytes, unsigned threads);

} // namespace elah::cuda

#endif
