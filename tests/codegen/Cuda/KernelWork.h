#ifndef TESTS_CODEGEN_CUDA_KERNELWORK_H
#define TESTS_CODEGEN_CUDA_KERNELWORK_H

#include "codegen/Cuda/KernelSpec.h"
#include "counters/counting_observer.h"
#include "tests/runtime/emulator/hardware_proven/ready_ptx.h"
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace elah::cuda {

/// What launches keep busy, as the emulator counts it.
struct Work {
  uint64_t tensorFlops = 0, tensorInstructions = 0, tensorShared = 0;
  uint64_t copies = 0, copied = 0; ///< TMA's operations and bytes.
  uint64_t sharedRequests = 0, sharedWavefronts = 0;
  uint64_t others = 0; ///< Instructions of warps that are none of these, registers' moves left out: ptxas does them.
  uint64_t moves = 0;
  uint64_t sectors = 0; ///< Of global memory, that threads load.

  Work &operator+=(const Work &other);
};

Work workOf(const emulator::LaunchCounters &counters);

/// A kernel of ours by itself, eager, on operands at those addresses. A failure is a test's.
emulator::LaunchCounters countKernel(const KernelSpec &spec, const std::vector<uint64_t> &operands,
                                     const std::array<int64_t, 5> &dims, uint64_t scratch);

/// Prints a table of both by unit ("token"), and expects that ours is no more on tensor cores, by TMA and in shared
/// memory, and at most a tenth more elsewhere.
void expectNoMoreWork(const std::string &title, double units, const Work &ours, const std::string &theirName,
                      const Work &theirs);

} // namespace elah::cuda

#endif
