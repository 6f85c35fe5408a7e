#ifndef RUNTIME_EMULATOR_MACHINE_SPECIAL_REGISTERS_H
#define RUNTIME_EMULATOR_MACHINE_SPECIAL_REGISTERS_H

// The special registers of PTX ISA chapter 10. Most keep one value as long as a warp lives, and become slots that are
// filled once; clocks are read anew each time.

#include "ptx/module.h"
#include <cstdint>
#include <optional>
#include <string_view>

namespace emulator {

class Warp;

enum class SpecialRegister : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  LaneId,
  WarpId,
  NwarpId,
  SmId,
  NsmId,
  GridId,
  IsExplicitCluster,
  ClusterIdX,
  ClusterIdY,
  ClusterIdZ,
  NclusterIdX,
  NclusterIdY,
  NclusterIdZ,
  ClusterCtaidX,
  ClusterCtaidY,
  ClusterCtaidZ,
  ClusterNctaidX,
  ClusterNctaidY,
  ClusterNctaidZ,
  ClusterCtaRank,
  ClusterNctaRank,
  LanemaskEq,
  LanemaskLe,
  LanemaskLt,
  LanemaskGe,
  LanemaskGt,
  TotalSmemSize,
  AggrSmemSize,
  DynamicSmemSize,
  ReservedSmemBegin,
  ReservedSmemEnd,
  ReservedSmemCap,
  ReservedSmemOffset0,
  ReservedSmemOffset1,
  CurrentGraphExec,
  EnvironmentRegister, ///< %envreg<32>: driver-defined, zero here
  PerformanceMonitor,  ///< %pm0..7, %pm0_64..: not counting
  Clock,
  ClockHi,
  Clock64,
  GlobalTimer,
  GlobalTimerLo,
  GlobalTimerHi,
};

struct SpecialRegisterKind {
  SpecialRegister which;
  unsigned bytes;        ///< a lane
  bool changing = false; ///< a clock
};

/// By the name without the percent sign ("tid.x"); nothing where there is none.
std::optional<SpecialRegisterKind> specialRegisterNamed(std::string_view name);
uint64_t specialRegister(const Warp &warp, SpecialRegister which, unsigned lane);

} // namespace emulator

#endif
