#include "ops/tensor_core_numerics.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace emulator {

namespace {

/// Cuts the magnitude of `value` off at a multiple of 2^exponent.
int64_t cutOff(double value, int exponent) { return static_cast<int64_t>(std::ldexp(value, -exponent)); }

float addBlock(float accumulator, const float *a, const float *b, unsigned count, const TensorCoreWidths &widths) {
  int largest = -100000;
  bool special = !std::isfinite(accumulator);
  float plain = accumulator;
  for (unsigned i = 0; i < count; ++i) {
    plain += a[i] * b[i];
    special |= !std::isfinite(a[i]) || !std::isfinite(b[i]);
    if (a[i] != 0 && b[i] != 0) { // The product's exponent before it is normalised.
      largest = std::max(largest, std::ilogb(a[i]) + std::ilogb(b[i]));
    }
  }
  if (special) {
    return plain;
  }
  if (accumulator != 0) {
    largest = std::max(largest, std::ilogb(accumulator));
  }
  if (largest == -100000) {
    return 0;
  }
  const int unit = largest - widths.aligned;
  int64_t sum = cutOff(accumulator, unit);
  for (unsigned i = 0; i < count; ++i) {
    sum += cutOff(static_cast<double>(a[i]) * b[i], unit);
  }
  if (sum == 0) {
    return 0;
  }
  // The result keeps accumulator + 1 significant bits, fewer below f32's least exponent.
  int exponent = std::ilogb(static_cast<double>(std::abs(sum))) + unit;
  int last = std::max(exponent, -126) - widths.accumulator;
  if (last > unit) {
    int64_t magnitude = std::abs(sum) >> (last - unit) << (last - unit);
    sum = sum < 0 ? -magnitude : magnitude;
  }
  return static_cast<float>(std::ldexp(static_cast<double>(sum), unit));
}

} // namespace

TensorCoreWidths hopperWidths(Element element) {
  switch (element) {
  case Element::E4M3:
  case Element::E5M2:
    return {32, 13, 13};
  case Element::TF32:
    return {8, 25, 23};
  default:
    return {16, 25, 23};
  }
}

float tensorCoreDot(float accumulator, const float *a, const float *b, unsigned count, const TensorCoreWidths &widths) {
  for (unsigned i = 0; i < count; i += widths.block) {
    accumulator = addBlock(accumulator, a + i, b + i, std::min(widths.block, count - i), widths);
  }
  return accumulator;
}

} // namespace emulator
