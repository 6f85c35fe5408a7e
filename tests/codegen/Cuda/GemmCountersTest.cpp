// Work that our e4m3 kernels do, beside that of DeepGEMM's for the same product, counted by the emulator in one run:
// with the same tiles, no more on the tensor cores, by TMA and in shared memory, and at most a tenth more of other
// instructions. DeepGEMM's kernels are not here: ELAH_HARDWARE_PROVEN_PTX names a folder that holds them.
#include "codegen/Cuda/Fp8Gemm.h"
#include "codegen/Cuda/GroupedGemm.h"
#include "tests/codegen/Cuda/KernelWork.h"
#include "tests/runtime/emulator/hardware_proven/deepgemm.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using emulator::CountingObserver;
using emulator::DeepGemm;
using emulator::DeviceBuffer;

const CudaTarget &h800 = *findCudaTarget("h800");

emulator::RunOptions eager() {
  emulator::RunOptions options = emulator::RunOptions::fromEnvironment();
  options.order = emulator::Order::Eager;
  return options;
}

/// A kernel of ours, launched on `rows` rows: results are of no interest here, other tests compare them.
Work workOfOurs(const KernelSpec &spec, const GemmProblem &problem, int64_t rows, const std::vector<int32_t> &offsets) {
  // As FP8 kernels without a bias have them.
  const size_t rowBytes = static_cast<size_t>(rows);
  DeviceBuffer input(rowBytes * problem.inputPitch), inputScales(rowBytes * (problem.depthBlocks() + 3) / 4 * 16),
      weight(static_cast<size_t>(problem.batches * problem.columns * problem.weightPitch())),
      weightScales(static_cast<size_t>(problem.batches * (problem.columns + 127) / 128 * problem.depthBlocks() * 4)),
      offsetsBuffer(offsets), output(rowBytes * problem.outputPitch * 2);
  std::vector<uint64_t> operands = {input.address(), inputScales.address(), weight.address(), weightScales.address()};
  if (!offsets.empty()) {
    operands.push_back(offsetsBuffer.address());
  }
  operands.push_back(output.address());
  return workOf(countKernel(spec, operands, {rows / problem.rowsOfToken, 1, 1, 1, 1}, 0));
}

/// DeepGEMM's.
Work workOfTheirs(const DeepGemm &gemm, uint32_t rows, uint32_t slots, const std::vector<int32_t> &layout) {
  const uint64_t total = uint64_t(rows) * slots;
  DeviceBuffer a(total * DeepGemm::k), scalesA(uint64_t(DeepGemm::scalePitch(rows)) * DeepGemm::kBlocks * slots * 4),
      b(uint64_t(DeepGemm::n) * gemm.groups * DeepGemm::k),
      scalesB(uint64_t(DeepGemm::n / 128) * gemm.groups * DeepGemm::kBlocks * 4), d(total * DeepGemm::n * 2),
      groups(layout.empty() ? std::vector<int32_t>(1) : layout);
  CountingObserver counting;
  emulator::ReadyLaunch launch;
  launch.observer = &counting;
  std::optional<emulator::Fault> fault = gemm.run(launch, emulator::readyModule(gemm.file), rows, slots,
                                                  {a.address(), scalesA.address(), b.address(), scalesB.address(),
                                                   d.address(), layout.empty() ? uint64_t(0) : groups.address()},
                                                  eager());
  EXPECT_FALSE(fault) << fault->text;
  return workOf(counting.counters(*launch.launched));
}

#define SKIP_WITHOUT(gemm)                                                                                             \
  if (!emulator::readyModule((gemm).file)) {                                                                           \
    GTEST_SKIP() << "ELAH_HARDWARE_PROVEN_PTX names no folder with " << (gemm).file;                                   \
  }

TEST(GemmCounters, Dense) {
  SKIP_WITHOUT(emulator::deepGemmDense)
  const Fp8GemmShape shape{.columns = DeepGemm::n, .depth = DeepGemm::k};
  const GemmSchedule schedule{.tileRows = 128, .tileColumns = 128, .stages = 5, .clusterRows = 2};
  constexpr uint32_t rows = 256;
  expectNoMoreWork("dense, 256 rows, tile 128x128, pairs of blocks, per tile", rows / 128 * DeepGemm::n / 128,
                   workOfOurs(specializeFp8Gemm(shape, schedule), shape.problem(), rows, {}), "DeepGEMM",
                   workOfTheirs(emulator::deepGemmDense, rows, 1, {}));
}

GroupedGemmShape experts() { return {.experts = 8, .columns = DeepGemm::n, .depth = DeepGemm::k}; }

TEST(GemmCounters, GroupedContiguous) {
  SKIP_WITHOUT(emulator::deepGemmContiguous)
  const GemmSchedule schedule{.tileRows = 128, .tileColumns = 160, .stages = 5, .clusterColumns = 2};
  std::vector<int32_t> layout;
  for (int32_t expert : {0, 1, 1, 2, 5}) {
    layout.insert(layout.end(), 128, expert);
  }
  const uint32_t rows = static_cast<uint32_t>(layout.size());
  expectNoMoreWork("grouped, 640 rows of 4 experts, tile 128x160, pairs of blocks, per tile", rows / 128 * 26,
                   workOfOurs(specializeGroupedGemm(experts(), schedule), experts().problem(), rows,
                              {0, 128, 384, 512, 512, 512, 640, 640, 640}),
                   "DeepGEMM", workOfTheirs(emulator::deepGemmContiguous, rows, 1, layout));
}

TEST(GemmCounters, GroupedMasked) {
  SKIP_WITHOUT(emulator::deepGemmMasked)
  const GemmSchedule schedule{.tileRows = 64, .tileColumns = 128, .mathWarpgroups = 1, .stages = 7};
  const std::vector<int32_t> counts = {64, 0, 17, 128, 1, 0, 100, 5};
  std::vector<int32_t> offsets = {0};
  uint64_t tiles = 0;
  for (int32_t count : counts) {
    offsets.push_back(offsets.back() + count);
    tiles += static_cast<uint64_t>(count + 63) / 64 * DeepGemm::n / 128;
  }
  expectNoMoreWork("grouped, 315 rows of 6 experts, tile 64x128, per tile", static_cast<double>(tiles),
                   workOfOurs(specializeGroupedGemm(experts(), schedule), experts().problem(), offsets.back(), offsets),
                   "DeepGEMM", workOfTheirs(emulator::deepGemmMasked, 128, 8, counts));
}

} // namespace
} // namespace elah::cuda
