#ifndef RUNTIME_EMULATOR_OPS_MATRIX_DESCRIPTOR_H
#define RUNTIME_EMULATOR_OPS_MATRIX_DESCRIPTOR_H

// wgmma finds its operands in shared memory through 64-bit descriptors (PTX ISA, "matrix descriptor format").
//
// A tile consists of core matrices, 8 rows of 16 bytes, where a row runs along K (K-major) or along M or N (MN-major).
// Layouts, in bytes from the start address, before swizzling, with W = span / 16 pieces in a row:
//
//   K-major   none:      row r, piece c:  (r % 8) * 16 + (r / 8) * SBO + c * LBO
//             swizzled:                   (r % 8) * W * 16 + (r / 8) * SBO + c * 16
//   MN-major  none:      piece m, row k:  (k % 8) * 16 + (k / 8) * LBO + m * SBO
//             swizzled:                   (k % 8) * W * 16 + (k / 8) * SBO + (m % W) * 16 + (m / W) * LBO

#include "ops/shared_swizzle.h"
#include <cstdint>

namespace emulator {

struct MatrixDescriptor {
  uint32_t start = 0;   ///< bits 0-13, in units of 16 bytes: an offset in shared memory
  uint32_t leading = 0; ///< bits 16-29, LBO
  uint32_t stride = 0;  ///< bits 32-45, SBO
  uint32_t phase = 0;   ///< bits 49-51, base offset
  SwizzleSpan span = SwizzleSpan::None;

  static MatrixDescriptor decode(uint64_t bits);
  uint64_t encode() const;

  /// Offset of the 16-byte piece `piece` of row `row`, of a K-major operand (rows along M or N).
  uint32_t kMajor(uint32_t row, uint32_t piece) const;
  /// Offset of the 16-byte piece `piece` along M or N at `k`, of an MN-major operand.
  uint32_t mnMajor(uint32_t piece, uint32_t k) const;
};

// In line: they are asked for every 16 bytes that a wgmma reads.

inline uint32_t MatrixDescriptor::kMajor(uint32_t row, uint32_t piece) const {
  uint32_t at = start + (row / 8) * stride;
  if (span == SwizzleSpan::None) {
    return at + (row % 8) * 16 + piece * leading;
  }
  return swizzled(at + (row % 8) * static_cast<uint32_t>(span) + piece * 16, span, phase);
}

inline uint32_t MatrixDescriptor::mnMajor(uint32_t piece, uint32_t k) const {
  if (span == SwizzleSpan::None) {
    return start + (k % 8) * 16 + (k / 8) * leading + piece * stride;
  }
  uint32_t width = static_cast<uint32_t>(span) / 16;
  uint32_t at = start + (k % 8) * static_cast<uint32_t>(span) + (k / 8) * stride + (piece % width) * 16 +
                (piece / width) * leading;
  return swizzled(at, span, phase);
}

} // namespace emulator

#endif
