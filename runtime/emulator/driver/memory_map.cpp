#include "driver/memory_map.h"
#include "checker/shadow.h"
#include "driver/context.h"
#include "driver/pool.h"
#include <iterator>

namespace emulator::driver {

MemoryMap &MemoryMap::instance() {
  static MemoryMap *map = new MemoryMap;
  return *map;
}

uint64_t MemoryMap::allocate(Block block, const std::string &name) {
  std::lock_guard lock(mutex);
  const bool onDevice = block.kind == Block::Kind::Device || block.kind == Block::Kind::Pool;
  if (onDevice) {
    const uint64_t limit = Driver::instance().devices[static_cast<size_t>(block.device)].properties->memoryBytes;
    if (block.size > limit - used[block.device]) {
      fail(CUDA_ERROR_OUT_OF_MEMORY, "%llu bytes, where %llu of %llu are free", (unsigned long long)block.size,
           (unsigned long long)(limit - used[block.device]), (unsigned long long)limit);
    }
  }
  const Allocation *allocation = GlobalMemory::instance().allocate(block.size, onDevice ? block.device : everyDevice,
                                                                   name + " " + std::to_string(lastId + 1));
  if (!allocation) {
    fail(CUDA_ERROR_OUT_OF_MEMORY, "%llu bytes do not fit the address space", (unsigned long long)block.size);
  }
  if (onDevice) {
    used[block.device] += block.size;
    if (Driver::instance().options.check) {
      trackInitialisation(*allocation); // Other memory the host may write without telling.
    }
  }
  block.address = allocation->address;
  block.id = ++lastId;
  byAddress[block.address] = block;
  return block.address;
}

void MemoryMap::adopt(Block block, const std::string &name) {
  std::lock_guard lock(mutex);
  // The device only reads what is registered so (CU_MEMHOSTREGISTER_READ_ONLY).
  const bool writable = block.kind != Block::Kind::Registered || !(block.flags & memHostReadOnly);
  if (!GlobalMemory::instance().adopt(reinterpret_cast<void *>(block.address), block.size,
                                      block.kind == Block::Kind::Mapped ? block.device : everyDevice, writable,
                                      name + " " + std::to_string(lastId + 1))) {
    fail(block.kind == Block::Kind::Registered ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : CUDA_ERROR_INVALID_VALUE,
         "%llu bytes at 0x%llx overlap memory that is known already", (unsigned long long)block.size,
         (unsigned long long)block.address);
  }
  block.id = ++lastId;
  byAddress[block.address] = block;
}

std::optional<Block> MemoryMap::find(uint64_t address) const {
  std::lock_guard lock(mutex);
  auto above = byAddress.upper_bound(address);
  if (above == byAddress.begin()) {
    return std::nullopt;
  }
  const Block &block = std::prev(above)->second;
  return address - block.address < block.size ? std::optional(block) : std::nullopt;
}

bool MemoryMap::free(uint64_t address) {
  std::lock_guard lock(mutex);
  auto found = byAddress.find(address);
  if (found == byAddress.end()) {
    return false;
  }
  const Block &block = found->second;
  if (block.kind == Block::Kind::Device || block.kind == Block::Kind::Pool) {
    used[block.device] -= block.size;
  }
  if (block.pool) {
    block.pool->freed(block.size);
  }
  GlobalMemory::instance().free(address);
  byAddress.erase(found);
  return true;
}

std::vector<Block> MemoryMap::blocks() const {
  std::lock_guard lock(mutex);
  std::vector<Block> all;
  for (const auto &[address, block] : byAddress) {
    all.push_back(block);
  }
  return all;
}

uint64_t MemoryMap::usedBytes(int device) const {
  std::lock_guard lock(mutex);
  auto found = used.find(device);
  return found == used.end() ? 0 : found->second;
}

void requireRange(uint64_t address, uint64_t size, const char *what) {
  if (size == 0) {
    return;
  }
  const Allocation *allocation = GlobalMemory::instance().find(address);
  if (!allocation) {
    const Allocation *near = GlobalMemory::instance().nearest(address);
    fail(CUDA_ERROR_INVALID_VALUE, "%s 0x%llx lies in no allocation%s%s", what, (unsigned long long)address,
         near ? "; the nearest below is " : "",
         near ? formatted("%s, 0x%llx and %llu bytes", near->name.c_str(), (unsigned long long)near->address,
                          (unsigned long long)near->size)
                    .c_str()
              : "");
  }
  const uint64_t room = allocation->address + allocation->size - address;
  if (size > room) {
    fail(CUDA_ERROR_INVALID_VALUE, "%s: %llu bytes from 0x%llx, where %s has %llu left of %llu", what,
         (unsigned long long)size, (unsigned long long)address, allocation->name.c_str(), (unsigned long long)room,
         (unsigned long long)allocation->size);
  }
}

} // namespace emulator::driver
