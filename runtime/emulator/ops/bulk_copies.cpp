// cp.async.bulk, cp.reduce.async.bulk (one-dimensional), and the bulk groups that they and tensor copies share
// (PTX ISA 9.7.9.25).

#include "ops/bulk_copy.h"
#include <cstring>

namespace emulator {

namespace {

struct BulkForm {
  enum class Way : uint8_t { GlobalToShared, SharedToShared, SharedToGlobal } way = Way::GlobalToShared;
  Decoder::Address destination, source, barrier;
  bool multicast = false;
  std::optional<ReductionForm> reduction;
};
// Operands: 0 bytes, 1 CTA mask, 2 cache policy.

class BulkCopy final : public CompletingOperation {
public:
  const BulkForm *form = nullptr;
  const std::byte *source = nullptr;
  const Cta *sourceCta = nullptr; ///< null: global
  uint64_t sourceAddress = 0;
  std::vector<SharedPlace> places; ///< destinations in shared memory
  std::byte *global = nullptr;     ///< or in global memory
  uint64_t globalAddress = 0;
  uint32_t bytes = 0;

  void poison() override {
    if (!form->reduction) {
      for (const SharedPlace &place : places) {
        poisonShared(place.bytes(), bytes);
      }
    }
  }
  void readSource() override {
    tellAccess(*cta, op(), MemoryAccess::Kind::Read, Proxy::Async, sourceCta, sourceAddress, bytes);
    held.assign(source, source + bytes);
  }
  void finish() override {
    MemoryAccess::Kind access = form->reduction ? MemoryAccess::Kind::ReadWrite : MemoryAccess::Kind::Write;
    for (const SharedPlace &place : places) {
      tellAccess(*cta, op(), access, Proxy::Async, place.cta, place.offset, bytes);
      store(place.bytes());
    }
    if (global) {
      tellAccess(*cta, op(), access, Proxy::Async, nullptr, globalAddress, bytes);
      store(global);
    }
    complete();
  }

private:
  void store(std::byte *to) {
    if (!form->reduction) {
      std::memcpy(to, held.data(), bytes);
      return;
    }
    const unsigned size = ptx::sizeOf(form->reduction->type);
    for (uint32_t i = 0; i < bytes; i += size) {
      reduceElement(form->reduction->reduction, form->reduction->type, to + i, held.data() + i);
    }
  }

  std::vector<std::byte> held;
};

Flow fault(Warp &warp, const Op &op, unsigned lane, Fault::Kind kind, std::string text) {
  Fault fault;
  fault.kind = kind;
  fault.actor = {&warp, &op};
  fault.lanes = Lanes(1) << lane;
  fault.text = std::move(text);
  return warp.fault(std::move(fault));
}

Flow bulkCopy(Warp &warp, const Op &op, Lanes lanes) {
  const BulkForm &form = *static_cast<const BulkForm *>(op.form);
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    auto copy = std::make_unique<BulkCopy>();
    copy->form = &form;
    copy->kind = Observer::AsyncKind::Bulk;
    copy->bytes = copy->completedBytes = warp.read<uint32_t>(op.operands[0])[lane];
    if (copy->bytes % 16 != 0) {
      return fault(warp, op, lane, Fault::Kind::Misaligned,
                   "size is " + std::to_string(copy->bytes) + " bytes, expected a multiple of 16");
    }
    const bool fromShared = form.way != BulkForm::Way::GlobalToShared;
    const bool toShared = form.way != BulkForm::Way::SharedToGlobal;
    copy->sourceAddress = addressOf(warp, form.source, lane);
    Target source = resolve(warp, op, lane, copy->sourceAddress,
                            fromShared ? NamedSpace::SharedCta : NamedSpace::Global, copy->bytes, 16, fromShared);
    if (!source.bytes) {
      return Flow::Ended;
    }
    copy->source = source.bytes;
    copy->sourceCta = source.cta;
    if (fromShared) {
      copy->sourceAddress = source.offset;
    }
    uint64_t to = addressOf(warp, form.destination, lane);
    Target destination = resolve(warp, op, lane, to, toShared ? NamedSpace::SharedCluster : NamedSpace::Global,
                                 copy->bytes, 16, toShared);
    if (!destination.bytes) {
      return Flow::Ended;
    }
    if (!destination.writable) {
      return fault(warp, op, lane, Fault::Kind::IllegalAddress, "writes " + hexadecimal(to) + ", which is read-only");
    }
    if (!toShared) {
      copy->global = destination.bytes;
      copy->globalAddress = to;
      copy->group = groupsOf(warp).bulkCommitted[lane];
    } else {
      SharedPlace place = {destination.cta, static_cast<uint32_t>(destination.offset)};
      Target barrier =
          resolve(warp, op, lane, addressOf(warp, form.barrier, lane), NamedSpace::SharedCluster, 8, 8, true);
      if (!barrier.bytes) {
        return Flow::Ended;
      }
      SharedPlace at = {barrier.cta, static_cast<uint32_t>(barrier.offset)};
      if (form.multicast) {
        uint32_t mask = warp.read<uint16_t>(op.operands[1])[lane];
        if (!multicast(warp, op, lane, mask, place, copy->places) ||
            !multicast(warp, op, lane, mask, at, copy->barriers)) {
          return Flow::Ended;
        }
      } else {
        if (place.cta != at.cta) {
          return fault(warp, op, lane, Fault::Kind::IllegalAddress,
                       "the mbarrier is in another CTA's shared memory than the destination");
        }
        copy->places = {place};
        copy->barriers = {at};
      }
    }
    warp.cta.cluster.async.issue(warp, op, Lanes(1) << lane, std::move(copy));
  }
  return Flow::Next;
}

Flow prefetch(Warp &, const Op &, Lanes) { return Flow::Next; }

Flow commitBulk(Warp &warp, const Op &op, Lanes lanes) {
  Warp::AsyncGroups &groups = groupsOf(warp);
  forLanes(lanes, [&](unsigned lane) { ++groups.bulkCommitted[lane]; });
  if (Observer *observer = warp.grid().observer) {
    observer->groupCommitted(warp, op, Observer::AsyncKind::Bulk, lanes);
  }
  return Flow::Next;
}

Flow waitBulk(Warp &warp, const Op &op, Lanes lanes) {
  const bool readOnly = op.form != nullptr;
  const uint64_t pending = static_cast<uint64_t>(op.immediate);
  AsyncEngine &engine = warp.cta.cluster.async;
  if (!engine.idle()) {
    const Warp::AsyncGroups &groups = groupsOf(warp);
    auto needed = [&](const AsyncOperation &operation) {
      return operation.issuer.warp == &warp && operation.group != AsyncOperation::noGroup &&
             (operation.kind == Observer::AsyncKind::Bulk || operation.kind == Observer::AsyncKind::Tensor) &&
             (operation.lanes & lanes) &&
             operation.group + pending < groups.bulkCommitted[__builtin_ctz(operation.lanes)];
    };
    readOnly ? engine.readWhere(needed) : engine.performWhere(needed);
  }
  if (Observer *observer = warp.grid().observer) {
    observer->groupWaited(warp, op, Observer::AsyncKind::Bulk, static_cast<unsigned>(pending), readOnly, lanes);
  }
  return Flow::Next;
}

void readCachePolicy(Decoder &d, Op &op, bool hinted, unsigned operand) {
  if (hinted) {
    op.operands[2] = d.source(operand, ptx::Type::B64);
  }
}

void decodeBulk(Decoder &d, Op &op, bool reduces) {
  BulkForm form;
  op.run = bulkCopy;
  bool toCluster = d.accept("shared::cluster");
  if (toCluster || (!reduces && d.accept("shared::cta"))) {
    form.way = d.accept("global") ? BulkForm::Way::GlobalToShared : BulkForm::Way::SharedToShared;
    if (form.way == BulkForm::Way::SharedToShared || reduces) {
      d.expect("shared::cta");
    }
    d.expect("mbarrier::complete_tx::bytes");
    form.multicast = !reduces && form.way == BulkForm::Way::GlobalToShared && d.accept("multicast::cluster");
  } else {
    d.expect("global");
    d.expect("shared::cta");
    d.expect("bulk_group");
    form.way = BulkForm::Way::SharedToGlobal;
  }
  bool hinted = form.way != BulkForm::Way::SharedToShared && d.accept("L2::cache_hint");
  if (reduces) {
    form.reduction = readBulkReduction(d, form.way == BulkForm::Way::SharedToGlobal);
  }
  const bool toShared = form.way != BulkForm::Way::SharedToGlobal;
  form.destination = d.address(0, toShared ? ptx::Space::Shared : ptx::Space::Global);
  form.source = d.address(1, form.way == BulkForm::Way::GlobalToShared ? ptx::Space::Global : ptx::Space::Shared);
  op.operands[0] = d.source(2, ptx::Type::B32);
  unsigned next = 3;
  if (toShared) {
    form.barrier = d.address(next++, ptx::Space::Shared);
  }
  if (form.multicast) {
    op.operands[1] = d.source(next++, ptx::Type::B16);
  }
  readCachePolicy(d, op, hinted, next);
  op.form = d.keep(form);
}

} // namespace

bool multicast(Warp &warp, const Op &op, unsigned lane, uint32_t mask, const SharedPlace &place,
               std::vector<SharedPlace> &places) {
  const auto &ctas = warp.cta.cluster.ctas;
  if (mask == 0 || (mask >> ctas.size()) != 0) {
    fault(warp, op, lane, Fault::Kind::IllegalInstruction,
          "multicast mask " + hexadecimal(mask) + " in a cluster of " + std::to_string(ctas.size()) + " CTAs");
    return false;
  }
  for (unsigned rank = 0; rank < ctas.size(); ++rank) {
    if (mask >> rank & 1) {
      places.push_back({ctas[rank].get(), place.offset});
    }
  }
  return true;
}

Reduction readReductionName(Decoder &decoder) {
  constexpr Reduction names[] = {Reduction::Add, Reduction::Min, Reduction::Max, Reduction::Inc,
                                 Reduction::Dec, Reduction::And, Reduction::Or,  Reduction::Xor};
  return names[decoder.oneOf({"add", "min", "max", "inc", "dec", "and", "or", "xor"})];
}

ReductionForm readBulkReduction(Decoder &decoder, bool toGlobal) {
  using ptx::Type;
  ReductionForm form;
  form.reduction = readReductionName(decoder);
  bool unflushed = toGlobal && form.reduction == Reduction::Add && decoder.accept("noftz");
  switch (form.reduction) {
  case Reduction::And:
  case Reduction::Or:
  case Reduction::Xor:
    form.type = toGlobal ? decoder.type({Type::B32, Type::B64}) : decoder.type({Type::B32});
    break;
  case Reduction::Inc:
  case Reduction::Dec:
    form.type = decoder.type({Type::U32});
    break;
  case Reduction::Add:
    form.type = !toGlobal   ? decoder.type({Type::U32, Type::S32, Type::U64})
                : unflushed ? decoder.type({Type::F16, Type::BF16})
                            : decoder.type({Type::U32, Type::S32, Type::U64, Type::F32, Type::F64});
    break;
  case Reduction::Min:
  case Reduction::Max:
    form.type = toGlobal ? decoder.type({Type::U32, Type::S32, Type::U64, Type::S64, Type::F16, Type::BF16})
                         : decoder.type({Type::U32, Type::S32});
    break;
  }
  return form;
}

void addBulkCopies(OpcodeTable &table) {
  table.add("cp.async.bulk", [](Decoder &d, Op &op) { decodeBulk(d, op, false); });
  table.add("cp.reduce.async.bulk", [](Decoder &d, Op &op) { decodeBulk(d, op, true); });
  table.add("cp.async.bulk.prefetch.L2", [](Decoder &d, Op &op) {
    d.expect("global");
    bool hinted = d.accept("L2::cache_hint");
    d.address(0, ptx::Space::Global);
    op.operands[0] = d.source(1, ptx::Type::B32);
    readCachePolicy(d, op, hinted, 2);
    op.run = prefetch;
  });
  table.add("cp.async.bulk.commit_group", [](Decoder &, Op &op) { op.run = commitBulk; });
  table.add("cp.async.bulk.wait_group", [](Decoder &d, Op &op) {
    op.form = d.accept("read") ? d.keep(true) : nullptr;
    op.immediate = d.constant(0);
    if (op.immediate < 0) {
      d.error("wait_group waits for " + std::to_string(op.immediate) + " groups");
    }
    op.run = waitBulk;
  });
}

} // namespace emulator
