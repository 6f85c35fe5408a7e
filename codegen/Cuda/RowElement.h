#ifndef CODEGEN_CUDA_ROWELEMENT_H
#define CODEGEN_CUDA_ROWELEMENT_H

#include <cstdint>
#include <string>

namespace elah::cuda {

/// Types of values in rows. Counterpart: kernels/values.cuh.
enum class RowElement { F32, BF16, F16 };

inline std::string nameOf(RowElement element) {
  return element == RowElement::F32 ? "Element::F32" : element == RowElement::BF16 ? "Element::BF16" : "Element::F16";
}

/// Quantized rows have a scale for 128 values, and as many scales as a multiple of four. A thread has units of values.
inline int64_t quantizedUnits(int64_t width, int64_t unit) { return (width + 511) / 512 * (512 / unit); }

} // namespace elah::cuda

#endif
