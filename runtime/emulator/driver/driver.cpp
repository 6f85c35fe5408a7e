#include "driver/driver.h"
#include "driver/context.h"
#include "driver/pool.h"
#include <cstdio>
#include <cstdlib>
#include <new>

namespace emulator::driver {

static thread_local CallScope *innermost = nullptr;

Driver &Driver::instance() {
  static Driver *driver = new Driver; // Machine and executor threads may look at its objects until the process ends.
  return *driver;
}

/// ELAH_EMULATOR_DEVICE=h800 or h800x4: what the emulator is, and how many of it.
static std::pair<const DeviceProperties *, unsigned> devicesFromEnvironment() {
  const char *variable = std::getenv("ELAH_EMULATOR_DEVICE");
  const std::string wanted = variable && *variable ? variable : "h800";
  if (const DeviceProperties *found = deviceNamed(wanted)) {
    return {found, 1};
  }
  const size_t times = wanted.rfind('x');
  if (times != std::string::npos) {
    const std::string count = wanted.substr(times + 1);
    const DeviceProperties *found = deviceNamed(wanted.substr(0, times));
    if (found && !count.empty() && count.size() <= 2 && count.find_first_not_of("0123456789") == std::string::npos) {
      return {found, static_cast<unsigned>(std::stoul(count))};
    }
  }
  std::string known;
  for (const DeviceProperties &device : knownDevices()) {
    known += (known.empty() ? "" : ", ") + std::string(device.target);
  }
  std::fprintf(stderr, "ELAH_EMULATOR_DEVICE: found '%s', expected one of %s, and perhaps a count: h800x4\n",
               wanted.c_str(), known.c_str());
  return {deviceNamed("h800"), 1};
}

void Driver::prepare() {
  if (!devices.empty()) {
    return;
  }
  options = RunOptions::fromEnvironment();
  const auto [properties, count] = devicesFromEnvironment();
  devices.resize(count);
  for (unsigned i = 0; i < count; ++i) {
    Device &device = devices[i];
    device.ordinal = static_cast<int>(i);
    device.properties = properties;
    device.peerAccess.resize(count);
    device.defaultPool = createPool(device.ordinal, 0);
    device.pool = device.defaultPool;
  }
}

Device &Driver::device(CUdevice ordinal) {
  if (ordinal < 0 || static_cast<size_t>(ordinal) >= devices.size()) {
    fail(CUDA_ERROR_INVALID_DEVICE, "device %d, where there are %zu", ordinal, devices.size());
  }
  return devices[static_cast<size_t>(ordinal)];
}

CallScope::CallScope() : lock(Driver::instance().mutex, std::defer_lock), outer(innermost) {
  if (!outer) {
    lock.lock();
    innermost = this;
  }
}

CallScope::~CallScope() {
  if (!outer) {
    innermost = nullptr;
  }
}

void CallScope::wait(const TaskPointer &task) {
  if (!task || task->done()) {
    return;
  }
  std::unique_lock<std::mutex> &held = innermost->lock;
  held.unlock();
  Executor::instance().wait(*task);
  held.lock();
}

namespace call_detail {

CUresult caught(const std::source_location &where) {
  try {
    throw;
  } catch (const Failure &failure) {
    if (failure.code != CUDA_ERROR_NOT_READY) {
      logFailure(where.function_name(), failure.code, failure.reason);
    }
    return failure.code;
  } catch (const std::bad_alloc &) {
    logFailure(where.function_name(), CUDA_ERROR_OUT_OF_MEMORY, "the host has no memory left");
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
}

void requireInitialised() {
  if (!Driver::instance().initialised) {
    fail(CUDA_ERROR_NOT_INITIALIZED, "cuInit has not been called");
  }
}

} // namespace call_detail

void requirePointer(const void *pointer, const char *what) {
  if (!pointer) {
    fail(CUDA_ERROR_INVALID_VALUE, "%s is null", what);
  }
}

} // namespace emulator::driver
