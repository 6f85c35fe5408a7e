#include "ops/addressing.h"
#include <algorithm>
#include <bit>
#include <cstdio>

namespace emulator {

void readAddress(Decoder &decoder, const ptx::Operand &operand, ptx::Space space, MemoryForm &form) {
  const Decoder::Address address = decoder.address(operand, space);
  form.base = address.base;
  form.narrow = address.narrow;
  form.offset = address.offset;
  form.space = address.space;
}

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

namespace {

Flow illegal(Warp &warp, const Op &op, const MemoryForm &form, unsigned lane, uint64_t address) {
  char text[200];
  const char *what = form.kind == MemoryAccess::Kind::Read    ? "read"
                     : form.kind == MemoryAccess::Kind::Write ? "write"
                                                              : "atomic operation";
  std::snprintf(text, sizeof text, "%s of %u bytes at 0x%llx, where no memory is", what, form.bytes,
                static_cast<unsigned long long>(address));
  std::string message = text;
  if (form.space == ptx::Space::Global || form.space == ptx::Space::Generic) {
    if (const Allocation *near = GlobalMemory::instance().nearest(address)) {
      std::snprintf(text, sizeof text, "; the nearest allocation before it is '%s', %llu bytes at 0x%llx",
                    near->name.c_str(), static_cast<unsigned long long>(near->size),
                    static_cast<unsigned long long>(near->address));
      message += text;
    }
  } else if (form.space == ptx::Space::Shared) {
    std::snprintf(text, sizeof text, "; the CTA's shared memory is [0x%x, 0x%x)", reservedSharedBytes,
                  warp.cta.sharedEnd());
    message += text;
  }
  return warp.fault(Fault::Kind::IllegalAddress, op, Lanes(1) << lane, address, std::move(message));
}

/// Tells the observer of an access by lanes whose targets are known, memory by memory.
void tell(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes, const Target (&targets)[warpLanes]) {
  MemoryAccess access;
  access.actor = {&warp, &op};
  access.kind = form.kind;
  access.ordering = form.ordering;
  access.scope = form.scope;
  access.bytes = form.bytes;
  if (form.space == ptx::Space::Const || form.space == ptx::Space::Param) {
    access.proxy = Proxy::Constant;
  }
  uint64_t addresses[warpLanes] = {};
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
    access.addresses = addresses;
    warp.observer->access(access);
    lanes &= ~same;
  }
}

bool misaligned(Warp &warp, const Op &op, const MemoryForm &form, Lanes lanes, const uint64_t *addresses) {
  // An access aligns to its size, up to 32 bytes; sizes are powers of two.
  const uint64_t mask = form.bytes - 1;
  for (Lanes rest = lanes; rest; rest &= rest - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
    if (addresses[lane] & mask) {
      char text[120];
      std::snprintf(text, sizeof text, "access of %u bytes at 0x%llx, expected a multiple of %u", form.bytes,
                    static_cast<unsigned long long>(addresses[lane]), form.bytes);
      warp.fault(Fault::Kind::Misaligned, op, Lanes(1) << lane, addresses[lane], text);
      return true;
    }
  }
  return false;
}

} // namespace

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
  const unsigned first = static_cast<unsigned>(std::countr_zero(lanes));
  uint64_t low = addresses[first], high = low, all = 0;
  if (lanes == allLanes) {
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      low = std::min(low, addresses[lane]);
      high = std::max(high, addresses[lane]);
      all |= addresses[lane];
    }
  } else {
    for (Lanes rest = lanes; rest; rest &= rest - 1) {
      const unsigned lane = static_cast<unsigned>(std::countr_zero(rest));
      low = std::min(low, addresses[lane]);
      high = std::max(high, addresses[lane]);
      all |= addresses[lane];
    }
  }
  if (all & (form.bytes - 1)) [[unlikely]] {
    misaligned(warp, op, form, lanes, addresses);
    return false;
  }
  Cta &cta = warp.cta;
  Target targets[warpLanes];
  auto offsetsFrom = [&](std::byte *base, uint64_t origin) {
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      result.host[lane] = reinterpret_cast<std::byte *>(reinterpret_cast<uintptr_t>(base) + (addresses[lane] - origin));
    }
  };
  const bool writes = form.kind != MemoryAccess::Kind::Read;
  bool done = false;
  // The common case: all lanes in one allocation, or in the CTA's own memory.
  uint64_t sharedBase = 0;
  if (form.space == ptx::Space::Generic && low >= sharedWindow && high - sharedWindow < sharedWindowBytes) {
    sharedBase = sharedWindow;
  }
  if (form.space == ptx::Space::Shared || sharedBase) {
    const uint64_t own = sharedBase + cta.sharedAddress(0);
    if (low >= own + reservedSharedBytes && high + form.bytes <= own + cta.sharedEnd()) {
      offsetsFrom(cta.shared(), own);
      done = true;
      if (warp.observer) {
        for (unsigned lane = 0; lane < warpLanes; ++lane) {
          targets[lane].cta = &cta;
          targets[lane].offset = addresses[lane] - own;
        }
      }
    }
  } else if (form.space != ptx::Space::Local) {
    const Allocation *allocation = GlobalMemory::instance().find(low);
    if (allocation && high - allocation->address + form.bytes <= allocation->size &&
        (allocation->writable || !writes) && warp.grid().reaches(*allocation)) {
      offsetsFrom(nullptr, 0);
      done = true;
      if (warp.observer) {
        for (unsigned lane = 0; lane < warpLanes; ++lane) {
          targets[lane].offset = addresses[lane];
        }
      }
    }
  }
  if (!done) {
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
        illegal(warp, op, form, lane, addresses[lane]);
        return false;
      }
      result.host[lane] = target.bytes;
    }
  }
  if (warp.observer) {
    tell(warp, op, form, lanes, targets);
  }
  return true;
}

} // namespace emulator
