#ifndef TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_CUTLASS_TUTORIALS_H
#define TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_CUTLASS_TUTORIALS_H

// How CUTLASS's two tutorials for sm_90 are launched: C = alpha * op(A) * op(B) + beta * C in f16 with f16
// accumulators, tiles of 128 x 128 x 64 in three stages of shared memory, one warpgroup. One tutorial fills the stages
// by `cp.async`, the other by TMA in clusters of two CTAs. Each has a kernel for A and B by columns ("NT": M and N are
// contiguous) and one for both by rows ("TN": K is); C is by columns.

#include "tests/runtime/emulator/hardware_proven/ready_ptx.h"

namespace emulator {

struct CutlassTutorial {
  static constexpr uint32_t tile = 128, tileK = 64, stages = 3, stageBytes = tile * tileK * 2;

  const char *file;
  bool tensorMaps;

  struct Problem {
    uint32_t m, n, k;
    bool kContiguous;                  ///< TN
    uint32_t pitchA, pitchB, pitchC;   ///< in elements
    uint64_t a, b, c;                  ///< addresses
    uint16_t alpha = 0x3C00, beta = 0; ///< f16
  };

  /// Both write whole tiles of C. Without tensor maps they read whole tiles of A and B, too, of which there are at
  /// least two along K.
  std::optional<Fault> run(ReadyLaunch &launch, std::shared_ptr<LoadedModule> module, const Problem &problem,
                           const RunOptions &options) const {
    struct Shape {
      uint32_t m, n, k;
    } shape = {problem.m, problem.n, problem.k};
    struct TiledProduct { // The product's state: whether wgmma adds to its accumulators.
      uint32_t accumulates = 1, unused = 0;
    };
    struct Empty {}; // A type all of whose members are known when it is compiled.
    Parameters parameters;
    parameters.add(shape).add(Empty());
    for (bool isA : {true, false}) {
      const uint64_t address = isA ? problem.a : problem.b;
      const uint32_t rows = isA ? problem.m : problem.n, pitch = isA ? problem.pitchA : problem.pitchB;
      parameters.add(address);
      if (tensorMaps) {
        // A box is an atom of the 128-byte swizzle: all rows of a tile if K is contiguous, and 8 of its k if not.
        const std::vector<uint64_t> extents = {problem.kContiguous ? problem.k : rows,
                                               problem.kContiguous ? rows : problem.k};
        parameters.add(tiledMap(TensorType::F16, address, extents, {uint64_t(pitch) * 2},
                                {64, problem.kContiguous ? tile : 8}, 3));
        parameters.add(TensorMapParameter()); // Of which only the size counts: the copy's static strides.
      } else {
        parameters.add(pitch).add(Empty()).add(Empty());
      }
    }
    parameters.add(problem.c).add(problem.pitchC).add(TiledProduct()).add(problem.alpha).add(problem.beta);

    launch.grid[0] = (problem.m + tile - 1) / tile;
    launch.grid[1] = (problem.n + tile - 1) / tile;
    launch.block = 128;
    launch.dynamicSharedBytes = 2 * stages * stageBytes;
    if (tensorMaps) {
      launch.cluster = 2;
      launch.grid[0] = (launch.grid[0] + 1) / 2 * 2;
      launch.dynamicSharedBytes += 128; // Two mbarriers a stage.
    }
    const Kernel *kernel = kernelNamed(*module, problem.kContiguous ? "5MajorE0E" : "5MajorE1E");
    return launch(std::move(module), kernel, parameters, options);
  }
};

inline constexpr CutlassTutorial cutlassWgmma = {"cutlass_wgmma_sm90.ptx", false};
inline constexpr CutlassTutorial cutlassWgmmaTma = {"cutlass_wgmma_tma_sm90.ptx", true};

} // namespace emulator

#endif
