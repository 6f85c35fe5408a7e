#include "checker/shadow.h"
#include <algorithm>

namespace emulator {

namespace {

std::mutex &creation() {
  static std::mutex mutex;
  return mutex;
}

Shadow &made(const Allocation &allocation, bool initialised) {
  std::lock_guard lock(creation());
  if (!allocation.shadow) {
    allocation.shadow = std::make_shared<Shadow>(allocation.address & ~uint64_t(3), allocation.size, initialised);
  }
  return *allocation.shadow;
}

} // namespace

Shadow &shadowOf(const Allocation &allocation) {
  // Every access comes here: the last answer is kept by thread.
  thread_local uint64_t lastSerial = 0;
  thread_local std::shared_ptr<Shadow> last;
  if (!last || lastSerial != allocation.serial) {
    made(allocation, true);
    last = allocation.shadow;
    lastSerial = allocation.serial;
  }
  return *last;
}

void trackInitialisation(const Allocation &allocation) { made(allocation, false); }

void hostWrote(uint64_t address, uint64_t bytes) {
  const Allocation *allocation = GlobalMemory::instance().find(address);
  if (!allocation) {
    return;
  }
  std::shared_ptr<Shadow> shadow;
  {
    std::lock_guard lock(creation());
    shadow = allocation->shadow;
  }
  if (shadow && !shadow->initialised) {
    shadow->markInitialised(address, std::min(bytes, allocation->size - (address - allocation->address)));
  }
}

Shadow::Page &Shadow::page(uint64_t at, uint32_t &cell) {
  uint64_t number = (at - address) / 4;
  cell = static_cast<uint32_t>(number % pageCells);
  std::atomic<Page *> &slot = pages[number / pageCells];
  Page *page = slot.load(std::memory_order_acquire);
  if (!page) [[unlikely]] {
    Page *fresh = new Page();
    if (initialised) {
      std::fill(std::begin(fresh->state), std::end(fresh->state), uint8_t(15));
    }
    if (slot.compare_exchange_strong(page, fresh, std::memory_order_acq_rel)) {
      return *fresh;
    }
    delete fresh;
  }
  return *page;
}

void Shadow::markInitialised(uint64_t at, uint64_t bytes) {
  for (uint64_t end = at + bytes; at < end;) {
    uint32_t cell = 0;
    Page &place = page(at & ~uint64_t(3), cell);
    uint64_t first = at & 3, last = std::min<uint64_t>(4, end - (at & ~uint64_t(3)));
    uint8_t bits = static_cast<uint8_t>((1u << last) - (1u << first));
    __atomic_fetch_or(&place.state[cell], bits, __ATOMIC_RELAXED);
    at = (at & ~uint64_t(3)) + 4;
  }
}

void Shadow::forgetAccesses() {
  for (std::atomic<Page *> &slot : pages) {
    if (Page *page = slot.load(std::memory_order_acquire)) {
      std::fill(std::begin(page->cells), std::end(page->cells), Cell());
    }
  }
}

} // namespace emulator
