#ifndef RUNTIME_EMULATOR_CHECKER_KNOWLEDGE_H
#define RUNTIME_EMULATOR_CHECKER_KNOWLEDGE_H

// What a lane knows to have happened before: a vector clock (Mattern, "Virtual time and global states of distributed
// systems", 1989), in the shape of a cluster.
//
// Lanes of a warp that know the same share one. Asynchronous work has no clock of its own, because one who waits for
// the second copy knows nothing of the first: copies that complete on an mbarrier count by that barrier's phases, and
// those in groups by their warp's operations up to the group.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace emulator {

class Knowledge {
public:
  /// Words of one warp: each lane's clock, each lane's clock up to which a proxy fence stands behind its writes, and
  /// the numbers of the last operations known to be complete.
  enum Word : uint32_t {
    Clock = 0,
    Fenced = 32,
    CopyDone = 64, ///< cp.async
    BulkRead,      ///< bulk copies have read their sources
    BulkDone,
    WgmmaDone,
    CopyFenced, ///< as Fenced, for cp.async
    WordsOfWarp = 72,
  };

  uint32_t get(uint32_t warp, uint32_t word) const { return at(warp * WordsOfWarp + word); }
  void raise(uint32_t warp, uint32_t word, uint32_t value) { raiseAt(warp * WordsOfWarp + word, value); }
  /// Clocks of lanes of a warp, whose words are there.
  void raiseClocks(uint32_t warp, uint32_t lanes, uint32_t clock) {
    uint32_t *mine = words.data() + warp * WordsOfWarp;
    for (uint32_t lane = 0; lane < 32; ++lane) {
      mine[lane] = lanes >> lane & 1 && mine[lane] < clock ? clock : mine[lane];
    }
  }
  const uint32_t *clocks(uint32_t warp) const { return words.data() + warp * WordsOfWarp; }

  /// Phases known to be complete of the cluster's mbarrier `index`.
  uint32_t phases(uint32_t index) const { return at(phasesBegin + index); }
  void raisePhases(uint32_t index, uint32_t value) { raiseAt(phasesBegin + index, value); }

  void resize(uint32_t warps) {
    phasesBegin = warps * WordsOfWarp;
    words.resize(phasesBegin);
  }
  bool empty() const { return words.empty(); }

  /// All that both know.
  void join(const Knowledge &other) {
    if (words.size() < other.words.size()) {
      words.resize(other.words.size());
    }
    phasesBegin = std::max(phasesBegin, other.phasesBegin);
    raiseAll(words.data(), other.words.data(), other.words.size());
    dependency |= other.dependency;
    for (const auto &[serial, clock] : other.foreign) {
      addForeign(serial, clock);
    }
  }

  /// A fence of the proxies: what is known now is fenced.
  void fence() {
    for (size_t warp = 0; warp < phasesBegin; warp += WordsOfWarp) {
      for (uint32_t lane = 0; lane < 32; ++lane) {
        words[warp + Fenced + lane] = std::max(words[warp + Fenced + lane], words[warp + Clock + lane]);
      }
      words[warp + CopyFenced] = std::max(words[warp + CopyFenced], words[warp + CopyDone]);
    }
  }

  /// What is known of another cluster, by its serial number.
  const Knowledge *ofCluster(uint64_t serial) const {
    for (const auto &[known, clock] : foreign) {
      if (known == serial) {
        return clock.get();
      }
    }
    return nullptr;
  }
  void addForeign(uint64_t serial, const std::shared_ptr<const Knowledge> &clock) {
    for (auto &[known, mine] : foreign) {
      if (known == serial) {
        if (mine != clock) {
          std::shared_ptr<Knowledge> both = std::make_shared<Knowledge>(*mine);
          both->foreign.clear();
          Knowledge theirs = *clock;
          theirs.foreign.clear();
          both->join(theirs);
          mine = std::move(both);
        }
        return;
      }
    }
    foreign.emplace_back(serial, clock);
  }

  bool dependency = false; ///< griddepcontrol.wait has been passed
  std::vector<std::pair<uint64_t, std::shared_ptr<const Knowledge>>> foreign;

private:
  static void raiseAll(uint32_t *mine, const uint32_t *theirs, size_t count);
  uint32_t at(size_t index) const { return index < words.size() ? words[index] : 0; }
  void raiseAt(size_t index, uint32_t value) {
    if (index >= words.size()) {
      words.resize(index + 1);
    }
    words[index] = std::max(words[index], value);
  }

  std::vector<uint32_t> words;
  uint32_t phasesBegin = 0;
};

} // namespace emulator

#endif
