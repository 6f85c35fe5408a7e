#ifndef RUNTIME_EMULATOR_OPS_WARP_PRODUCT_H
#define RUNTIME_EMULATOR_OPS_WARP_PRODUCT_H

// The arithmetic of mma.sync: one warp's D = A B + C, from registers to registers; no machine in it.
//
// Fragments (PTX ISA 9.7.14.5, "matrix fragments"), with w = elements in a 32-bit register (1 for f64), lane 4i + q:
//   A  register r: row i + 8 (r % 2), elements w q + 4 w (r / 2) + 0..w-1 along K (8-row shapes: r = 0 alone)
//   B  register r: column i, elements w q + 4 w r + 0..w-1 along K
//   C  element e: row i + 8 (e / 2), column 2q + e % 2 (f16: elements 2r and 2r + 1 in register r)

#include "machine/options.h"
#include "ops/tile_product.h"

namespace emulator {

struct WarpProduct {
  enum class Type : uint8_t { F16, BF16, TF32, E4M3, E5M2, F64, S8, U8, S4, U4, B1 } a = Type::F16, b = Type::F16;
  enum class Accumulator : uint8_t { F16, F32, F64, S32 } accumulator = Accumulator::F32, addend = Accumulator::F32;
  unsigned m = 16, k = 16; ///< N is 8
  bool saturate = false;
  bool exclusiveOr = false; ///< b1: xor.popc, else and.popc

  unsigned registersA() const, registersB() const, registersC(Accumulator type) const;
};

unsigned bitsOf(WarpProduct::Type type);

/// Each pointer leads to a register's 32 values (uint32_t, or double for F64). `d` may be among the others.
void multiplyWarp(const WarpProduct &product, const void *const *a, const void *const *b, const void *const *c,
                  void *const *d, Numerics numerics);

} // namespace emulator

#endif
