#ifndef RUNTIME_EMULATOR_MACHINE_OPTIONS_H
#define RUNTIME_EMULATOR_MACHINE_OPTIONS_H

#include <cstdint>
#include <string>

namespace emulator {

/// When asynchronous work (bulk and tensor copies, cp.async, wgmma) takes effect.
enum class Order : uint8_t {
  Eager,  ///< where it is issued: fast, and hides missing waits
  Lazy,   ///< at the last legal moment: when a wait needs it, or nothing else can go on; poisoned until then
  Random, ///< somewhere between, by the seed
};

enum class Numerics : uint8_t {
  F32,      ///< tensor cores accumulate in f32, rounding to nearest
  Hardware, ///< as Hopper's do: products aligned and truncated, 22-bit accumulators for fp8 (e8m13)
};

struct RunOptions {
  Order order = Order::Eager;
  uint64_t seed = 0;
  /// Whoever may choose, chooses badly: elect's lane, which CTA starts first, which warp is delayed, whether a
  /// dependent grid's prologue runs before its primary.
  bool adversarial = false;
  bool check = false;
  Numerics numerics = Numerics::F32;
  unsigned threads = 0; ///< host threads; 0: all cores. One thread makes a run repeatable to the instruction.
  bool count = false;   ///< counters by launch
  std::string trace;    ///< a file for the trace of warps over emulated time; empty: none
  /// A unit that polls this many times with nothing else able to go on is a deadlock.
  uint64_t pollLimit = 1 << 16;
  /// Milliseconds for which all grids may do nothing but look at global memory, where the host or a copy may write what
  /// they look for. After that it is a deadlock.
  uint64_t patience = 10000;

  /// From ELAH_EMULATOR_ORDER=eager|lazy|random, _SEED, _ADVERSARIAL=1, _CHECK=1, _NUMERICS=f32|hardware, _THREADS,
  /// _PATIENCE, _COUNTERS=FILE (counts; where they go is the reader's affair), _TRACE=FILE. A value that means nothing
  /// is an error on stderr, and the default.
  static RunOptions fromEnvironment();
};

} // namespace emulator

#endif
