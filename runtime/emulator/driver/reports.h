#ifndef RUNTIME_EMULATOR_DRIVER_REPORTS_H
#define RUNTIME_EMULATOR_DRIVER_REPORTS_H

// What launches say besides results: faults, the checker's reports, counters. They are printed (stderr, or as JSON
// lines to ELAH_EMULATOR_REPORT), and kept for elah_emulator.h.

#include "checker/checker.h"
#include "checker/observers.h"
#include "counters/counting_observer.h"
#include "counters/tracer.h"
#include "driver/driver.h"
#include "machine/grid.h"

namespace emulator::driver {

/// Who watches a launch, by the run's options.
class Watch {
public:
  explicit Watch(const RunOptions &options);
  Observer *observer(); ///< null for nobody
  /// Keeps and writes what was counted and traced.
  void gridEnded(const Grid &grid);

private:
  std::shared_ptr<Checker> checker;
  std::unique_ptr<CountingObserver> counting;
  std::unique_ptr<Tracer> tracer;
  std::unique_ptr<Observers> several;
};
/// Makes the checker say again what it has said before.
void clearFindings();
void reportFault(const Grid &grid, const Fault &fault, CUresult code);

} // namespace emulator::driver

#endif
