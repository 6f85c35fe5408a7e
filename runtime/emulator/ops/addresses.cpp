#include "ops/addresses.h"
#include <algorithm>
#include <bit>
#include <cstdio>

namespace emulator {

// --- Words of an instruction.

ptx::Space spaceWord(Decoder &decoder) {
  static constexpr struct {
    std::string_view word;
    ptx::Space space;
  } words[] = {
      {"const", ptx::Space::Const},   {"global", ptx::Space::Global},      {"local", ptx::Space::Local},
      {"param", ptx::Space::Param},   {"param::entry", ptx::Space::Param}, {"param::func", ptx::Space::Param},
      {"shared", ptx::Space::Shared}, {"shared::cta", ptx::Space::Shared}, {"shared::cluster", ptx::Space::Shared},
  };
  for (const auto &[word, space] : words) {
    if (decoder.accept(word)) {
      return space;
    }
  }
  return ptx::Space::Generic;
}

Scope scopeWord(Decoder &decoder) {
  switch (decoder.optionalOf({"cta", "cluster", "gpu", "sys"})) {
  case 0:
    return Scope::Cta;
  case 1:
    return Scope::Cluster;
  case 2:
    return Scope::Gpu;
  case 3:
    return Scope::System;
  default:
    return Scope::None;
  }
}

bool cacheWords(Decoder &decoder, bool store) {
  if (store) {
    decoder.optionalOf({"wb", "cg", "cs", "wt"});
  } else {
    decoder.optionalOf({"ca", "cg", "cs", "lu", "cv"});
  }
  bool hint = false;
  while (true) {
    if (decoder.accept("L2::cache_hint")) {
      hint = true;
    } else if (decoder.optionalOf({"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
                                   "L1::no_allocate", "L2::evict_normal", "L2::evict_first", "L2::evict_last",
                                   "L2::64B", "L2::128B", "L2::256B"}) < 0) {
      return hint;
    }
  }
}

NamedSpace spaceNamed(Decoder &decoder, bool clusterAllowed, bool globalAllowed) {
  if (decoder.accept("shared") || decoder.accept("shared::cta")) {
    return NamedSpace::SharedCta;
  }
  if (clusterAllowed && decoder.accept("shared::cluster")) {
    return NamedSpace::SharedCluster;
  }
  if (globalAllowed && decoder.accept("global")) {
    return NamedSpace::Global;
  }
  return NamedSpace::Generic;
}

// --- Faults.

std::string hexadecimal(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

namespace {

std::string misalignedText(uint64_t address, uint64_t bytes, uint64_t alignment) {
  return "access of " + std::to_string(bytes) + " bytes at " + hexadecimal(address) + ", expected a multiple of " +
         std::to_string(alignment);
}

/// Why there is nothing at an address: what lies near.
std::string nothingText(const Warp &warp, const char *what, ptx::Space space, uint64_t address, uint64_t bytes) {
  std::string text =
      std::string(what) + " of " + std::to_string(bytes) + " bytes at " + hexadecimal(address) + ", where no memory is";
  if (space == ptx::Space::Global || space == ptx::Space::Generic) {
    if (const Allocation *near = GlobalMemory::instance().nearest(address)) {
      text += "; the nearest allocation before it is '" + near->name + "', " + std::to_string(near->size) +
              " bytes at " + hexadecimal(near->address);
    }
  } else if (space == ptx::Space::Shared) {
    text += "; the CTA's shared memory is [" + hexadecimal(reservedSharedBytes) + ", " +
            hexadecimal(warp.cta.sharedEnd()) + ")";
  }
  return text;
}

} // namespace

// --- A warp's lanes together.

void readAddress(Decoder &decoder, const ptx::Operand &operand, ptx::Space space, MemoryForm &form) {
  const Decoder::Address address = decoder.address(operand, space);
  form.base = address.base;
  form.narrow = address.narrow;
  form.offset = address.offset;
  form.space = address.space;
}

static MemoryAccess accessBy(Warp &warp, const Op &op, const MemoryForm &form) {
  MemoryAccess access;
  access.actor = {&warp, &op};
  access.kind = form.kind;
  access.ordering = form.ordering;
  access.scope = form.scope;
  access.bytes = form.bytes;
  if (form.space == ptx::Space::Const || form.space == ptx::Space::Param) {
    access.proxy = Proxy::Constant;
  }
  return access;
}

void tellAccess(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes, const Cta *shared,
                const uint64_t (&addresses)[warpLanes]) {
  MemoryAccess access = accessBy(warp, op, form);
  access.shared = shared != nullptr;
  access.cta = shared;
  access.lanes = lanes;
  access.addresses = addresses;
  warp.observer->access(access);
}

/// Tells the observer of an access by lanes whose targets lie in several memories, memory by memory.
static void tellAccesses(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes,
                         const Target (&targets)[warpLanes]) {
  MemoryAccess access = accessBy(warp, op, form);
  uint64_t addresses[warpLanes] = {};
  access.addresses = addresses;
  while (lanes) {
    const Target &first = targets[std::countr_zero(lanes)];
    Lanes same = 0;
    for (Lanes rest = lanes; rest; rest &= rest - 1) {
      const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      if (targets[lane].cta == first.cta && targets[lane].local == first.local) {
        same |= Lanes(1) << lane;
        addresses[lane] = targets[lane].offset;
      }
    }
    access.shared = first.cta != nullptr;
    access.local = first.local;
    access.cta = first.cta;
    access.lanes = same;
    warp.observer->access(access);
    lanes &= ~same;
  }
}

std::unique_lock<std::mutex> inMemoryOrder(const Warp &warp) {
  static std::mutex mutex;
  return warp.observer ? std::unique_lock(mutex) : std::unique_lock<std::mutex>();
}

bool resolve(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes, LaneAddresses &result) {
  uint64_t addresses[warpLanes];
  if (form.narrow) {
    const uint32_t *base = warp.read<uint32_t>(form.base);
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      addresses[lane] = base[lane] + static_cast<uint64_t>(form.offset);
    }
  } else {
    const uint64_t *base = warp.read<uint64_t>(form.base);
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      addresses[lane] = base[lane] + static_cast<uint64_t>(form.offset);
    }
  }
  uint64_t low = ~uint64_t(0), high = 0;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    low = std::min(low, addresses[lane]);
    high = std::max(high, addresses[lane]);
    // An access aligns to its size, up to 32 bytes; sizes are powers of two.
    if (addresses[lane] & (form.bytes - 1)) [[unlikely]] {
      warp.fault(Fault::Kind::Misaligned, op, Lanes(1) << lane, addresses[lane],
                 misalignedText(addresses[lane], form.bytes, form.bytes));
      return false;
    }
  }
  Cta &cta = warp.cta;
  const bool writes = form.kind != MemoryAccess::Kind::Read;
  auto allFrom = [&](std::byte *base) {
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      result.host[lane] = reinterpret_cast<std::byte *>(reinterpret_cast<uintptr_t>(base) + addresses[lane]);
    }
  };
  // The common case: all lanes in one allocation, or in the CTA's own memory.
  uint64_t sharedBase = 0;
  if (form.space == ptx::Space::Generic && low >= sharedWindow && high - sharedWindow < sharedWindowBytes) {
    sharedBase = sharedWindow;
  }
  if (form.space == ptx::Space::Shared || sharedBase) {
    const uint64_t own = sharedBase + cta.sharedAddress(0);
    if (low >= own + reservedSharedBytes && high + form.bytes <= own + cta.sharedEnd()) {
      for (uint64_t &address : addresses) {
        address -= own;
      }
      allFrom(cta.shared());
      if (warp.observer) {
        tellAccess(warp, op, form, lanes, &cta, addresses);
      }
      return true;
    }
  } else if (form.space != ptx::Space::Local) {
    const Allocation *allocation = GlobalMemory::instance().find(low);
    if (allocation && high - allocation->address + form.bytes <= allocation->size &&
        (allocation->writable || !writes) && warp.grid().reaches(*allocation)) {
      allFrom(nullptr);
      if (warp.observer) {
        tellAccess(warp, op, form, lanes, nullptr, addresses);
      }
      return true;
    }
  }
  Target targets[warpLanes];
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    Target &target = targets[lane];
    switch (form.space) {
    case ptx::Space::Shared:
      target = cta.cluster.resolveShared(cta, addresses[lane], form.bytes);
      break;
    case ptx::Space::Local:
      target = cta.cluster.resolveGeneric(cta, &warp, lane, localWindow + addresses[lane], form.bytes);
      break;
    case ptx::Space::Generic:
      target = cta.cluster.resolveGeneric(cta, &warp, lane, addresses[lane], form.bytes);
      break;
    default:
      target = cta.cluster.resolveGlobal(addresses[lane], form.bytes);
    }
    if (!target.bytes || (writes && !target.writable)) {
      warp.fault(Fault::Kind::IllegalAddress, op, Lanes(1) << lane, addresses[lane],
                 nothingText(warp,
                             form.kind == MemoryAccess::Kind::Read    ? "read"
                             : form.kind == MemoryAccess::Kind::Write ? "write"
                                                                      : "atomic operation",
                             form.space, addresses[lane], form.bytes));
      return false;
    }
    result.host[lane] = target.bytes;
  }
  if (warp.observer) {
    tellAccesses(warp, op, form, lanes, targets);
  }
  return true;
}

// --- One lane's.

Target resolve(Warp &warp, const Op &op, unsigned lane, uint64_t address, NamedSpace space, uint64_t bytes,
               uint64_t alignment, bool wantsShared) {
  Cluster &cluster = warp.cta.cluster;
  Fault fault;
  fault.actor = {&warp, &op};
  fault.lanes = Lanes(1) << lane;
  fault.address = address;
  if (address % alignment != 0) {
    fault.kind = Fault::Kind::Misaligned;
    fault.text = misalignedText(address, bytes, alignment);
    warp.fault(std::move(fault));
    return {};
  }
  Target target;
  switch (space) {
  case NamedSpace::Generic:
    target = cluster.resolveGeneric(warp.cta, &warp, lane, address, bytes);
    break;
  case NamedSpace::Global:
    target = cluster.resolveGlobal(address, bytes);
    break;
  case NamedSpace::SharedCta:
  case NamedSpace::SharedCluster:
    target = cluster.resolveShared(warp.cta, address, bytes);
    break;
  }
  fault.kind = Fault::Kind::IllegalAddress;
  if (!target.bytes) {
    fault.text = nothingText(warp, "access", spaceOf(space), address, bytes);
  } else if (wantsShared != (target.cta != nullptr)) {
    fault.text =
        "address " + hexadecimal(address) + (wantsShared ? " is not in shared memory" : " is in shared memory");
  } else if (target.local) {
    fault.text = "address " + hexadecimal(address) + " is in local memory";
  } else if (space == NamedSpace::SharedCta && target.cta != &warp.cta) {
    fault.text = "address " + hexadecimal(address) + " is in the shared memory of another CTA, expected this one's";
  } else {
    return target;
  }
  warp.fault(std::move(fault));
  return {};
}

void tellAccess(Cta &issuer, const Op *op, MemoryAccess::Kind kind, Proxy proxy, const Cta *shared, uint64_t address,
                uint64_t bytes) {
  Observer *observer = issuer.grid().observer;
  if (!observer || bytes == 0) {
    return;
  }
  uint64_t addresses[warpLanes] = {address};
  MemoryAccess access;
  access.actor = {nullptr, op};
  access.kind = kind;
  access.proxy = proxy;
  access.shared = shared != nullptr;
  access.cta = shared;
  access.lanes = 1;
  access.addresses = addresses;
  access.bytes = static_cast<uint32_t>(bytes);
  observer->access(access);
}

} // namespace emulator
