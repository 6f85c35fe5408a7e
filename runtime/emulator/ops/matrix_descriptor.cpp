#include "ops/matrix_descriptor.h"

namespace emulator {

MatrixDescriptor MatrixDescriptor::decode(uint64_t bits) {
  constexpr SwizzleSpan spans[4] = {SwizzleSpan::None, SwizzleSpan::B128, SwizzleSpan::B64, SwizzleSpan::B32};
  MatrixDescriptor descriptor;
  descriptor.start = (bits & 0x3FFF) << 4;
  descriptor.leading = ((bits >> 16) & 0x3FFF) << 4;
  descriptor.stride = ((bits >> 32) & 0x3FFF) << 4;
  descriptor.phase = (bits >> 49) & 7;
  descriptor.span = spans[bits >> 62];
  return descriptor;
}

uint64_t MatrixDescriptor::encode() const {
  uint64_t type = span == SwizzleSpan::B128 ? 1 : span == SwizzleSpan::B64 ? 2 : span == SwizzleSpan::B32 ? 3 : 0;
  return uint64_t(start >> 4 & 0x3FFF) | uint64_t(leading >> 4 & 0x3FFF) << 16 | uint64_t(stride >> 4 & 0x3FFF) << 32 |
         uint64_t(phase) << 49 | type << 62;
}

uint32_t MatrixDescriptor::kMajor(uint32_t row, uint32_t piece) const {
  uint32_t at = start + (row / 8) * stride;
  if (span == SwizzleSpan::None) {
    return at + (row % 8) * 16 + piece * leading;
  }
  return swizzled(at + (row % 8) * static_cast<uint32_t>(span) + piece * 16, span, phase);
}

uint32_t MatrixDescriptor::mnMajor(uint32_t piece, uint32_t k) const {
  if (span == SwizzleSpan::None) {
    return start + (k % 8) * 16 + (k / 8) * leading + piece * stride;
  }
  uint32_t width = static_cast<uint32_t>(span) / 16;
  uint32_t at = start + (k % 8) * static_cast<uint32_t>(span) + (k / 8) * stride + (piece % width) * 16 +
                (piece / width) * leading;
  return swizzled(at, span, phase);
}

} // namespace emulator
