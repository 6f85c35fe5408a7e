#ifndef TESTS_RUNTIME_EMULATOR_CHECKER_CHECKED_RUN_H
#define TESTS_RUNTIME_EMULATOR_CHECKER_CHECKED_RUN_H

// Runs a kernel of a few lines under the checker.

#include "checker/checker.h"
#include "machine/grid.h"
#include "machine/memory.h"
#include <string>
#include <vector>

namespace emulator {

/// A global allocation that ends with the test. Written by the host with zeros, unless `uninitialised`.
class Buffer {
public:
  explicit Buffer(uint64_t bytes, bool uninitialised = false);
  ~Buffer();
  Buffer(const Buffer &) = delete;
  uint64_t address() const { return allocation->address; }
  void fill(uint8_t byte);

private:
  const Allocation *allocation;
};

struct CheckedLaunch {
  uint32_t grid = 1, block = 32, cluster = 1, dynamicShared = 0;
  std::vector<uint64_t> arguments; ///< of 64 bits each
  std::vector<uint8_t> tensorMap;  ///< 128 bytes: a first parameter `map`, where there is one
  Order order = Order::Eager;
  uint64_t seed = 0;
  bool adversarial = false;
  unsigned threads = 1;
};

struct CheckedResult {
  std::vector<Report> reports;
  std::string fault; ///< empty: the grid ended well

  /// Names of the kinds, sorted, without repetitions: "shared-race deadlock".
  std::string kinds() const;
  std::string text() const;
};

/// `body` is what stands in kernel `k` behind the declarations of %r1 to %r15, %rd1 to %rd15, %f1 to %f15, %p1 to %p7
/// and the loads of %tid.x into %r1, %ctaid.x into %r2, and the arguments into %rd1, %rd2, ...
CheckedResult runChecked(const std::string &body, const CheckedLaunch &launch);

} // namespace emulator

#endif
