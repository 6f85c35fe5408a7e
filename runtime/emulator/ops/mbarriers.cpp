// mbarrier.* (PTX ISA 9.7.13.15). The objects are machine/mbarrier.h's; here is what instructions do with them.

#include "ops/addresses.h"

namespace emulator {

namespace {

struct MbarrierForm {
  Decoder::Address address;
  NamedSpace space = NamedSpace::Generic;
  bool hasState = false; ///< arrive: operand 0 receives it
  bool hasCount = false; ///< arrive: operand 1 holds it
  bool expects = false;  ///< arrive.expect_tx: operand 1 holds the bytes
  bool drop = false, noComplete = false;
  bool release = true; ///< of an arrival
  bool parity = false, suspends = false;
};

/// `.sem.scope`, which come together; true unless relaxed.
bool readSemantics(Decoder &decoder, std::string_view strong) {
  bool relaxed = decoder.accept("relaxed");
  if (relaxed || decoder.accept(strong)) {
    decoder.oneOf({"cta", "cluster"});
  }
  return !relaxed;
}

void readAddress(Decoder &decoder, MbarrierForm &form, unsigned operand, bool clusterAllowed) {
  form.space = spaceNamed(decoder, clusterAllowed);
  form.address = decoder.address(operand, spaceOf(form.space));
}

/// The barrier that a lane means; false after a fault.
bool locate(Warp &warp, const Op &op, unsigned lane, const MbarrierForm &form, Target &target) {
  target = resolve(warp, op, lane, addressOf(warp, form.address, lane), form.space, 8, 8, true);
  return target.bytes != nullptr;
}

template <typename Act> Flow eachLane(Warp &warp, const Op &op, Lanes lanes, Act act) {
  const MbarrierForm &form = *static_cast<const MbarrierForm *>(op.form);
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    Target target;
    if (!locate(warp, op, lane, form, target)) {
      return Flow::Ended;
    }
    Mbarriers &barriers = target.cta->mbarriers;
    act(form, barriers, static_cast<uint32_t>(target.offset), lane);
    if (barriers.faulted) {
      return Flow::Ended;
    }
  }
  return Flow::Next;
}

Flow initialise(Warp &warp, const Op &op, Lanes lanes) {
  return eachLane(warp, op, lanes, [&](const MbarrierForm &, Mbarriers &barriers, uint32_t offset, unsigned lane) {
    barriers.initialise({&warp, &op}, offset, warp.read<uint32_t>(op.operands[0])[lane]);
  });
}

Flow invalidate(Warp &warp, const Op &op, Lanes lanes) {
  return eachLane(warp, op, lanes, [&](const MbarrierForm &, Mbarriers &barriers, uint32_t offset, unsigned) {
    barriers.invalidate({&warp, &op}, offset);
  });
}

Flow expect(Warp &warp, const Op &op, Lanes lanes) {
  return eachLane(warp, op, lanes, [&](const MbarrierForm &, Mbarriers &barriers, uint32_t offset, unsigned lane) {
    barriers.expect({&warp, &op}, offset, warp.read<uint32_t>(op.operands[0])[lane]);
  });
}

Flow complete(Warp &warp, const Op &op, Lanes lanes) {
  return eachLane(warp, op, lanes, [&](const MbarrierForm &, Mbarriers &barriers, uint32_t offset, unsigned lane) {
    barriers.complete({&warp, &op}, offset, warp.read<uint32_t>(op.operands[0])[lane]);
  });
}

Flow arrive(Warp &warp, const Op &op, Lanes lanes) {
  return eachLane(warp, op, lanes, [&](const MbarrierForm &form, Mbarriers &barriers, uint32_t offset, unsigned lane) {
    uint32_t value = form.hasCount || form.expects ? warp.read<uint32_t>(op.operands[1])[lane] : 1;
    if (form.expects) {
      barriers.expect({&warp, &op}, offset, value);
      if (barriers.faulted) {
        return;
      }
    }
    uint32_t arrivals = form.hasCount ? value : 1;
    if (form.noComplete) {
      barriers.mustNotComplete({&warp, &op}, offset, arrivals);
    }
    uint64_t state = barriers.arrive({&warp, &op}, offset, arrivals, form.release, Lanes(1) << lane, form.drop);
    if (form.hasState) {
      warp.write<uint64_t>(op.operands[0])[lane] = state;
    }
  });
}

bool phasePassed(Warp &, const Wait &wait) { return wait.cta->mbarriers.passed(static_cast<uint32_t>(wait.a), wait.b); }

bool statePassed(Warp &, const Wait &wait) {
  return wait.cta->mbarriers.passedState(static_cast<uint32_t>(wait.a), wait.b);
}

std::string describeWait(Warp &, const Wait &wait) {
  std::string text = wait.cta->mbarriers.describe(static_cast<uint32_t>(wait.a));
  return wait.ready == phasePassed ? text + ", waits for parity " + std::to_string(wait.b) : text;
}

/// test_wait and try_wait. Operand 0 holds the state or parity; predicate 0 receives the answer.
Flow testWait(Warp &warp, const Op &op, Lanes lanes) {
  const MbarrierForm &form = *static_cast<const MbarrierForm *>(op.form);
  Target targets[warpLanes];
  Lanes passed = 0;
  bool broken = false;
  auto awaited = [&](unsigned lane) -> uint64_t {
    return form.parity ? warp.read<uint32_t>(op.operands[0])[lane] : warp.read<uint64_t>(op.operands[0])[lane];
  };
  Flow flow = eachLane(warp, op, lanes, [&](const MbarrierForm &, Mbarriers &barriers, uint32_t offset, unsigned lane) {
    locate(warp, op, lane, form, targets[lane]);
    if (!barriers.mustBeValid({&warp, &op}, offset, "wait")) {
      broken = true;
      return;
    }
    bool done = form.parity ? barriers.passed(offset, awaited(lane) & 1) : barriers.passedState(offset, awaited(lane));
    passed |= Lanes(done) << lane;
  });
  if (flow != Flow::Next || broken) {
    return Flow::Ended;
  }
  const RunOptions &options = warp.grid().options;
  bool givesUp = warp.takeTimeOut() || (options.order == Order::Random && warp.cta.cluster.random() % 8 == 0);
  if (passed == 0 && form.suspends && !givesUp) {
    unsigned first = static_cast<unsigned>(__builtin_ctz(lanes));
    Wait wait;
    wait.ready = form.parity ? phasePassed : statePassed;
    wait.describe = describeWait;
    wait.again = true;
    wait.mayTimeOut = true;
    wait.mbarrier = true;
    wait.cta = targets[first].cta;
    wait.a = targets[first].offset;
    wait.b = form.parity ? awaited(first) & 1 : awaited(first);
    return warp.wait(wait);
  }
  warp.write(op.predicates[0], lanes, passed);
  if (passed != lanes) { // It polls: see to it that what it waits for will come.
    unsigned failed = static_cast<unsigned>(__builtin_ctz(lanes & ~passed));
    warp.cta.cluster.async.polled(*targets[failed].cta, static_cast<uint32_t>(targets[failed].offset));
  }
  if (Observer *observer = warp.grid().observer) {
    for (Lanes rest = passed; rest;) {
      const Target &target = targets[__builtin_ctz(rest)];
      Lanes same = 0;
      forLanes(rest, [&](unsigned lane) {
        same |= Lanes(targets[lane].cta == target.cta && targets[lane].offset == target.offset) << lane;
      });
      observer->mbarrierPasses(warp, op, *target.cta, static_cast<uint32_t>(target.offset), same);
      rest &= ~same;
    }
  }
  return passed == lanes ? Flow::Next : Flow::Yield;
}

Flow pendingCount(Warp &warp, const Op &op, Lanes lanes) {
  const uint64_t *state = warp.read<uint64_t>(op.operands[1]);
  uint32_t *count = warp.write<uint32_t>(op.operands[0]);
  forLanes(lanes, [&](unsigned lane) { count[lane] = Mbarriers::pendingCount(state[lane]); });
  return Flow::Next;
}

void decodeArrive(Decoder &d, Op &op, bool drop) {
  MbarrierForm form;
  form.drop = drop;
  form.expects = d.accept("expect_tx");
  form.noComplete = !form.expects && d.accept("noComplete");
  form.release = readSemantics(d, "release");
  // The state may be left out; a remote barrier's cannot be had.
  unsigned first = d.operand(0).kind == ptx::Operand::Kind::Address ? 0 : 1;
  bool sink = first == 0 || d.operand(0).kind == ptx::Operand::Kind::Sink;
  readAddress(d, form, first, !form.noComplete);
  d.expect("b64");
  if (form.space == NamedSpace::SharedCluster && !sink) {
    d.error("an arrival on .shared::cluster gives no state, expected '_'");
  }
  form.hasState = !sink;
  if (form.hasState) {
    op.operands[0] = d.destination(0, ptx::Type::B64);
  }
  form.hasCount = !form.expects && d.operandCount() > first + 1;
  if (form.hasCount || form.expects) {
    op.operands[1] = d.source(first + 1, ptx::Type::B32);
  } else if (form.noComplete) {
    d.error(".noComplete needs a count");
  }
  op.form = d.keep(form);
  op.run = arrive;
}

void decodeTransaction(Decoder &d, Op &op, Handler run) {
  MbarrierForm form;
  if (d.accept("relaxed")) {
    d.oneOf({"cta", "cluster"});
  }
  readAddress(d, form, 0, true);
  d.expect("b64");
  op.operands[0] = d.source(1, ptx::Type::B32);
  op.form = d.keep(form);
  op.run = run;
}

void decodeWait(Decoder &d, Op &op, bool suspends) {
  MbarrierForm form;
  form.suspends = suspends;
  form.parity = d.accept("parity");
  readSemantics(d, "acquire");
  readAddress(d, form, 1, false);
  d.expect("b64");
  op.predicates[0] = d.predicateDestination(d.operand(0));
  op.operands[0] = d.source(2, form.parity ? ptx::Type::B32 : ptx::Type::B64);
  if (d.operandCount() > 3) {
    if (!suspends) {
      d.error("test_wait takes no time limit");
    }
    op.operands[1] = d.source(3, ptx::Type::B32); // A hint; how long a wait lasts is the scheduler's affair.
  }
  op.form = d.keep(form);
  op.run = testWait;
}

} // namespace

void addMbarriers(OpcodeTable &table) {
  table.add("mbarrier.init", [](Decoder &d, Op &op) {
    MbarrierForm form;
    readAddress(d, form, 0, false);
    d.expect("b64");
    op.operands[0] = d.source(1, ptx::Type::B32);
    op.form = d.keep(form);
    op.run = initialise;
  });
  table.add("mbarrier.inval", [](Decoder &d, Op &op) {
    MbarrierForm form;
    readAddress(d, form, 0, false);
    d.expect("b64");
    op.form = d.keep(form);
    op.run = invalidate;
  });
  table.add("mbarrier.expect_tx", [](Decoder &d, Op &op) { decodeTransaction(d, op, expect); });
  table.add("mbarrier.complete_tx", [](Decoder &d, Op &op) { decodeTransaction(d, op, complete); });
  table.add("mbarrier.arrive", [](Decoder &d, Op &op) { decodeArrive(d, op, false); });
  table.add("mbarrier.arrive_drop", [](Decoder &d, Op &op) { decodeArrive(d, op, true); });
  table.add("mbarrier.test_wait", [](Decoder &d, Op &op) { decodeWait(d, op, false); });
  table.add("mbarrier.try_wait", [](Decoder &d, Op &op) { decodeWait(d, op, true); });
  table.add("mbarrier.pending_count", [](Decoder &d, Op &op) {
    d.expect("b64");
    op.operands[0] = d.destination(0, ptx::Type::B32);
    op.operands[1] = d.source(1, ptx::Type::B64);
    op.run = pendingCount;
  });
}

} // namespace emulator
