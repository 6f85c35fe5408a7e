#ifndef RUNTIME_DRIVERS_CUDA_DEVICE_H
#define RUNTIME_DRIVERS_CUDA_DEVICE_H

#include "drivers/cuda/driver_library.h"

namespace elah::cuda {

/// The path of Elah's libcuda.so.1: where $ELAH_EMULATOR says, else beside this program or this library, in
/// ../lib/emulator or in emulator.
Result<std::string> findEmulator();

/// A GPU, or an emulated one, with the context that this process has on it.
class Device {
public:
  /// "cuda", "cuda:N" (the system's driver), or "emulator" (Elah's).
  static Result<std::unique_ptr<Device>> open(const std::string &name);
  ~Device();
  Device(const Device &) = delete;

  const DriverLibrary &library() const { return *driver; }
  const DriverFunctions &functions() const { return driver->functions(); }
  /// Emulators run PTX, devices cubins.
  bool isEmulated() const { return emulated; }
  /// 90 for compute capability 9.0.
  unsigned computeCapability() const { return capability; }
  /// "device 0 (NVIDIA H800)", "the emulator (NVIDIA H800)".
  const std::string &description() const { return described; }

  /// The device is the calling thread's while this lives; then it has again what it had.
  class Scope {
  public:
    explicit Scope(const Device &device);
    ~Scope();
    Scope(const Scope &) = delete;

  private:
    const Device &device;
    CUcontext before = nullptr;
  };

private:
  Device() = default;
  Status find(int ordinal);

  std::unique_ptr<DriverLibrary> driver;
  bool emulated = false;
  CUdevice handle = 0;
  CUcontext context = nullptr;
  unsigned capability = 0;
  std::string described;
};

} // namespace elah::cuda

#endif
