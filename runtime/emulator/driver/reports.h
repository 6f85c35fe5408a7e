#ifndef RUNTIME_EMULATOR_DRIVER_REPORTS_H
#define RUNTIME_EMULATOR_DRIVER_REPORTS_H

// What launches say besides results: faults, the checker's reports, counters. They are printed (stderr, or as JSON
// lines to ELAH_EMULATOR_REPORT), and kept for elah_emulator.h.

#include "driver/driver.h"
#include "machine/grid.h"

namespace emulator::driver {

/// Who watches a launch, by the run's options; null for nobody.
std::shared_ptr<Observer> makeObserver(const LaunchConfig &config, const RunOptions &options);
/// Makes the checker say again what it has said before.
void clearFindings();
void reportFault(const Grid &grid, const Fault &fault, CUresult code);
void gridEnded(const Grid &grid, const std::shared_ptr<Observer> &observer);

} // namespace emulator::driver

#endif
