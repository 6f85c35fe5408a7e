#include "machine/special_registers.h"
#include "machine/cta.h"
#include "machine/grid.h"
#include <chrono>
#include <map>
#include <string>

namespace emulator {

static std::map<std::string, SpecialRegisterKind, std::less<>> makeTable() {
  using enum SpecialRegister;
  std::map<std::string, SpecialRegisterKind, std::less<>> table;
  auto vector = [&](const std::string &name, SpecialRegister x, SpecialRegister y, SpecialRegister z) {
    table[name + ".x"] = {x, 4};
    table[name + ".y"] = {y, 4};
    table[name + ".z"] = {z, 4};
  };
  vector("tid", TidX, TidY, TidZ);
  vector("ntid", NtidX, NtidY, NtidZ);
  vector("ctaid", CtaidX, CtaidY, CtaidZ);
  vector("nctaid", NctaidX, NctaidY, NctaidZ);
  vector("clusterid", ClusterIdX, ClusterIdY, ClusterIdZ);
  vector("nclusterid", NclusterIdX, NclusterIdY, NclusterIdZ);
  vector("cluster_ctaid", ClusterCtaidX, ClusterCtaidY, ClusterCtaidZ);
  vector("cluster_nctaid", ClusterNctaidX, ClusterNctaidY, ClusterNctaidZ);
  const std::pair<const char *, SpecialRegister> plain[] = {
      {"laneid", LaneId},
      {"warpid", WarpId},
      {"nwarpid", NwarpId},
      {"smid", SmId},
      {"nsmid", NsmId},
      {"is_explicit_cluster", IsExplicitCluster},
      {"cluster_ctarank", ClusterCtaRank},
      {"cluster_nctarank", ClusterNctaRank},
      {"lanemask_eq", LanemaskEq},
      {"lanemask_le", LanemaskLe},
      {"lanemask_lt", LanemaskLt},
      {"lanemask_ge", LanemaskGe},
      {"lanemask_gt", LanemaskGt},
      {"total_smem_size", TotalSmemSize},
      {"aggr_smem_size", AggrSmemSize},
      {"dynamic_smem_size", DynamicSmemSize},
      {"reserved_smem_offset_begin", ReservedSmemBegin},
      {"reserved_smem_offset_end", ReservedSmemEnd},
      {"reserved_smem_offset_cap", ReservedSmemCap},
      {"reserved_smem_offset_0", ReservedSmemOffset0},
      {"reserved_smem_offset_1", ReservedSmemOffset1},
  };
  for (const auto &[name, which] : plain) {
    table[name] = {which, 4};
  }
  table["gridid"] = {GridId, 8};
  table["current_graph_exec"] = {CurrentGraphExec, 8};
  for (unsigned n = 0; n < 32; ++n) {
    table["envreg" + std::to_string(n)] = {EnvironmentRegister, 4};
  }
  for (unsigned n = 0; n < 8; ++n) {
    table["pm" + std::to_string(n)] = {PerformanceMonitor, 4};
    table["pm" + std::to_string(n) + "_64"] = {PerformanceMonitor, 8};
  }
  table["clock"] = {Clock, 4, true};
  table["clock_hi"] = {ClockHi, 4, true};
  table["clock64"] = {Clock64, 8, true};
  table["globaltimer"] = {GlobalTimer, 8, true};
  table["globaltimer_lo"] = {GlobalTimerLo, 4, true};
  table["globaltimer_hi"] = {GlobalTimerHi, 4, true};
  return table;
}

std::optional<SpecialRegisterKind> specialRegisterNamed(std::string_view name) {
  static const std::map<std::string, SpecialRegisterKind, std::less<>> table = makeTable();
  auto found = table.find(name);
  if (found == table.end()) {
    return std::nullopt;
  }
  return found->second;
}

static uint64_t nanoseconds() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

uint64_t specialRegister(const Warp &warp, SpecialRegister which, unsigned lane) {
  const Cta &cta = warp.cta;
  const Grid &grid = warp.grid();
  const LaunchConfig &config = grid.config;
  auto coordinate = [&](SpecialRegister first) { return static_cast<unsigned>(which) - static_cast<unsigned>(first); };
  uint32_t thread[3];
  warp.threadIndex(lane, thread);
  using enum SpecialRegister;
  switch (which) {
  case TidX:
  case TidY:
  case TidZ:
    return thread[coordinate(TidX)];
  case NtidX:
  case NtidY:
  case NtidZ:
    return config.block[coordinate(NtidX)];
  case CtaidX:
  case CtaidY:
  case CtaidZ:
    return cta.index[coordinate(CtaidX)];
  case NctaidX:
  case NctaidY:
  case NctaidZ:
    return config.grid[coordinate(NctaidX)];
  case LaneId:
    return lane;
  case WarpId:
    return warp.index;
  case NwarpId:
    return cta.warps.size();
  case SmId:
    return grid.multiprocessorOf(cta);
  case NsmId:
    return grid.device().multiprocessors;
  case GridId:
    return grid.serial;
  case IsExplicitCluster:
    return config.cluster[0] * config.cluster[1] * config.cluster[2] > 1 || config.kernel->bounds.explicitCluster ||
           config.kernel->bounds.requiredCluster[0] != 0;
  case ClusterIdX:
  case ClusterIdY:
  case ClusterIdZ: {
    const unsigned c = coordinate(ClusterIdX);
    return cta.index[c] / config.cluster[c];
  }
  case NclusterIdX:
  case NclusterIdY:
  case NclusterIdZ: {
    const unsigned c = coordinate(NclusterIdX);
    return config.grid[c] / config.cluster[c];
  }
  case ClusterCtaidX:
  case ClusterCtaidY:
  case ClusterCtaidZ: {
    const unsigned c = coordinate(ClusterCtaidX);
    return cta.index[c] % config.cluster[c];
  }
  case ClusterNctaidX:
  case ClusterNctaidY:
  case ClusterNctaidZ:
    return config.cluster[coordinate(ClusterNctaidX)];
  case ClusterCtaRank:
    return cta.rank;
  case ClusterNctaRank:
    return config.cluster[0] * config.cluster[1] * config.cluster[2];
  case LanemaskEq:
    return uint32_t(1) << lane;
  case LanemaskLe:
    return (uint32_t(2) << lane) - 1;
  case LanemaskLt:
    return (uint32_t(1) << lane) - 1;
  case LanemaskGe:
    return ~((uint32_t(1) << lane) - 1);
  case LanemaskGt:
    return ~((uint32_t(2) << lane) - 1);
  case TotalSmemSize:
    return cta.sharedEnd() - reservedSharedBytes;
  case AggrSmemSize:
    return cta.sharedEnd();
  case DynamicSmemSize:
    return config.dynamicSharedBytes;
  case ReservedSmemBegin:
  case ReservedSmemOffset0:
  case ReservedSmemOffset1:
    return 0;
  case ReservedSmemEnd:
  case ReservedSmemCap:
    return reservedSharedBytes;
  case CurrentGraphExec:
  case EnvironmentRegister:
  case PerformanceMonitor:
    return 0;
  case Clock:
    return static_cast<uint32_t>(warp.clock());
  case ClockHi:
    return warp.clock() >> 32;
  case Clock64:
    return warp.clock();
  case GlobalTimer:
    return nanoseconds();
  case GlobalTimerLo:
    return static_cast<uint32_t>(nanoseconds());
  case GlobalTimerHi:
    return nanoseconds() >> 32;
  }
  return 0;
}

} // namespace emulator
