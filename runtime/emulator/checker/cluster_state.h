#ifndef RUNTIME_EMULATOR_CHECKER_CLUSTER_STATE_H
#define RUNTIME_EMULATOR_CHECKER_CLUSTER_STATE_H

// What the checker keeps of a running cluster and its grid. A cluster's calls come from one host thread at a time; what
// others read of it (its records, for races between clusters) is only added to.

#include "checker/checker.h"
#include "checker/knowledge.h"
#include "checker/shadow.h"
#include "machine/cta.h"
#include "machine/grid.h"
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <map>
#include <mutex>
#include <span>
#include <unordered_map>

namespace emulator::checking {

/// Who an epoch's access was by: an instruction of a warp, or one asynchronous operation.
struct Record {
  const Op *op = nullptr;
  uint32_t warp = 0; ///< in the cluster
  int8_t lane = -1;  ///< that issued the operation
  enum class Kind : uint8_t { Thread, Copy, Bulk, Wgmma, Store } kind = Kind::Thread;
  Scope strong = Scope::None;   ///< of a strong access; None: it is weak
  bool asyncProxy = false;      ///< the operation's accesses are of the async proxy
  uint32_t sequence = 0;        ///< the operation's number among its warp's of this kind
  uint32_t firstCompletion = 0; ///< mbarriers that it completed on: where in Records::completions, and how many
  uint32_t completionCount = 0; ///< changes while others read it: see Records
};

/// A table of at most `limit` entries that grows while others read it. Whoever finds the number of an entry may look it
/// up, given that the number came to him by a release and an acquire.
template <typename T, uint32_t limit> class GrowingTable {
public:
  ~GrowingTable() {
    for (std::atomic<T *> &chunk : chunks) {
      delete[] chunk.load();
    }
  }
  T &operator[](uint32_t index) const {
    const unsigned chunk = chunkOf(index);
    return chunks[chunk].load(std::memory_order_acquire)[index - firstOf(chunk)];
  }
  bool full() const { return count == limit; }
  uint32_t add(const T &entry) {
    assert(!full());
    if (const unsigned chunk = chunkOf(count); count == firstOf(chunk)) {
      chunks[chunk].store(new T[firstChunk << chunk], std::memory_order_release);
    }
    (*this)[count] = entry;
    return count++;
  }

private:
  // Each chunk is twice as large as the one before it: most clusters have few entries.
  static constexpr uint32_t firstChunk = 64;
  static constexpr unsigned chunkOf(uint32_t index) {
    return static_cast<unsigned>(std::bit_width(index / firstChunk + 1)) - 1;
  }
  static constexpr uint32_t firstOf(unsigned chunk) { return firstChunk * ((1u << chunk) - 1); }
  std::array<std::atomic<T *>, std::bit_width(limit / firstChunk + 1)> chunks = {};
  uint32_t count = 0;
};

/// A cluster's records, and the mbarriers that its operations completed on.
class Records {
public:
  struct Completion {
    uint32_t mbarrier = 0, phase = 0;
  };

  Record &operator[](uint32_t index) const { return records[index]; }
  /// 0 where the table is full: a record that orders everything.
  uint32_t add(const Record &record) { return records.full() ? 0 : records.add(record); }

  /// An operation's completions follow each other: it happens at once.
  void complete(Record &record, const Completion &completion) {
    const uint32_t index = completions.add(completion);
    if (record.completionCount == 0) {
      record.firstCompletion = index;
    }
    __atomic_store_n(&record.completionCount, record.completionCount + 1, __ATOMIC_RELEASE);
  }
  uint32_t completionCount(const Record &record) const {
    return __atomic_load_n(&record.completionCount, __ATOMIC_ACQUIRE);
  }
  const Completion &completion(const Record &record, uint32_t which) const {
    return completions[record.firstCompletion + which];
  }

private:
  static constexpr uint32_t maxClusterCtas = 16; // A multicast completes on an mbarrier of each.
  GrowingTable<Record, maxRecords> records;
  GrowingTable<Completion, maxRecords * maxClusterCtas> completions;
};

struct CtaState;

/// Sets of readers, by number. A set never changes; those that no cell names any more go when there are many.
class ReaderSets {
public:
  std::span<const Epoch> operator[](uint64_t index) const {
    return std::span(epochs).subspan(ends[index], ends[index + 1] - ends[index]);
  }
  uint64_t add(std::span<const Epoch> set) {
    epochs.insert(epochs.end(), set.begin(), set.end());
    ends.push_back(epochs.size());
    return ends.size() - 2;
  }
  bool full() const { return ends.size() > limit; }
  /// Keeps the sets that cells of these shadows name, under new numbers.
  void collect(std::span<CtaState> ctas);
  void clear() { *this = {}; }

private:
  size_t limit = 1 << 13; ///< of sets, before some are collected: they should stay in a cache
  std::vector<Epoch> epochs;
  std::vector<size_t> ends{0}; ///< each begins where the one before it ends
};

/// Lanes that know the same.
struct LaneGroup {
  Lanes lanes;
  Knowledge known;
};

/// A release pattern's first half: what a fence found, for the strong writes that follow it; and an acquire pattern's:
/// what strong reads found, for the fence that follows them (PTX ISA, memory consistency model: "release and acquire
/// patterns").
struct Patterns {
  std::shared_ptr<const Knowledge> released[warpLanes];
  Scope releasedScope[warpLanes] = {};
  std::shared_ptr<Knowledge> acquirable[warpLanes];
  bool any = false;
};

/// A strong read, whose value is not there yet when it is told: what it acquires is looked up before the warp's next
/// event, when whoever wrote the value has told so.
struct StrongRead {
  std::pair<uint64_t, uint64_t> place;
  unsigned lane = 0;
  bool acquires = false;
  Scope scope = Scope::System;
};

struct WarpState {
  const Warp *warp = nullptr;
  uint32_t number = 0; ///< in the cluster
  uint32_t clock = 1;
  bool published = false;        ///< others may know the clock: the next access gets a new one
  std::vector<LaneGroup> groups; ///< of all lanes
  Patterns patterns;
  std::vector<StrongRead> strongReads;

  struct CachedRecord {
    const Op *op = nullptr;
    uint32_t record = 0;
  };
  std::array<CachedRecord, 64> cache;
  std::unordered_map<const Op *, uint32_t> records;

  /// Numbers of asynchronous operations, by Record::Kind: issued, and the last one before each commit, by lane.
  uint32_t issued[5] = {};
  std::vector<std::vector<uint32_t>> commits[5]; ///< by lane, once there is one
  size_t wgmmasForgotten = 0;                    ///< commits of wgmma groups that are no longer in the list
  std::shared_ptr<const Knowledge> snapshot;     ///< what the last operation was issued with
  Lanes snapshotLanes = 0;
  uint32_t snapshotClock = 0, snapshotVersion = 0;
  uint32_t version = 0; ///< of `groups`
  bool wgmmaFenced = false;
  uint32_t lastSource = 0, lastSourceRecord = 0;   ///< the last bulk store that read shared memory
  std::shared_ptr<const Knowledge> tensorMapFence; ///< what was known at the last fence.proxy.tensormap
};

/// A named or cluster barrier: what came to it, and for each warp what it will know when it passes.
struct Meeting {
  std::shared_ptr<Knowledge> arriving;
  std::vector<std::shared_ptr<Knowledge>> entered; ///< by warp
};

struct MbarrierState {
  Cta *owner = nullptr;
  uint32_t offset = 0;
  Epoch init = 0;          ///< by whom
  bool fenced = false;     ///< for the async proxy
  bool announcing = false; ///< fence.mbarrier_init and a relaxed arrival stand behind the init; the wait is to come
  bool announced = false;
  bool live = false;
  uint32_t phase = 0; ///< completed phases
  int64_t bytes = 0;  ///< outstanding
  Knowledge arriving, completed;
  uint64_t lastPhaseEvent = 0; ///< ClusterState::events when a phase last completed
  uint32_t record = 0;         ///< of the last expect_tx
  bool countReported = false;
  /// The last arrival of each lane of another CTA: which one, in which phase.
  struct Visit {
    Epoch epoch = 0;
    uint32_t warp = 0, phase = 0;
  };
  std::vector<Visit> visits;
};

struct CtaState {
  Cta *cta = nullptr;
  uint32_t index[3] = {0, 0, 0};
  std::unique_ptr<SharedShadow> shadow;
  std::array<Meeting, 16> barriers;
  std::array<Meeting, 8> warpgroups;
  std::unordered_map<uint32_t, uint32_t> mbarriers; ///< offset to index
  bool visited = false;                             ///< others of the cluster were in its shared memory
  bool ended = false;
};

struct Operation {
  uint32_t record = 0;
  std::shared_ptr<const Knowledge> known; ///< of the lanes that issued it
  Lanes lanes = 0;
  uint64_t issueEvent = 0;
  bool readsShared = false;
  std::vector<uint32_t> clocks; ///< of a bulk copy: of the cluster's warps, when it was issued
};

struct GridState;

struct ClusterState {
  const Cluster *cluster = nullptr;
  uint64_t serial = 0;
  std::shared_ptr<GridState> grid;
  uint32_t warpsPerCta = 0;
  std::vector<WarpState> warps; ///< none any more when the cluster has ended
  std::vector<CtaState> ctas;
  Meeting clusterBarrier;
  std::vector<MbarrierState> mbarriers;
  std::shared_ptr<Records> records = std::make_shared<Records>();
  std::unordered_map<uint64_t, Operation> operations;
  Operation *current = nullptr; ///< whose accesses are being told
  uint64_t events = 0;
  /// Clusters of other grids that are known to have ended before this one began.
  std::unordered_map<uint64_t, bool> earlier;

  /// Sets of readers. Neighbouring cells go through the same changes: the last of these are kept.
  ReaderSets sets;
  struct Transition {
    Epoch from = 0, added = 0, result = 0;
    uint32_t version = 0, warp = 0;
  };
  std::array<Transition, 64> transitions;

  uint32_t warpCount() const { return static_cast<uint32_t>(ctas.size()) * warpsPerCta; }
  uint32_t warpNumber(const Warp &warp) const { return warp.cta.rank * warpsPerCta + warp.index; }
  WarpState &of(const Warp &warp) { return warps[warpNumber(warp)]; }
};

struct GridState {
  std::shared_ptr<LoadedModule> module;
  std::string kernel;
  uint64_t kernelHash = 0;
  uint64_t begun = 0, ended = 0; ///< on Checker::Impl's clock; ended 0: it runs
  std::vector<std::weak_ptr<GridState>> primaryStates;
  std::vector<uint64_t> primarySerials;
  std::vector<std::shared_ptr<ClusterState>> clusters;
};

/// Somebody's release at an address.
struct Released {
  std::shared_ptr<const Knowledge> known;
  uint64_t serial = 0; ///< of the cluster
  uint32_t cta = 0;
  Scope scope = Scope::System;
};

} // namespace emulator::checking

namespace emulator {

struct Checker::Impl {
  using ClusterState = checking::ClusterState;

  Checker &checker;
  ReportLog &log;
  explicit Impl(Checker &checker) : checker(checker), log(checker.log) {}

  std::mutex mutex; ///< of what follows
  std::unordered_map<const Cluster *, std::shared_ptr<ClusterState>> clusters;
  std::unordered_map<const Grid *, std::shared_ptr<checking::GridState>> grids;
  /// By serial number: what became of a cluster's grid, for races between grids.
  std::unordered_map<uint64_t, std::shared_ptr<ClusterState>> bySerial; ///< until their grid ends
  struct Ended {
    uint64_t time = 0, grid = 0; ///< when, and Grid::serial
  };
  std::unordered_map<uint64_t, Ended> endedAt; ///< and when that was
  uint64_t time = 0;
  std::atomic<uint64_t> epoch = 1; ///< changes when a cluster comes: a thread's remembered one may be another then
  std::mutex releasedMutex;
  std::map<std::pair<uint64_t, uint64_t>, std::vector<checking::Released>>
      released; ///< by {cluster or 0 for global, address}
  std::atomic<bool> anyReleased = false;

  ClusterState &of(const Cluster &cluster);
  ClusterState *running(const Cta *cta);

  // lanes.cpp: what lanes know
  static const Knowledge &known(const checking::WarpState &warp, unsigned lane);
  static void split(checking::WarpState &warp, Lanes lanes);
  static void join(checking::WarpState &warp, Lanes lanes, const Knowledge &news);
  static void raise(checking::WarpState &warp, Lanes lanes, Knowledge::Word word, uint32_t value);
  /// The lanes meet: each knows what any of them did, and `news`.
  static void merge(checking::WarpState &warp, Lanes lanes, const Knowledge *news);
  /// What the lanes know and did, for somebody else; they go on with a new clock.
  static void publish(checking::WarpState &warp, Lanes lanes, Knowledge &into);
  static std::shared_ptr<const Knowledge> snapshot(checking::WarpState &warp, Lanes lanes);
  /// Takes in what strong reads found.
  void settle(ClusterState &state, checking::WarpState &warp);
  void acquireAndRelease(ClusterState &state, checking::WarpState &warp, const MemoryAccess &access);

  // order.cpp: who is before whom
  struct Viewer {
    ClusterState &state;
    uint32_t warp = 0;
    unsigned lane = 0;
    const Knowledge *known = nullptr;
    uint32_t operation = 0;   ///< record of the operation whose access it is; 0: a thread's
    const Cta *cta = nullptr; ///< whose shared memory is accessed
  };
  bool ordered(Epoch epoch, bool wasRead, const Viewer &viewer);
  bool orderedForeign(Epoch epoch, bool wasRead, const Viewer &viewer);
  /// Whether a fence of the proxies stands between, given that it is ordered.
  bool fenced(Epoch epoch, const Viewer &viewer);
  std::shared_ptr<ClusterState> clusterOf(Epoch epoch, ClusterState &state);

  // accesses.cpp
  struct Check;
  void accessRange(Check &check, uint64_t address, uint64_t bytes);
  void accessWord(Check &check, Cell *cell, uint8_t *bits, uint64_t word, uint8_t mask);
  void accessCell(Check &check, Cell &cell, uint64_t address);
  bool accessPlainCell(Check &check, Cell &cell, uint8_t bits);
  static bool orderedInAllLanes(const Check &check, Epoch epoch);
  static bool orderedInNoLane(const Check &check, Epoch epoch);
  static bool byTheSameLane(Check &check, Epoch epoch, Epoch &known);
  uint32_t recordOf(ClusterState &state, checking::WarpState &warp, const Op &op, Scope strong);
  Epoch withReader(Check &check, Epoch readers);
  void tensorMapRead(ClusterState &state, const MemoryAccess &access);

  // findings.cpp: words
  static AccessPlace place(const ClusterState &state, const Op *op, uint32_t warp, int lane, std::string what);
  AccessPlace placeOf(Epoch epoch, ClusterState &state, std::string what, const Op *&op);
  static std::string sharedAddress(const Cta &cta, uint64_t offset);
  static std::string globalAddress(uint64_t address);
  /// Whether such a report is there already; it is counted then. Before any words are made.
  bool repeated(ClusterState &state, ReportKind kind, const Op *op, Epoch other);
  /// Makes the report, unless the same one is there.
  void report(ClusterState &state, ReportKind kind, const std::string &text, const std::string &address, const Op *op,
              uint32_t warp, int lane, const std::string &what, Epoch other = 0, const std::string &otherWhat = {});

  // meetings.cpp
  checking::MbarrierState *mbarrier(ClusterState &state, const Cta &owner, uint32_t offset);
  void visits(ClusterState &state, const Actor &actor, Lanes lanes, checking::MbarrierState &barrier);
  void usesMbarrier(ClusterState &state, const Actor &actor, Lanes lanes, checking::MbarrierState &barrier,
                    const std::string &what);
  void reportEarlyPhase(ClusterState &state, checking::MbarrierState &barrier);
};

} // namespace emulator

#endif
