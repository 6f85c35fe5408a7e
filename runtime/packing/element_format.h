#ifndef RUNTIME_PACKING_ELEMENT_FORMAT_H
#define RUNTIME_PACKING_ELEMENT_FORMAT_H

#include <cstdint>
#include <elah/manifest.pb.h>
#include <span>

namespace elah {

/// Bits of one element; 0 for a format that there is not.
unsigned elementBits(proto::ElementFormat format);

/// Whether elements are integers that count from a zero point.
bool isInteger(proto::ElementFormat format);

/// Whole bytes that hold so many elements.
uint64_t bytesOf(proto::ElementFormat format, uint64_t elements);

/// Widens elements to f32, exactly. `bytes` holds `values.size()` elements, little-endian; of U4 two a byte, the lower
/// half first.
void widen(proto::ElementFormat format, const uint8_t *bytes, std::span<float> values);

/// Rounds f32 values to the nearest element, ties to even. Not defined for F8E4M3 and integers: no recipe makes
/// new ones.
void narrow(proto::ElementFormat format, std::span<const float> values, uint8_t *bytes);

} // namespace elah

#endif
