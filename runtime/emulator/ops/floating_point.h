#ifndef RUNTIME_EMULATOR_OPS_FLOATING_POINT_H
#define RUNTIME_EMULATOR_OPS_FLOATING_POINT_H

// Numbers as PTX has them: flushing of subnormals (.ftz), saturation (.sat), canonical NaNs, and the 16-bit formats,
// which are computed with in wider ones.

#include "ops/lanes.h"
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

template <typename To, typename From> [[gnu::always_inline]] inline To bits(From from) {
  return __builtin_bit_cast(To, from);
}

/// A subnormal becomes a zero of its sign.
[[gnu::always_inline]] inline float flushed(float value) {
  const uint32_t word = bits<uint32_t>(value);
  return (word & 0x7f800000) == 0 ? bits<float>(word & 0x80000000) : value;
}

/// To [0, 1]; NaN becomes 0 (PTX ISA, `.sat`).
[[gnu::always_inline]] inline float saturated(float value) {
  const float low = value > 0.0f ? value : 0.0f; // Also for NaN.
  return low < 1.0f ? low : 1.0f;
}
[[gnu::always_inline]] inline double saturated(double value) {
  const double low = value > 0.0 ? value : 0.0;
  return low < 1.0 ? low : 1.0;
}

/// Single-precision results that are NaN are 0x7fffffff.
[[gnu::always_inline]] inline float canonical(float value) { return value == value ? value : bits<float>(0x7fffffffu); }
[[gnu::always_inline]] inline double canonical(double value) { return value; }

[[gnu::always_inline]] inline float fromHalf(uint16_t half) { return static_cast<float>(bits<_Float16>(half)); }
[[gnu::always_inline]] inline uint16_t toHalf(float value) {
  const uint16_t half = bits<uint16_t>(static_cast<_Float16>(value));
  return value == value ? half : 0x7fff;
}
[[gnu::always_inline]] inline float fromBfloat(uint16_t word) { return bits<float>(static_cast<uint32_t>(word) << 16); }
/// To nearest, ties to even.
[[gnu::always_inline]] inline uint16_t toBfloat(float value) {
  const uint32_t word = bits<uint32_t>(value);
  const uint16_t rounded = static_cast<uint16_t>((word + 0x7fff + (word >> 16 & 1)) >> 16);
  return value == value ? rounded : 0x7fff;
}

/// A format is a type of the memory, how to compute with it, and back. `Value` is wide enough that one operation in it,
/// rounded once more, is the operation rounded once: 24 >= 2 * 11 + 2 bits for f16 and bf16 (Figueroa, 1995).
struct F32 {
  using Memory = float;
  using Value = float;
  static Value load(Memory memory) { return memory; }
  static Memory store(Value value) { return canonical(value); }
};
struct F32Ftz {
  using Memory = float;
  using Value = float;
  static Value load(Memory memory) { return flushed(memory); }
  static Memory store(Value value) { return canonical(flushed(value)); }
};
struct F64 {
  using Memory = double;
  using Value = double;
  static Value load(Memory memory) { return memory; }
  static Memory store(Value value) { return value; }
};
struct F16 {
  using Memory = uint16_t;
  using Value = float;
  static Value load(Memory memory) { return fromHalf(memory); }
  static Memory store(Value value) { return toHalf(value); }
};
struct F16Ftz {
  using Memory = uint16_t;
  using Value = float;
  static uint16_t flush(uint16_t word) { return (word & 0x7c00) == 0 ? word & 0x8000 : word; }
  static Value load(Memory memory) { return fromHalf(flush(memory)); }
  static Memory store(Value value) { return flush(toHalf(value)); }
};
struct BF16 {
  using Memory = uint16_t;
  using Value = float;
  static Value load(Memory memory) { return fromBfloat(memory); }
  static Memory store(Value value) { return toBfloat(value); }
};

// clang-format off
VECTOR_CODE_END
// clang-format on

#endif
