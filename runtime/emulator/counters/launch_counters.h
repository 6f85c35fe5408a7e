#ifndef RUNTIME_EMULATOR_COUNTERS_LAUNCH_COUNTERS_H
#define RUNTIME_EMULATOR_COUNTERS_LAUNCH_COUNTERS_H

// What a launch executed and moved. Instructions and bytes follow from the kernel and its arguments alone, and so
// compare two kernels on one problem; what depends on who waited for whom (polls) is kept apart from them.

#include "counters/instruction_class.h"
#include "machine/occupancy.h"
#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace emulator {

struct LaunchCounters {
  std::string kernel;
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, cluster[3] = {1, 1, 1};
  uint32_t staticSharedBytes = 0, dynamicSharedBytes = 0;
  uint32_t registers = 0; ///< by thread: an estimate, for ptxas has not seen the kernel
  Occupancy occupancy;

  struct Executed {
    uint64_t warps = 0;   ///< times that a warp executed it, for any of its lanes
    uint64_t lanes = 0;   ///< the same by lanes
    uint64_t skipped = 0; ///< times that a warp came by and the guard let no lane pass
    Executed &operator+=(const Executed &other) {
      warps += other.warps;
      lanes += other.lanes;
      skipped += other.skipped;
      return *this;
    }
  };
  Executed instructions; ///< of all classes, without polls
  std::array<Executed, instructionClasses> byClass{};
  std::map<std::string, Executed> byForm; ///< "ld.global.nc.v4.u32"
  /// mbarrier tests that failed: how many depends on the order of execution. In no class.
  uint64_t polls = 0;

  struct Global {
    uint64_t requests = 0; ///< a warp's
    uint64_t bytes = 0;    ///< that lanes asked for
    uint64_t sectors = 0;  ///< of 32 bytes, each counted once a request
    uint64_t lines = 0;    ///< of 128 bytes
  };
  Global globalLoads, globalStores, globalAtomics;

  struct Shared {
    uint64_t requests = 0, bytes = 0;
    uint64_t wavefronts = 0; ///< passes over the 32 banks of 4 bytes
    uint64_t conflicts = 0;  ///< those that another layout would save
  };
  Shared sharedLoads, sharedStores, sharedAtomics;
  struct Private {
    uint64_t requests = 0, bytes = 0;
  };
  Private local, constant;

  /// Asynchronous copies, by which machinery makes them.
  struct Copies {
    uint64_t operations = 0;
    uint64_t globalRead = 0, globalWritten = 0, sharedRead = 0, sharedWritten = 0; ///< bytes
    uint64_t sectors = 0, lines = 0; ///< of global memory, as above, by contiguous piece
  };
  Copies tensorCopies, bulkCopies; ///< both are TMA's
  Copies laneCopies;               ///< cp.async
  Copies remoteStores;             ///< st.async, red.async

  struct Products {
    uint64_t instructions = 0; ///< a wgmma is one of its warpgroup
    uint64_t flops = 0;
  };
  std::map<std::string, Products> wgmma, matrix; ///< by types: "f32.e4m3.e4m3"
  uint64_t wgmmaSharedBytes = 0;                 ///< of factors in shared memory, read once for a warpgroup

  /// Times that a warp arrived at or waited at (and passed) barriers.
  struct Barriers {
    uint64_t arrivals = 0, waits = 0;
  };
  Barriers named, clusters, mbarriers;
  uint64_t groupWaits = 0; ///< for groups of copies and wgmmas

  double emulatedCycles = 0; ///< by the trace's time model; 0 where nothing was traced

  std::string toText() const;
  std::string toJson() const;
};

} // namespace emulator

#endif
