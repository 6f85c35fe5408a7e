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

} // namespace emulator
