#ifndef RUNTIME_PACKING_ELEMENT_FORMAT_H
#define RUNTIME_PACKING_ELEMENT_FORMAT_H

#include <cstdint>
#include <elah/manifest.pb.h>
#include <span>

namespace elah {

/// Bytes of one element; 0 for a format that there is not.
unsigned elementBytes(proto::ElementFormat format);

/// Widens elements to f32, exactly. `bytes` holds `values.size()` elements, little-endian.
void widen(proto::ElementFormat format, const uint8_t *bytes, std::span<float> values);

/// Rounds f32 values to the nearest element, ties to even. Not defined for F8E4M3: no recipe makes
/// new FP8 weights.
void narrow(proto::ElementFormat format, std::span<const float> values, uint8_t *bytes);

} // namespace elah

#endif
