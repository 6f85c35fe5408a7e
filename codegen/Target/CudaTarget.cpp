// The Hopper GPUs that Elah compiles for. Multiprocessors, memory, links and peak rates are those of NVIDIA's data
// sheets. The H20 has a quarter of the tensor rate: 148 and 296 Tflop/s are 1,024 and 2,048 operations in a cycle of
// 78 multiprocessors.
//
// Under tensor load an H800 of 700 W falls to about 1.6 to 1.75 GHz: 1.7 GHz fit 28 published timings of DeepGEMM best,
// so that is what its siblings of the same power are given too. The others' are estimates: 350 W leave an H100 PCIe
// less, and an H20's tensor cores are too few to reach the limit.
//
// L2: 64 bytes in a cycle for each multiprocessor, at most the 8 TB/s at 1.3 GHz that DeepGEMM's cost model assumes.
#include "codegen/Target/CudaTarget.h"
#include <algorithm>

namespace elah {
namespace {

constexpr uint64_t gibibyte = uint64_t(1) << 30, mebibyte = uint64_t(1) << 20, gigabyte = 1'000'000'000;

constexpr CudaTarget targets[] = {
    {.name = "gh200",
     .device = "NVIDIA GH200 480GB",
     .multiprocessors = 132,
     .boostMhz = 1980,
     .tensorMhz = 1700,
     .bf16FlopsPerClock = 4096,
     .fp8FlopsPerClock = 8192,
     .memoryBytes = 96 * gibibyte,
     .memoryBandwidth = 4000 * gigabyte,
     .l2Bytes = 60 * mebibyte,
     .l2BytesPerClock = 6154,
     .linkBandwidth = 900 * gigabyte},
    {.name = "h100",
     .device = "NVIDIA H100 80GB HBM3",
     .multiprocessors = 132,
     .boostMhz = 1980,
     .tensorMhz = 1700,
     .bf16FlopsPerClock = 4096,
     .fp8FlopsPerClock = 8192,
     .memoryBytes = 80 * gibibyte,
     .memoryBandwidth = 3350 * gigabyte,
     .l2Bytes = 50 * mebibyte,
     .l2BytesPerClock = 6154,
     .linkBandwidth = 900 * gigabyte},
    {.name = "h100-pcie",
     .device = "NVIDIA H100 PCIe",
     .multiprocessors = 114,
     .boostMhz = 1755,
     .tensorMhz = 1400,
     .bf16FlopsPerClock = 4096,
     .fp8FlopsPerClock = 8192,
     .memoryBytes = 80 * gibibyte,
     .memoryBandwidth = 2039 * gigabyte,
     .l2Bytes = 50 * mebibyte,
     .l2BytesPerClock = 6154,
     .linkBandwidth = 600 * gigabyte},
    {.name = "h20",
     .device = "NVIDIA H20",
     .multiprocessors = 78,
     .boostMhz = 1980,
     .tensorMhz = 1830,
     .bf16FlopsPerClock = 1024,
     .fp8FlopsPerClock = 2048,
     .memoryBytes = 96 * gibibyte,
     .memoryBandwidth = 4000 * gigabyte,
     .l2Bytes = 60 * mebibyte,
     .l2BytesPerClock = 4992,
     .linkBandwidth = 900 * gigabyte},
    {.name = "h200",
     .device = "NVIDIA H200",
     .multiprocessors = 132,
     .boostMhz = 1980,
     .tensorMhz = 1700,
     .bf16FlopsPerClock = 4096,
     .fp8FlopsPerClock = 8192,
     .memoryBytes = 141 * gibibyte,
     .memoryBandwidth = 4800 * gigabyte,
     .l2Bytes = 50 * mebibyte,
     .l2BytesPerClock = 6154,
     .linkBandwidth = 900 * gigabyte},
    {.name = "h800",
     .device = "NVIDIA H800",
     .multiprocessors = 132,
     .boostMhz = 1980,
     .tensorMhz = 1700,
     .bf16FlopsPerClock = 4096,
     .fp8FlopsPerClock = 8192,
     .memoryBytes = 80 * gibibyte,
     .memoryBandwidth = 3350 * gigabyte,
     .l2Bytes = 50 * mebibyte,
     .l2BytesPerClock = 6154,
     .linkBandwidth = 400 * gigabyte},
};

} // namespace

unsigned CudaTarget::occupancy(unsigned threads, unsigned registers, unsigned sharedBytes) const {
  // Registers are given to warps in units of 256, shared memory to blocks in units of 1,024 bytes.
  unsigned warps = (threads + 31) / 32;
  unsigned registersOfWarp = (std::max(1u, registers) * 32 + 255) / 256 * 256;
  unsigned shared = (sharedBytes + sharedReservedPerBlock + 1023) / 1024 * 1024;
  return std::min({blocksPerMultiprocessor, threadsPerMultiprocessor / (warps * 32),
                   registersPerMultiprocessor / (registersOfWarp * warps), sharedPerMultiprocessor / shared});
}

std::span<const CudaTarget> cudaTargets() { return targets; }

const CudaTarget *findCudaTarget(std::string_view name) {
  const CudaTarget *found = std::find_if(std::begin(targets), std::end(targets),
                                         [&](const CudaTarget &target) { return target.name == name; });
  return found == std::end(targets) ? nullptr : found;
}

std::string cudaTargetNames() {
  std::string names;
  for (const CudaTarget &target : targets) {
    names += (names.empty() ? "" : ", ") + std::string(target.name);
  }
  return names;
}

} // namespace elah
