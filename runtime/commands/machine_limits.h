#ifndef RUNTIME_COMMANDS_MACHINE_LIMITS_H
#define RUNTIME_COMMANDS_MACHINE_LIMITS_H

#include <cstdint>
#include <memory>

/// What this machine can do at most, measured: the yardsticks beside every benchmark.
class MachineLimits {
public:
  explicit MachineLimits(unsigned threads);
  ~MachineLimits();

  /// Bytes per second of reading memory, one sample of 128 MiB by all threads.
  double sampleReadBandwidth();
  /// Operations per second (2 a multiply-add) of all threads: bf16 products (AMX's, where it is permitted) or f32
  /// multiply-adds; one sample.
  double sampleComputePeak(bool bf16);

private:
  struct State;
  std::unique_ptr<State> state;
};

#endif
