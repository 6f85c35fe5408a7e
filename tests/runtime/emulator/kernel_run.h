#ifndef TESTS_RUNTIME_EMULATOR_KERNEL_RUN_H
#define TESTS_RUNTIME_EMULATOR_KERNEL_RUN_H

// Runs PTX that a test wrote: parse, load, launch, wait.

#include "machine/grid.h"
#include "machine/memory.h"
#include "ptx/module.h"
#include <cstring>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <vector>

namespace emulator {

/// A buffer in global memory that the host may use as it is.
class DeviceBuffer {
public:
  explicit DeviceBuffer(size_t bytes) : allocation(GlobalMemory::instance().allocate(bytes, 0, "buffer")) {
    std::memset(data(), 0, bytes);
  }
  template <typename T> explicit DeviceBuffer(const std::vector<T> &values) : DeviceBuffer(values.size() * sizeof(T)) {
    std::memcpy(data(), values.data(), values.size() * sizeof(T));
  }
  DeviceBuffer(const DeviceBuffer &) = delete;
  ~DeviceBuffer() { GlobalMemory::instance().free(allocation->address); }

  uint64_t address() const { return allocation->address; }
  std::byte *data() const { return reinterpret_cast<std::byte *>(allocation->address); }
  template <typename T> T *as() const { return reinterpret_cast<T *>(allocation->address); }

private:
  Allocation *allocation;
};

/// A kernel's parameters, laid out as C would.
class Parameters {
public:
  template <typename T> Parameters &add(const T &value) { return add(&value, sizeof(T), alignof(T)); }
  Parameters &add(const void *value, size_t bytes, size_t alignment) {
    size_t at = (this->bytes.size() + alignment - 1) / alignment * alignment;
    this->bytes.resize(at + bytes);
    std::memcpy(this->bytes.data() + at, value, bytes);
    return *this;
  }
  std::vector<std::byte> bytes;
};

struct KernelRun {
  uint32_t grid = 1, block = 128, cluster = 1;
  uint32_t dynamicSharedBytes = 0;
  RunOptions options;

  /// The module's only kernel. A text that does not load is a failure of the test.
  std::optional<Fault> operator()(const std::string &text, const Parameters &parameters) const {
    std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(text);
    if (ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
      return failed(error->place.line, error->text, text);
    }
    auto loaded = LoadedModule::load(std::move(std::get<ptx::Module>(parsed)), 0);
    if (ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
      return failed(error->place.line, error->text, text);
    }
    LaunchConfig config;
    config.module = std::get<std::shared_ptr<LoadedModule>>(loaded);
    config.kernel = config.module->kernels().front();
    config.grid[0] = grid;
    config.block[0] = block;
    config.cluster[0] = cluster;
    config.dynamicSharedBytes = dynamicSharedBytes;
    config.parameters = parameters.bytes;
    config.parameters.resize(config.kernel->parameterBytes);
    return Machine::instance().launch(std::move(config), options)->wait();
  }

private:
  static std::optional<Fault> failed(uint32_t line, const std::string &what, const std::string &text) {
    ADD_FAILURE() << "line " << line << ": " << what << "\n" << text;
    Fault fault;
    fault.text = what;
    return fault;
  }
};

inline std::string nameOf(Order order) {
  return order == Order::Eager ? "eager" : order == Order::Lazy ? "lazy" : "random";
}
constexpr Order allOrders[] = {Order::Eager, Order::Lazy, Order::Random};

} // namespace emulator

#endif
