#include "machine/cta.h"
#include "machine/decoder.h"
#include "machine/grid.h"
#include "machine/warp.h"
#include "ops/addresses.h"
#include "ops/lanes.h"
#include <array>
#include <cstring>
#include <type_traits>

// PTX ISA 9.7.9, data movement: ld ld.nc ldu st prefetch prefetchu createpolicy discard applypriority.
//
// Caches have no effect on results, so hints are read and dropped. What orders memory becomes the host's: a relaxed or
// volatile access is an atomic one, and acquires or releases too, which is more than PTX asks for and free on x86.

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Space;
using ptx::Type;

namespace {

constexpr unsigned maxVector = 8;

struct Word128 {
  uint64_t low, high;
};

struct TransferForm : MemoryForm {
  unsigned count = 1;
  Operand registers[maxVector];
};

template <typename Element, bool strong> Element loadElement(const std::byte *from) {
  if constexpr (strong && sizeof(Element) <= 8) {
    return __atomic_load_n(reinterpret_cast<const Element *>(from), __ATOMIC_ACQUIRE);
  } else if constexpr (strong) {
    // 16 bytes in one piece need a lock prefix, which a read-only page would refuse: two halves, the first one first.
    Word128 value;
    value.low = __atomic_load_n(reinterpret_cast<const uint64_t *>(from), __ATOMIC_ACQUIRE);
    value.high = __atomic_load_n(reinterpret_cast<const uint64_t *>(from) + 1, __ATOMIC_ACQUIRE);
    return value;
  } else {
    return *reinterpret_cast<const Element *>(from);
  }
}

template <typename Element, bool strong> void storeElement(std::byte *to, Element value) {
  if constexpr (strong && sizeof(Element) <= 8) {
    __atomic_store_n(reinterpret_cast<Element *>(to), value, __ATOMIC_RELEASE);
  } else if constexpr (strong) {
    __atomic_store_n(reinterpret_cast<uint64_t *>(to), value.low, __ATOMIC_RELEASE);
    __atomic_store_n(reinterpret_cast<uint64_t *>(to) + 1, value.high, __ATOMIC_RELEASE);
  } else {
    *reinterpret_cast<Element *>(to) = value;
  }
}

/// Where all lanes' accesses go to one allocation, or to the CTA's own shared memory: a lane's bytes are at `base` plus
/// its address. The observer has been told. Whatever is not so plain, errors too, is left to `resolve`.
struct PlainAddresses {
  uint64_t base = 0; ///< Added to each lane's; a number, for without what it is added to it is no address.
  uint64_t lane[warpLanes];
};

[[gnu::always_inline]] inline bool resolvePlain(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes,
                                                PlainAddresses &at) {
  if (form.space == Space::Local) {
    return false;
  }
  const unsigned first = static_cast<unsigned>(__builtin_ctz(lanes));
  const uint64_t offset = static_cast<uint64_t>(form.offset);
  uint64_t low = ~uint64_t(0), high = 0, all = 0;
  auto compute = [&](const auto *base) {
    const uint64_t stand = base[first]; // For lanes that take no part.
#pragma clang loop vectorize(assume_safety) unroll(disable)
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      const uint64_t own = base[lane];
      const uint64_t address = (lanes >> lane & 1 ? own : stand) + offset;
      at.lane[lane] = address;
      low = address < low ? address : low;
      high = address > high ? address : high;
      all |= address;
    }
  };
  if (form.narrow) {
    compute(warp.read<uint32_t>(form.base));
  } else {
    compute(warp.read<uint64_t>(form.base));
  }
  if (all & (form.bytes - 1)) {
    return false;
  }
  Cta &cta = warp.cta;
  if (form.space == Space::Shared || (form.space == Space::Generic && low - sharedWindow < sharedWindowBytes)) {
    const uint64_t own = (form.space == Space::Generic ? sharedWindow : 0) + cta.sharedAddress(0);
    if (low < own + reservedSharedBytes || high + form.bytes > own + cta.sharedEnd()) {
      return false;
    }
    at.base = reinterpret_cast<uint64_t>(cta.shared()) - own;
    if (warp.observer) [[unlikely]] {
      uint64_t offsets[warpLanes];
      for (unsigned lane = 0; lane < warpLanes; ++lane) {
        offsets[lane] = at.lane[lane] - own;
      }
      tellAccess(warp, op, form, lanes, &cta, offsets);
    }
    return true;
  }
  const Allocation *allocation = GlobalMemory::instance().find(low);
  if (!allocation || high - allocation->address + form.bytes > allocation->size ||
      !(allocation->writable || form.kind == MemoryAccess::Kind::Read) || !warp.grid().reaches(*allocation)) {
    return false;
  }
  if (warp.observer) [[unlikely]] {
    tellAccess(warp, op, form, lanes, nullptr, at.lane);
  }
  return true;
}

/// Element is what memory holds, Register what it becomes (extended by its sign or by zeros).
template <typename Element, typename Register, bool strong> Flow load(Warp &warp, const Op &op, Lanes lanes) {
  const TransferForm &form = *static_cast<const TransferForm *>(op.form);
  if constexpr (!strong && sizeof(Register) <= 8) {
    PlainAddresses plain;
    if (resolvePlain(warp, op, form, lanes, plain)) {
      for (unsigned i = 0; i < form.count; ++i) {
        Register *d = warp.write<Register>(form.registers[i]);
        const uint64_t base = plain.base + i * sizeof(Element);
        eachLane(lanes, [=, &plain](unsigned lane) {
          d[lane] = static_cast<Register>(*reinterpret_cast<const Element *>(base + plain.lane[lane]));
        });
      }
      return Flow::Next;
    }
  }
  LaneAddresses at;
  if (!resolve(warp, op, form, lanes, at)) {
    return Flow::Ended;
  }
  for (unsigned i = 0; i < form.count; ++i) {
    Register *d = warp.write<Register>(form.registers[i]);
    forLanes(lanes, [&](unsigned lane) {
      const Element value = loadElement<Element, strong>(at.host[lane] + i * sizeof(Element));
      if constexpr (strong) {
        warp.sees(at.host[lane], &value, sizeof value);
      }
      if constexpr (std::is_same_v<Element, Register>) {
        d[lane] = value;
      } else {
        d[lane] = static_cast<Register>(value);
      }
    });
  }
  if constexpr (strong) { // It may be a poll.
    warp.seesNoMore(op, lanes);
    return Flow::Yield;
  }
  return Flow::Next;
}

/// Tells the observer of lanes that write different values to one place; `host` leads there. Accesses are aligned, so
/// two lanes write all of the same bytes or none.
template <typename Element, typename Register, typename Host>
void tellCollisions(Warp &warp, const Op &op, const TransferForm &form, Lanes lanes, Host host) {
  bool ascends = true;
  uint64_t last = 0;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const uint64_t place = host(static_cast<unsigned>(__builtin_ctz(rest)));
    ascends &= place > last;
    last = place;
  }
  if (ascends) {
    return;
  }
  std::array<uint8_t, 64> firsts; // Lanes by a hash of where they write; what is there already goes on to the next.
  firsts.fill(warpLanes);
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(rest));
    const uint64_t place = host(lane);
    uint64_t at = (place * 0x9e3779b97f4a7c15) >> 58;
    while (firsts[at] < warpLanes && host(firsts[at]) != place) {
      at = (at + 1) % firsts.size();
    }
    if (firsts[at] == warpLanes) {
      firsts[at] = static_cast<uint8_t>(lane);
      continue;
    }
    for (unsigned i = 0; i < form.count; ++i) {
      const Register *values = warp.read<Register>(form.registers[i]);
      const Element mine = static_cast<Element>(values[lane]), other = static_cast<Element>(values[firsts[at]]);
      if (std::memcmp(&mine, &other, sizeof(Element)) != 0) {
        warp.observer->lanesCollide(warp, op, lane, firsts[at], reinterpret_cast<const std::byte *>(place));
        return;
      }
    }
  }
}

template <typename Element, typename Register, bool strong> Flow store(Warp &warp, const Op &op, Lanes lanes) {
  const TransferForm &form = *static_cast<const TransferForm *>(op.form);
  if constexpr (!strong && sizeof(Register) <= 8) {
    PlainAddresses plain;
    if (resolvePlain(warp, op, form, lanes, plain)) {
      if (warp.observer) [[unlikely]] {
        tellCollisions<Element, Register>(warp, op, form, lanes,
                                          [&](unsigned lane) { return plain.base + plain.lane[lane]; });
      }
      for (unsigned i = 0; i < form.count; ++i) {
        const Register *a = warp.read<Register>(form.registers[i]);
        const uint64_t base = plain.base + i * sizeof(Element);
        // One lane after the other: of those that write to one place the last one wins.
        eachLaneAlone(lanes, [&](unsigned lane) {
          *reinterpret_cast<Element *>(base + plain.lane[lane]) = static_cast<Element>(a[lane]);
        });
      }
      return Flow::Next;
    }
  }
  std::unique_lock<std::mutex> inOrder;
  if constexpr (strong) {
    inOrder = inMemoryOrder(warp);
  }
  LaneAddresses at;
  if (!resolve(warp, op, form, lanes, at)) {
    return Flow::Ended;
  }
  if (!strong && warp.observer) {
    tellCollisions<Element, Register>(warp, op, form, lanes,
                                      [&](unsigned lane) { return reinterpret_cast<uint64_t>(at.host[lane]); });
  }
  for (unsigned i = 0; i < form.count; ++i) {
    const Register *a = warp.read<Register>(form.registers[i]);
    forLanes(lanes, [&](unsigned lane) {
      if constexpr (std::is_same_v<Element, Register>) {
        storeElement<Element, strong>(at.host[lane] + i * sizeof(Element), a[lane]);
      } else {
        storeElement<Element, strong>(at.host[lane] + i * sizeof(Element), static_cast<Element>(a[lane]));
      }
    });
  }
  return Flow::Next;
}

/// The handler for an element in memory and a register's width; Signed says how to extend.
template <bool isLoad, typename Element, bool isSigned, bool strong> Handler transferTo(unsigned width) {
  using S = std::conditional_t<isSigned, std::make_signed_t<Element>, Element>;
  auto pick = [](auto wide) -> Handler {
    using Unsigned = decltype(wide);
    using R = std::conditional_t<isSigned, std::make_signed_t<Unsigned>, Unsigned>;
    if constexpr (sizeof(R) < sizeof(S)) {
      return nullptr;
    } else if constexpr (isLoad) {
      return load<S, R, strong>;
    } else {
      return store<S, R, strong>;
    }
  };
  switch (width) {
  case 1:
    return pick(uint8_t());
  case 2:
    return pick(uint16_t());
  case 4:
    return pick(uint32_t());
  case 8:
    return pick(uint64_t());
  default:
    return nullptr;
  }
}

template <bool isLoad, bool isSigned, bool strong> Handler transfer(unsigned bytes, unsigned width) {
  switch (bytes) {
  case 1:
    return transferTo<isLoad, uint8_t, isSigned, strong>(width);
  case 2:
    return transferTo<isLoad, uint16_t, isSigned, strong>(width);
  case 4:
    return transferTo<isLoad, uint32_t, isSigned, strong>(width);
  case 8:
    return transferTo<isLoad, uint64_t, isSigned, strong>(width);
  default:
    if constexpr (isLoad) {
      return width == 16 ? load<Word128, Word128, strong> : nullptr;
    } else {
      return width == 16 ? store<Word128, Word128, strong> : nullptr;
    }
  }
}

template <bool isLoad> Handler transfer(unsigned bytes, unsigned width, bool isSigned, bool strong) {
  if (isSigned) {
    return strong ? transfer<isLoad, true, true>(bytes, width) : transfer<isLoad, true, false>(bytes, width);
  }
  return strong ? transfer<isLoad, false, true>(bytes, width) : transfer<isLoad, false, false>(bytes, width);
}

constexpr std::initializer_list<Type> transferable = {Type::B8,  Type::B16, Type::B32, Type::B64, Type::B128,
                                                      Type::U8,  Type::U16, Type::U32, Type::U64, Type::S8,
                                                      Type::S16, Type::S32, Type::S64, Type::F32, Type::F64};

bool isSigned(Type type) { return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64; }

/// `.weak .volatile .relaxed.scope .acquire.scope .release.scope .mmio.relaxed.sys`
void orderingWords(Decoder &d, MemoryForm &form, bool store) {
  if (d.accept("weak")) {
    return;
  }
  if (d.accept("volatile")) {
    form.ordering = Ordering::Volatile;
    form.scope = Scope::System;
    return;
  }
  const bool mmio = d.accept("mmio");
  if (d.accept("relaxed")) {
    form.ordering = Ordering::Relaxed;
  } else if (!mmio && d.accept(store ? "release" : "acquire")) {
    form.ordering = store ? Ordering::Release : Ordering::Acquire;
  } else {
    if (mmio) {
      d.error("expected '.relaxed' behind '.mmio'");
    }
    return;
  }
  form.scope = scopeWord(d);
  if (form.scope == Scope::None || (mmio && form.scope != Scope::System)) {
    d.error(mmio ? "'.mmio' needs the scope .sys" : "expected a scope: .cta, .cluster, .gpu or .sys");
  }
}

template <bool isLoad> void decodeTransfer(Decoder &d, Op &op) {
  using Kind = ptx::Operand::Kind;
  TransferForm form;
  form.kind = isLoad ? MemoryAccess::Kind::Read : MemoryAccess::Kind::Write;
  orderingWords(d, form, !isLoad);
  const Space space = spaceWord(d);
  bool hint = cacheWords(d, !isLoad);
  if (isLoad && d.accept("nc")) {
    if (space != Space::Global) {
      d.error("'.nc' loads from global memory");
    }
    hint |= cacheWords(d, false);
  }
  if (!isLoad && space == Space::Const) {
    d.error("constant memory cannot be written");
  }
  const int vector = d.optionalOf({"v2", "v4", "v8"});
  const Type type = d.type(transferable);
  form.count = vector < 0 ? 1 : 2u << vector;
  const unsigned element = ptx::sizeOf(type);
  form.bytes = element * form.count;
  if (form.bytes > 32) {
    d.error("found a vector of " + std::to_string(form.bytes) + " bytes, expected at most 32");
  }
  const unsigned addressAt = isLoad ? 1 : 0, valueAt = isLoad ? 0 : 1;
  const ptx::Operand &value = d.operand(valueAt);
  unsigned width = element;
  auto addRegister = [&](const ptx::Operand &operand, unsigned index) {
    const bool sink = operand.kind == Kind::Sink;
    const unsigned mine = sink ? width : d.width(operand, type);
    if (index == 0 || (!sink && width < mine)) {
      width = std::max(width, mine);
    }
    form.registers[index] = isLoad ? d.destination(operand, type, true) : d.source(operand, type, true);
  };
  if (vector < 0) {
    addRegister(value, 0);
  } else if (value.kind != Kind::Vector || value.elements.size() != form.count) {
    d.error("expected a vector of " + std::to_string(form.count) + " registers");
  } else {
    for (const ptx::Operand &operand : value.elements) {
      width = std::max(width, operand.kind == Kind::Sink ? element : d.width(operand, type));
    }
    for (unsigned i = 0; i < form.count; ++i) {
      const ptx::Operand &operand = value.elements[i];
      if (operand.kind == Kind::Sink && isLoad) {
        form.registers[i] = d.temporary(width == 16  ? Type::B128
                                        : width == 8 ? Type::B64
                                        : width == 4 ? Type::B32
                                                     : Type::B16);
        continue;
      }
      if (d.width(operand, type) != width && operand.kind == Kind::Register) {
        d.error("expected registers of one width");
      }
      form.registers[i] = isLoad ? d.destination(operand, type, true) : d.source(operand, type, true);
    }
  }
  readAddress(d, d.operand(addressAt), space, form);
  if (hint) {
    d.source(2, Type::B64);
  }
  if (isLoad && d.operandCount() == 3 && !hint) {
    d.error("found a third operand, which only '.L2::cache_hint' has");
  }
  const bool strong = form.ordering != Ordering::Weak;
  op.run = transfer<isLoad>(element, width, isSigned(type), strong);
  op.form = d.keep(form);
}

Flow nothing(Warp &, const Op &, Lanes) { return Flow::Next; }

void decodePrefetch(Decoder &d, Op &op) {
  Space space = Space::Generic;
  if (d.accept("tensormap")) {
    // A generic address of a tensor map, which may lie in the parameters.
  } else {
    space = spaceWord(d);
    if (space == Space::Const || space == Space::Param) {
      d.expect("tensormap");
    } else {
      d.oneOf({"L1", "L2", "L2::evict_last", "L2::evict_normal"});
    }
  }
  d.address(0, space);
  d.operandsEnd(1);
  op.run = nothing;
}

Flow makePolicy(Warp &warp, const Op &op, Lanes lanes) {
  // Opaque, and nothing reads it but hints.
  uint64_t *d = warp.write<uint64_t>(op.operands[0]);
  forLanes(lanes, [&](unsigned lane) { d[lane] = static_cast<uint64_t>(op.immediate); });
  return Flow::Next;
}

void decodeCreatePolicy(Decoder &d, Op &op) {
  const unsigned kind = d.oneOf({"fractional", "range", "cvt"});
  op.immediate = 0x10f0'0000'0000'0000;
  op.operands[0] = d.destination(0, Type::B64);
  if (kind == 2) {
    d.expect("L2");
    d.expect("b64");
    d.source(1, Type::B64);
    d.operandsEnd(2);
  } else {
    if (kind == 1) {
      d.accept("global");
    }
    op.immediate |=
        static_cast<int64_t>(d.oneOf({"L2::evict_last", "L2::evict_normal", "L2::evict_first", "L2::evict_unchanged"}));
    d.optionalOf({"L2::evict_first", "L2::evict_unchanged"});
    d.expect("b64");
    if (kind == 1) {
      d.address(1, Space::Global);
      d.source(2, Type::U32);
      d.source(3, Type::U32);
      d.operandsEnd(4);
    } else if (d.operandCount() == 2) {
      d.source(1, Type::F32);
    } else {
      d.operandsEnd(1);
    }
  }
  op.run = makePolicy;
}

/// discard and applypriority: hints for 128 bytes of global memory.
void decodeLineHint(Decoder &d, Op &op, std::string_view level) {
  d.accept("global");
  d.expect(level);
  d.address(0, Space::Global);
  if (d.constant(1) != 128) {
    d.error("expected a size of 128");
  }
  d.operandsEnd(2);
  op.run = nothing;
}

} // namespace

void addLoadsAndStores(OpcodeTable &table) {
  table.add("ld", decodeTransfer<true>);
  table.add("ldu", decodeTransfer<true>);
  table.add("st", decodeTransfer<false>);
  table.add("prefetch", decodePrefetch);
  table.add("prefetchu", [](Decoder &d, Op &op) {
    d.expect("L1");
    d.address(0, Space::Generic);
    d.operandsEnd(1);
    op.run = nothing;
  });
  table.add("createpolicy", decodeCreatePolicy);
  table.add("discard", [](Decoder &d, Op &op) { decodeLineHint(d, op, "L2"); });
  table.add("applypriority", [](Decoder &d, Op &op) { decodeLineHint(d, op, "L2::evict_normal"); });
}

// clang-format off
VECTOR_CODE_END
// clang-format on
