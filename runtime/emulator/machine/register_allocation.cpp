#include "machine/register_allocation.h"
#include <algorithm>
#include <queue>

namespace emulator {

RegisterAllocation allocateRegisters(const std::vector<LiveInterval> &intervals, const std::vector<uint8_t> &granules,
                                     uint32_t firstByte) {
  constexpr uint32_t granuleBytes = 64;
  RegisterAllocation result;
  result.place.assign(granules.size(), 0);
  // Free places by width: predicates, then 1, 2, 4, 8 granules. Widths do not mix, so that nothing is fragmented;
  // lowest places first, so that what is in use stays together.
  using Heap = std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>>;
  Heap free[9];
  struct Active {
    uint32_t end, place;
    uint8_t width;
    bool operator>(const Active &other) const { return end > other.end; }
  };
  std::priority_queue<Active, std::vector<Active>, std::greater<>> active;
  uint32_t next = firstByte, halves = 0;
  for (const LiveInterval &interval : intervals) {
    while (!active.empty() && active.top().end < interval.begin) {
      free[active.top().width].push(active.top().place);
      halves -= active.top().width;
      active.pop();
    }
    const uint8_t width = granules[interval.reg];
    uint32_t place = 0;
    if (!free[width].empty() && !interval.undefinedAtEntry) {
      place = free[width].top();
      free[width].pop();
    } else if (width == 0) {
      place = result.predicateCount++;
    } else {
      place = next;
      next += width * granuleBytes;
    }
    result.place[interval.reg] = place;
    halves += width;
    result.peakWords = std::max(result.peakWords, (halves + 1) / 2);
    if (!interval.undefinedAtEntry) {
      active.push({interval.end, place, width});
    }
  }
  result.registerBytes = next;
  return result;
}

} // namespace emulator
