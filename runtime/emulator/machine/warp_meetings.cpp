#include "machine/warp_groups.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

// Where lanes of a warp wait for each other: instructions that all lanes of a mask execute together. They stand at one
// place, or at several where the instruction is the same.

namespace emulator {

Lanes Warp::Impl::needed(const Op &op, Lanes lanes) const {
  if (op.convergence == Convergence::Warp) {
    return warp.alive;
  }
  return warp.read<uint32_t>(op.operands[op.maskOperand])[std::countr_zero(lanes)] & warp.alive;
}

/// Before a `.sync` instruction: true if all are there. Otherwise the lanes are parked.
bool Warp::Impl::gather(const Op &op, Lanes lanes) {
  if (now.met) {
    return true;
  }
  if (warp.observer && op.convergence != Convergence::Warp) {
    // "The behavior is undefined if the executing thread is not in the membermask" (PTX ISA, shfl.sync and others).
    const uint32_t *masks = warp.read<uint32_t>(op.operands[op.maskOperand]);
    Lanes outside = 0;
    forLanes(lanes, [&](unsigned lane) { outside |= ~masks[lane] & Lanes(1) << lane; });
    if (outside) {
      char text[80];
      std::snprintf(text, sizeof text, "lanes 0x%08x execute what the mask 0x%08x does not name them for", outside,
                    masks[std::countr_zero(outside)]);
      Fault fault;
      fault.kind = Fault::Kind::IllegalInstruction;
      fault.actor = {&warp, &op};
      fault.lanes = outside;
      fault.text = text;
      warp.observer->fault(fault);
    }
  }
  Lanes missing = needed(op, lanes) & ~lanes;
  if (!missing) {
    return true;
  }
  if (now.lanes != lanes) {
    // Those that the guard kept out go on; they may come to this place another time.
    Group rest = now;
    rest.lanes = now.lanes & ~lanes;
    rest.pc = now.pc + 1;
    others.push_back(rest);
    now.lanes = lanes;
  }
  const Lanes before = now.lanes;
  mergeAt(now.node, now.pc);
  if (now.lanes != before) {
    // Newcomers have to pass the guard too: the instruction begins anew.
    findStop();
    return false;
  }
  now.state = Group::State::Parked;
  now.needed = needed(op, lanes);
  if (op.convergence == Convergence::Meeting) {
    Lanes here = now.lanes;
    for (const Group &other : others) {
      if (other.state == Group::State::Parked && other.needed == now.needed &&
          other.node->frame.code->ops[other.pc].convergence == Convergence::Meeting) {
        here |= other.lanes;
      }
    }
    if (!(now.needed & ~here)) {
      for (Group &other : others) {
        if (other.state == Group::State::Parked && other.needed == now.needed &&
            other.node->frame.code->ops[other.pc].convergence == Convergence::Meeting) {
          other.state = Group::State::Ready;
          other.met = here;
        }
      }
      now.state = Group::State::Ready;
      now.met = here;
      return true;
    }
  }
  if (op.convergence == Convergence::Members && exchange(op)) {
    return false; // All of it has run.
  }
  putBack();
  return false;
}

/// Lanes that stand at different places, all at the same instruction but for its operands: runs it once for all of
/// them, in a frame of its own to which each brings its operands and from which it takes its results. False where lanes
/// are still missing.
bool Warp::Impl::exchange(const Op &op) {
  auto opOf = [](const Group &group) -> const Op & { return group.node->frame.code->ops[group.pc]; };
  std::vector<Group *> parts = {&now};
  Lanes here = now.lanes;
  for (Group &other : others) {
    if (other.state == Group::State::Parked && other.needed == now.needed && opOf(other).run == op.run &&
        opOf(other).source->modifiers == op.source->modifiers) {
      parts.push_back(&other);
      here |= other.lanes;
    }
  }
  if (now.needed & ~here) {
    return false;
  }
  constexpr size_t operands = std::size(Op().operands), predicates = std::size(Op().predicates),
                   most = 8; // bytes a lane
  alignas(64) std::byte values[operands][warpLanes * most] = {};
  uint32_t flags[predicates + 1] = {allLanes};
  Frame frame;
  frame.registers = values[0];
  frame.predicates = flags;
  Op together = op;
  for (size_t i = 0; i < operands; ++i) {
    together.operands[i].offset = static_cast<uint32_t>(i * sizeof values[0]);
    together.operands[i].constant = 0;
  }
  for (size_t i = 0; i < predicates; ++i) {
    together.predicates[i] = {static_cast<uint16_t>(i + 1), false};
  }
  // Operands have 32 bits, but for the values of match.b64.
  const std::vector<std::string> &words = op.source->modifiers;
  const bool wide = std::find(words.begin(), words.end(), "b64") != words.end();
  auto bytesOf = [&](size_t operand) -> size_t { return wide && operand == 1 ? 8 : 4; };
  auto eachPart = [&](auto &&visit) {
    for (Group *part : parts) {
      warp.frame = &part->node->frame;
      visit(*part, opOf(*part));
    }
  };
  eachPart([&](const Group &part, const Op &mine) {
    for (size_t i = 0; i < operands; ++i) {
      const std::byte *from = warp.read<std::byte>(mine.operands[i]);
      forLanes(part.lanes, [&](unsigned lane) {
        std::memcpy(values[i] + lane * bytesOf(i), from + lane * bytesOf(i), bytesOf(i));
      });
    }
    for (size_t i = 0; i < predicates; ++i) {
      flags[i + 1] |= warp.read(mine.predicates[i]) & part.lanes;
    }
  });
  if (warp.observer) {
    Node *const mine = now.node;
    eachPart([&](Group &part, const Op &its) {
      now.node = part.node;
      observe(its, part.lanes);
    });
    now.node = mine;
  }
  warp.frame = &frame;
  op.run(warp, together, here);
  eachPart([&](Group &part, const Op &mine) {
    if (!mine.operands[0].constant) {
      std::byte *to = warp.write<std::byte>(mine.operands[0]);
      forLanes(part.lanes, [&](unsigned lane) { std::memcpy(to + lane * 4, values[0] + lane * 4, 4); });
    }
    if (mine.predicates[0].index) {
      warp.write(mine.predicates[0], part.lanes, flags[1]);
    }
    part.state = Group::State::Ready;
    part.needed = 0;
    ++part.pc;
    ++executed;
  });
  warp.frame = &now.node->frame;
  findStop();
  return true;
}

} // namespace emulator
