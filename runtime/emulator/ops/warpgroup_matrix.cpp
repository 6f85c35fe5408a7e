// wgmma (PTX ISA 9.7.15). The arithmetic is warpgroup_product.h's; here are the forms, and when what happens.
//
// Each of the four warps multiplies its 16 rows when it comes to the instruction. In the Lazy and Random orders the
// accumulators' registers hold NaN from the issue on, and shared memory and A's registers are read when the group is
// waited for (or earlier, by chance): the true accumulators live in WgmmaState meanwhile.

#include "ops/addresses.h"
#include "ops/warpgroup_product.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>

namespace emulator {

struct Warp::WgmmaState {
  uint32_t committed = 0; ///< groups
  struct Pending {
    std::array<uint32_t, warpLanes> value;
    unsigned uses = 0; ///< operations in flight that write it
  };
  /// By the register's place.
  std::unordered_map<std::byte *, Pending> pending;
  /// For the observer: operations since the oldest group that nobody has waited for.
  struct Flight {
    const Op *op;
    uint32_t group;
  };
  std::vector<Flight> flights;
};

namespace {

struct WgmmaForm {
  WgmmaShape shape;
  bool registersA = false;
  std::vector<Operand> accumulators;
  std::vector<Operand> rows; ///< A's four registers
  std::optional<bool> keeps; ///< scale-d, where it is no predicate
};
// Operands: 0 A's descriptor, 1 B's. Predicate 0: scale-d.

Warp::WgmmaState &stateOf(Warp &warp) {
  if (!warp.wgmma) {
    warp.wgmma = std::make_unique<Warp::WgmmaState>();
  }
  return *warp.wgmma;
}

/// What one wgmma multiplies, of one warp.
struct Factors {
  std::vector<std::byte> a, b;
};

/// Reads shared memory through a descriptor; false after a fault.
bool gatherShared(Warp &warp, const Op &op, const MatrixDescriptor &descriptor, bool transposed, unsigned firstRow,
                  unsigned rows, std::vector<std::byte> &raw) {
  raw.resize(rows * wgmmaRowBytes);
  Cta &cta = warp.cta;
  const std::byte *shared = cta.shared();
  const uint32_t end = cta.sharedEnd();
  uint32_t bad = 0;
  bool broken = false;
  Observer *observer = cta.grid().observer;
  uint64_t addresses[warpLanes];
  unsigned told = 0;
  auto tell = [&] {
    MemoryAccess access;
    access.actor = {nullptr, &op};
    access.proxy = Proxy::Async;
    access.shared = true;
    access.cta = &cta;
    access.lanes = told == warpLanes ? allLanes : (Lanes(1) << told) - 1;
    access.addresses = addresses;
    access.bytes = 16;
    observer->access(access);
    told = 0;
  };
  gather(descriptor, transposed, firstRow, rows, raw.data(), [&](uint32_t offset, std::byte *to) {
    if (offset < reservedSharedBytes || offset + 16 > end) {
      bad = broken ? bad : offset;
      broken = true;
      return;
    }
    if (observer) {
      addresses[told++] = offset;
      if (told == warpLanes) {
        tell();
      }
    }
    std::memcpy(to, shared + offset, 16);
  });
  if (observer && told > 0) {
    tell();
  }
  if (broken) {
    Fault fault;
    fault.kind = Fault::Kind::IllegalAddress;
    fault.actor = {&warp, &op};
    fault.lanes = allLanes;
    fault.address = cta.sharedAddress(bad);
    fault.text = "a wgmma descriptor leads to shared+" + hexadecimal(bad) + "; the CTA's memory is [0x400, " +
                 hexadecimal(end) + ")";
    warp.fault(std::move(fault));
  }
  return !broken;
}

/// `registers`: the frame's.
bool readFactors(Warp &warp, const Op &op, const WgmmaForm &form, uint64_t descriptorA, uint64_t descriptorB,
                 const std::byte *registers, Factors &factors) {
  if (form.registersA) {
    // Register r of lane 4i + q: row i + 8 (r % 2), bytes 4q + 16 (r / 2) of the row.
    factors.a.resize(16 * wgmmaRowBytes);
    for (unsigned r = 0; r < 4; ++r) {
      const std::byte *words = registers + form.rows[r].offset;
      for (unsigned lane = 0; lane < warpLanes; ++lane) {
        std::memcpy(factors.a.data() + (lane / 4 + 8 * (r % 2)) * wgmmaRowBytes + 4 * (lane % 4) + 16 * (r / 2),
                    words + lane * 4, 4);
      }
    }
  } else if (!gatherShared(warp, op, MatrixDescriptor::decode(descriptorA), form.shape.transposeA, warp.index % 4 * 16,
                           16, factors.a)) {
    return false;
  }
  return gatherShared(warp, op, MatrixDescriptor::decode(descriptorB), form.shape.transposeB, 0, form.shape.n,
                      factors.b);
}

void multiply(Warp &warp, const WgmmaForm &form, const Factors &factors, bool keeps, std::byte *const *accumulators) {
  multiplyWarpgroupShare(form.shape, factors.a.data(), !form.registersA && form.shape.transposeA, factors.b.data(),
                         keeps, warp.grid().options.numerics, accumulators);
}

class WgmmaOperation final : public AsyncOperation {
public:
  Warp *warp = nullptr;
  const WgmmaForm *form = nullptr;
  uint64_t descriptorA = 0, descriptorB = 0;
  bool keeps = true;
  std::byte *registers = nullptr;

  void poison() override {
    Warp::WgmmaState &state = *warp->wgmma;
    for (const Operand &accumulator : form->accumulators) {
      std::byte *place = registers + accumulator.offset;
      auto [entry, fresh] = state.pending.try_emplace(place);
      if (fresh) {
        std::memcpy(entry->second.value.data(), place, sizeof(entry->second.value));
        std::memset(place, 0xFF, sizeof(entry->second.value));
      }
      ++entry->second.uses;
    }
  }
  void readSource() override {
    valid = readFactors(*warp, *issuer.op, *form, descriptorA, descriptorB, registers, factors);
  }
  void finish() override {
    Warp::WgmmaState &state = *warp->wgmma;
    std::vector<std::byte *> accumulators;
    for (const Operand &accumulator : form->accumulators) {
      accumulators.push_back(
          reinterpret_cast<std::byte *>(state.pending.at(registers + accumulator.offset).value.data()));
    }
    if (valid) {
      multiply(*warp, *form, factors, keeps, accumulators.data());
    }
    for (const Operand &accumulator : form->accumulators) {
      std::byte *place = registers + accumulator.offset;
      auto entry = state.pending.find(place);
      if (--entry->second.uses == 0) {
        std::memcpy(place, entry->second.value.data(), sizeof(entry->second.value));
        state.pending.erase(entry);
      }
    }
  }
  const void *ordered() const override { return warp->wgmma.get(); }

private:
  Factors factors;
  bool valid = false;
};

/// Keeps what the interpreter and the observer want to know of registers in flight.
void showFlights(Warp &warp) {
  warp.slotsInFlight.clear();
  warp.opsInFlight.clear();
  for (const Warp::WgmmaState::Flight &flight : warp.wgmma->flights) {
    const WgmmaForm &form = *static_cast<const WgmmaForm *>(flight.op->form);
    for (const std::vector<Operand> *operands : {&form.accumulators, &form.rows}) {
      for (const Operand &operand : *operands) {
        warp.slotsInFlight.push_back({operand.offset, warpLanes * 4});
        warp.opsInFlight.push_back(flight.op);
      }
    }
  }
}

Flow multiplyAsync(Warp &warp, const Op &op, Lanes lanes) {
  const WgmmaForm &form = *static_cast<const WgmmaForm *>(op.form);
  Warp::WgmmaState &state = stateOf(warp);
  const unsigned first = static_cast<unsigned>(__builtin_ctz(lanes));
  uint64_t descriptorA = form.registersA ? 0 : warp.read<uint64_t>(op.operands[0])[first];
  uint64_t descriptorB = warp.read<uint64_t>(op.operands[1])[first];
  bool keeps = form.keeps ? *form.keeps : (warp.read(op.predicates[0]) >> first & 1) != 0;
  std::byte *registers = warp.frame->registers;
  AsyncEngine &engine = warp.cta.cluster.async;
  Observer *observer = warp.grid().observer;
  if (observer) {
    observer->warpSync(warp, op, lanes);
    state.flights.push_back({&op, state.committed});
    showFlights(warp);
  }
  if (warp.grid().options.order == Order::Eager) {
    uint64_t id = engine.nextId();
    if (observer) {
      observer->asyncIssued(warp, op, lanes, id, Observer::AsyncKind::Wgmma);
      observer->asyncRuns(id, warp.cta);
    }
    thread_local Factors factors;
    thread_local std::vector<std::byte *> accumulators;
    if (!readFactors(warp, op, form, descriptorA, descriptorB, registers, factors)) {
      return Flow::Ended;
    }
    accumulators.clear();
    for (const Operand &accumulator : form.accumulators) {
      accumulators.push_back(registers + accumulator.offset);
    }
    multiply(warp, form, factors, keeps, accumulators.data());
    if (observer) {
      observer->asyncSourceRead(id, warp.cta);
      observer->asyncDone(id, warp.cta);
    }
    return Flow::Next;
  }
  auto operation = std::make_unique<WgmmaOperation>();
  operation->kind = Observer::AsyncKind::Wgmma;
  operation->group = state.committed;
  operation->warp = &warp;
  operation->form = &form;
  operation->descriptorA = descriptorA;
  operation->descriptorB = descriptorB;
  operation->keeps = keeps;
  operation->registers = registers;
  engine.issue(warp, op, lanes, std::move(operation));
  return Flow::Next;
}

/// Begins the next meeting if all of the warpgroup's warps that live have come.
void settle(Cta &cta, unsigned warpgroup) {
  uint32_t living = 0;
  for (const std::unique_ptr<Warp> &warp : cta.warps) {
    living += warp->warpgroup() == warpgroup && warp->alive;
  }
  WarpgroupMeeting &meeting = cta.warpgroupMeetings[warpgroup];
  if (meeting.arrived >= living) {
    meeting.arrived = 0;
    ++meeting.generation;
  }
}

bool warpgroupMet(Warp &warp, const Wait &wait) {
  WarpgroupMeeting &meeting = warp.cta.warpgroupMeetings[warp.warpgroup()];
  if (meeting.generation == wait.a) {
    settle(warp.cta, warp.warpgroup());
  }
  if (meeting.generation == wait.a) {
    return false;
  }
  if (warp.observer) {
    warp.observer->warpgroupPasses(warp, *wait.op, wait.lanes);
  }
  return true;
}

std::string describeMeeting(Warp &warp, const Wait &) {
  const WarpgroupMeeting &meeting = warp.cta.warpgroupMeetings[warp.warpgroup()];
  return "wgmma.fence of warpgroup " + std::to_string(warp.warpgroup()) + ": " + std::to_string(meeting.arrived) +
         " of 4 warps came";
}

/// The four warps multiply together, so what each wrote to shared memory before its fence is there for all: kernels
/// count on that (FlashMLA clears rows of a tile that its warps share, with no barrier before the product).
Flow fence(Warp &warp, const Op &op, Lanes lanes) {
  if (Observer *observer = warp.grid().observer) {
    observer->warpSync(warp, op, lanes);
    observer->wgmmaFence(warp, op);
    observer->warpgroupArrives(warp, op, lanes);
  }
  Cta &cta = warp.cta;
  cta.warpgroupMeetings.resize((cta.warps.size() + 3) / 4);
  WarpgroupMeeting &meeting = cta.warpgroupMeetings[warp.warpgroup()];
  Wait wait;
  wait.ready = warpgroupMet;
  wait.describe = describeMeeting;
  wait.cta = &cta;
  wait.a = meeting.generation;
  ++meeting.arrived;
  settle(cta, warp.warpgroup());
  if (meeting.generation == wait.a) {
    return warp.wait(wait);
  }
  if (warp.observer) {
    warp.observer->warpgroupPasses(warp, op, lanes);
  }
  return Flow::Next;
}

Flow commit(Warp &warp, const Op &op, Lanes lanes) {
  ++stateOf(warp).committed;
  if (Observer *observer = warp.grid().observer) {
    observer->warpSync(warp, op, lanes);
    observer->groupCommitted(warp, op, Observer::AsyncKind::Wgmma, lanes);
  }
  return Flow::Next;
}

/// Calls `each` for the warpgroup's warps that live.
template <typename Each> void forLivingWarps(Warp &warp, Each each) {
  const std::vector<std::unique_ptr<Warp>> &warps = warp.cta.warps;
  const size_t first = size_t(warp.warpgroup()) * 4;
  for (size_t i = first; i < std::min(first + 4, warps.size()); ++i) {
    if (warps[i]->alive) {
      each(*warps[i]);
    }
  }
}

/// Whether all four warps have come to the end of the group that `wait.a` groups end with.
bool allCommitted(Warp &warp, const Wait &wait) {
  bool all = true;
  forLivingWarps(warp, [&](Warp &other) { all &= (other.wgmma ? other.wgmma->committed : 0) >= wait.a; });
  return all;
}

void endGroups(Warp &warp, const Wait &wait) {
  AsyncEngine &engine = warp.cta.cluster.async;
  if (!engine.idle()) {
    engine.performWhere([&](const AsyncOperation &operation) {
      return operation.kind == Observer::AsyncKind::Wgmma && operation.cta == &warp.cta &&
             operation.issuer.warp->warpgroup() == warp.warpgroup() && operation.group < wait.a;
    });
  }
  if (warp.observer) {
    std::erase_if(stateOf(warp).flights, [&](const Warp::WgmmaState::Flight &flight) { return flight.group < wait.a; });
    showFlights(warp);
    warp.observer->warpSync(warp, *wait.op, wait.lanes);
    warp.observer->groupWaited(warp, *wait.op, Observer::AsyncKind::Wgmma, static_cast<unsigned>(wait.op->immediate),
                               false, wait.lanes);
  }
}

bool groupsEnded(Warp &warp, const Wait &wait) {
  if (!allCommitted(warp, wait)) {
    return false;
  }
  endGroups(warp, wait);
  return true;
}

std::string describeGroups(Warp &warp, const Wait &wait) {
  std::string text = "wgmma group " + std::to_string(wait.a) + " of warpgroup " + std::to_string(warp.warpgroup()) +
                     ", that is not committed by";
  forLivingWarps(warp, [&](Warp &other) {
    if ((other.wgmma ? other.wgmma->committed : 0) < wait.a) {
      text += " warp " + std::to_string(other.index);
    }
  });
  return text;
}

/// A group is the warpgroup's (PTX ISA, wgmma.commit_group: "a new wgmma-group per warpgroup"), so who has waited for
/// it knows that all four warps' products are done: kernels refill a stage then, with no barrier between (CUTLASS's
/// first tutorial for sm_90, FlashMLA).
Flow waitGroup(Warp &warp, const Op &op, Lanes lanes) {
  const uint64_t committed = stateOf(warp).committed, pending = static_cast<uint64_t>(op.immediate);
  Wait wait;
  wait.ready = groupsEnded;
  wait.describe = describeGroups;
  wait.op = &op;
  wait.lanes = lanes;
  wait.a = committed - std::min(committed, pending);
  if (!allCommitted(warp, wait)) {
    return warp.wait(wait);
  }
  endGroups(warp, wait);
  return Flow::Next;
}

std::optional<Element> elementNamed(std::string_view word) {
  constexpr std::pair<std::string_view, Element> names[] = {
      {"f16", Element::F16},   {"bf16", Element::BF16}, {"tf32", Element::TF32}, {"e4m3", Element::E4M3},
      {"e5m2", Element::E5M2}, {"s8", Element::S8},     {"u8", Element::U8},     {"b1", Element::B1}};
  for (const auto &[name, element] : names) {
    if (name == word) {
      return element;
    }
  }
  return std::nullopt;
}

/// "m64n128k32"; false where it is none.
bool readShape(std::string_view word, unsigned &n, unsigned &k) {
  unsigned m = 0;
  std::string text(word);
  int used = 0;
  return std::sscanf(text.c_str(), "m%un%uk%u%n", &m, &n, &k, &used) == 3 && used == static_cast<int>(text.size()) &&
         m == 64;
}

bool readNegation(Decoder &d, unsigned operand) {
  int64_t value = d.constant(operand);
  if (value != 1 && value != -1) {
    d.error("imm-scale is " + std::to_string(value) + ", expected 1 or -1");
  }
  return value == -1;
}

bool readTransposition(Decoder &d, unsigned operand) {
  int64_t value = d.constant(operand);
  if (value != 0 && value != 1) {
    d.error("imm-trans is " + std::to_string(value) + ", expected 0 or 1");
  }
  return value == 1;
}

void readRegisters(Decoder &d, unsigned index, unsigned count, ptx::Type type, bool accumulates,
                   std::vector<Operand> &registers) {
  const ptx::Operand &operand = d.operand(index);
  if (operand.kind != ptx::Operand::Kind::Vector || operand.elements.size() != count) {
    d.error("operand " + std::to_string(index + 1) + ": expected a vector of " + std::to_string(count) + " registers");
    return;
  }
  for (const ptx::Operand &element : operand.elements) {
    registers.push_back(accumulates ? d.accumulator(element, type) : d.lateSource(element, type));
  }
}

void decodeMultiply(Decoder &d, Op &op) {
  using Accumulator = WgmmaShape::Accumulator;
  d.expect("sync");
  d.expect("aligned");
  WgmmaForm form;
  WgmmaShape &shape = form.shape;
  unsigned k = 0;
  std::string_view shapeWord = d.word();
  if (!readShape(shapeWord, shape.n, k)) {
    d.error("expected a shape m64nNkK, found '" + std::string(shapeWord) + "'");
    return;
  }
  shape.saturate = d.accept("satfinite");
  constexpr Accumulator accumulators[] = {Accumulator::F32, Accumulator::F16, Accumulator::S32};
  shape.accumulator = accumulators[d.oneOf({"f32", "f16", "s32"})];
  std::string_view wordA = d.word(), wordB = d.word();
  std::optional<Element> a = elementNamed(wordA), b = elementNamed(wordB);
  if (!a || !b) {
    d.error("'" + std::string(wordA) + "' times '" + std::string(wordB) + "' is no product of wgmma");
    return;
  }
  shape.a = *a;
  shape.b = *b;
  auto isByteFloat = [](Element element) { return element == Element::E4M3 || element == Element::E5M2; };
  auto isByteInteger = [](Element element) { return element == Element::S8 || element == Element::U8; };
  const bool integers = isByteInteger(*a) || *a == Element::B1;
  const bool pair = *a == *b || (isByteFloat(*a) && isByteFloat(*b)) || (isByteInteger(*a) && isByteInteger(*b));
  const bool wide = *a == Element::BF16 || *a == Element::TF32; // f32 accumulators only
  if (!pair || integers != (shape.accumulator == Accumulator::S32) || (wide && shape.accumulator != Accumulator::F32)) {
    d.error("wgmma does not multiply " + std::string(wordA) + " by " + std::string(wordB) + " into this type");
    return;
  }
  if (shape.saturate && !isByteInteger(*a)) {
    d.error(".satfinite needs s8 or u8 elements");
  }
  if (*a == Element::B1) {
    d.expect("and");
    d.expect("popc");
  }
  const bool listed = shape.n % 8 == 0 && shape.n >= 8 && shape.n <= 256 &&
                      (!integers || shape.n == 8 || shape.n == 24 || shape.n % 16 == 0);
  if (!listed || k != shape.k()) {
    d.error("shape '" + std::string(shapeWord) + "' is not one of this type: expected k" + std::to_string(shape.k()) +
            " and N a multiple of 8 up to 256" + (integers ? " (of 16 above 24)" : ""));
    return;
  }

  form.registersA = d.operand(1).kind == ptx::Operand::Kind::Vector;
  const bool half = shape.accumulator == Accumulator::F16;
  readRegisters(d, 0, shape.accumulatorRegisters(),
                half       ? ptx::Type::B32
                : integers ? ptx::Type::S32
                           : ptx::Type::F32,
                true, form.accumulators);
  if (form.registersA) {
    readRegisters(d, 1, 4, ptx::Type::B32, false, form.rows);
  } else {
    op.operands[0] = d.source(1, ptx::Type::B64);
  }
  op.operands[1] = d.source(2, ptx::Type::B64);
  const ptx::Operand &scale = d.operand(3);
  if (scale.kind == ptx::Operand::Kind::Integer) {
    form.keeps = scale.value != 0;
  } else {
    op.predicates[0] = d.predicateSource(scale);
  }
  unsigned next = 4;
  if (!integers) {
    shape.negateA = readNegation(d, next++);
    shape.negateB = readNegation(d, next++);
  }
  if (*a == Element::F16 || *a == Element::BF16) {
    if (!form.registersA) {
      shape.transposeA = readTransposition(d, next++);
    }
    shape.transposeB = readTransposition(d, next++);
  }
  if (d.operandCount() != next) {
    d.error("found " + std::to_string(d.operandCount()) + " operands, expected " + std::to_string(next));
  }
  op.convergence = Convergence::Warp;
  op.form = d.keep(std::move(form));
  op.run = multiplyAsync;
}

void decodeAligned(Decoder &d, Op &op, Handler run) {
  d.expect("sync");
  d.expect("aligned");
  op.convergence = Convergence::Warp;
  op.run = run;
}

} // namespace

void addWarpgroupMatrix(OpcodeTable &table) {
  table.add("wgmma.mma_async", decodeMultiply);
  table.add("wgmma.mma_async.sp",
            [](Decoder &d, Op &) { d.error("sparse wgmma (.sp) is not supported by the emulator"); });
  table.add("wgmma.fence", [](Decoder &d, Op &op) { decodeAligned(d, op, fence); });
  table.add("wgmma.commit_group", [](Decoder &d, Op &op) { decodeAligned(d, op, commit); });
  table.add("wgmma.wait_group", [](Decoder &d, Op &op) {
    decodeAligned(d, op, waitGroup);
    op.immediate = d.constant(0);
    if (op.immediate < 0) {
      d.error("wait_group waits for " + std::to_string(op.immediate) + " groups");
    }
    d.landsRegisters();
  });
}

} // namespace emulator
