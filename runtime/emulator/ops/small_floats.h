#ifndef RUNTIME_EMULATOR_OPS_SMALL_FLOATS_H
#define RUNTIME_EMULATOR_OPS_SMALL_FLOATS_H

// The formats below 16 bits, and tf32 (PTX ISA 5.2.3): e4m3 has no infinity and one NaN, 0x7f; e5m2 is the upper half
// of an f16.

#include "ops/floating_point.h"

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

/// To nearest even; what exceeds the largest value becomes that (`.satfinite`), NaN becomes 0x7f. `value` is clamped
/// before it is rounded, which is the same.
template <unsigned fractionBits, int bias> [[gnu::always_inline]] inline uint8_t toFp8(float value, float largest) {
  const uint32_t word = bits<uint32_t>(value), sign = word >> 24 & 0x80;
  const float magnitude = bits<float>(word & 0x7fffffff);
  const float clamped = magnitude < largest ? magnitude : largest;
  // Subnormals are multiples of 2^(1 - bias - fractionBits): adding 1.5 * 2^23 of those rounds to one.
  const float unit = bits<float>(static_cast<uint32_t>(127 + 23 + 1 - bias - static_cast<int>(fractionBits)) << 23);
  const uint32_t subnormal = bits<uint32_t>(clamped + unit) - bits<uint32_t>(unit);
  const uint32_t wide = bits<uint32_t>(clamped);
  constexpr unsigned dropped = 23 - fractionBits;
  const uint32_t rounded = wide + ((1u << (dropped - 1)) - 1) + (wide >> dropped & 1);
  const uint32_t normal = (rounded >> dropped) - (static_cast<uint32_t>(127 - bias) << fractionBits);
  const bool isNormal = wide >= static_cast<uint32_t>(127 + 1 - bias) << 23;
  const uint32_t code = magnitude == magnitude ? (isNormal ? normal : subnormal) : 0x7f;
  return static_cast<uint8_t>(code | (magnitude == magnitude ? sign : 0));
}
[[gnu::always_inline]] inline uint8_t toE4m3(float value) { return toFp8<3, 7>(value, 448.0f); }
[[gnu::always_inline]] inline uint8_t toE5m2(float value) { return toFp8<2, 15>(value, 57344.0f); }

[[gnu::always_inline]] inline uint16_t halfOfE5m2(uint8_t code) { return static_cast<uint16_t>(code << 8); }
/// An e4m3's fields one step up in an f16 are its value times 2^-8, subnormals included.
[[gnu::always_inline]] inline uint16_t halfOfE4m3(uint8_t code) {
  const uint16_t sign = static_cast<uint16_t>((code & 0x80) << 8), fields = static_cast<uint16_t>((code & 0x7f) << 7);
  const uint16_t value = toHalf(fromHalf(fields) * 256.0f);
  return (code & 0x7f) == 0x7f ? 0x7fff : sign | value;
}

// clang-format off
VECTOR_CODE_END
// clang-format on

#endif
