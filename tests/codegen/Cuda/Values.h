// Narrow types as the references of tests see them, and values to fill memory with.
#ifndef TESTS_CODEGEN_CUDA_VALUES_H
#define TESTS_CODEGEN_CUDA_VALUES_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace elah::cuda {

inline double valueOfE4M3(uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  double value = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  if ((bits & 0x7f) == 0x7f) {
    value = std::nan("");
  }
  return bits & 0x80 ? -value : value;
}

inline uint16_t bf16Of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline double valueOfBF16(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

inline std::vector<uint16_t> bf16Of(const std::vector<float> &values) {
  std::vector<uint16_t> bits;
  for (float value : values) {
    bits.push_back(bf16Of(value));
  }
  return bits;
}

inline std::vector<float> normalValues(size_t count, uint64_t seed, float deviation = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float &value : values) {
    value = normal(random);
  }
  return values;
}

/// The values, and behind them what no kernel may use: NaN, or an index of nothing.
inline std::vector<float> paddedTo(size_t count, std::vector<float> values) {
  values.resize(count, std::nanf(""));
  return values;
}
inline std::vector<uint16_t> paddedTo(size_t count, std::vector<uint16_t> values) {
  values.resize(count, 0xffff);
  return values;
}
inline std::vector<uint8_t> paddedTo(size_t count, std::vector<uint8_t> values) {
  values.resize(count, 0xff);
  return values;
}
inline std::vector<int32_t> paddedTo(size_t count, std::vector<int32_t> values) {
  values.resize(count, 0x7ffffff0);
  return values;
}

} // namespace elah::cuda

#endif
