// The fixed-width integers of device code, which includes no header of CUDA's or of the C library.
#pragma once

namespace elah {

using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned;
using int64_t = long long;
using uint64_t = unsigned long long;

/// Four 32-bit words, moved by one instruction.
struct alignas(16) Words4 {
  uint32_t x, y, z, w;
};
struct alignas(8) Words2 {
  uint32_t x, y;
};
struct alignas(16) Floats4 {
  float x, y, z, w;
};
struct alignas(8) Floats2 {
  float x, y;
};

} // namespace elah
