#include "machine/cta.h"
#include "machine/grid.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace emulator {

void Cta::Freer::operator()(std::byte *bytes) const { std::free(bytes); }

Cta::Cta(Cluster &cluster, uint32_t rank, const uint32_t (&index)[3])
    : cluster(cluster), rank(rank), index{index[0], index[1], index[2]}, mbarriers(*this) {
  const LaunchConfig &config = cluster.grid.config;
  const uint32_t threads = config.block[0] * config.block[1] * config.block[2];
  // Shared memory holds what the last CTA left there: all ones is NaN in every floating-point format, -1 otherwise.
  sharedBytes.assign(reservedSharedBytes + config.kernel->staticSharedBytes + config.dynamicSharedBytes,
                     std::byte(0xff));
  if (config.kernel->localBytes) {
    localBytes.reset(static_cast<std::byte *>(
        std::calloc((threads + warpLanes - 1) / warpLanes * warpLanes, config.kernel->localBytes)));
  }
  for (uint32_t warp = 0; warp * warpLanes < threads; ++warp) {
    warps.push_back(std::make_unique<Warp>(*this, warp));
  }
}

Cta::~Cta() = default;

Grid &Cta::grid() const { return cluster.grid; }

std::byte *Cta::localMemory(const Warp &warp, unsigned lane) {
  return localBytes.get() + (size_t(warp.index) * warpLanes + lane) * cluster.grid.config.kernel->localBytes;
}

bool Cta::finished() const {
  return std::all_of(warps.begin(), warps.end(), [](const std::unique_ptr<Warp> &warp) { return warp->finished(); });
}

} // namespace emulator
