#include "machine/cta.h"
#include "machine/grid.h"
#include "machine/grid_state.h"
#include "machine/occupancy.h"
#include <algorithm>
#include <chrono>
#include <thread>

// Host threads take clusters of grids and run them for a while. A thread stays with a cluster while that gets on, and
// starts another when it does not, up to what the device would hold; then turns rotate.

namespace emulator {

namespace {

/// Instructions of a cluster's turn on a host thread: some milliseconds.
constexpr uint64_t clusterTurn = 1 << 18;
/// Turns in a row after which a cluster goes to the back even though it gets on.
constexpr unsigned turnsInARow = 64;
/// Turns in a row in which nobody got on, before time counts: a process that was stopped has not waited.
constexpr uint64_t idleTurnsAtLeast = 256;
/// Clusters whose waits a deadlock between them lists.
constexpr size_t describedClusters = 16;

} // namespace

struct Machine::Impl {
  std::mutex mutex;
  std::condition_variable work;
  std::vector<std::shared_ptr<Grid>> grids; ///< not ended
  size_t nextGrid = 0;
  uint64_t idleTurns = 0;                          ///< in a row, over all threads
  std::chrono::steady_clock::time_point idleSince; ///< the first of them
  std::vector<std::thread> threads;

  void loop();
  bool take(std::shared_ptr<Grid> &grid, Grid::Impl::Resident &resident, bool &starts, uint64_t &number);
  uint64_t residents() const;
  void stopWithoutHope(std::unique_lock<std::mutex> &lock);
  void finishIfDone(const std::shared_ptr<Grid> &grid, std::unique_lock<std::mutex> &lock);
};

Machine &Machine::instance() {
  // Never destroyed: its threads run until the process ends.
  static Machine *machine = new Machine;
  return *machine;
}

Machine::Machine() : impl(std::make_unique<Impl>()) {
  const unsigned count = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < count; ++i) {
    impl->threads.emplace_back([this] { impl->loop(); });
    impl->threads.back().detach();
  }
}

std::shared_ptr<Grid> Machine::launch(LaunchConfig config, const RunOptions &options,
                                      std::function<void(Grid &)> onEnd) {
  std::shared_ptr<Grid> grid = std::make_shared<Grid>(std::move(config), options);
  grid->impl->onEnd = std::move(onEnd);
  if (grid->observer) {
    grid->observer->gridBegins(*grid);
  }
  {
    std::lock_guard lock(impl->mutex);
    impl->grids.push_back(grid);
    impl->idleTurns = 0;
  }
  impl->work.notify_all();
  return grid;
}

uint64_t Machine::Impl::residents() const {
  uint64_t count = 0;
  for (const std::shared_ptr<Grid> &grid : grids) {
    count += grid->impl->queue.size() + grid->impl->running;
  }
  return count;
}

/// Finds something to run. A cluster that starts is made outside of the lock.
bool Machine::Impl::take(std::shared_ptr<Grid> &grid, Grid::Impl::Resident &resident, bool &starts, uint64_t &number) {
  for (size_t i = 0; i < grids.size(); ++i) {
    const size_t at = (nextGrid + i) % grids.size();
    // Adversarial: the youngest grid first, which is a dependent before its primaries.
    const std::shared_ptr<Grid> &candidate = grids[grids[0]->options.adversarial ? grids.size() - 1 - at : at];
    Grid::Impl &state = *candidate->impl;
    if (candidate->stopped()) {
      continue;
    }
    if (candidate->options.threads && state.running >= candidate->options.threads) {
      continue;
    }
    if (state.started == 0 &&
        !std::all_of(candidate->config.primaries.begin(), candidate->config.primaries.end(),
                     [](const std::shared_ptr<Grid> &primary) { return primary->dependentsMayStart(); })) {
      continue;
    }
    const bool mayStart = state.started < state.clusters && state.queue.size() + state.running < state.maxResident;
    if (mayStart && (state.queue.empty() || state.queue.front().idle)) {
      grid = candidate;
      starts = true;
      number = (state.firstCluster + state.started * state.clusterStep) % state.clusters;
      ++state.started;
    } else if (!state.queue.empty()) {
      grid = candidate;
      starts = false;
      resident = std::move(state.queue.front());
      state.queue.pop_front();
    } else {
      continue;
    }
    ++state.running;
    nextGrid = at + 1;
    return true;
  }
  return false;
}

void Machine::Impl::finishIfDone(const std::shared_ptr<Grid> &grid, std::unique_lock<std::mutex> &lock) {
  Grid::Impl &state = *grid->impl;
  if (state.running || (state.finished < state.clusters && !grid->stopped())) {
    return;
  }
  auto found = std::find(grids.begin(), grids.end(), grid);
  if (found == grids.end()) {
    return;
  }
  grids.erase(found);
  idleTurns = 0;
  std::deque<Grid::Impl::Resident> dropped = std::move(state.queue);
  state.queue.clear();
  lock.unlock();
  dropped.clear();
  if (grid->observer) {
    grid->observer->gridEnds(*grid);
  }
  {
    std::lock_guard ending(state.mutex);
    state.ended.store(true, std::memory_order_release);
  }
  state.end.notify_all();
  if (state.onEnd) {
    state.onEnd(*grid);
  }
  work.notify_all();
  lock.lock();
}

/// Stops all grids if they have polled for longer than the most patient of them wants, and none did anything else:
/// the others may wait for that one.
void Machine::Impl::stopWithoutHope(std::unique_lock<std::mutex> &lock) {
  const uint64_t waited = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - idleSince).count());
  std::vector<std::shared_ptr<Grid>> hopeless;
  for (const std::shared_ptr<Grid> &grid : grids) {
    if (waited < grid->options.patience) {
      return;
    }
  }
  for (const std::shared_ptr<Grid> &grid : grids) {
    const std::deque<Grid::Impl::Resident> &queue = grid->impl->queue;
    // One whose only cluster another thread has in its hands is for the next time.
    if (grid->stopped() || queue.empty()) {
      continue;
    }
    Fault fault;
    fault.kind = Fault::Kind::Deadlock;
    fault.actor.warp = queue.front().cluster->ctas.front()->warps.front().get();
    fault.text = "for " + std::to_string(waited) + " ms all CTAs that run only wait for what nobody writes:\n";
    for (size_t i = 0; i < queue.size() && i < describedClusters; ++i) {
      fault.text += queue[i].cluster->describeWaits();
    }
    if (queue.size() > describedClusters) {
      fault.text += "... and " + std::to_string(queue.size() - describedClusters) + " clusters more\n";
    }
    if (grid->observer) {
      grid->observer->fault(fault);
    }
    grid->stop(std::move(fault));
    hopeless.push_back(grid);
  }
  for (const std::shared_ptr<Grid> &grid : hopeless) {
    finishIfDone(grid, lock);
  }
}

void Machine::Impl::loop() {
  std::unique_lock lock(mutex);
  while (true) {
    std::shared_ptr<Grid> grid;
    Grid::Impl::Resident resident;
    bool starts = false;
    uint64_t number = 0;
    if (!take(grid, resident, starts, number)) {
      // Dependents of other grids become ready without a word: look again soon where there are any.
      if (grids.empty()) {
        work.wait(lock);
      } else {
        work.wait_for(lock, std::chrono::milliseconds(1));
      }
      continue;
    }
    lock.unlock();
    if (starts) {
      resident.cluster = std::make_unique<Cluster>(*grid, static_cast<uint32_t>(number));
    }
    const bool moved = resident.cluster->run(clusterTurn);
    const bool done = resident.cluster->finished() || grid->stopped();
    if (done) {
      resident.cluster.reset();
    }
    lock.lock();
    Grid::Impl &state = *grid->impl;
    --state.running;
    // Somebody else may have stopped it since: nobody takes its clusters any more.
    if (done || grid->stopped()) {
      ++state.finished;
      idleTurns = 0;
      finishIfDone(grid, lock);
      continue;
    }
    resident.idle = !moved;
    resident.turns = moved ? resident.turns + 1 : 0;
    if (moved && resident.turns % turnsInARow) {
      state.queue.push_front(std::move(resident));
    } else {
      state.queue.push_back(std::move(resident));
    }
    if (moved) {
      idleTurns = 0;
      continue;
    }
    if (idleTurns++ == 0) {
      idleSince = std::chrono::steady_clock::now();
    }
    if (idleTurns > residents()) {
      // All wait for somebody outside: the host, a copy, a grid that is not launched yet.
      if (idleTurns > residents() + idleTurnsAtLeast) {
        stopWithoutHope(lock);
      }
      work.wait_for(lock, std::chrono::microseconds(50));
    }
  }
}

// --- What fits.

std::optional<std::pair<int, std::string>> Machine::refuse(const LaunchConfig &config, const DeviceProperties &device) {
  // Values of CUresult (cuda.h).
  constexpr int invalidValue = 1, outOfResources = 701, tooLargeCooperative = 720, invalidClusterSize = 912;
  using Refusal = std::optional<std::pair<int, std::string>>;
  auto refusal = [](int code, std::string text) { return Refusal(std::in_place, code, std::move(text)); };
  const Kernel &kernel = *config.kernel;
  const uint32_t gridLimits[3] = {0x7fffffff, 65535, 65535}, blockLimits[3] = {1024, 1024, 64};
  static constexpr char axes[] = "xyz";
  uint64_t threads = 1, clusterCtas = 1;
  for (unsigned d = 0; d < 3; ++d) {
    const std::string axis(1, axes[d]);
    if (config.grid[d] == 0 || config.grid[d] > gridLimits[d]) {
      return refusal(invalidValue, "found a grid of " + std::to_string(config.grid[d]) + " CTAs in " + axis +
                                       ", expected 1 to " + std::to_string(gridLimits[d]));
    }
    if (config.block[d] == 0 || config.block[d] > blockLimits[d]) {
      return refusal(invalidValue, "found a block of " + std::to_string(config.block[d]) + " threads in " + axis +
                                       ", expected 1 to " + std::to_string(blockLimits[d]));
    }
    if (config.cluster[d] == 0 || config.grid[d] % config.cluster[d]) {
      return refusal(config.cluster[d] ? invalidClusterSize : invalidValue,
                     "found a grid of " + std::to_string(config.grid[d]) + " CTAs in " + axis +
                         ", expected a multiple of the cluster's " + std::to_string(config.cluster[d]));
    }
    threads *= config.block[d];
    clusterCtas *= config.cluster[d];
  }
  if (threads > kernel.maxThreads) {
    return refusal(threads > 1024 ? invalidValue : outOfResources,
                   "found " + std::to_string(threads) + " threads, expected at most the " +
                       std::to_string(kernel.maxThreads) + " of '" + kernel.name + "'");
  }
  const ptx::LaunchBounds &bounds = kernel.bounds;
  for (unsigned d = 0; d < 3 && bounds.requiredThreads[0]; ++d) {
    if (config.block[d] != std::max(1u, bounds.requiredThreads[d])) {
      return refusal(invalidValue, "found a block of " + std::to_string(config.block[d]) + " threads in " +
                                       std::string(1, axes[d]) + ", expected the required " +
                                       std::to_string(std::max(1u, bounds.requiredThreads[d])));
    }
  }
  for (unsigned d = 0; d < 3 && bounds.requiredCluster[0]; ++d) {
    if (config.cluster[d] != std::max(1u, bounds.requiredCluster[d])) {
      return refusal(invalidClusterSize, "found a cluster of " + std::to_string(config.cluster[d]) + " CTAs in " +
                                             std::string(1, axes[d]) + ", expected the required " +
                                             std::to_string(std::max(1u, bounds.requiredCluster[d])));
    }
  }
  if (clusterCtas > device.maxClusterCtasNonPortable ||
      (bounds.maxClusterRank && clusterCtas > bounds.maxClusterRank)) {
    return refusal(invalidClusterSize,
                   "found a cluster of " + std::to_string(clusterCtas) + " CTAs, expected at most " +
                       std::to_string(bounds.maxClusterRank
                                          ? std::min(bounds.maxClusterRank, device.maxClusterCtasNonPortable)
                                          : device.maxClusterCtasNonPortable));
  }
  const uint64_t shared = uint64_t(kernel.staticSharedBytes) + config.dynamicSharedBytes;
  if (shared > device.sharedPerCtaOptIn) {
    return refusal(invalidValue, "found " + std::to_string(shared) + " bytes of shared memory, expected at most " +
                                     std::to_string(device.sharedPerCtaOptIn));
  }
  if (config.parameters.size() != kernel.parameterBytes) {
    return refusal(invalidValue, "found " + std::to_string(config.parameters.size()) +
                                     " bytes of parameters, expected " + std::to_string(kernel.parameterBytes));
  }
  const unsigned perMultiprocessor =
      occupancyOf(kernel, static_cast<uint32_t>(threads), config.dynamicSharedBytes, device).ctas();
  if (!perMultiprocessor) {
    return refusal(outOfResources, "'" + kernel.name + "' needs more registers for " + std::to_string(threads) +
                                       " threads than a multiprocessor has");
  }
  const uint64_t ctas = uint64_t(config.grid[0]) * config.grid[1] * config.grid[2];
  if (config.cooperative && ctas > uint64_t(perMultiprocessor) * device.multiprocessors) {
    return refusal(tooLargeCooperative, "found " + std::to_string(ctas) +
                                            " CTAs of a cooperative launch, expected at most " +
                                            std::to_string(uint64_t(perMultiprocessor) * device.multiprocessors));
  }
  return std::nullopt;
}

} // namespace emulator
