#ifndef RUNTIME_EMULATOR_CHECKER_SHADOW_H
#define RUNTIME_EMULATOR_CHECKER_SHADOW_H

// What the checker keeps beside memory: for each four bytes who wrote them last, who read them since, and which of them
// mean something. (Epochs instead of vector clocks wherever one access stands for all before it: Flanagan and Freund,
// "FastTrack", 2009.) Four bytes that are accessed in parts get a cell for each byte.

#include "machine/memory.h"
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace emulator {

/// An access: which cluster's (20 bits), by which record of that cluster's table (18), at which clock (20), by which
/// lane (6; manyLanes for several). 0: none.
using Epoch = uint64_t;
constexpr uint32_t manyLanes = 32;
constexpr uint64_t maxSerial = (1 << 20) - 4; ///< the highest values mark what is not an epoch
constexpr uint32_t maxRecords = 1 << 18, maxClock = (1 << 20) - 1;

constexpr Epoch makeEpoch(uint64_t serial, uint64_t record, uint64_t clock, uint64_t lane) {
  return serial << 44 | record << 26 | clock << 6 | lane;
}
constexpr uint64_t serialOf(Epoch epoch) { return epoch >> 44; }
constexpr uint32_t recordNumber(Epoch epoch) { return static_cast<uint32_t>(epoch >> 26) & (maxRecords - 1); }
constexpr uint32_t clockOf(Epoch epoch) { return static_cast<uint32_t>(epoch >> 6) & maxClock; }
constexpr uint32_t laneOf(Epoch epoch) { return static_cast<uint32_t>(epoch) & 63; }

/// Marks: a set of readers (`read`), cells by byte (`write`).
constexpr uint64_t setMark = 0xFFFFD, bytesMark = 0xFFFFE;
constexpr Epoch marked(uint64_t mark, uint64_t index) { return mark << 44 | index; }
constexpr bool isMarked(Epoch epoch, uint64_t mark) { return epoch >> 44 == mark; }
constexpr uint64_t indexOf(Epoch epoch) { return epoch & ((uint64_t(1) << 44) - 1); }

struct Cell {
  Epoch write = 0, read = 0;
};
struct ByteCells {
  Cell bytes[4];
};

/// The shadow of one CTA's shared memory, of one host thread's.
struct SharedShadow {
  std::vector<Cell> cells;
  std::vector<uint8_t> state; ///< of each cell: bits 0-3 bytes that were written, 4 an mbarrier lies here
  std::vector<ByteCells> byteCells;

  explicit SharedShadow(uint32_t bytes) : cells((bytes + 3) / 4), state((bytes + 3) / 4) {}
};
constexpr uint8_t holdsMbarrier = 16;

/// The shadow of an allocation, page by page as it is used. Host threads share it: words are read and written whole,
/// and what two threads write at the same time is one or the other.
struct Shadow {
  static constexpr uint32_t pageBytes = 4096, pageCells = pageBytes / 4;
  struct Page {
    Cell cells[pageCells];
    uint8_t state[pageCells];
  };

  Shadow(uint64_t address, uint64_t size, bool initialised)
      : address(address), initialised(initialised), pages(size / pageBytes + 2) {}
  ~Shadow() {
    for (std::atomic<Page *> &page : pages) {
      delete page.load();
    }
  }

  /// The page that holds an address, and the number of its cell there.
  Page &page(uint64_t at, uint32_t &cell);
  /// The host, or a copy that the driver makes, has written bytes.
  void markInitialised(uint64_t at, uint64_t bytes);
  /// Who accessed what; not what is initialised.
  void forgetAccesses();

  const uint64_t address; ///< rounded down by pages as the cells are counted
  const bool initialised;
  std::vector<std::atomic<Page *>> pages;
  std::mutex mutex; ///< of byteCells
  std::vector<std::unique_ptr<ByteCells>> byteCells;
};

/// Makes the allocation's bytes uninitialised for the checker until somebody writes them. Without a call they count as
/// initialised: who writes through the host's pointer cannot be seen.
void trackInitialisation(const Allocation &allocation);
/// The host wrote these bytes of global memory, or a copy of the driver's did.
void hostWrote(uint64_t address, uint64_t bytes);
/// The allocation's shadow, which is made at the first call.
Shadow &shadowOf(const Allocation &allocation);

} // namespace emulator

#endif
