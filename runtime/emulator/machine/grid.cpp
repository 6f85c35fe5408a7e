#include "machine/grid.h"
#include "machine/cta.h"
#include "machine/grid_state.h"
#include "machine/occupancy.h"
#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

namespace emulator {

static std::atomic<uint64_t> lastSerial = 0;

Grid::Grid(LaunchConfig given, const RunOptions &options)
    : config(std::move(given)), options(options), observer(config.observer), serial(++lastSerial),
      impl(std::make_unique<Impl>()) {
  const DeviceProperties &device = impl->device = config.properties ? *config.properties : *deviceNamed("h800");
  const uint64_t clusterCtas = uint64_t(config.cluster[0]) * config.cluster[1] * config.cluster[2];
  const uint64_t ctas = uint64_t(config.grid[0]) * config.grid[1] * config.grid[2];
  impl->ctas = ctas;
  impl->clusters = ctas / clusterCtas;
  const uint32_t threads = config.block[0] * config.block[1] * config.block[2];
  const unsigned perMultiprocessor =
      std::max(1u, occupancyOf(*config.kernel, threads, config.dynamicSharedBytes, device).ctas());
  impl->maxResident = std::max<uint64_t>(1, uint64_t(perMultiprocessor) * device.multiprocessors / clusterCtas);
  if (options.adversarial && impl->clusters > 1) {
    // Every cluster once, in an order that jumps: a step without a common factor.
    std::mt19937_64 random(options.seed ^ 0xc1);
    impl->firstCluster = random() % impl->clusters;
    do {
      impl->clusterStep = 1 + random() % (impl->clusters - 1);
    } while (std::gcd(impl->clusterStep, impl->clusters) != 1);
  }
  Allocation *parameters = GlobalMemory::instance().allocate(std::max<size_t>(1, config.parameters.size()),
                                                             config.device, "parameters of " + config.kernel->name);
  if (parameters) {
    parametersAddress = parameters->address;
    parameters->initialised = true;
    parameters->writable = false;
    std::copy(config.parameters.begin(), config.parameters.end(), reinterpret_cast<std::byte *>(parametersAddress));
  }
}

Grid::~Grid() {
  if (parametersAddress) {
    GlobalMemory::instance().free(parametersAddress);
  }
}

const std::byte *Grid::constants() const { return config.module->constants(*config.kernel); }

std::string_view Grid::textOf(const ptx::Instruction &instruction) const {
  return config.module->text().textOf(instruction);
}

const DeviceProperties &Grid::device() const { return impl->device; }

unsigned Grid::multiprocessorOf(const Cta &cta) const {
  return static_cast<unsigned>((uint64_t(cta.cluster.linear) * cta.cluster.ctas.size() + cta.rank) %
                               impl->device.multiprocessors);
}

void Grid::stop(Fault fault) {
  std::lock_guard lock(impl->mutex);
  if (!impl->fault) {
    // The warp of the report may be gone when somebody reads it; its words are in the text.
    fault.actor.warp = nullptr;
    impl->fault = std::move(fault);
  }
  impl->stopped.store(true, std::memory_order_release);
}

bool Grid::stopped() const { return impl->stopped.load(std::memory_order_relaxed); }

void Grid::launchDependents(const Cta &cta) {
  Cta &mine = *cta.cluster.ctas[cta.rank];
  if (!mine.dependentsLaunched) {
    mine.dependentsLaunched = true;
    impl->ctasWithDependents.fetch_add(1, std::memory_order_acq_rel);
  }
}

bool Grid::dependentsMayStart() const {
  return ended() || impl->ctasWithDependents.load(std::memory_order_acquire) >= impl->ctas;
}

bool Grid::primariesEnded() const {
  return std::all_of(config.primaries.begin(), config.primaries.end(),
                     [](const std::shared_ptr<Grid> &primary) { return primary->ended(); });
}

bool Grid::ended() const { return impl->ended.load(std::memory_order_acquire); }

std::optional<Fault> Grid::wait() {
  std::unique_lock lock(impl->mutex);
  impl->end.wait(lock, [&] { return impl->ended.load(std::memory_order_acquire); });
  return impl->fault;
}

} // namespace emulator
