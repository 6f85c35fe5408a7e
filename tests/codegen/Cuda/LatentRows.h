// Rows of an FP8 cache of latents as the references of tests see them, element by element.
#ifndef TESTS_CODEGEN_CUDA_LATENTROWS_H
#define TESTS_CODEGEN_CUDA_LATENTROWS_H

#include "dialects/Kernel/LatentRow.h"
#include "tests/codegen/Cuda/Values.h"
#include <algorithm>

namespace elah::cuda {

/// The nearest e4m3, of two the even one.
inline uint8_t e4m3Of(double value) {
  uint8_t nearest = 0;
  for (int bits = 1; bits < 0x7f; ++bits) {
    const double distance = std::abs(valueOfE4M3(static_cast<uint8_t>(bits)) - std::abs(value)),
                 least = std::abs(valueOfE4M3(nearest) - std::abs(value));
    nearest = distance < least || (distance == least && bits % 2 == 0) ? static_cast<uint8_t>(bits) : nearest;
  }
  return static_cast<uint8_t>(nearest | (std::signbit(value) ? 0x80 : 0));
}

/// The least power of two that takes a block's values into the range of e4m3.
inline float latentScaleOf(const double *values, int64_t count) {
  double largest = kernel::Fp8LatentRow::smallestAmax;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(values[i]));
  }
  double scale = kernel::Fp8LatentRow::largestScale;
  while (scale * 224 >= largest) {
    scale /= 2;
  }
  return static_cast<float>(scale);
}

/// The value of column `i` of a row.
inline double valueInLatentRow(const kernel::Fp8LatentRow &layout, const uint8_t *row, int64_t i) {
  if (i >= layout.rank) {
    uint16_t bits;
    std::memcpy(&bits, row + layout.ropeOffset() + 2 * (i - layout.rank), 2);
    return valueOfBF16(bits);
  }
  float scale;
  std::memcpy(&scale, row + layout.scalesOffset() + 4 * (i / layout.blockValues), 4);
  return scale * valueOfE4M3(row[i]);
}

/// Writes a row of these values.
inline void storeLatentRow(const kernel::Fp8LatentRow &layout, const std::vector<double> &values, uint8_t *row) {
  for (int64_t block = 0; block < layout.blocks(); ++block) {
    const int64_t begin = block * layout.blockValues, end = std::min(begin + layout.blockValues, layout.rank);
    const float scale = latentScaleOf(&values[static_cast<size_t>(begin)], end - begin);
    std::memcpy(row + layout.scalesOffset() + 4 * block, &scale, 4);
    for (int64_t i = begin; i < end; ++i) {
      row[i] = e4m3Of(values[static_cast<size_t>(i)] / scale);
    }
  }
  for (int64_t i = 0; i < layout.ropeDim; ++i) {
    const uint16_t bits = bf16Of(static_cast<float>(values[static_cast<size_t>(layout.rank + i)]));
    std::memcpy(row + layout.ropeOffset() + 2 * i, &bits, 2);
  }
}

} // namespace elah::cuda

#endif
