#ifndef RUNTIME_EMULATOR_MACHINE_MEMORY_H
#define RUNTIME_EMULATOR_MACHINE_MEMORY_H

// Where addresses lead.
//
// A global address is the host's own address of a byte inside one large reserved range (so an access costs no table
// walk, and host code may read what a kernel wrote); allocations are kept apart by gaps that are never valid.
// Constants, kernel parameters and module variables are allocations too. The generic windows of shared and local memory
// lie outside of any host address.
//
// A shared address is (CTA's rank in its cluster) << 24 | offset, also where there is no cluster (rank 0): so
// shared::cta addresses are valid shared::cluster ones. A CTA's own memory begins at offset 1,024, as on hardware,
// which reserves that much.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

namespace emulator {

constexpr uint64_t sharedWindow = 0x2000'0000'0000'0000; ///< generic address of shared address 0
constexpr uint64_t sharedWindowBytes = uint64_t(1) << 32;
constexpr uint64_t localWindow = 0x3000'0000'0000'0000; ///< generic address of a lane's local address 0
constexpr uint64_t localWindowBytes = uint64_t(1) << 32;
constexpr unsigned sharedRankShift = 24;
constexpr uint32_t reservedSharedBytes = 1024;

struct Shadow; // What the checker keeps beside an allocation.

struct Allocation {
  uint64_t address = 0, size = 0;
  int device = 0;
  bool writable = true;
  bool initialised = false; ///< its bytes mean something from the start (variables, parameters)
  std::string name;         ///< "buffer 3", "constant table", "parameters of gemm": for reports
  uint64_t serial = 0;
  mutable std::shared_ptr<Shadow> shadow;
};

/// All global memory of the process: unified addressing, as CUDA has it. Threads may use it at the same time.
class GlobalMemory {
public:
  static GlobalMemory &instance();

  /// Fresh bytes, uninitialised for the checker; null where `size` does not fit. Aligned to 512 bytes as cuMemAlloc is.
  Allocation *allocate(uint64_t size, int device, std::string name);
  /// Host memory that kernels may use from now on (cuMemHostRegister): the bytes stay where they are and the caller's.
  /// Null where it overlaps another allocation.
  Allocation *adopt(void *bytes, uint64_t size, int device, bool writable, std::string name);
  /// Ends an allocation that begins at `address`; false where none does.
  bool free(uint64_t address);
  /// The allocation that holds the address, or null. Cheap: the last answer is kept by thread.
  const Allocation *find(uint64_t address) const;
  /// As above, and where there is none the nearest below, for a report.
  const Allocation *nearest(uint64_t address) const;
  std::vector<const Allocation *> all() const;

private:
  GlobalMemory();
  const Allocation *lookUp(uint64_t address) const;

  mutable std::shared_mutex mutex;
  std::map<uint64_t, std::unique_ptr<Allocation>> allocations; ///< by address
  std::deque<std::unique_ptr<Allocation>> freed; ///< a while, for those who still look at what they found before
  uint64_t freedBytes = 0;                       ///< of these
  uint64_t begin = 0, end = 0;                   ///< the reserved range
  uint64_t next = 0;                             ///< where the search for room begins
  uint64_t serial = 0;
  std::atomic<uint64_t> epoch = 1; ///< changes with each free: a thread's remembered answer may be wrong then
};

} // namespace emulator

#endif
