// cp.async.bulk.tensor, cp.reduce.async.bulk.tensor, and what edits tensor maps (PTX ISA 9.7.9.27).

#include "ops/bulk_copy.h"
#include "ops/tensor_box.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace emulator {

namespace {

struct TensorForm {
  unsigned rank = 1;
  bool multicast = false;
  bool im2col = false;  ///< the map must be of that mode
  unsigned offsets = 0; ///< im2col offsets given
  std::optional<Reduction> reduction;
  Decoder::Address shared, map, barrier;
  Operand coordinates[maxTensorRank], im2colOffsets[3];
};
// Operands: 0 CTA mask, 1 cache policy.

Flow fault(Warp &warp, const Op &op, unsigned lane, Fault::Kind kind, std::string text) {
  Fault fault;
  fault.kind = kind;
  fault.actor = {&warp, &op};
  fault.lanes = Lanes(1) << lane;
  fault.text = std::move(text);
  return warp.fault(std::move(fault));
}

/// 16-byte pieces of a row between the box's own layout and the swizzled one.
template <typename Move> void eachPiece(const TensorMap &map, uint32_t offset, uint32_t bytes, Move move) {
  for (uint32_t at = 0; at < bytes; at += 16) {
    move(at, swizzled(offset + at, map.span()), std::min<uint32_t>(16, bytes - at));
  }
}

void flushSubnormals(const TensorMap &map, std::vector<std::byte> &bytes) {
  if (map.type != TensorType::F32Ftz && map.type != TensorType::TF32Ftz) {
    return;
  }
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    float value;
    std::memcpy(&value, bytes.data() + i, sizeof(value));
    if (std::fpclassify(value) == FP_SUBNORMAL) {
      value = std::copysign(0.0f, value);
      std::memcpy(bytes.data() + i, &value, sizeof(value));
    }
  }
}

class TensorCopy : public CompletingOperation {
public:
  TensorMap map;
  int32_t at[maxTensorRank] = {};
  int32_t offsets[3] = {};

  uint32_t sharedBytes() const { return map.boxBytes() / std::max(map.rowBytes(), 1u) * map.rowPitch(); }

protected:
  void rows(const std::function<void(const BoxRow &)> &visit) { forEachRow(map, at, offsets, visit); }
  std::byte *globalBytes(uint64_t address, uint64_t bytes) {
    Target target = cta->cluster.resolveGlobal(address, bytes);
    if (!target.bytes) {
      Fault fault;
      fault.kind = Fault::Kind::IllegalAddress;
      fault.actor = issuer;
      fault.lanes = lanes;
      fault.address = address;
      fault.text =
          "a tensor map leads to " + std::to_string(bytes) + " bytes at " + hexadecimal(address) + ", where nothing is";
      cta->warps.front()->fault(std::move(fault));
    }
    return target.bytes;
  }
  std::vector<std::byte> held; ///< rows at their box offset, unswizzled
};

class TensorLoad final : public TensorCopy {
public:
  std::vector<SharedPlace> places;

  void poison() override {
    for (const SharedPlace &place : places) {
      poisonShared(place.bytes(), sharedBytes());
    }
  }
  void readSource() override {
    held.resize(sharedBytes());
    bool broken = false;
    rows([&](const BoxRow &row) {
      std::byte *to = held.data() + row.offset;
      const uint32_t count = row.end - row.begin;
      fillOutOfBounds(map, to, row.begin);
      fillOutOfBounds(map, to + row.begin + count, row.bytes - row.begin - count);
      if (count == 0 || broken) {
        return;
      }
      tellAccess(*cta, op(), MemoryAccess::Kind::Read, Proxy::Async, nullptr, row.address + row.begin, count);
      const std::byte *from = globalBytes(row.address + row.begin, count);
      if (!from) {
        broken = true;
        return;
      }
      std::memcpy(to + row.begin, from, count);
    });
    flushSubnormals(map, held);
  }
  void finish() override {
    for (const SharedPlace &place : places) {
      std::byte *shared = place.cta->shared();
      if (map.swizzle == 0) {
        tellAccess(*cta, op(), MemoryAccess::Kind::Write, Proxy::Async, place.cta, place.offset, held.size());
        std::memcpy(shared + place.offset, held.data(), held.size());
        continue;
      }
      for (uint32_t offset = 0; offset < held.size(); offset += map.rowPitch()) {
        eachPiece(map, place.offset + offset, map.rowBytes(), [&](uint32_t piece, uint32_t where, uint32_t bytes) {
          tellAccess(*cta, op(), MemoryAccess::Kind::Write, Proxy::Async, place.cta, where, bytes);
          std::memcpy(shared + where, held.data() + offset + piece, bytes);
        });
      }
    }
    complete();
  }
};

class TensorStore final : public TensorCopy {
public:
  SharedPlace place;
  std::optional<Reduction> reduction;

  void readSource() override {
    held.resize(sharedBytes());
    const std::byte *shared = place.cta->shared();
    rows([&](const BoxRow &row) {
      eachPiece(map, place.offset + row.offset, row.bytes, [&](uint32_t piece, uint32_t where, uint32_t bytes) {
        if (row.begin < piece + bytes && piece < row.end) { // What lies out of bounds is not read.
          tellAccess(*cta, op(), MemoryAccess::Kind::Read, Proxy::Async, place.cta, where, bytes);
        }
        std::memcpy(held.data() + row.offset + piece, shared + where, bytes);
      });
    });
  }
  void finish() override {
    bool broken = false;
    rows([&](const BoxRow &row) {
      const uint32_t count = row.end - row.begin;
      if (count == 0 || broken) {
        return;
      }
      const uint64_t address = row.address + row.begin;
      tellAccess(*cta, op(), reduction ? MemoryAccess::Kind::ReadWrite : MemoryAccess::Kind::Write, Proxy::Async,
                 nullptr, address, count);
      std::byte *to = globalBytes(address, count);
      if (!to) {
        broken = true;
        return;
      }
      const std::byte *from = held.data() + row.offset + row.begin;
      if (!reduction) {
        std::memcpy(to, from, count);
        return;
      }
      const unsigned size = sizeOf(map.type);
      for (uint32_t i = 0; i < count; i += size) {
        reduceElement(*reduction, reducedType(), to + i, from + i);
      }
    });
  }

private:
  ptx::Type reducedType() const {
    switch (map.type) {
    case TensorType::S32:
      return ptx::Type::S32;
    case TensorType::U64:
      return ptx::Type::U64;
    case TensorType::S64:
      return ptx::Type::S64;
    case TensorType::F16:
      return ptx::Type::F16;
    case TensorType::BF16:
      return ptx::Type::BF16;
    case TensorType::F64:
      return ptx::Type::F64;
    case TensorType::F32:
    case TensorType::F32Ftz:
    case TensorType::TF32:
    case TensorType::TF32Ftz:
      return ptx::Type::F32;
    default:
      return ptx::Type::U32;
    }
  }
};

/// Why the map's elements cannot be reduced so; empty if they can.
std::string refuseReduction(const TensorMap &map, Reduction reduction) {
  const bool bitwise = reduction == Reduction::And || reduction == Reduction::Or || reduction == Reduction::Xor;
  const bool counts = reduction == Reduction::Inc || reduction == Reduction::Dec;
  switch (map.type) {
  case TensorType::U32:
    return "";
  case TensorType::S32:
  case TensorType::U64:
  case TensorType::S64:
    return counts ? ".inc and .dec need elements of type u32" : "";
  case TensorType::F16:
  case TensorType::BF16:
    return bitwise || counts ? "f16 and bf16 elements have .add, .min and .max" : "";
  case TensorType::F32:
  case TensorType::F32Ftz:
  case TensorType::F64:
    return reduction == Reduction::Add ? "" : "f32 and f64 elements have .add only";
  default:
    return "elements of this type have no reductions";
  }
}

/// Reads and checks the map and coordinates of a lane; false after a fault.
bool prepare(Warp &warp, const Op &op, unsigned lane, const TensorForm &form, TensorCopy &copy) {
  const uint64_t address = addressOf(warp, form.map, lane);
  Target target = resolve(warp, op, lane, address, NamedSpace::Generic, tensorMapBytes, 64, false);
  if (!target.bytes) {
    return false;
  }
  if (Observer *observer = warp.grid().observer) { // Not the copy's access but the thread's that issues it.
    MemoryAccess access;
    access.actor = {&warp, &op};
    access.proxy = Proxy::TensorMap;
    access.lanes = 1;
    access.addresses = &address;
    access.bytes = tensorMapBytes;
    observer->access(access);
  }
  std::optional<TensorMap> map = TensorMap::unpack(target.bytes);
  auto refuse = [&](Fault::Kind kind, std::string text) {
    fault(warp, op, lane, kind, std::move(text));
    return false;
  };
  if (!map) {
    return refuse(Fault::Kind::IllegalInstruction, "the 128 bytes at " + hexadecimal(address) + " are no tensor map");
  }
  if (map->rank != form.rank) {
    return refuse(Fault::Kind::IllegalInstruction, "the tensor map's rank is " + std::to_string(map->rank) +
                                                       ", the instruction's " + std::to_string(form.rank));
  }
  if (map->im2col != form.im2col) {
    return refuse(Fault::Kind::IllegalInstruction,
                  map->im2col ? "the tensor map is of im2col mode, the instruction of tile mode"
                              : "the tensor map is of tile mode, the instruction of im2col mode");
  }
  if (map->interleave != 0) {
    return refuse(Fault::Kind::Unsupported, "copies of interleaved tensors are not supported");
  }
  copy.map = *map;
  copy.kind = Observer::AsyncKind::Tensor;
  for (unsigned i = 0; i < form.rank; ++i) {
    copy.at[i] = warp.read<int32_t>(form.coordinates[i])[lane];
  }
  for (unsigned i = 0; i < form.offsets; ++i) {
    copy.offsets[i] = warp.read<uint16_t>(form.im2colOffsets[i])[lane];
  }
  return true;
}

Flow load(Warp &warp, const Op &op, Lanes lanes) {
  const TensorForm &form = *static_cast<const TensorForm *>(op.form);
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    auto copy = std::make_unique<TensorLoad>();
    if (!prepare(warp, op, lane, form, *copy)) {
      return Flow::Ended;
    }
    copy->completedBytes = copy->map.boxBytes();
    Target to = resolve(warp, op, lane, addressOf(warp, form.shared, lane), NamedSpace::SharedCluster,
                        copy->sharedBytes(), 128, true);
    if (!to.bytes) {
      return Flow::Ended;
    }
    Target barrier =
        resolve(warp, op, lane, addressOf(warp, form.barrier, lane), NamedSpace::SharedCluster, 8, 8, true);
    if (!barrier.bytes) {
      return Flow::Ended;
    }
    SharedPlace place = {to.cta, static_cast<uint32_t>(to.offset)};
    SharedPlace at = {barrier.cta, static_cast<uint32_t>(barrier.offset)};
    if (form.multicast) {
      uint32_t mask = warp.read<uint16_t>(op.operands[0])[lane];
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
    warp.cta.cluster.async.issue(warp, op, Lanes(1) << lane, std::move(copy));
  }
  return Flow::Next;
}

Flow store(Warp &warp, const Op &op, Lanes lanes) {
  const TensorForm &form = *static_cast<const TensorForm *>(op.form);
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    auto copy = std::make_unique<TensorStore>();
    if (!prepare(warp, op, lane, form, *copy)) {
      return Flow::Ended;
    }
    if (form.reduction) {
      std::string refusal = refuseReduction(copy->map, *form.reduction);
      if (!refusal.empty()) {
        return fault(warp, op, lane, Fault::Kind::IllegalInstruction, std::move(refusal));
      }
    }
    Target from = resolve(warp, op, lane, addressOf(warp, form.shared, lane), NamedSpace::SharedCta,
                          copy->sharedBytes(), 128, true);
    if (!from.bytes) {
      return Flow::Ended;
    }
    copy->place = {from.cta, static_cast<uint32_t>(from.offset)};
    copy->reduction = form.reduction;
    copy->group = groupsOf(warp).bulkCommitted[lane];
    warp.cta.cluster.async.issue(warp, op, Lanes(1) << lane, std::move(copy));
  }
  return Flow::Next;
}

Flow nothing(Warp &, const Op &, Lanes) { return Flow::Next; }

/// `[map, {coordinates}]`
void readTensor(Decoder &d, TensorForm &form, unsigned index) {
  const ptx::Operand &operand = d.operand(index);
  form.map = d.address(operand, ptx::Space::Generic);
  if (operand.kind != ptx::Operand::Kind::Address || operand.elements.size() < 2) {
    d.error("expected [tensor map, {coordinates}]");
    return;
  }
  const std::vector<ptx::Operand> &coordinates = operand.elements[1].elements;
  if (coordinates.size() != form.rank) {
    d.error("expected " + std::to_string(form.rank) + " coordinates, found " + std::to_string(coordinates.size()));
    return;
  }
  for (unsigned i = 0; i < form.rank; ++i) {
    form.coordinates[i] = d.source(coordinates[i], ptx::Type::S32);
  }
}

/// `.tile`, `.im2col` or nothing; gather, scatter and im2col::w are of sm_100.
void readMode(Decoder &d, TensorForm &form, std::string_view im2col) {
  if (!d.accept("tile")) {
    form.im2col = d.accept(im2col);
  }
  if (form.im2col && form.rank < 3) {
    d.error("im2col mode needs 3 to 5 dimensions");
  }
}

void decodeLoad(Decoder &d, Op &op, TensorForm form, bool prefetch) {
  readMode(d, form, "im2col");
  if (!prefetch) {
    d.expect("mbarrier::complete_tx::bytes");
    form.multicast = d.accept("multicast::cluster");
  }
  bool hinted = d.accept("L2::cache_hint");
  unsigned next = 0;
  if (!prefetch) {
    form.shared = d.address(next++, ptx::Space::Shared);
  }
  readTensor(d, form, next++);
  if (!prefetch) {
    form.barrier = d.address(next++, ptx::Space::Shared);
  }
  if (form.im2col) {
    const ptx::Operand &offsets = d.operand(next++);
    form.offsets = form.rank - 2;
    if (offsets.elements.size() != form.offsets) {
      d.error("expected " + std::to_string(form.offsets) + " im2col offsets");
    } else {
      for (unsigned i = 0; i < form.offsets; ++i) {
        form.im2colOffsets[i] = d.source(offsets.elements[i], ptx::Type::B16);
      }
    }
  }
  if (form.multicast) {
    op.operands[0] = d.source(next++, ptx::Type::B16);
  }
  if (hinted) {
    op.operands[1] = d.source(next, ptx::Type::B64);
  }
  op.form = d.keep(form);
  op.run = prefetch ? nothing : load;
}

void decodeStore(Decoder &d, Op &op, TensorForm form, bool reduces) {
  d.expect("shared::cta");
  if (reduces) {
    form.reduction = readReductionName(d);
  }
  readMode(d, form, "im2col_no_offs");
  d.expect("bulk_group");
  bool hinted = d.accept("L2::cache_hint");
  readTensor(d, form, 0);
  form.shared = d.address(1, ptx::Space::Shared);
  if (hinted) {
    op.operands[1] = d.source(2, ptx::Type::B64);
  }
  op.form = d.keep(form);
  op.run = store;
}

unsigned readRank(Decoder &d) { return d.oneOf({"1d", "2d", "3d", "4d", "5d"}) + 1; }

// --- tensormap.*

struct ReplaceForm {
  Decoder::Address address;
  NamedSpace space = NamedSpace::Global;
  std::string field;
  uint32_t ordinal = 0;
  bool wide = false;
};

Flow replace(Warp &warp, const Op &op, Lanes lanes) {
  const ReplaceForm &form = *static_cast<const ReplaceForm *>(op.form);
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    uint64_t address = addressOf(warp, form.address, lane);
    Target target =
        resolve(warp, op, lane, address, form.space, tensorMapBytes, 64,
                form.space == NamedSpace::SharedCta || (form.space == NamedSpace::Generic && address >= sharedWindow &&
                                                        address < sharedWindow + sharedWindowBytes));
    if (!target.bytes) {
      return Flow::Ended;
    }
    if (!target.writable) {
      return fault(warp, op, lane, Fault::Kind::IllegalAddress, "edits a tensor map in read-only memory");
    }
    if (Observer *observer = warp.grid().observer) {
      uint64_t addresses[warpLanes] = {};
      addresses[lane] = target.cta ? target.offset : address;
      MemoryAccess access;
      access.actor = {&warp, &op};
      access.kind = MemoryAccess::Kind::ReadWrite;
      access.shared = target.cta != nullptr;
      access.cta = target.cta;
      access.lanes = Lanes(1) << lane;
      access.addresses = addresses;
      access.bytes = tensorMapBytes;
      observer->access(access);
    }
    uint64_t value = form.wide ? warp.read<uint64_t>(op.operands[0])[lane] : warp.read<uint32_t>(op.operands[0])[lane];
    if (std::optional<std::string> refusal = replaceField(target.bytes, form.field, form.ordinal, value)) {
      return fault(warp, op, lane, Fault::Kind::IllegalInstruction, "tensormap.replace: " + *refusal);
    }
  }
  return Flow::Next;
}

void decodeReplace(Decoder &d, Op &op) {
  ReplaceForm form;
  d.expect("tile");
  form.field = d.word();
  constexpr std::string_view fields[] = {"global_address", "rank",           "box_dim",  "global_dim",
                                         "global_stride",  "element_stride", "elemtype", "interleave_layout",
                                         "swizzle_mode",   "fill_mode"};
  if (std::find(std::begin(fields), std::end(fields), form.field) == std::end(fields)) {
    d.error("tensormap.replace has no field '" + form.field + "' on sm_90");
  }
  form.space = spaceNamed(d, false, true);
  d.expect("b1024");
  form.wide = d.type({ptx::Type::B32, ptx::Type::B64}) == ptx::Type::B64;
  if (form.wide != (form.field == "global_address" || form.field == "global_stride")) {
    d.error(form.field + " takes a value of the other width");
  }
  form.address = d.address(0, spaceOf(form.space));
  unsigned next = 1;
  if (form.field == "box_dim" || form.field == "global_dim" || form.field == "global_stride" ||
      form.field == "element_stride") {
    form.ordinal = static_cast<uint32_t>(d.constant(next++));
    if (form.ordinal >= maxTensorRank) {
      d.error("dimension " + std::to_string(form.ordinal) + " does not exist");
    }
  }
  op.operands[0] = d.source(next, form.wide ? ptx::Type::B64 : ptx::Type::B32);
  op.form = d.keep(form);
  op.run = replace;
}

struct CopyFenceForm {
  Decoder::Address destination, source;
};

/// tensormap.cp_fenceproxy: copies 128 bytes from shared to global memory, by the warp as one, and releases them to
/// the tensor map proxy.
Flow copyAndFence(Warp &warp, const Op &op, Lanes lanes) {
  const CopyFenceForm &form = *static_cast<const CopyFenceForm *>(op.form);
  unsigned lane = static_cast<unsigned>(__builtin_ctz(lanes));
  uint64_t to = addressOf(warp, form.destination, lane);
  Target source =
      resolve(warp, op, lane, addressOf(warp, form.source, lane), NamedSpace::SharedCta, tensorMapBytes, 128, true);
  if (!source.bytes) {
    return Flow::Ended;
  }
  Target destination = resolve(warp, op, lane, to, NamedSpace::Global, tensorMapBytes, 128, false);
  if (!destination.bytes) {
    return Flow::Ended;
  }
  if (!destination.writable) {
    return fault(warp, op, lane, Fault::Kind::IllegalAddress, "writes " + hexadecimal(to) + ", which is read-only");
  }
  if (Observer *observer = warp.grid().observer) {
    for (bool writes : {false, true}) {
      uint64_t addresses[warpLanes] = {};
      addresses[lane] = writes ? to : source.offset;
      MemoryAccess access;
      access.actor = {&warp, &op};
      access.kind = writes ? MemoryAccess::Kind::Write : MemoryAccess::Kind::Read;
      access.shared = !writes;
      access.cta = writes ? nullptr : source.cta;
      access.lanes = Lanes(1) << lane;
      access.addresses = addresses;
      access.bytes = tensorMapBytes;
      observer->access(access);
    }
  }
  std::memcpy(destination.bytes, source.bytes, tensorMapBytes);
  if (Observer *observer = warp.grid().observer) {
    observer->proxyFence(warp, op, "tensormap", lanes);
  }
  return Flow::Next;
}

} // namespace

void addTensorCopies(OpcodeTable &table) {
  table.add("cp.async.bulk.tensor", [](Decoder &d, Op &op) {
    TensorForm form;
    form.rank = readRank(d);
    if (d.accept("global")) {
      decodeStore(d, op, form, false);
      return;
    }
    if (!d.accept("shared::cta")) {
      d.expect("shared::cluster");
    }
    d.expect("global");
    decodeLoad(d, op, form, false);
  });
  table.add("cp.async.bulk.prefetch.tensor", [](Decoder &d, Op &op) {
    TensorForm form;
    form.rank = readRank(d);
    d.expect("L2");
    d.expect("global");
    decodeLoad(d, op, form, true);
  });
  table.add("cp.reduce.async.bulk.tensor", [](Decoder &d, Op &op) {
    TensorForm form;
    form.rank = readRank(d);
    d.expect("global");
    decodeStore(d, op, form, true);
  });
  table.add("tensormap.replace", decodeReplace);
  table.add("tensormap.cp_fenceproxy", [](Decoder &d, Op &op) {
    CopyFenceForm form;
    d.expect("global");
    d.expect("shared::cta");
    d.expect("tensormap::generic");
    d.expect("release");
    d.oneOf({"cta", "cluster", "gpu", "sys"});
    d.expect("sync");
    d.expect("aligned");
    form.destination = d.address(0, ptx::Space::Global);
    form.source = d.address(1, ptx::Space::Shared);
    if (d.constant(2) != 128) {
      d.error("tensormap.cp_fenceproxy copies 128 bytes");
    }
    op.convergence = Convergence::Warp;
    op.form = d.keep(form);
    op.run = copyAndFence;
  });
}

} // namespace emulator
