#ifndef RUNTIME_EMULATOR_OPS_LANES_H
#define RUNTIME_EMULATOR_OPS_LANES_H

// Loops over lanes that become vector code.
//
// A file of ops/ that lives from such loops is compiled once for each architecture in CMakeLists.txt, with its name in
// EMULATOR_ARCH and EMULATOR_TARGET; OpcodeTable::all() takes the best that the CPU has. All of its own code stands
// between VECTOR_CODE_BEGIN and VECTOR_CODE_END, and only that is compiled for the architecture: so no function of the
// standard library's, which the linker may choose for everyone, is.

#include "machine/decoder.h"
#include "machine/warp.h"

#ifdef EMULATOR_TARGET
#define EMULATOR_PRAGMA(text) _Pragma(#text)
#define EMULATOR_PUSH_TARGET(arch)                                                                                     \
  EMULATOR_PRAGMA(clang attribute push(__attribute__((target(arch))), apply_to = function))
#define VECTOR_CODE_BEGIN EMULATOR_PUSH_TARGET(EMULATOR_TARGET) namespace emulator::EMULATOR_ARCH {
#define VECTOR_CODE_END                                                                                                \
  }                                                                                                                    \
  _Pragma("clang attribute pop")
#else
#define VECTOR_CODE_BEGIN namespace emulator::EMULATOR_ARCH {
#define VECTOR_CODE_END }
#endif

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

/// Calls `each(lane)` for the lanes; no lane may depend on what another one's call writes.
template <typename Each> [[gnu::always_inline]] inline void eachLane(Lanes lanes, Each each) {
  if (lanes == allLanes) {
#pragma clang loop vectorize(assume_safety) unroll(disable)
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      each(lane);
    }
    return;
  }
#pragma clang loop vectorize(assume_safety) unroll(disable)
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    if (lanes >> lane & 1) {
      each(lane);
    }
  }
}

/// As above, for what does not become vector code anyway.
template <typename Each> [[gnu::always_inline]] inline void eachLaneAlone(Lanes lanes, Each each) {
  for (; lanes; lanes &= lanes - 1) {
    each(static_cast<unsigned>(__builtin_ctz(lanes)));
  }
}

/// The lanes for which `test(lane)` holds.
template <typename Test> [[gnu::always_inline]] inline Lanes lanesWhere(Test test) {
  Lanes result = 0;
#pragma clang loop vectorize(assume_safety) unroll(disable)
  for (unsigned lane = 0; lane < warpLanes; ++lane) {
    result |= static_cast<Lanes>(test(lane)) << lane;
  }
  return result;
}

/// d = F(a), d = F(a, b), d = F(a, b, c), where the operands stand in this order.
template <typename F, typename D, typename A> Flow unary(Warp &warp, const Op &op, Lanes lanes) {
  D *d = warp.write<D>(op.operands[0]);
  const A *a = warp.read<A>(op.operands[1]);
  eachLane(lanes, [=](unsigned lane) { d[lane] = F()(a[lane]); });
  return Flow::Next;
}

template <typename F, typename D, typename A, typename B = A> Flow binary(Warp &warp, const Op &op, Lanes lanes) {
  D *d = warp.write<D>(op.operands[0]);
  const A *a = warp.read<A>(op.operands[1]);
  const B *b = warp.read<B>(op.operands[2]);
  eachLane(lanes, [=](unsigned lane) { d[lane] = F()(a[lane], b[lane]); });
  return Flow::Next;
}

template <typename F, typename D, typename A, typename B = A, typename C = D>
Flow ternary(Warp &warp, const Op &op, Lanes lanes) {
  D *d = warp.write<D>(op.operands[0]);
  const A *a = warp.read<A>(op.operands[1]);
  const B *b = warp.read<B>(op.operands[2]);
  const C *c = warp.read<C>(op.operands[3]);
  eachLane(lanes, [=](unsigned lane) { d[lane] = F()(a[lane], b[lane], c[lane]); });
  return Flow::Next;
}

/// Reads `count` operands of one type, the first a destination.
inline void sameTypes(Decoder &decoder, Op &op, ptx::Type type, unsigned count) {
  op.operands[0] = decoder.destination(0, type);
  for (unsigned i = 1; i < count; ++i) {
    op.operands[i] = decoder.source(i, type);
  }
  decoder.operandsEnd(count);
}

// clang-format off
VECTOR_CODE_END
// clang-format on

#endif
