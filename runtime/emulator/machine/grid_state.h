#ifndef RUNTIME_EMULATOR_MACHINE_GRID_STATE_H
#define RUNTIME_EMULATOR_MACHINE_GRID_STATE_H

// What the machine keeps of a running grid. Members are the machine's, under its lock, but for the atomics and what
// `mutex` guards.

#include "machine/grid.h"
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace emulator {

class Cluster;

struct Grid::Impl {
  DeviceProperties device;
  uint64_t ctas = 0, clusters = 0, maxResident = 1;
  uint64_t firstCluster = 0, clusterStep = 1; ///< the order in which clusters start

  struct Resident {
    std::unique_ptr<Cluster> cluster;
    bool idle = false;  ///< its last turn moved nothing
    unsigned turns = 0; ///< in a row
  };
  std::deque<Resident> queue; ///< resident clusters that no thread runs now
  uint64_t started = 0, finished = 0, running = 0;
  std::function<void(Grid &)> onEnd;

  std::atomic<bool> stopped = false, ended = false;
  std::atomic<uint64_t> ctasWithDependents = 0;

  std::mutex mutex; ///< of `fault`, and for those who wait
  std::condition_variable end;
  std::optional<Fault> fault;
};

} // namespace emulator

#endif
