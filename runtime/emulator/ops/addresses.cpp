#include "ops/addresses.h"
#include <algorithm>

namespace emulator {

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

Target resolve(Warp &warp, const Op &op, unsigned lane, uint64_t address, NamedSpace space, uint64_t bytes,
               uint64_t alignment, bool wantsShared) {
  Cluster &cluster = warp.cta.cluster;
  Fault fault;
  fault.actor = {&warp, &op};
  fault.lanes = Lanes(1) << lane;
  fault.address = address;
  if (address % alignment != 0) {
    fault.kind = Fault::Kind::Misaligned;
    fault.text = "address " + hexadecimal(address) + ", expected a multiple of " + std::to_string(alignment);
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
    fault.text = std::to_string(bytes) + " bytes at " + hexadecimal(address) + ", where nothing is";
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

std::string hexadecimal(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

} // namespace emulator
