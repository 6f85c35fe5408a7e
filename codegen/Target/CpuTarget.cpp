// The CPUs that Elah compiles for. A baseline (x86-64-v3, v4) runs on every machine of its class; a
// named processor may use all that it has.
#include "codegen/Target/CpuTarget.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

namespace elah {
namespace {

constexpr char x86Triple[] = "x86_64-unknown-linux-gnu";

const std::vector<std::string> v3Flags = {"avx2", "bmi2", "f16c", "fma"};
const std::vector<std::string> v4Flags = {"avx2",     "avx512bw", "avx512cd", "avx512dq", "avx512f",
                                          "avx512vl", "bmi2",     "f16c",     "fma"};

std::vector<std::string> with(std::vector<std::string> flags, std::vector<std::string> more) {
  flags.insert(flags.end(), more.begin(), more.end());
  llvm::sort(flags);
  return flags;
}

const std::vector<CpuTarget> &knownTargets() {
  // What a named processor has beyond AVX-512's first five parts, and LLVM may use unasked.
  static const std::vector<std::string> lateV4Flags =
      with(v4Flags, {"avx512_bf16", "avx512_bitalg", "avx512_vbmi2", "avx512_vnni", "avx512_vpopcntdq", "avx512ifma",
                     "avx512vbmi", "gfni"});
  // Register tiles: 6 x 4 accumulators, 4 weights and a broadcast fit 32 registers; of 16 registers 2 x 4 leave room.
  static const std::vector<CpuTarget> targets = {
      {"aarch64", "generic", "aarch64-unknown-linux-gnu", "+neon", 128, 5, false, false, {}},
      {"sapphirerapids", "sapphirerapids", x86Triple, "", 512, 6, true, true,
       with(lateV4Flags, {"amx_bf16", "amx_tile", "avx512_fp16"})},
      {"x86-64-v3", "x86-64-v3", x86Triple, "", 256, 2, false, false, v3Flags},
      {"x86-64-v4", "x86-64-v4", x86Triple, "", 512, 6, false, false, v4Flags},
      {"znver4", "znver4", x86Triple, "", 512, 6, true, false, lateV4Flags},
  };
  return targets;
}

/// Whether LLVM found on this machine what /proc/cpuinfo calls `flags`: it writes avx512bf16 for avx512_bf16, amx-tile
/// for amx_tile.
bool offers(const llvm::StringMap<bool> &features, llvm::ArrayRef<std::string> flags) {
  return llvm::all_of(flags, [&](llvm::StringRef flag) {
    std::string joined = flag.str(), dashed = flag.str();
    llvm::erase(joined, '_');
    llvm::replace(dashed, '_', '-');
    return features.lookup(joined) || features.lookup(dashed);
  });
}

/// The compiling machine: LLVM's name for scheduling, its class by what it really offers (a virtual machine may hide
/// features that the processor's name promises).
llvm::Expected<CpuTarget> hostTarget() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  llvm::StringRef name = llvm::sys::getHostCPUName();
  if (llvm::StringRef(llvm::sys::getDefaultTargetTriple()).starts_with("aarch64")) {
    return lookupCpuTarget("aarch64");
  }
  for (const CpuTarget &target : knownTargets()) {
    if (target.name == name && offers(features, target.requiredFlags)) {
      return target;
    }
  }
  if (offers(features, with(v4Flags, {"avx512_bf16"}))) {
    CpuTarget target = *lookupCpuTarget("x86-64-v4");
    target.features = "+avx512bf16";
    target.hasBF16Dot = true;
    target.requiredFlags = with(v4Flags, {"avx512_bf16"});
    if (offers(features, {"amx_bf16", "amx_tile"})) {
      target.features += ",+amx-bf16,+amx-tile";
      target.hasAmxBF16 = true;
      target.requiredFlags = with(target.requiredFlags, {"amx_bf16", "amx_tile"});
    }
    return target;
  }
  if (!offers(features, v3Flags)) {
    return llvm::createStringError(std::make_error_code(std::errc::not_supported),
                                   "this machine's processor (%s) lacks AVX2, FMA, F16C or BMI2; name a target with "
                                   "--cpu to compile for another machine",
                                   name.str().c_str());
  }
  return lookupCpuTarget(offers(features, v4Flags) ? "x86-64-v4" : "x86-64-v3");
}

} // namespace

llvm::Expected<CpuTarget> lookupCpuTarget(llvm::StringRef name) {
  if (name == "host") {
    return hostTarget();
  }
  for (const CpuTarget &target : knownTargets()) {
    if (target.name == name) {
      return target;
    }
  }
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument),
                                 "unknown CPU '%s': expected one of %s", name.str().c_str(),
                                 llvm::join(cpuTargetNames(), ", ").c_str());
}

std::vector<std::string> cpuTargetNames() {
  std::vector<std::string> names = {"host"};
  for (const CpuTarget &target : knownTargets()) {
    names.push_back(target.name);
  }
  return names;
}

} // namespace elah
