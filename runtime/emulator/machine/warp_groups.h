#ifndef RUNTIME_EMULATOR_MACHINE_WARP_GROUPS_H
#define RUNTIME_EMULATOR_MACHINE_WARP_GROUPS_H

// What a warp is made of within: groups of lanes that stand at one place, with the registers of the calls that they are
// in. For the warp's own files: warp.cpp says which group runs, warp_meetings.cpp when groups have come together.

#include "machine/warp.h"
#include <cstdlib>
#include <memory>
#include <vector>

namespace emulator {

/// Registers of one function at one depth. Groups share them: lanes are never in two groups.
struct Storage {
  uint32_t depth;
  const Code *code;
  uint32_t localBase;
  std::unique_ptr<std::byte, decltype(&std::free)> bytes{nullptr, &std::free};
  std::unique_ptr<Lanes[]> written;
};

/// One call stack's top.
struct Node {
  Frame frame;
  Node *parent = nullptr;
  uint32_t returnPc = 0, depth = 0;
};

struct Group {
  enum class State : uint8_t {
    Ready,
    Waiting, ///< for `wait`
    Parked,  ///< at a `.sync` instruction, for other lanes
  };
  Lanes lanes = 0;
  uint32_t pc = 0;
  Node *node = nullptr;
  State state = State::Ready;
  bool timedOut = false;
  uint32_t demotions = 0; ///< how often it went to the back
  Lanes needed = 0;       ///< Parked: who must come
  Lanes met = 0;          ///< released from a Meeting, with these
  bool again = false;     ///< its next instruction has run, and waited
  Wait wait;
};

struct Warp::Impl {
  static constexpr uint32_t nowhere = ~uint32_t(0);

  explicit Impl(Warp &warp) : warp(warp) {}

  Warp &warp;
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<Storage> storages;

  // The group that runs.
  Group now;
  bool running = false;
  Lanes executing = 0; ///< its lanes that passed the guard
  uint32_t backEdges = 0;
  std::vector<Group> others;
  uint32_t stopPc = nowhere; ///< where another group stands, in the same frame
  uint64_t executed = 0;
  bool tellsInstructions = false; ///< the observer wants them

  Node *node(const Code &code, Node *parent, uint32_t returnPc, uint32_t localBase);
  Storage &storage(const Code &code, uint32_t depth, uint32_t localBase);
  void setRunning(Group group);
  void putBack();
  bool pick();
  void findStop();
  void mergeAt(Node *node, uint32_t pc);
  bool gather(const Op &op, Lanes lanes);
  bool exchange(const Op &op);
  Lanes needed(const Op &op, Lanes lanes) const;
  bool poll();
  template <bool observed> bool runGroup(unsigned &budget);
  void observe(const Op &op, Lanes lanes);
  void undefinedReads(const Op &op, Lanes lanes);
};

} // namespace emulator

#endif
