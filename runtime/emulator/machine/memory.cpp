#include "machine/memory.h"
#include <algorithm>
#include <iterator>
#include <sys/mman.h>

namespace emulator {

static constexpr uint64_t granule = 512;

GlobalMemory &GlobalMemory::instance() {
  static GlobalMemory *memory = new GlobalMemory; // Outlives the machine's threads.
  return *memory;
}

GlobalMemory::GlobalMemory() {
  // Address space only: pages come into being when they are touched. Less where the system does not give so much.
  for (uint64_t size = uint64_t(1) << 40; size >= uint64_t(1) << 28; size >>= 1) {
    void *range = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range != MAP_FAILED) {
      begin = reinterpret_cast<uint64_t>(range);
      end = begin + size;
      break;
    }
  }
  // Never the very first bytes: an allocation has a gap before it too.
  next = begin + granule;
}

Allocation *GlobalMemory::allocate(uint64_t size, int device, std::string name) {
  std::unique_lock lock(mutex);
  const uint64_t held = (size + granule - 1) / granule * granule;
  if (!begin || held < size || held + 2 * granule > end - begin) {
    return nullptr;
  }
  // Next fit: from where the last search ended to the end, then from the beginning. So addresses are reused late, and
  // a stale pointer leads nowhere for long.
  auto roomFrom = [&](uint64_t from, uint64_t limit) -> uint64_t {
    auto above = allocations.lower_bound(from);
    if (above != allocations.begin()) {
      const Allocation &below = *std::prev(above)->second;
      if (below.address >= begin && below.address < end) {
        from = std::max(from, (below.address + below.size + granule - 1) / granule * granule + granule);
      }
    }
    for (; from + held + granule <= limit; ++above) {
      if (above == allocations.end() || above->first >= from + held + granule) {
        return from;
      }
      from = (above->first + above->second->size + granule - 1) / granule * granule + granule;
    }
    return 0;
  };
  uint64_t address = roomFrom(next, end);
  if (!address) {
    address = roomFrom(begin + granule, end);
  }
  if (!address) {
    return nullptr;
  }
  next = address + held + granule;
  auto allocation = std::make_unique<Allocation>();
  allocation->address = address;
  allocation->size = size;
  allocation->device = device;
  allocation->name = std::move(name);
  allocation->serial = ++serial;
  return allocations.emplace(address, std::move(allocation)).first->second.get();
}

Allocation *GlobalMemory::adopt(void *bytes, uint64_t size, int device, bool writable, std::string name) {
  std::unique_lock lock(mutex);
  const uint64_t address = reinterpret_cast<uint64_t>(bytes);
  auto above = allocations.lower_bound(address);
  if (size == 0 || address + size < address || (above != allocations.end() && above->first < address + size)) {
    return nullptr;
  }
  if (above != allocations.begin()) {
    const Allocation &below = *std::prev(above)->second;
    if (below.address + below.size > address) {
      return nullptr;
    }
  }
  auto allocation = std::make_unique<Allocation>();
  allocation->address = address;
  allocation->size = size;
  allocation->device = device;
  allocation->writable = writable;
  allocation->name = std::move(name);
  allocation->serial = ++serial;
  return allocations.emplace(address, std::move(allocation)).first->second.get();
}

/// How many freed allocations are kept: a few of any size, many small ones.
static constexpr size_t fewFreed = 64, mostFreed = 4096;
static constexpr uint64_t mostFreedBytes = uint64_t(64) << 20;

bool GlobalMemory::free(uint64_t address) {
  std::unique_lock lock(mutex);
  auto found = allocations.find(address);
  if (found == allocations.end()) {
    return false;
  }
  const Allocation &allocation = *found->second;
  if (address >= begin && address < end) {
    // Give pages back, also those that others had a part of before: small allocations wander through the range.
    constexpr uint64_t page = 4096;
    uint64_t first = address / page * page, last = (address + allocation.size + page - 1) / page * page;
    if (found != allocations.begin()) {
      const Allocation &below = *std::prev(found)->second;
      first = below.address + below.size > first ? first + page : first;
    }
    if (auto above = std::next(found); above != allocations.end() && above->first < last) {
      last -= page;
    }
    if (first < last) {
      madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
    }
  }
  epoch.fetch_add(1, std::memory_order_release);
  freedBytes += allocation.size;
  freed.push_back(std::move(found->second));
  allocations.erase(found);
  // Shadows are several times as large as what they are of.
  while (freed.size() > mostFreed || (freed.size() > fewFreed && freedBytes > mostFreedBytes)) {
    freedBytes -= freed.front()->size;
    freed.pop_front();
  }
  return true;
}

const Allocation *GlobalMemory::lookUp(uint64_t address) const {
  auto above = allocations.upper_bound(address);
  return above == allocations.begin() ? nullptr : std::prev(above)->second.get();
}

const Allocation *GlobalMemory::find(uint64_t address) const {
  // The last two answers: kernels like to go to and fro between an input and an output.
  struct Remembered {
    uint64_t epoch = 0, address = 0, size = 0;
    const Allocation *allocation = nullptr;
  };
  static thread_local Remembered last[2];
  const uint64_t now = epoch.load(std::memory_order_acquire);
  for (const Remembered &answer : last) {
    if (answer.epoch == now && address - answer.address < answer.size) {
      return answer.allocation;
    }
  }
  std::shared_lock lock(mutex);
  const Allocation *allocation = lookUp(address);
  if (!allocation || address - allocation->address >= allocation->size) {
    return nullptr;
  }
  last[1] = last[0];
  last[0] = {epoch.load(std::memory_order_relaxed), allocation->address, allocation->size, allocation};
  return allocation;
}

const Allocation *GlobalMemory::nearest(uint64_t address) const {
  std::shared_lock lock(mutex);
  return lookUp(address);
}

std::vector<const Allocation *> GlobalMemory::all() const {
  std::shared_lock lock(mutex);
  std::vector<const Allocation *> found;
  for (const auto &[address, allocation] : allocations) {
    found.push_back(allocation.get());
  }
  return found;
}

} // namespace emulator
