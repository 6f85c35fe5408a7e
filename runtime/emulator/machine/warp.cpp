#include "machine/cta.h"
#include "machine/grid.h"
#include "machine/special_registers.h"
#include "machine/warp_groups.h"
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

// Which group of lanes runs next. Lanes that are furthest behind (deepest in calls, lowest in the code) go first, which
// brings diverged lanes together again at the nearest place where their paths meet, as compilers lay code out. A group
// that loops for long, or says that it polls, goes to the back: so a lane may wait in a loop for what another lane of
// its warp will do.

namespace emulator {

namespace {

constexpr uint32_t maxDepth = 1024;
/// Backward branches that a group may take while others of its warp could run.
constexpr uint32_t patience = 256;

} // namespace

// --- Frames.

Storage &Warp::Impl::storage(const Code &code, uint32_t depth, uint32_t localBase) {
  for (Storage &known : storages) {
    if (known.depth == depth && known.code == &code && known.localBase == localBase) {
      return known;
    }
  }
  const size_t predicateBytes = (code.predicateCount * sizeof(Lanes) + 63) / 64 * 64;
  const size_t size = std::max<size_t>(64, code.registerBytes + predicateBytes);
  Storage fresh{depth, &code, localBase, {nullptr, &std::free}, nullptr};
  fresh.bytes.reset(static_cast<std::byte *>(std::aligned_alloc(64, size)));
  std::memset(fresh.bytes.get(), 0, size);
  reinterpret_cast<Lanes *>(fresh.bytes.get() + code.registerBytes)[0] = allLanes;
  if (warp.observer) {
    fresh.written = std::make_unique<Lanes[]>(code.registerBytes / 64 + 1);
  }
  for (const FrameValue &value : code.frameValues) {
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      uint64_t word = 0;
      switch (value.kind) {
      case FrameValue::Kind::Special:
        word = specialRegister(warp, static_cast<SpecialRegister>(value.special), lane);
        break;
      case FrameValue::Kind::SharedAddress:
        word = warp.cta.sharedAddress(0) + static_cast<uint64_t>(value.addend);
        break;
      case FrameValue::Kind::LocalAddress:
        word = localBase + static_cast<uint64_t>(value.addend);
        break;
      case FrameValue::Kind::ParameterSpace:
        word = warp.grid().parametersAddress + static_cast<uint64_t>(value.addend);
        break;
      }
      std::memcpy(fresh.bytes.get() + value.offset + static_cast<size_t>(lane) * value.bytes, &word, value.bytes);
    }
  }
  storages.push_back(std::move(fresh));
  return storages.back();
}

Node *Warp::Impl::node(const Code &code, Node *parent, uint32_t returnPc, uint32_t localBase) {
  for (const std::unique_ptr<Node> &known : nodes) {
    if (known->parent == parent && known->returnPc == returnPc && known->frame.code == &code) {
      return known.get();
    }
  }
  auto fresh = std::make_unique<Node>();
  fresh->parent = parent;
  fresh->returnPc = returnPc;
  fresh->depth = parent ? parent->depth + 1 : 0;
  const Storage &registers = storage(code, fresh->depth, localBase);
  fresh->frame.code = &code;
  fresh->frame.registers = registers.bytes.get();
  fresh->frame.predicates = reinterpret_cast<uint32_t *>(registers.bytes.get() + code.registerBytes);
  fresh->frame.localBase = localBase;
  fresh->frame.written = registers.written.get();
  nodes.push_back(std::move(fresh));
  return nodes.back().get();
}

Warp::Warp(Cta &cta, unsigned index) : cta(cta), index(index), impl(std::make_unique<Impl>(*this)) {
  const LaunchConfig &config = grid().config;
  const uint32_t threads = config.block[0] * config.block[1] * config.block[2];
  const uint32_t before = index * warpLanes;
  alive = threads - before >= warpLanes ? allLanes : (Lanes(1) << (threads - before)) - 1;
  observer = grid().observer;
  impl->tellsInstructions = observer && observer->wantsInstructions();
  registers = config.kernel->registers;
  constants = grid().constants();
}

Warp::~Warp() = default;

Grid &Warp::grid() const { return cta.grid(); }

void Warp::threadIndex(unsigned lane, uint32_t (&xyz)[3]) const {
  const uint32_t (&block)[3] = grid().config.block;
  const uint32_t linear = index * warpLanes + lane;
  xyz[0] = linear % block[0];
  xyz[1] = linear / block[0] % block[1];
  xyz[2] = linear / block[0] / block[1];
}

// --- What handlers ask for.

uint32_t Warp::pc() const { return impl->now.pc; }
Lanes Warp::group() const { return impl->now.lanes; }
Lanes Warp::meeting() const { return impl->now.met ? impl->now.met : impl->executing; }
uint64_t Warp::clock() const { return cta.cluster.instructions + impl->executed; }

Flow Warp::wait(const Wait &what) {
  Group &now = impl->now;
  if (impl->executing != now.lanes) {
    // Those that the guard let pass go on.
    Group rest = now;
    rest.lanes = now.lanes & ~impl->executing;
    rest.pc = now.pc + 1;
    rest.timedOut = rest.again = false;
    impl->others.push_back(rest);
    now.lanes = impl->executing;
  }
  now.state = Group::State::Waiting;
  now.wait = what;
  now.wait.op = &now.node->frame.code->ops[now.pc];
  now.wait.lanes = impl->executing;
  now.again = what.again;
  if (!what.again) {
    ++now.pc;
  }
  return Flow::Blocked;
}

// Whoever took it is a group like any other: left set, it would keep the lanes from merging with those they meet later.
bool Warp::takeTimeOut() { return std::exchange(impl->now.timedOut, false); }

Flow Warp::branch(uint32_t target, Lanes taken) {
  Group &now = impl->now;
  if (target <= now.pc) {
    ++impl->backEdges;
  }
  if (taken == now.lanes) {
    now.pc = target;
    return Flow::Moved;
  }
  Group split = now;
  split.lanes = taken;
  split.pc = target;
  impl->others.push_back(split);
  now.lanes &= ~taken;
  ++now.pc;
  impl->stopPc = 0; // The next step looks who is behind.
  return Flow::Moved;
}

void Warp::putOff(Lanes lanes) {
  Group later = impl->now;
  later.lanes = lanes;
  impl->others.push_back(later);
  impl->now.lanes &= ~lanes;
  impl->executing &= ~lanes;
}

Flow Warp::exit(Lanes lanes) {
  Group &now = impl->now;
  alive &= ~lanes;
  now.lanes &= ~lanes;
  if (!now.lanes) {
    return Flow::Ended;
  }
  ++now.pc;
  return Flow::Moved;
}

Flow Warp::fault(Fault fault) {
  if (observer) {
    observer->fault(fault);
  }
  grid().stop(std::move(fault));
  return Flow::Ended;
}

Flow Warp::fault(Fault::Kind kind, const Op &op, Lanes lanes, uint64_t address, std::string text) {
  Fault made;
  made.kind = kind;
  made.actor = {this, &op};
  made.lanes = lanes;
  made.address = address;
  made.text = std::move(text);
  return fault(std::move(made));
}

bool Warp::enter(const Code &code, Lanes lanes) {
  Group &now = impl->now;
  const Frame &caller = now.node->frame;
  const uint32_t localBase = caller.localBase + caller.code->localBytes;
  if (now.node->depth + 1 >= maxDepth || localBase + code.localBytes > grid().config.kernel->localBytes) {
    return false;
  }
  if (lanes != now.lanes) {
    Group rest = now;
    rest.lanes = now.lanes & ~lanes;
    rest.pc = now.pc + 1;
    impl->others.push_back(rest);
    now.lanes = lanes;
  }
  now.node = impl->node(code, now.node, now.pc + 1, localBase);
  now.pc = 0;
  frame = &now.node->frame;
  impl->stopPc = 0;
  return true;
}

Flow Warp::leave(Lanes lanes) {
  Group &now = impl->now;
  Group back = now;
  back.node = now.node->parent;
  back.pc = now.node->returnPc;
  back.lanes = lanes;
  if (lanes != now.lanes) {
    impl->others.push_back(back);
    now.lanes &= ~lanes;
    ++now.pc;
  } else {
    now = back;
    frame = &now.node->frame;
  }
  impl->stopPc = 0;
  return Flow::Moved;
}

const Frame *Warp::caller() const {
  const Node *parent = impl->now.node->parent;
  return parent ? &parent->frame : nullptr;
}

const Op *Warp::callOp() const {
  const Node *node = impl->now.node;
  return node->parent ? &node->parent->frame.code->ops[node->returnPc - 1] : nullptr;
}

// --- Groups.

void Warp::Impl::setRunning(Group group) {
  now = std::move(group);
  running = true;
  backEdges = 0;
  warp.frame = &now.node->frame;
  findStop();
}

/// The lowest place ahead where another group of this frame stands: there they may merge.
void Warp::Impl::findStop() {
  stopPc = nowhere;
  for (const Group &other : others) {
    if (other.node == now.node && other.state != Group::State::Waiting && other.pc >= now.pc) {
      stopPc = std::min(stopPc, other.pc);
    } else if (other.state == Group::State::Ready &&
               (other.node->depth > now.node->depth || (other.node == now.node && other.pc < now.pc)) &&
               other.demotions <= now.demotions) {
      stopPc = 0; // It is behind, and goes first.
      return;
    }
  }
}

void Warp::Impl::putBack() {
  if (running) {
    running = false;
    if (now.lanes) {
      others.push_back(now);
    }
  }
}

/// Merges groups that may run and stand at one place.
void Warp::Impl::mergeAt(Node *node, uint32_t pc) {
  for (size_t i = 0; i < others.size();) {
    Group &other = others[i];
    if (other.node == node && other.pc == pc && other.state != Group::State::Waiting && !other.timedOut && !other.met) {
      now.lanes |= other.lanes;
      now.demotions = std::max(now.demotions, other.demotions);
      others.erase(others.begin() + static_cast<ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

bool Warp::Impl::pick() {
  putBack();
  size_t best = others.size();
  auto before = [](const Group &a, const Group &b) {
    if (a.demotions != b.demotions) {
      return a.demotions < b.demotions;
    }
    if (a.node->depth != b.node->depth) {
      return a.node->depth > b.node->depth;
    }
    return a.pc < b.pc;
  };
  // Parked lanes look again when somebody they waited for has exited.
  for (Group &group : others) {
    if (group.state == Group::State::Parked && !(group.needed & warp.alive & ~group.lanes)) {
      group.state = Group::State::Ready;
    }
  }
  for (size_t i = 0; i < others.size(); ++i) {
    if (others[i].state == Group::State::Ready && (best == others.size() || before(others[i], others[best]))) {
      best = i;
    }
  }
  if (best == others.size()) {
    return false;
  }
  Group chosen = others[best];
  others.erase(others.begin() + static_cast<ptrdiff_t>(best));
  now = chosen;
  if (!now.timedOut && !now.met) {
    mergeAt(now.node, now.pc);
  }
  setRunning(now);
  return true;
}

// --- The interpreter.

void Warp::Impl::undefinedReads(const Op &op, Lanes lanes) {
  const Frame &frame = now.node->frame;
  for (const Op::Slot &slot : op.reads) {
    for (const auto &[offset, name] : frame.code->undefinedSlots) {
      if (offset == slot.offset) {
        if (const Lanes unwritten = lanes & ~frame.written[offset / 64]) {
          warp.observer->undefinedRegister(warp, op, unwritten, name);
        }
      }
    }
  }
}

void Warp::Impl::observe(const Op &op, Lanes lanes) {
  const Frame &frame = now.node->frame;
  if (tellsInstructions && !now.again) {
    warp.observer->instruction(warp, op, lanes);
  }
  now.again = false;
  // wgmma's accumulators may hold nothing yet where its scale-d, the op's predicate, is false.
  if (op.readsUndefined && (op.source->opcode != "wgmma" || (warp.read(op.predicates[0]) & lanes))) {
    undefinedReads(op, lanes);
  }
  if (!frame.code->undefinedSlots.empty()) {
    for (const Op::Slot &slot : op.writes) {
      frame.written[slot.offset / 64] |= lanes;
    }
  }
  if (!warp.slotsInFlight.empty() && op.source->opcode != "wgmma") {
    auto touches = [&](std::span<const Op::Slot> slots, const Op::Slot &flying) {
      return std::any_of(slots.begin(), slots.end(), [&](const Op::Slot &slot) {
        return slot.offset < flying.offset + flying.size && flying.offset < slot.offset + slot.size;
      });
    };
    for (size_t i = 0; i < warp.slotsInFlight.size(); ++i) {
      if (touches(op.reads, warp.slotsInFlight[i]) || touches(op.writes, warp.slotsInFlight[i])) {
        warp.observer->registerInFlight(warp, op, *warp.opsInFlight[i]);
        break;
      }
    }
  }
}

/// Runs the group until it stops; false when the budget is spent.
template <bool observed> bool Warp::Impl::runGroup(unsigned &budget) {
  const Op *ops = now.node->frame.code->ops.data();
  unsigned left = budget;
  while (left) {
    if (now.pc >= stopPc) [[unlikely]] {
      // Another group stands here, or is behind.
      const Node *before = now.node;
      pick();
      if (!running) {
        break;
      }
      if (now.node != before || true) {
        ops = now.node->frame.code->ops.data();
      }
      if (stopPc <= now.pc) {
        // Groups that cannot merge (one is released from a meeting, say) share this place: go on without them.
        stopPc = nowhere;
      }
    }
    const Op &op = ops[now.pc];
    Lanes lanes = now.lanes;
    if (op.guard.index | static_cast<unsigned>(op.guard.negated)) {
      lanes &= warp.read(op.guard);
      if (!lanes) {
        if constexpr (observed) {
          if (tellsInstructions) {
            warp.observer->instruction(warp, op, 0);
          }
        }
        ++now.pc;
        --left;
        ++executed;
        continue;
      }
    }
    executing = lanes;
    if (op.convergence != Convergence::None && !gather(op, lanes)) [[unlikely]] {
      if (!running) {
        break;
      }
      continue;
    }
    if constexpr (observed) {
      observe(op, lanes);
    }
    --left;
    ++executed;
    const Flow flow = op.run(warp, op, lanes);
    if (flow == Flow::Next) [[likely]] {
      ++now.pc;
      continue;
    }
    now.timedOut = false;
    now.met = 0;
    if (flow == Flow::Moved) {
      ops = now.node->frame.code->ops.data();
      if (stopPc != nowhere || !others.empty()) {
        findStop();
        if (backEdges > patience) {
          backEdges = 0;
          ++now.demotions;
          stopPc = 0;
        }
      }
      continue;
    }
    if (flow == Flow::Yield) {
      ++now.pc;
      ++now.demotions;
      warp.yielded = true;
    }
    putBack();
    break;
  }
  budget = left;
  return left != 0;
}

bool Warp::Impl::poll() {
  bool any = false;
  for (size_t i = 0; i < others.size(); ++i) {
    if (others[i].state == Group::State::Waiting) {
      warp.frame = &others[i].node->frame;
      if (others[i].wait.ready(warp, others[i].wait)) {
        others[i].state = Group::State::Ready;
        ++warp.cta.cluster.signals;
        any = true;
      }
    }
  }
  return any;
}

void Warp::sees(const void *address, const void *value, size_t bytes) {
  auto mix = [&](uint64_t word) {
    seeing = (seeing ^ word) * 0x9e3779b97f4a7c15;
    seeing ^= seeing >> 32;
  };
  mix(reinterpret_cast<uintptr_t>(address));
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, static_cast<const std::byte *>(value) + i, std::min<size_t>(8, bytes - i));
    mix(word);
    if (!look.address) {
      look.address = address;
      look.value = word;
    }
  }
}

void Warp::seesNoMore(const Op &op, Lanes lanes) {
  look.op = &op;
  look.lanes = lanes;
  looks[lastLook++ % looks.size()] = std::exchange(look, {});
  if (std::find(seen.begin(), seen.end(), seeing) == seen.end()) {
    seen[++lastSeen % seen.size()] = seeing;
    seesNew = true;
  }
  seeing = 0;
}

bool Warp::run(unsigned budget) {
  yielded = seesNew = false;
  if (!impl->running && impl->others.empty() && alive) {
    const Kernel &kernel = *grid().config.kernel;
    Group first;
    first.lanes = alive;
    first.node = impl->node(*kernel.code, nullptr, 0, 0);
    impl->others.push_back(first);
  }
  impl->poll();
  const uint64_t before = impl->executed;
  while (budget && !yielded && !grid().stopped()) {
    if (!impl->running && !impl->pick()) {
      break;
    }
    if (observer) {
      impl->runGroup<true>(budget);
    } else {
      impl->runGroup<false>(budget);
    }
  }
  impl->putBack();
  cta.cluster.instructions += impl->executed - before;
  const bool moved = impl->executed != before;
  const uint64_t sincePoll = yielded ? 0 : sinceLook + (impl->executed - before);
  sinceLook = seesNew ? longestPollingLoop : std::min<uint64_t>(sincePoll, longestPollingLoop);
  impl->executed = 0;
  return moved;
}

bool Warp::timeOut() {
  for (Group &group : impl->others) {
    if (group.state == Group::State::Waiting && group.wait.mayTimeOut) {
      group.state = Group::State::Ready;
      group.timedOut = true;
      if (!group.wait.again) {
        group.timedOut = false;
      }
      return true;
    }
  }
  return false;
}

Warp::Stall Warp::stall() const {
  Stall stall;
  for (const Group &group : impl->others) {
    if (group.state == Group::State::Waiting) {
      stall.mayTimeOut |= group.wait.mayTimeOut;
      stall.external |= group.wait.external;
    }
  }
  return stall;
}

void Warp::eachWait(const std::function<void(const Wait &)> &visit) const {
  for (const Group &group : impl->others) {
    if (group.state == Group::State::Waiting) {
      visit(group.wait);
    }
  }
}

/// The last look that lanes of a group took in its code, if it took any lately.
const Warp::Look *Warp::lookOf(const Code &code, Lanes lanes) const {
  for (unsigned back = 1; back <= looks.size(); ++back) {
    const Look &candidate = looks[(lastLook - back) % looks.size()];
    const bool inCode = candidate.op >= code.ops.data() && candidate.op < code.ops.data() + code.ops.size();
    if (candidate.op && inCode && candidate.lanes & lanes) {
      return &candidate;
    }
  }
  return nullptr;
}

/// "global buffer 3 (4096 bytes) +0x10, where 0 stands".
std::string Warp::describe(const Look &look) const {
  char where[64];
  const uint64_t address = reinterpret_cast<uintptr_t>(look.address);
  std::string text;
  const std::vector<std::unique_ptr<Cta>> &ctas = cta.cluster.ctas;
  auto owner = std::ranges::find_if(ctas, [&](const std::unique_ptr<Cta> &candidate) {
    return address - reinterpret_cast<uintptr_t>(candidate->shared()) < candidate->sharedEnd();
  });
  if (owner != ctas.end()) {
    std::snprintf(where, sizeof where, "shared+0x%llx of CTA rank %u",
                  static_cast<unsigned long long>(address - reinterpret_cast<uintptr_t>((*owner)->shared())),
                  (*owner)->rank);
    text = where;
  } else if (const Allocation *allocation = GlobalMemory::instance().find(address)) {
    std::snprintf(where, sizeof where, " (%llu bytes) +0x%llx", static_cast<unsigned long long>(allocation->size),
                  static_cast<unsigned long long>(address - allocation->address));
    text = "global " + allocation->name + where;
  } else {
    std::snprintf(where, sizeof where, "0x%llx", static_cast<unsigned long long>(address));
    text = where;
  }
  std::snprintf(where, sizeof where, ", where 0x%llx stands", static_cast<unsigned long long>(look.value));
  return text + where;
}

std::string Warp::describeWaits() {
  std::string text;
  for (const Group &group : impl->others) {
    char head[96];
    std::snprintf(head, sizeof head, "CTA (%u,%u,%u) warp %u lanes 0x%08x: ", cta.index[0], cta.index[1], cta.index[2],
                  index, group.lanes);
    text += head;
    const std::vector<Op> &ops = group.node->frame.code->ops;
    const uint32_t pc = group.state == Group::State::Waiting && !group.wait.again ? group.pc - 1 : group.pc;
    // One that polls may run at any time: what it looks for says more.
    const bool ready = group.state == Group::State::Ready;
    const bool pollsFor = ready && group.wait.describe && group.wait.op == &ops[pc];
    const Look *look = ready && !pollsFor && polls() ? lookOf(*group.node->frame.code, group.lanes) : nullptr;
    const Op &op = look ? *look->op : ops[pc];
    frame = &group.node->frame;
    if (group.state == Group::State::Waiting) {
      text += "waits for " + (group.wait.describe ? group.wait.describe(*this, group.wait) : std::string("something"));
    } else if (group.state == Group::State::Parked) {
      std::snprintf(head, sizeof head, "waits for lanes 0x%08x of its warp", group.needed & alive & ~group.lanes);
      text += head;
    } else {
      text += pollsFor ? "polls for " + group.wait.describe(*this, group.wait)
              : look   ? "polls " + describe(*look)
                       : std::string("can run");
    }
    text += ", at line " + std::to_string(op.source->place.line) + ": " + std::string(grid().textOf(*op.source)) + "\n";
  }
  return text;
}

} // namespace emulator
