#ifndef RUNTIME_EMULATOR_MACHINE_CTA_H
#define RUNTIME_EMULATOR_MACHINE_CTA_H

// A thread block and its cluster. All CTAs of a cluster run on one host thread, turn by turn; clusters run on all
// cores.

#include "machine/async.h"
#include "machine/mbarrier.h"
#include "machine/memory.h"
#include "machine/warp.h"
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace emulator {

class Grid;
class Cluster;

/// Where the warps of a warpgroup come together: wgmma is theirs together (PTX ISA, wgmma.fence: `.aligned`).
struct WarpgroupMeeting {
  uint32_t arrived = 0; ///< warps
  uint32_t generation = 0;
};

struct NamedBarrier {
  static constexpr uint32_t everybody = ~uint32_t(0);

  uint32_t expected = 0; ///< threads; 0 while nobody has come, `everybody` for all of the CTA that are alive
  uint32_t arrived = 0;
  uint32_t generation = 0;
  uint32_t reduced = 0;         ///< bar.red's value so far
  uint32_t results[2] = {0, 0}; ///< of finished generations, even and odd
};

class Cta {
public:
  Cta(Cluster &cluster, uint32_t rank, const uint32_t (&index)[3]);
  ~Cta();

  Cluster &cluster;
  const uint32_t rank; ///< in the cluster
  uint32_t index[3];   ///< %ctaid
  std::vector<std::unique_ptr<Warp>> warps;
  std::array<NamedBarrier, 16> barriers;
  std::vector<WarpgroupMeeting> warpgroupMeetings; ///< by warpgroup; empty before the first one
  Mbarriers mbarriers;                             ///< of this CTA's shared memory
  unsigned registersFree = 0;                      ///< setmaxnreg's pool
  bool dependentsLaunched = false;

  Grid &grid() const;

  /// [0, sharedEnd): the bytes below reservedSharedBytes are never valid.
  std::byte *shared() { return sharedBytes.data(); }
  uint32_t sharedEnd() const { return static_cast<uint32_t>(sharedBytes.size()); }
  /// The shared address (with rank) of an offset.
  uint32_t sharedAddress(uint32_t offset) const { return rank << sharedRankShift | offset; }

  std::byte *localMemory(const Warp &warp, unsigned lane);
  bool finished() const;

private:
  std::vector<std::byte> sharedBytes;
  struct Freer {
    void operator()(std::byte *bytes) const;
  };
  std::unique_ptr<std::byte, Freer> localBytes; ///< calloc's: untouched pages cost nothing
};

/// Where a generic or shared address leads. `cta` is set for shared memory, and then `offset` counts in it.
struct Target {
  std::byte *bytes = nullptr; ///< null: nothing valid there
  Cta *cta = nullptr;
  uint64_t offset = 0;
  bool local = false;
  bool writable = true;
  const Allocation *allocation = nullptr;
};

class Cluster {
public:
  /// The cluster with the number `linear` of the grid.
  Cluster(Grid &grid, uint32_t linear);
  ~Cluster();

  Grid &grid;
  std::vector<std::unique_ptr<Cta>> ctas; ///< by rank
  AsyncEngine async;
  std::mt19937_64 random;                        ///< seeded by the run's seed and the cluster's index
  uint32_t barrierArrived = 0, barrierPhase = 0; ///< barrier.cluster, in threads

  /// Resolves an address for an access of `bytes` by a lane of `cta`, bounds included.
  Target resolveGeneric(Cta &cta, const Warp *warp, unsigned lane, uint64_t address, uint64_t bytes);
  Target resolveShared(Cta &cta, uint64_t sharedAddress, uint64_t bytes);
  Target resolveGlobal(uint64_t address, uint64_t bytes);

  /// Runs until finished, or nothing in it can go on, or `budget` is spent; true if anything moved.
  bool run(uint64_t budget);
  bool finished() const;
  uint64_t signals = 0;      ///< waits that came to their end
  uint64_t instructions = 0; ///< that its warps have run: the emulated clock
  const uint32_t linear;     ///< its number in the grid, x fastest
  /// Every group that waits, and for what: the wait graph.
  std::string describeWaits();

private:
  bool turn(uint64_t &budget, bool &yielded);
  void deadlock();
  void endCtas();

  uint64_t timeOuts = 0;        ///< in a row, with nothing else happening
  std::vector<bool> ended;      ///< CTAs whose end is told
  std::vector<uint32_t> delays; ///< adversarial: turns that each warp, by number, still sits out
};

} // namespace emulator

#endif
