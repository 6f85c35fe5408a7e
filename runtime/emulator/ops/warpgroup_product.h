#ifndef RUNTIME_EMULATOR_OPS_WARPGROUP_PRODUCT_H
#define RUNTIME_EMULATOR_OPS_WARPGROUP_PRODUCT_H

// The arithmetic of wgmma for one of the four warps, from raw operand bytes to accumulators: no machine in it.

#include "machine/options.h"
#include "ops/matrix_descriptor.h"
#include "ops/tile_product.h"
#include <vector>

namespace emulator {

struct WgmmaShape {
  enum class Accumulator : uint8_t { F32, F16, S32 } accumulator = Accumulator::F32;
  Element a = Element::F16, b = Element::F16;
  unsigned n = 8;
  bool transposeA = false, transposeB = false; ///< MN-major
  bool negateA = false, negateB = false;
  bool saturate = false;

  unsigned k() const { return wgmmaRowBytes * 8 / bitsOf(a); }
  /// Registers that hold the warp's rows.
  unsigned accumulatorRegisters() const { return accumulator == Accumulator::F16 ? n / 4 : n / 2; }
};

/// An operand as it lies in shared memory, piece by piece. K-major: [row][32 bytes]; MN-major: [k][row].
/// `gather` calls `piece(offset, to)` for each 16 bytes; rows are [firstRow, firstRow + rows).
template <typename Piece>
void gather(const MatrixDescriptor &descriptor, bool transposed, unsigned firstRow, unsigned rows, std::byte *raw,
            Piece piece) {
  if (!transposed) {
    for (unsigned row = 0; row < rows; ++row) {
      for (unsigned half = 0; half < 2; ++half) {
        piece(descriptor.kMajor(firstRow + row, half), raw + row * wgmmaRowBytes + half * 16);
      }
    }
    return;
  }
  for (unsigned k = 0; k < 16; ++k) { // 16-bit elements, 8 in a piece.
    for (unsigned eight = 0; eight < rows / 8; ++eight) {
      piece(descriptor.mnMajor(firstRow / 8 + eight, k), raw + k * rows * 2 + eight * 16);
    }
  }
}

/// accumulators = (keeps ? accumulators : 0) + A * B; `registers[r]` are 32 words of a register. `rawA` holds the
/// warp's 16 rows, `rawB` n columns, both as `gather` leaves them (A from registers: K-major).
void multiplyWarpgroupShare(const WgmmaShape &shape, const std::byte *rawA, bool transposedA, const std::byte *rawB,
                            bool keeps, Numerics numerics, std::byte *const *registers);

} // namespace emulator

#endif
