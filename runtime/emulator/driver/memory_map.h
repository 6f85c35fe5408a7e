#ifndef RUNTIME_EMULATOR_DRIVER_MEMORY_MAP_H
#define RUNTIME_EMULATOR_DRIVER_MEMORY_MAP_H

// What the driver knows of memory besides where it lies: who allocated it, how, and for which device. The bytes
// themselves are the machine's (machine/memory.h); module variables are there alone.

#include "driver/driver.h"
#include "machine/memory.h"
#include <map>
#include <optional>

namespace emulator::driver {

/// Allocation::device of memory that every device may use: pinned, registered and managed memory.
constexpr int everyDevice = -1;

struct Block {
  enum class Kind : uint8_t {
    Device,     ///< cuMemAlloc
    Host,       ///< cuMemHostAlloc
    Registered, ///< cuMemHostRegister
    Managed,    ///< cuMemAllocManaged
    Pool,       ///< cuMemAllocAsync
    Mapped,     ///< cuMemMap
  };
  uint64_t address = 0, size = 0;
  Kind kind = Kind::Device;
  int device = 0;
  Context *context = nullptr; ///< null: of no one context
  unsigned flags = 0;
  uint64_t id = 0;
  std::shared_ptr<Pool> pool;
};

class MemoryMap {
public:
  static MemoryMap &instance();

  /// Allocates and records. Fails with CUDA_ERROR_OUT_OF_MEMORY beyond the device's size or the host's.
  uint64_t allocate(Block block, const std::string &name);
  /// Records bytes that lie elsewhere (registered, mapped).
  void adopt(Block block, const std::string &name);
  /// The block that holds the address.
  std::optional<Block> find(uint64_t address) const;
  /// Forgets and frees the block that begins here; false where none does.
  bool free(uint64_t address);
  std::vector<Block> blocks() const;
  uint64_t usedBytes(int device) const;

private:
  mutable std::mutex mutex;
  std::map<uint64_t, Block> byAddress;
  std::map<int, uint64_t> used;
  uint64_t lastId = 0;
};

/// Where device memory is meant: fails with CUDA_ERROR_INVALID_VALUE unless [address, address + size) lies in one
/// allocation. `what` names the argument.
void requireRange(uint64_t address, uint64_t size, const char *what);

} // namespace emulator::driver

#endif
