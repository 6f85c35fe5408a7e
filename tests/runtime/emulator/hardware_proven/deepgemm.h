#ifndef TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_DEEPGEMM_H
#define TESTS_RUNTIME_EMULATOR_HARDWARE_PROVEN_DEEPGEMM_H

// How DeepGEMM's FP8 kernels with 1 x 128 and 128 x 128 scales are launched: dense, grouped with contiguous rows,
// grouped with masks. Shapes are baked into the kernels (N 4096, K 7168; 8 groups); M is free.

#include "tests/runtime/emulator/hardware_proven/ready_ptx.h"

namespace emulator {

struct DeepGemm {
  static constexpr uint32_t n = 4096, k = 7168, kBlocks = k / 128, multiprocessors = 132;

  const char *file;
  uint32_t blockM, blockN, stages, threads, cluster, groups;
  uint32_t swizzleD; ///< in bytes

  struct Operands {
    uint64_t a, scalesA, b, scalesB, d, layout; ///< Addresses; the layout's is 0 if the kernel takes none.
  };

  static uint32_t aligned(uint32_t value, uint32_t to) { return (value + to - 1) / to * to; }
  /// Of A's scales, which lie [slot][k / 128][row].
  static uint32_t scalePitch(uint32_t rows) { return aligned(rows, 4); }

  uint32_t sharedBytes() const {
    uint32_t scalesB = kBlocks * 4 * (128 % blockN == 0 ? 1 : 2);
    return aligned(blockM * blockN * 2, 1024) + stages * (blockM * 128 + blockN * 128 + aligned(blockM * 4, 128)) +
           aligned(scalesB, 8) + stages * 16;
  }

  /// With `rows` rows of A a group slot (`slots` of them: 1, or one a group).
  std::optional<Fault> run(ReadyLaunch &launch, std::shared_ptr<LoadedModule> module, uint32_t rows, uint32_t slots,
                           const Operands &operands, const RunOptions &options) const {
    const uint64_t total = uint64_t(rows) * slots;
    const uint32_t pitch = scalePitch(rows);
    TensorMapParameter mapA = tiledMap(TensorType::U8, operands.a, {k, total}, {k}, {128, blockM}, 3);
    TensorMapParameter mapB = tiledMap(TensorType::U8, operands.b, {k, uint64_t(n) * groups}, {k}, {128, blockN}, 3);
    TensorMapParameter mapD =
        tiledMap(TensorType::BF16, operands.d, {n, total}, {n * 2}, {swizzleD / 2, blockM}, swizzleD == 128 ? 3 : 2);
    TensorMapParameter mapScales = tiledMap(TensorType::F32, operands.scalesA, {pitch, uint64_t(kBlocks) * slots},
                                            {uint64_t(pitch) * 4}, {blockM, 1}, 0);
    Parameters parameters;
    parameters.add(operands.scalesB).add(operands.layout).add(rows).add(n).add(k);
    parameters.add(mapA).add(mapB).add(mapD).add(mapScales);
    launch.grid[0] = multiprocessors;
    launch.block = threads;
    launch.cluster = cluster;
    launch.dynamicSharedBytes = sharedBytes();
    const Kernel *kernel = module->kernels().front();
    return launch(std::move(module), kernel, parameters, options);
  }
};

inline constexpr DeepGemm deepGemmDense = {"dg_fp8_1d2d.ptx", 128, 128, 5, 384, 2, 1, 128};
inline constexpr DeepGemm deepGemmContiguous = {"dg_fp8_1d2d_contig.ptx", 128, 160, 5, 384, 2, 8, 64};
inline constexpr DeepGemm deepGemmMasked = {"dg_fp8_1d2d_masked.ptx", 64, 128, 7, 256, 1, 8, 128};

} // namespace emulator

#endif
