#include "tests/codegen/Cuda/KernelWork.h"
#include "tests/codegen/Cuda/KernelRunner.h"
#include <cstdio>

namespace elah::cuda {

using emulator::InstructionClass;
using emulator::LaunchCounters;

Work &Work::operator+=(const Work &other) {
  for (uint64_t Work::*count :
       {&Work::tensorFlops, &Work::tensorInstructions, &Work::tensorShared, &Work::copies, &Work::copied,
        &Work::sharedRequests, &Work::sharedWavefronts, &Work::others, &Work::moves, &Work::sectors}) {
    this->*count += other.*count;
  }
  return *this;
}

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

LaunchCounters countKernel(const KernelSpec &spec, const std::vector<uint64_t> &operands,
                           const std::array<int64_t, 5> &dims, uint64_t scratch) {
  std::string error;
  std::optional<CompiledKernel> compiled = compileForTest(spec, error);
  if (!compiled) {
    ADD_FAILURE() << error;
    return {};
  }
  auto loaded = emulator::LoadedModule::load(std::get<emulator::ptx::Module>(emulator::ptx::parse(compiled->ptx)), 0);
  emulator::LaunchConfig config;
  config.module = std::get<std::shared_ptr<emulator::LoadedModule>>(loaded);
  config.kernel = config.module->kernels().front();

  emulator::DeviceBuffer deviceDims(std::vector<int32_t>(dims.begin(), dims.end()));
  emulator::Parameters parameters;
  for (uint64_t operand : operands) {
    parameters.add(operand);
  }
  parameters.add(deviceDims.address());
  if (spec.usesScratch()) {
    parameters.add(scratch);
  }
  for (const TensorMap &map : spec.maps) {
    std::vector<uint64_t> sizes;
    for (const Extent &size : map.sizes) {
      sizes.push_back(static_cast<uint64_t>(size.evaluate(dims)));
    }
    // Swizzles are in the order of the driver's enumeration.
    emulator::TensorMapParameter encoded = emulator::tiledMap(
        map.element == MapElement::F8 ? emulator::TensorType::U8 : emulator::TensorType::BF16,
        operands.at(map.operand) + map.byteOffset, sizes, map.strides, map.box, static_cast<uint32_t>(map.swizzle));
    parameters.add(encoded.bytes, sizeof(encoded.bytes), 64);
  }
  const int64_t rowTiles = (spec.grid.rows.evaluate(dims) + spec.grid.rowTile - 1) / spec.grid.rowTile;
  const int64_t blocks = spec.grid.outer * rowTiles;
  config.grid[0] = static_cast<uint32_t>(spec.grid.maxBlocks > 0 ? std::min(blocks, spec.grid.maxBlocks) : blocks);
  config.block[0] = spec.threads;
  config.cluster[0] = spec.cluster;
  config.dynamicSharedBytes = spec.sharedBytes;
  config.parameters = parameters.bytes;
  config.parameters.resize(config.kernel->parameterBytes);
  emulator::CountingObserver counting;
  config.observer = &counting;
  emulator::RunOptions options = emulator::RunOptions::fromEnvironment();
  options.order = emulator::Order::Eager;
  std::shared_ptr<emulator::Grid> grid = emulator::Machine::instance().launch(std::move(config), options);
  if (std::optional<emulator::Fault> fault = grid->wait()) {
    ADD_FAILURE() << spec.symbol << ": " << fault->text;
  }
  return counting.counters(*grid);
}

void expectNoMoreWork(const std::string &title, double units, const Work &ours, const std::string &theirName,
                      const Work &theirs) {
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
  std::printf("%s\n  %-38s %14s %14s %7s\n", title.c_str(), "", "Elah", theirName.c_str(), "ratio");
  for (const Line &line : lines) {
    const double mine = static_cast<double>(ours.*line.count), other = static_cast<double>(theirs.*line.count);
    std::printf("  %-38s %14.2f %14.2f %7.3f\n", line.what, mine / units, other / units, mine / other);
    if (line.most > 0) {
      EXPECT_LE(mine, line.most * other) << title << ": " << line.what;
    }
  }
}

} // namespace elah::cuda
