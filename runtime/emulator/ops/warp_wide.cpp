#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include <algorithm>
#include <bit>

// PTX ISA 9.7.9.6 and 9.7.13: lanes of a warp that exchange values: shfl vote match redux elect activemask
// bar.warp.sync. Only the last orders memory: the others' lanes know each other's values, and may yet miss what was
// written before (CUDA C++ Programming Guide, "Warp Shuffle Functions": "do not imply a memory barrier").

namespace emulator {

using ptx::Type;

namespace {

/// The lanes of `lanes` that the mask names; an instruction by a lane outside of its own mask means nothing, and that
/// lane is on its own.
Lanes maskOf(const Warp &warp, const Op &op, Lanes lanes) {
  return warp.read<uint32_t>(op.operands[op.maskOperand])[std::countr_zero(lanes)];
}

// --- shfl

enum class Shuffle : int64_t { Up, Down, Butterfly, Index };

Flow shuffle(Warp &warp, const Op &op, Lanes lanes) {
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]), *b = warp.read<uint32_t>(op.operands[2]),
                 *c = warp.read<uint32_t>(op.operands[3]);
  uint32_t result[warpLanes];
  Lanes inRange = 0;
  forLanes(lanes, [&](unsigned lane) {
    const uint32_t distance = b[lane] & 31, clamp = c[lane] & 31, segment = c[lane] >> 8 & 31;
    const int32_t most = static_cast<int32_t>((lane & segment) | (clamp & ~segment));
    int32_t from = 0;
    bool valid = false;
    switch (static_cast<Shuffle>(op.immediate)) {
    case Shuffle::Up:
      from = static_cast<int32_t>(lane) - static_cast<int32_t>(distance);
      valid = from >= most;
      break;
    case Shuffle::Down:
      from = static_cast<int32_t>(lane + distance);
      valid = from <= most;
      break;
    case Shuffle::Butterfly:
      from = static_cast<int32_t>(lane ^ distance);
      valid = from <= most;
      break;
    case Shuffle::Index:
      from = static_cast<int32_t>((lane & segment) | (distance & ~segment));
      valid = from <= most;
      break;
    }
    result[lane] = a[valid ? from & 31 : static_cast<int32_t>(lane)];
    inRange |= static_cast<Lanes>(valid) << lane;
  });
  forLanes(lanes, [&](unsigned lane) { d[lane] = result[lane]; });
  if (op.predicates[0].index) {
    warp.write(op.predicates[0], lanes, inRange);
  }
  return Flow::Next;
}

/// `d|p` or `d`.
void destinationWithPredicate(Decoder &d, Op &op, Type type) {
  const ptx::Operand &destination = d.operand(0);
  if (destination.kind == ptx::Operand::Kind::Pair && destination.elements.size() == 2) {
    op.operands[0] = d.destination(destination.elements[0], type);
    op.predicates[0] = d.predicateDestination(destination.elements[1]);
  } else {
    op.operands[0] = d.destination(destination, type);
  }
}

void members(Decoder &d, Op &op, unsigned index, unsigned slot) {
  op.operands[slot] = d.source(index, Type::B32);
  op.maskOperand = static_cast<uint8_t>(slot);
  op.convergence = Convergence::Members;
  d.operandsEnd(index + 1);
}

void decodeShuffle(Decoder &d, Op &op) {
  d.expect("sync");
  op.immediate = d.oneOf({"up", "down", "bfly", "idx"});
  d.expect("b32");
  destinationWithPredicate(d, op, Type::B32);
  op.operands[1] = d.source(1, Type::B32);
  op.operands[2] = d.source(2, Type::B32);
  op.operands[3] = d.source(3, Type::B32);
  members(d, op, 4, 4);
  op.run = shuffle;
}

// --- vote

enum class Vote : int64_t { All, Any, Uniform, Ballot };

Flow vote(Warp &warp, const Op &op, Lanes lanes) {
  const Lanes voters = lanes & maskOf(warp, op, lanes), yes = warp.read(op.predicates[1]) & voters;
  Lanes result = 0;
  switch (static_cast<Vote>(op.immediate)) {
  case Vote::All:
    result = yes == voters ? allLanes : 0;
    break;
  case Vote::Any:
    result = yes ? allLanes : 0;
    break;
  case Vote::Uniform:
    result = yes == voters || !yes ? allLanes : 0;
    break;
  case Vote::Ballot: {
    uint32_t *d = warp.write<uint32_t>(op.operands[0]);
    forLanes(lanes, [&](unsigned lane) { d[lane] = yes; });
    return Flow::Next;
  }
  }
  warp.write(op.predicates[0], lanes, result);
  return Flow::Next;
}

void decodeVote(Decoder &d, Op &op) {
  d.expect("sync");
  op.immediate = d.oneOf({"all", "any", "uni", "ballot"});
  if (op.immediate == static_cast<int64_t>(Vote::Ballot)) {
    d.expect("b32");
    op.operands[0] = d.destination(0, Type::B32);
  } else {
    d.expect("pred");
    op.predicates[0] = d.predicateDestination(d.operand(0));
  }
  op.predicates[1] = d.predicateSource(d.operand(1));
  members(d, op, 2, 1);
  op.run = vote;
}

// --- match

template <typename T> Flow matchAny(Warp &warp, const Op &op, Lanes lanes) {
  const T *a = warp.read<T>(op.operands[1]);
  uint32_t result[warpLanes];
  forLanes(lanes, [&](unsigned lane) {
    Lanes same = 0;
    for (Lanes rest = lanes; rest; rest &= rest - 1) {
      const unsigned other = static_cast<unsigned>(std::countr_zero(rest));
      same |= a[other] == a[lane] ? Lanes(1) << other : 0;
    }
    result[lane] = same;
  });
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  forLanes(lanes, [&](unsigned lane) { d[lane] = result[lane]; });
  return Flow::Next;
}

template <typename T> Flow matchAll(Warp &warp, const Op &op, Lanes lanes) {
  const T *a = warp.read<T>(op.operands[1]);
  const T first = a[std::countr_zero(lanes)];
  bool same = true;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    same &= a[std::countr_zero(rest)] == first;
  }
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  forLanes(lanes, [&](unsigned lane) { d[lane] = same ? lanes : 0; });
  if (op.predicates[0].index) {
    warp.write(op.predicates[0], lanes, same ? allLanes : 0);
  }
  return Flow::Next;
}

void decodeMatch(Decoder &d, Op &op) {
  const bool all = d.oneOf({"any", "all"});
  d.expect("sync");
  const Type type = d.type({Type::B32, Type::B64});
  if (all) {
    destinationWithPredicate(d, op, Type::B32);
  } else {
    op.operands[0] = d.destination(0, Type::B32);
  }
  op.operands[1] = d.source(1, type);
  members(d, op, 2, 2);
  op.run = type == Type::B32 ? (all ? matchAll<uint32_t> : matchAny<uint32_t>)
                             : (all ? matchAll<uint64_t> : matchAny<uint64_t>);
}

// --- redux

template <typename T, typename F> Flow reduce(Warp &warp, const Op &op, Lanes lanes) {
  const T *a = warp.read<T>(op.operands[1]);
  T value = a[std::countr_zero(lanes)];
  for (Lanes rest = lanes & (lanes - 1); rest; rest &= rest - 1) {
    value = F()(value, a[std::countr_zero(rest)]);
  }
  T *d = warp.write<T>(op.operands[0]);
  forLanes(lanes, [&](unsigned lane) { d[lane] = value; });
  return Flow::Next;
}

struct Sum {
  template <typename T> T operator()(T a, T b) const {
    return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
  }
};
struct Least {
  template <typename T> T operator()(T a, T b) const { return std::min(a, b); }
};
struct Greatest {
  template <typename T> T operator()(T a, T b) const { return std::max(a, b); }
};
struct Both {
  uint32_t operator()(uint32_t a, uint32_t b) const { return a & b; }
};
struct Either {
  uint32_t operator()(uint32_t a, uint32_t b) const { return a | b; }
};
struct Odd {
  uint32_t operator()(uint32_t a, uint32_t b) const { return a ^ b; }
};

void decodeReduce(Decoder &d, Op &op) {
  d.expect("sync");
  const unsigned which = d.oneOf({"add", "min", "max", "and", "or", "xor"});
  const Type type = which < 3 ? d.type({Type::U32, Type::S32}) : d.type({Type::B32});
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  members(d, op, 2, 2);
  const Handler onUnsigned[] = {reduce<uint32_t, Sum>,  reduce<uint32_t, Least>,  reduce<uint32_t, Greatest>,
                                reduce<uint32_t, Both>, reduce<uint32_t, Either>, reduce<uint32_t, Odd>};
  const Handler onSigned[] = {reduce<int32_t, Sum>, reduce<int32_t, Least>, reduce<int32_t, Greatest>};
  op.run = type == Type::S32 ? onSigned[which] : onUnsigned[which];
}

// --- elect, activemask, bar.warp.sync

Flow elect(Warp &warp, const Op &op, Lanes lanes) {
  unsigned leader = static_cast<unsigned>(std::countr_zero(lanes));
  const RunOptions &options = warp.grid().options;
  if (options.adversarial) {
    // The ISA leaves the choice open, but one mask has one leader.
    const uint64_t hash = (lanes ^ options.seed * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
    for (uint64_t skip = (hash >> 33) % static_cast<unsigned>(std::popcount(lanes)); skip; --skip) {
      const Lanes behind = lanes & ~((Lanes(2) << leader) - 1);
      leader = static_cast<unsigned>(std::countr_zero(behind));
    }
  }
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  forLanes(lanes, [&](unsigned lane) { d[lane] = leader; });
  warp.write(op.predicates[0], lanes, Lanes(1) << leader);
  return Flow::Next;
}

Flow activeMask(Warp &warp, const Op &op, Lanes lanes) {
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  forLanes(lanes, [&](unsigned lane) { d[lane] = lanes; });
  return Flow::Next;
}

Flow syncWarp(Warp &warp, const Op &op, Lanes lanes) {
  if (warp.observer) {
    warp.observer->warpSync(warp, op, warp.meeting());
  }
  return Flow::Next;
}

} // namespace

void addWarpWide(OpcodeTable &table) {
  table.add("shfl", decodeShuffle);
  table.add("vote", decodeVote);
  table.add("match", decodeMatch);
  table.add("redux", decodeReduce);
  table.add("elect", [](Decoder &d, Op &op) {
    d.expect("sync");
    if (d.operand(0).kind != ptx::Operand::Kind::Pair) {
      d.error("expected a destination d|p");
    }
    destinationWithPredicate(d, op, Type::B32);
    members(d, op, 1, 1);
    op.run = elect;
  });
  table.add("activemask", [](Decoder &d, Op &op) {
    d.expect("b32");
    op.operands[0] = d.destination(0, Type::B32);
    d.operandsEnd(1);
    op.run = activeMask;
  });
  table.add("bar.warp.sync", [](Decoder &d, Op &op) {
    members(d, op, 0, 0);
    op.convergence = Convergence::Meeting;
    op.run = syncWarp;
  });
}

} // namespace emulator
