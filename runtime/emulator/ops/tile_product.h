#ifndef RUNTIME_EMULATOR_OPS_TILE_PRODUCT_H
#define RUNTIME_EMULATOR_OPS_TILE_PRODUCT_H

// One warp's share of a wgmma: 16 rows of A times B, added to accumulators where they lie, in the warp's registers.
//
// Accumulator register r = 4j + 2h + c of lane 4i + q holds row i + 8h, column 8j + 2q + c (PTX ISA, "wgmma, register
// fragments"), and a register is an array of 32 floats by lane. So 16 lanes are 4 rows by 4 columns: A is kept with
// every value repeated for 4 lanes, B with the 4 columns of a lane group side by side, and the product is a broadcast
// load and a fused multiply-add for each 16 lanes. All narrow formats become f32 first: their products are exact there
// (at most 22 bits), and so are sums of 8-bit integer products over one instruction's K.

#include <cstddef>
#include <cstdint>

namespace emulator {

enum class Element : uint8_t { F16, BF16, TF32, E4M3, E5M2, S8, U8, B1 };

unsigned bitsOf(Element element);

/// Bytes along K that one wgmma takes of a row, for every element type.
constexpr unsigned wgmmaRowBytes = 32;

/// `count` packed elements as f32. B1 gives 0 and 1.
void widen(Element element, const std::byte *packed, unsigned count, float *values);

/// From values[16][k] to the layout of A: [k][4][16], each row's value four times.
void arrangeRows(const float *values, unsigned k, bool negate, float *a);
/// From values[n][k] to the layout of B: [k][n], columns 8j + 2q + c at 8j + 4c + q.
void arrangeColumns(const float *values, unsigned n, unsigned k, bool negate, float *b);
/// As above from values[k][n]: an MN-major operand.
void arrangeColumnsTransposed(const float *values, unsigned n, unsigned k, bool negate, float *b);

/// accumulators[r][lane] += A * B for r in [0, n / 2). n is a multiple of 8.
void multiplyTile(const float *a, const float *b, unsigned n, unsigned k, float *const *accumulators);

} // namespace emulator

#endif
