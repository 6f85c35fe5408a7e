// Work that our e4m3 kernels do, beside that of DeepGEMM's for the same product, counted by the emulator in one run:
// with the same tiles, no more on the tensor cores, by TMA and in shared memory, and at most a tenth more of other
// instructions. DeepGEMM's kernels are not here: ELAH_HARDWARE_PROVEN_PTX names a folder that holds them.
#include "codegen/Cuda/Fp8Gemm.h"
#include "codegen/Cuda/GroupedGemm.h"
#include "counters/counting_observer.h"
#include "tests/codegen/Cuda/KernelRunner.h"
#include "tests/runtime/emulator/hardware_proven/deepgemm.h"
#include <cstdio>
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using emulator::CountingObserver;
using emulator::DeepGemm;
using emulator::DeviceBuffer;
using emulator::InstructionClass;
using emulator::LaunchCounters;

const CudaTarget &h800 = *findCudaTarget("h800");

emulator::RunOptions eager() {
  emulator::RunOptions options = emulator::RunOptions::fromEnvironment();
  options.order = emulator::Order::Eager;
  return options;
}

/// What is compared, of a whole launch.
struct Work {
  uint64_t tensorFlops = 0, tensorInstructions = 0, tensorShared = 0;
  uint64_t copies = 0, copied = 0; ///< TMA's operations and bytes.
  uint64_t sharedRequests = 0, sharedWavefronts = 0;
  uint64_t others = 0; ///< Instructions of warps that are none of these, registers' moves left out: ptxas does them.
  uint64_t moves = 0;
  uint64_t sectors = 0; ///< Of global memory, that threads load: our scales, which DeepGEMM's come by TMA.
};

Work workOf(const LaunchCounters &counters) {
  Work work;
  for (const auto &[types, products] : counters.wgmma) {
    work.tensorFlops += products.flops;
    work.tensorInstructions += products.instructions;
  }
  work.tensorShared = counters.wgmmaSharedBytes;
  for (const LaunchCounters::Copies *copies : {&counters.tensorCopies, &counters.bulkCopies}) {
    work.copies += copies->operations;
    work.copied += copies->sharedWritten + copies->sharedRead;
  }
  for (const LaunchCounters::Shared *shared :
       {&counters.sharedLoads, &counters.sharedStores, &counters.sharedAtomics}) {
    work.sharedRequests += shared->requests;
    work.sharedWavefronts += shared->wavefronts;
  }
  work.sectors = counters.globalLoads.sectors;
  auto of = [&](InstructionClass which) { return counters.byClass[static_cast<size_t>(which)].warps; };
  work.moves = of(InstructionClass::Move);
  work.others = counters.instructions.warps - work.moves - of(InstructionClass::Wgmma) - of(InstructionClass::Copy) -
                of(InstructionClass::Shared);
  return work;
}

/// A kernel of ours, launched on `rows` rows: results are of no interest here, other tests compare them.
Work workOfOurs(const KernelSpec &spec, const GemmProblem &problem, int64_t rows, const std::vector<int32_t> &offsets) {
  std::string error;
  std::optional<CompiledKernel> compiled = compileForTest(spec, error);
  EXPECT_TRUE(compiled) << error;
  auto loaded = emulator::LoadedModule::load(std::get<emulator::ptx::Module>(emulator::ptx::parse(compiled->ptx)), 0);
  auto module = std::get<std::shared_ptr<emulator::LoadedModule>>(loaded);

  // As FP8 kernels without a bias have them.
  const size_t rowBytes = static_cast<size_t>(rows);
  DeviceBuffer input(rowBytes * problem.inputPitch), inputScales(rowBytes * (problem.depthBlocks() + 3) / 4 * 16),
      weight(static_cast<size_t>(problem.batches * problem.columns * problem.weightPitch())),
      weightScales(static_cast<size_t>(problem.batches * (problem.columns + 127) / 128 * problem.depthBlocks() * 4)),
      offsetsBuffer(offsets), output(rowBytes * problem.outputPitch * 2);
  std::vector<const DeviceBuffer *> operands = {&input, &inputScales, &weight, &weightScales};
  if (!offsets.empty()) {
    operands.push_back(&offsetsBuffer);
  }
  operands.push_back(&output);
  const std::array<int64_t, 5> bucket = {rows / problem.rowsOfToken, 1, 1, 1, 1};
  DeviceBuffer dims(std::vector<int32_t>(bucket.begin(), bucket.end()));
  emulator::Parameters parameters;
  for (const DeviceBuffer *operand : operands) {
    parameters.add(operand->address());
  }
  parameters.add(dims.address());
  for (const TensorMap &map : spec.maps) {
    std::vector<uint64_t> sizes;
    for (const Extent &size : map.sizes) {
      sizes.push_back(static_cast<uint64_t>(size.evaluate(bucket)));
    }
    constexpr uint32_t swizzles[] = {0, 1, 2, 3}; // In the order of both enumerations.
    emulator::TensorMapParameter encoded =
        emulator::tiledMap(map.element == MapElement::F8 ? emulator::TensorType::U8 : emulator::TensorType::BF16,
                           operands[map.operand]->address() + map.byteOffset, sizes, map.strides, map.box,
                           swizzles[static_cast<size_t>(map.swizzle)]);
    parameters.add(encoded.bytes, sizeof(encoded.bytes), 64);
  }
  CountingObserver counting;
  emulator::ReadyLaunch launch;
  launch.observer = &counting;
  const int64_t rowTiles = (spec.grid.rows.evaluate(bucket) + spec.grid.rowTile - 1) / spec.grid.rowTile;
  launch.grid[0] = static_cast<uint32_t>(std::min(spec.grid.outer * rowTiles, spec.grid.maxBlocks));
  launch.block = spec.threads;
  launch.cluster = spec.cluster;
  launch.dynamicSharedBytes = spec.sharedBytes;
  const emulator::Kernel *kernel = module->kernels().front();
  std::optional<emulator::Fault> fault = launch(module, kernel, parameters, eager());
  EXPECT_FALSE(fault) << fault->text;
  return workOf(counting.counters(*launch.launched));
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

void compare(const char *name, uint64_t tiles, const Work &ours, const Work &theirs) {
  struct Line {
    const char *what;
    uint64_t Work::*count;
    double most; ///< Of theirs; 0: shown only.
  };
  constexpr Line lines[] = {{"tensor operations", &Work::tensorFlops, 1},
                            {"wgmma", &Work::tensorInstructions, 1},
                            {"bytes of shared memory read by wgmma", &Work::tensorShared, 1},
                            {"TMA copies", &Work::copies, 1},
                            {"bytes by TMA", &Work::copied, 1},
                            {"accesses to shared memory", &Work::sharedRequests, 1},
                            {"passes over shared memory", &Work::sharedWavefronts, 1},
                            {"other instructions of warps", &Work::others, 1.1},
                            {"moves between registers", &Work::moves, 0},
                            {"sectors that threads load", &Work::sectors, 0}};
  std::printf("%s, per tile (%llu tiles)\n  %-38s %14s %14s %7s\n", name, static_cast<unsigned long long>(tiles), "",
              "Elah", "DeepGEMM", "ratio");
  for (const Line &line : lines) {
    const double mine = static_cast<double>(ours.*line.count), other = static_cast<double>(theirs.*line.count);
    std::printf("  %-38s %14.1f %14.1f %7.3f\n", line.what, mine / static_cast<double>(tiles),
                other / static_cast<double>(tiles), mine / other);
    if (line.most > 0) {
      EXPECT_LE(mine, line.most * other) << name << ": " << line.what;
    }
  }
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
  compare("dense, 256 rows, tile 128x128, pairs of blocks", rows / 128 * DeepGemm::n / 128,
          workOfOurs(specializeFp8Gemm(shape, schedule), shape.problem(), rows, {}),
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
  compare("grouped, 640 rows of 4 experts, tile 128x160, pairs of blocks", rows / 128 * 26,
          workOfOurs(specializeGroupedGemm(experts(), schedule), experts().problem(), rows,
                     {0, 128, 384, 512, 512, 512, 640, 640, 640}),
          workOfTheirs(emulator::deepGemmContiguous, rows, 1, layout));
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
  compare("grouped, 315 rows of 6 experts, tile 64x128", tiles,
          workOfOurs(specializeGroupedGemm(experts(), schedule), experts().problem(), offsets.back(), offsets),
          workOfTheirs(emulator::deepGemmMasked, 128, 8, counts));
}

} // namespace
} // namespace elah::cuda
