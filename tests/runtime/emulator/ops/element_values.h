#ifndef TESTS_RUNTIME_EMULATOR_OPS_ELEMENT_VALUES_H
#define TESTS_RUNTIME_EMULATOR_OPS_ELEMENT_VALUES_H

// The narrow formats that tensor cores multiply, by their definitions: what the tests compare with.

#include "ops/tile_product.h"
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace emulator {

/// A value of the format by its definition.
inline double valueOf(Element element, const std::byte *raw, unsigned index) {
  auto minifloat = [](uint32_t bits, int exponentBits, int fractionBits, bool infinities) -> double {
    int bias = (1 << (exponentBits - 1)) - 1;
    uint32_t exponent = bits >> fractionBits & ((1u << exponentBits) - 1), fraction = bits & ((1u << fractionBits) - 1);
    double sign = bits >> (exponentBits + fractionBits) & 1 ? -1 : 1;
    if (infinities && exponent == (1u << exponentBits) - 1) {
      return fraction ? NAN : sign * INFINITY;
    }
    if (!infinities && exponent == (1u << exponentBits) - 1 && fraction == (1u << fractionBits) - 1) {
      return NAN;
    }
    return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias - fractionBits)
                                 : std::ldexp(fraction + (1u << fractionBits), int(exponent) - bias - fractionBits));
  };
  uint8_t byte = static_cast<uint8_t>(raw[element == Element::B1 ? index / 8 : index]);
  uint16_t half = 0;
  uint32_t word = 0;
  switch (element) {
  case Element::E4M3:
    return minifloat(byte, 4, 3, false);
  case Element::E5M2:
    return minifloat(byte, 5, 2, true);
  case Element::F16:
    std::memcpy(&half, raw + 2 * index, 2);
    return minifloat(half, 5, 10, true);
  case Element::BF16:
    std::memcpy(&half, raw + 2 * index, 2);
    return minifloat(half, 8, 7, true);
  case Element::TF32:
    std::memcpy(&word, raw + 4 * index, 4);
    return minifloat(word >> 13, 8, 10, true);
  case Element::S8:
    return static_cast<int8_t>(byte);
  case Element::U8:
    return byte;
  case Element::B1:
    return byte >> (index % 8) & 1;
  }
  return 0;
}

/// Bytes whose values are finite and of moderate size.
inline std::vector<std::byte> someBytes(Element element, size_t count, std::mt19937 &random) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) {
    uint32_t r = random();
    switch (element) {
    case Element::E4M3:
      bytes[i] = std::byte((r & 0x80) | r % 0x7F);
      break;
    case Element::E5M2:
      bytes[i] = std::byte((r & 0x80) | r % 0x60);
      break;
    case Element::F16:
      bytes[i] = i % 2 ? std::byte((r & 0x80) | r % 0x48) : std::byte(r >> 8);
      break;
    case Element::BF16:
      bytes[i] = i % 2 ? std::byte((r & 0x80) | (0x3A + r % 8)) : std::byte(r >> 8);
      break;
    case Element::TF32:
      bytes[i] = i % 4 == 3 ? std::byte((r & 0x80) | (0x3A + r % 8)) : std::byte(r >> 8);
      break;
    default:
      bytes[i] = std::byte(r);
    }
  }
  return bytes;
}

} // namespace emulator

#endif
