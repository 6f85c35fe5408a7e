// cp.async (PTX ISA 9.7.9.25.3, non-bulk), st.async and red.async.

#include "ops/bulk_copy.h"
#include <cstring>

namespace emulator {

namespace {

// --- cp.async

struct CopyForm {
  Decoder::Address destination, source;
  NamedSpace destinationSpace = NamedSpace::SharedCta;
  uint32_t bytes = 16;
  bool hasSourceSize = false, hasIgnore = false;
};
// Operands: 0 source size, 1 cache policy. Predicate 0: ignore-src.

/// One instruction's copies, of lanes that stand in the same group.
class CopyAsync final : public AsyncOperation {
public:
  struct Piece {
    SharedPlace to;
    const std::byte *from = nullptr;
    uint64_t address = 0;
    uint32_t sourceBytes = 0;
  };
  std::vector<Piece> pieces;
  uint32_t bytes = 0;

  void poison() override {
    for (const Piece &piece : pieces) {
      poisonShared(piece.to.bytes(), bytes);
    }
  }
  void readSource() override {
    held.assign(pieces.size() * bytes, std::byte(0));
    for (size_t i = 0; i < pieces.size(); ++i) {
      const Piece &piece = pieces[i];
      tellAccess(*cta, issuer.op, MemoryAccess::Kind::Read, Proxy::Generic, nullptr, piece.address, piece.sourceBytes);
      std::memcpy(held.data() + i * bytes, piece.from, piece.sourceBytes);
    }
  }
  void finish() override {
    for (size_t i = 0; i < pieces.size(); ++i) {
      const SharedPlace &to = pieces[i].to;
      tellAccess(*cta, issuer.op, MemoryAccess::Kind::Write, Proxy::Generic, to.cta, to.offset, bytes);
      std::memcpy(to.bytes(), held.data() + i * bytes, bytes);
    }
  }
  const void *ordered() const override { return issuer.warp->asyncGroups.get(); }

private:
  std::vector<std::byte> held;
};

/// cp.async.mbarrier.arrive: arrives when all cp.async of the lanes before it are complete.
class CopyArrival final : public AsyncOperation {
public:
  std::vector<std::pair<SharedPlace, unsigned>> arrivals; ///< with the lane

  void readSource() override {}
  void finish() override {
    for (const auto &[barrier, lane] : arrivals) {
      barrier.cta->mbarriers.arrive({nullptr, issuer.op}, barrier.offset, 1, true, Lanes(1) << lane);
    }
  }
  bool signals(const Cta &where, uint32_t offset) const override {
    for (const auto &[barrier, lane] : arrivals) {
      if (barrier.cta == &where && barrier.offset == offset) {
        return true;
      }
    }
    return false;
  }
  const void *ordered() const override { return issuer.warp->asyncGroups.get(); }
};

/// Calls `each(lanes)` for the sets of lanes whose current group has the same number.
template <typename Each> void eachGroup(const Warp::AsyncGroups &groups, Lanes lanes, Each each) {
  while (lanes) {
    uint32_t number = groups.copiesCommitted[__builtin_ctz(lanes)];
    Lanes same = 0;
    forLanes(lanes, [&](unsigned lane) { same |= Lanes(groups.copiesCommitted[lane] == number) << lane; });
    each(same, number);
    lanes &= ~same;
  }
}

Flow copyAsync(Warp &warp, const Op &op, Lanes lanes) {
  const CopyForm &form = *static_cast<const CopyForm *>(op.form);
  Warp::AsyncGroups &groups = groupsOf(warp);
  const Lanes ignored = form.hasIgnore ? warp.read(op.predicates[0]) : 0;
  bool broken = false;
  eachGroup(groups, lanes, [&](Lanes same, uint32_t number) {
    auto copy = std::make_unique<CopyAsync>();
    copy->kind = Observer::AsyncKind::CopyAsync;
    copy->group = number;
    copy->bytes = form.bytes;
    for (Lanes rest = same; rest && !broken; rest &= rest - 1) {
      unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
      CopyAsync::Piece piece;
      Target to = resolve(warp, op, lane, addressOf(warp, form.destination, lane), form.destinationSpace, form.bytes,
                          form.bytes, true);
      piece.address = addressOf(warp, form.source, lane);
      piece.sourceBytes = form.hasSourceSize ? warp.read<uint32_t>(op.operands[0])[lane] : form.bytes;
      if (ignored >> lane & 1) {
        piece.sourceBytes = 0;
      }
      if (piece.sourceBytes > form.bytes) {
        Fault fault;
        fault.kind = Fault::Kind::IllegalInstruction;
        fault.actor = {&warp, &op};
        fault.lanes = Lanes(1) << lane;
        fault.text =
            "src-size is " + std::to_string(piece.sourceBytes) + ", more than cp-size " + std::to_string(form.bytes);
        warp.fault(std::move(fault));
        broken = true;
        break;
      }
      Target from;
      if (to.bytes && piece.sourceBytes > 0) {
        from = resolve(warp, op, lane, piece.address, NamedSpace::Global, piece.sourceBytes, form.bytes, false);
      }
      if (!to.bytes || (piece.sourceBytes > 0 && !from.bytes)) {
        broken = true;
        break;
      }
      piece.to = {to.cta, static_cast<uint32_t>(to.offset)};
      piece.from = from.bytes;
      copy->pieces.push_back(piece);
    }
    if (!broken) {
      warp.cta.cluster.async.issue(warp, op, same, std::move(copy));
    }
  });
  return broken ? Flow::Ended : Flow::Next;
}

Flow commitCopies(Warp &warp, const Op &op, Lanes lanes) {
  Warp::AsyncGroups &groups = groupsOf(warp);
  forLanes(lanes, [&](unsigned lane) { ++groups.copiesCommitted[lane]; });
  if (Observer *observer = warp.grid().observer) {
    observer->groupCommitted(warp, op, Observer::AsyncKind::CopyAsync, lanes);
  }
  return Flow::Next;
}

/// wait_group N (immediate), and wait_all, which also commits (form set).
Flow waitCopies(Warp &warp, const Op &op, Lanes lanes) {
  if (op.form) {
    commitCopies(warp, op, lanes);
  }
  const uint64_t pending = static_cast<uint64_t>(op.immediate);
  AsyncEngine &engine = warp.cta.cluster.async;
  if (!engine.idle()) {
    const Warp::AsyncGroups &groups = groupsOf(warp);
    engine.performWhere([&](const AsyncOperation &operation) {
      Lanes common = operation.lanes & lanes;
      return operation.issuer.warp == &warp && operation.kind == Observer::AsyncKind::CopyAsync &&
             operation.group != AsyncOperation::noGroup && common &&
             operation.group + pending < groups.copiesCommitted[__builtin_ctz(common)];
    });
  }
  if (Observer *observer = warp.grid().observer) {
    observer->groupWaited(warp, op, Observer::AsyncKind::CopyAsync, static_cast<unsigned>(pending), false, lanes);
  }
  return Flow::Next;
}

struct ArrivalForm {
  Decoder::Address address;
  NamedSpace space = NamedSpace::Generic;
  bool noIncrement = false;
};

Flow arriveAfterCopies(Warp &warp, const Op &op, Lanes lanes) {
  const ArrivalForm &form = *static_cast<const ArrivalForm *>(op.form);
  groupsOf(warp);
  auto arrival = std::make_unique<CopyArrival>();
  arrival->kind = Observer::AsyncKind::CopyAsync;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    Target target = resolve(warp, op, lane, addressOf(warp, form.address, lane), form.space, 8, 8, true);
    if (!target.bytes) {
      return Flow::Ended;
    }
    SharedPlace barrier = {target.cta, static_cast<uint32_t>(target.offset)};
    if (!barrier.cta->mbarriers.mustBeValid({&warp, &op}, barrier.offset, "cp.async.mbarrier.arrive")) {
      return Flow::Ended;
    }
    if (!form.noIncrement) {
      barrier.cta->mbarriers.addPending({&warp, &op}, barrier.offset, 1);
      if (barrier.cta->mbarriers.faulted) {
        return Flow::Ended;
      }
    }
    arrival->arrivals.push_back({barrier, lane});
  }
  warp.cta.cluster.async.issue(warp, op, lanes, std::move(arrival));
  return Flow::Next;
}

void decodeCopyAsync(Decoder &d, Op &op) {
  CopyForm form;
  bool all = d.oneOf({"ca", "cg"}) == 0;
  form.destinationSpace = NamedSpace::SharedCta;
  if (!d.accept("shared")) {
    d.expect("shared::cta");
  }
  d.expect("global");
  bool hinted = d.accept("L2::cache_hint");
  d.optionalOf({"L2::64B", "L2::128B", "L2::256B"});
  form.destination = d.address(0, ptx::Space::Shared);
  form.source = d.address(1, ptx::Space::Global);
  int64_t bytes = d.constant(2);
  if (all ? bytes != 4 && bytes != 8 && bytes != 16 : bytes != 16) {
    d.error("cp-size is " + std::to_string(bytes) + (all ? ", expected 4, 8 or 16" : ", expected 16 with .cg"));
    bytes = 16;
  }
  form.bytes = static_cast<uint32_t>(bytes);
  unsigned next = 3;
  if (d.operandCount() > next + (hinted ? 1 : 0)) {
    const ptx::Operand &extra = d.operand(next++);
    if (extra.kind == ptx::Operand::Kind::Register && d.registerType(extra) == ptx::Type::Pred) {
      form.hasIgnore = true;
      op.predicates[0] = d.predicateSource(extra);
    } else {
      form.hasSourceSize = true;
      op.operands[0] = d.source(extra, ptx::Type::B32);
    }
  }
  if (hinted) {
    op.operands[1] = d.source(next, ptx::Type::B64);
  }
  op.form = d.keep(form);
  op.run = copyAsync;
}

// --- st.async, red.async: a lane writes or updates a few bytes in a CTA of the cluster and completes them on an
// mbarrier there.

struct StoreForm {
  Decoder::Address destination, barrier;
  ptx::Type type = ptx::Type::B32;
  unsigned vector = 1;
  std::optional<Reduction> reduction;
};
// Operands: the vector's elements.

class StoreAsync final : public CompletingOperation {
public:
  const StoreForm *form = nullptr;
  SharedPlace to;
  std::byte value[32] = {};

  void readSource() override {}
  void finish() override {
    const unsigned size = ptx::sizeOf(form->type);
    tellAccess(*cta, op(), form->reduction ? MemoryAccess::Kind::ReadWrite : MemoryAccess::Kind::Write, Proxy::Async,
               to.cta, to.offset, completedBytes);
    if (form->reduction) {
      reduceElement(*form->reduction, form->type, to.bytes(), value);
    } else {
      std::memcpy(to.bytes(), value, form->vector * size);
    }
    complete();
  }
  void poison() override {
    if (!form->reduction) {
      poisonShared(to.bytes(), completedBytes);
    }
  }
};

Flow storeAsync(Warp &warp, const Op &op, Lanes lanes) {
  const StoreForm &form = *static_cast<const StoreForm *>(op.form);
  const unsigned size = ptx::sizeOf(form.type), bytes = size * form.vector;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    auto store = std::make_unique<StoreAsync>();
    store->kind = Observer::AsyncKind::StoreAsync;
    store->form = &form;
    store->completedBytes = bytes;
    Target to =
        resolve(warp, op, lane, addressOf(warp, form.destination, lane), NamedSpace::SharedCluster, bytes, bytes, true);
    if (!to.bytes) {
      return Flow::Ended;
    }
    Target barrier =
        resolve(warp, op, lane, addressOf(warp, form.barrier, lane), NamedSpace::SharedCluster, 8, 8, true);
    if (!barrier.bytes) {
      return Flow::Ended;
    }
    if (barrier.cta != to.cta) {
      Fault fault;
      fault.kind = Fault::Kind::IllegalAddress;
      fault.actor = {&warp, &op};
      fault.lanes = Lanes(1) << lane;
      fault.text = "the mbarrier is in another CTA's shared memory than the destination";
      return warp.fault(std::move(fault));
    }
    store->to = {to.cta, static_cast<uint32_t>(to.offset)};
    store->barriers = {{barrier.cta, static_cast<uint32_t>(barrier.offset)}};
    for (unsigned i = 0; i < form.vector; ++i) {
      std::memcpy(store->value + i * size, warp.read<std::byte>(op.operands[i]) + lane * size, size);
    }
    warp.cta.cluster.async.issue(warp, op, Lanes(1) << lane, std::move(store));
  }
  return Flow::Next;
}

void readStoreOperands(Decoder &d, Op &op, StoreForm &form) {
  form.destination = d.address(0, ptx::Space::Shared);
  const ptx::Operand &value = d.operand(1);
  const bool isVector = value.kind == ptx::Operand::Kind::Vector;
  if ((isVector ? value.elements.size() : 1) != form.vector) {
    d.error("expected a vector of " + std::to_string(form.vector) + " values");
  } else {
    for (unsigned i = 0; i < form.vector; ++i) {
      op.operands[i] = d.source(isVector ? value.elements[i] : value, form.type);
    }
  }
  form.barrier = d.address(2, ptx::Space::Shared);
  op.form = d.keep(form);
  op.run = storeAsync;
}

} // namespace

void addAsyncCopies(OpcodeTable &table) {
  table.add("cp.async", decodeCopyAsync);
  table.add("cp.async.commit_group", [](Decoder &, Op &op) { op.run = commitCopies; });
  table.add("cp.async.wait_group", [](Decoder &d, Op &op) {
    op.immediate = d.constant(0);
    if (op.immediate < 0) {
      d.error("wait_group waits for " + std::to_string(op.immediate) + " groups");
    }
    op.run = waitCopies;
  });
  table.add("cp.async.wait_all", [](Decoder &d, Op &op) {
    op.form = d.keep(true);
    op.run = waitCopies;
  });
  table.add("cp.async.mbarrier.arrive", [](Decoder &d, Op &op) {
    ArrivalForm form;
    form.noIncrement = d.accept("noinc");
    form.space = spaceNamed(d, false);
    d.expect("b64");
    form.address = d.address(0, spaceOf(form.space));
    op.form = d.keep(form);
    op.run = arriveAfterCopies;
  });
  table.add("st.async", [](Decoder &d, Op &op) {
    StoreForm form;
    d.accept("weak");
    d.accept("shared::cluster");
    d.expect("mbarrier::complete_tx::bytes");
    int vector = d.optionalOf({"v2", "v4"});
    form.vector = vector < 0 ? 1 : vector == 0 ? 2 : 4;
    using ptx::Type;
    form.type = d.type({Type::B32, Type::B64, Type::U32, Type::U64, Type::S32, Type::S64, Type::F32, Type::F64});
    if (ptx::sizeOf(form.type) * form.vector > 16) {
      d.error(".v4 needs 32-bit elements");
      form.vector = 1;
    }
    readStoreOperands(d, op, form);
  });
  table.add("red.async", [](Decoder &d, Op &op) {
    StoreForm form;
    d.expect("relaxed");
    d.expect("cluster");
    d.accept("shared::cluster");
    d.expect("mbarrier::complete_tx::bytes");
    using ptx::Type;
    form.reduction = readReductionName(d);
    switch (*form.reduction) {
    case Reduction::Inc:
    case Reduction::Dec:
      form.type = d.type({Type::U32});
      break;
    case Reduction::And:
    case Reduction::Or:
    case Reduction::Xor:
      form.type = d.type({Type::B32});
      break;
    case Reduction::Add:
      form.type = d.type({Type::U32, Type::S32, Type::U64});
      break;
    default:
      form.type = d.type({Type::U32, Type::S32});
    }
    readStoreOperands(d, op, form);
  });
  addBulkCopies(table);
}

} // namespace emulator
