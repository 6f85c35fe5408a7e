#ifndef CODEGEN_TARGET_CUDATARGET_H
#define CODEGEN_TARGET_CUDATARGET_H

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace elah {

/// What codegen needs to know of a Hopper GPU: data, not behaviour. Targets differ in nothing but this.
struct CudaTarget {
  std::string_view name;   ///< What users say: "h800".
  std::string_view device; ///< What cuDeviceGetName says.
  unsigned multiprocessors;
  unsigned boostMhz;
  unsigned tensorMhz; ///< The clock that the power limit leaves to tensor cores at work.
  /// Floating point operations (two for a multiplication and an addition) of a multiprocessor in a cycle.
  unsigned bf16FlopsPerClock, fp8FlopsPerClock;
  uint64_t memoryBytes;
  uint64_t memoryBandwidth; ///< Bytes a second, at most; kernels reach about 0.87 of it.
  uint64_t l2Bytes;
  unsigned l2BytesPerClock; ///< From the L2 cache to all multiprocessors.
  uint64_t linkBandwidth;   ///< NVLink: bytes a second to other GPUs and from them, together.

  // What is the same for compute capability 9.0 (CUDA programming guide, technical specifications).
  unsigned computeCapability = 90;
  unsigned registersPerMultiprocessor = 65536, registersPerThread = 255;
  unsigned sharedPerMultiprocessor = 233472, sharedPerBlock = 232448;
  unsigned sharedReservedPerBlock = 1024; ///< Taken by the system for every block.
  unsigned threadsPerMultiprocessor = 2048, threadsPerBlock = 1024, blocksPerMultiprocessor = 32;
  unsigned clusterBlocks = 8; ///< Granted by every device.

  /// Blocks that a multiprocessor holds at once: `registers` of a thread, `sharedBytes` of a block, static and dynamic.
  unsigned occupancy(unsigned threads, unsigned registers, unsigned sharedBytes) const;
};

/// The target of that name, or null.
const CudaTarget *findCudaTarget(std::string_view name);

std::span<const CudaTarget> cudaTargets();

/// "h100, h100-pcie, ...", for messages.
std::string cudaTargetNames();

} // namespace elah

#endif
