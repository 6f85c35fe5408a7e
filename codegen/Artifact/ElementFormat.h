#ifndef CODEGEN_ARTIFACT_ELEMENTFORMAT_H
#define CODEGEN_ARTIFACT_ELEMENTFORMAT_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace elah {

/// How the bytes of a stored weight stand for numbers.
enum class ElementFormat : uint8_t { F32, BF16, F16, F8E4M3 };

unsigned elementBytes(ElementFormat format);

/// Widens elements to f32, exactly. `bytes` holds `values.size()` elements, little-endian.
void widen(ElementFormat format, const char *bytes, llvm::MutableArrayRef<float> values);

/// Rounds f32 values to the nearest element, ties to even. Not defined for F8E4M3: no recipe makes new FP8 weights.
void narrow(ElementFormat format, llvm::ArrayRef<float> values, char *bytes);

} // namespace elah

#endif
