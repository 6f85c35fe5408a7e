#ifndef RUNTIME_EMULATOR_COUNTERS_TIME_MODEL_H
#define RUNTIME_EMULATOR_COUNTERS_TIME_MODEL_H

// How long instructions take, in cycles of a multiprocessor: what turns a run into emulated time.
//
// The tracer gives each warp a clock, which these advance; at barriers, mbarriers and waits for groups clocks meet. The
// emulator's own model is for looking at who waits for whom: no caches, no bandwidth that CTAs share, no latency of a
// load that is hidden or not. Who wants predictions derives a better one.

#include "checker/observer.h"
#include "counters/instruction_class.h"

namespace emulator {

class TimeModel {
public:
  virtual ~TimeModel() = default;
  /// From a warp's issue of an instruction until it can issue the next.
  virtual double issueCycles(InstructionClass which, const ptx::Instruction &instruction) const;
  /// From the issue of an asynchronous operation until it is complete. Those of one warp's tensor cores do not overlap:
  /// what is given for a wgmma begins when the one before it has ended.
  virtual double completionCycles(Observer::AsyncKind kind, const ptx::Instruction &instruction, uint64_t bytes) const;

  static const TimeModel &simple();
};

} // namespace emulator

#endif
