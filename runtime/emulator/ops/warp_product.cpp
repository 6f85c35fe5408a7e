#include "ops/warp_product.h"
#include "ops/warpgroup_product.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace emulator {

namespace {

using Type = WarpProduct::Type;
using Accumulator = WarpProduct::Accumulator;
constexpr unsigned lanes = 32;

/// rows[row][bytes along K] of A (`isA`) or B.
void unpack(const void *const *registers, unsigned count, bool isA, bool eightRows, unsigned rowBytes,
            std::byte *rows) {
  for (unsigned r = 0; r < count; ++r) {
    const unsigned half = isA && !eightRows ? r % 2 : 0, step = isA && !eightRows ? r / 2 : r;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      std::memcpy(rows + (lane / 4 + 8 * half) * rowBytes + 4 * (lane % 4) + 16 * step,
                  static_cast<const uint32_t *>(registers[r]) + lane, 4);
    }
  }
}

Element elementOf(Type type) {
  switch (type) {
  case Type::F16:
    return Element::F16;
  case Type::BF16:
    return Element::BF16;
  case Type::TF32:
    return Element::TF32;
  case Type::E4M3:
    return Element::E4M3;
  case Type::E5M2:
    return Element::E5M2;
  case Type::U8:
  case Type::U4:
    return Element::U8;
  default:
    return Element::S8;
  }
}

/// 4-bit elements to bytes.
void spreadNibbles(Type type, const std::byte *packed, unsigned count, std::byte *bytes) {
  for (unsigned i = 0; i < count; ++i) {
    uint8_t nibble = static_cast<uint8_t>(packed[i / 2]) >> (i % 2 * 4) & 0xF;
    bytes[i] = std::byte(type == Type::S4 && nibble >= 8 ? nibble | 0xF0 : nibble);
  }
}

void multiplyDoubles(const WarpProduct &product, const void *const *a, const void *const *b, const void *const *c,
                     void *const *d) {
  double left[16][16] = {}, right[8][16] = {}, sums[16][8] = {};
  for (unsigned r = 0; r < product.registersA(); ++r) {
    for (unsigned lane = 0; lane < lanes; ++lane) {
      unsigned row = product.m == 8 ? lane / 4 : lane / 4 + 8 * (r % 2);
      left[row][lane % 4 + 4 * (product.m == 8 ? r : r / 2)] = static_cast<const double *>(a[r])[lane];
    }
  }
  for (unsigned r = 0; r < product.registersB(); ++r) {
    for (unsigned lane = 0; lane < lanes; ++lane) {
      right[lane / 4][lane % 4 + 4 * r] = static_cast<const double *>(b[r])[lane];
    }
  }
  const unsigned results = product.registersC(Accumulator::F64);
  for (unsigned e = 0; e < results; ++e) {
    for (unsigned lane = 0; lane < lanes; ++lane) {
      double &sum = sums[lane / 4 + 8 * (e / 2)][2 * (lane % 4) + e % 2];
      sum = static_cast<const double *>(c[e])[lane];
    }
  }
  for (unsigned row = 0; row < product.m; ++row) {
    for (unsigned column = 0; column < 8; ++column) {
      for (unsigned at = 0; at < product.k; ++at) {
        sums[row][column] = std::fma(left[row][at], right[column][at], sums[row][column]);
      }
    }
  }
  for (unsigned e = 0; e < results; ++e) {
    for (unsigned lane = 0; lane < lanes; ++lane) {
      static_cast<double *>(d[e])[lane] = sums[lane / 4 + 8 * (e / 2)][2 * (lane % 4) + e % 2];
    }
  }
}

void countBits(const WarpProduct &product, const std::byte *a, const std::byte *b, unsigned rowBytes,
               uint32_t (*sums)[lanes]) {
  for (unsigned e = 0; e < product.registersC(Accumulator::S32); ++e) {
    for (unsigned lane = 0; lane < lanes; ++lane) {
      const std::byte *left = a + (lane / 4 + 8 * (e / 2)) * rowBytes, *right = b + (2 * (lane % 4) + e % 2) * rowBytes;
      for (unsigned i = 0; i < rowBytes; ++i) {
        std::byte both = product.exclusiveOr ? left[i] ^ right[i] : left[i] & right[i];
        sums[e][lane] += static_cast<uint32_t>(std::popcount(static_cast<uint8_t>(both)));
      }
    }
  }
}

} // namespace

unsigned bitsOf(WarpProduct::Type type) {
  switch (type) {
  case Type::F64:
    return 64;
  case Type::TF32:
    return 32;
  case Type::F16:
  case Type::BF16:
    return 16;
  case Type::S4:
  case Type::U4:
    return 4;
  case Type::B1:
    return 1;
  default:
    return 8;
  }
}

unsigned WarpProduct::registersA() const { return m * k * bitsOf(a) / lanes / (a == Type::F64 ? 64 : 32); }
unsigned WarpProduct::registersB() const { return 8 * k * bitsOf(b) / lanes / (b == Type::F64 ? 64 : 32); }
unsigned WarpProduct::registersC(Accumulator type) const { return m * 8 / lanes / (type == Accumulator::F16 ? 2 : 1); }

void multiplyWarp(const WarpProduct &product, const void *const *a, const void *const *b, const void *const *c,
                  void *const *d, Numerics numerics) {
  if (product.a == Type::F64) {
    multiplyDoubles(product, a, b, c, d);
    return;
  }
  const unsigned rowBytes = product.k * bitsOf(product.a) / 8;
  std::byte rowsA[16 * wgmmaRowBytes] = {}, rowsB[8 * wgmmaRowBytes] = {};
  unpack(a, product.registersA(), true, product.m == 8, rowBytes, rowsA);
  unpack(b, product.registersB(), false, false, rowBytes, rowsB);

  // The accumulators in a place of their own: four registers, or two of f16 pairs, of which 8-row shapes use half.
  uint32_t sums[4][lanes] = {};
  const bool halves = product.accumulator == Accumulator::F16;
  const unsigned count = product.registersC(product.accumulator);
  if (product.addend == product.accumulator) {
    for (unsigned r = 0; r < count; ++r) {
      std::memcpy(sums[r], c[r], sizeof(sums[r]));
    }
  } else if (halves) { // c is f32
    for (unsigned e = 0; e < product.registersC(Accumulator::F32); ++e) {
      for (unsigned lane = 0; lane < lanes; ++lane) {
        _Float16 value = static_cast<_Float16>(static_cast<const float *>(c[e])[lane]);
        sums[e / 2][lane] |= uint32_t(std::bit_cast<uint16_t>(value)) << (e % 2 * 16);
      }
    }
  } else { // c is f16
    for (unsigned e = 0; e < product.registersC(Accumulator::F32); ++e) {
      for (unsigned lane = 0; lane < lanes; ++lane) {
        uint32_t pair = static_cast<const uint32_t *>(c[e / 2])[lane];
        float value = std::bit_cast<_Float16>(static_cast<uint16_t>(pair >> (e % 2 * 16)));
        sums[e][lane] = std::bit_cast<uint32_t>(value);
      }
    }
  }

  if (product.a == Type::B1) {
    countBits(product, rowsA, rowsB, rowBytes, sums);
  } else {
    // A wgmma of 8 columns has the same fragments; K is cut into its 32 bytes, padded with zeros.
    WgmmaShape shape;
    shape.n = 8;
    shape.a = elementOf(product.a);
    shape.b = elementOf(product.b);
    shape.saturate = product.saturate;
    shape.accumulator = halves                                    ? WgmmaShape::Accumulator::F16
                        : product.accumulator == Accumulator::F32 ? WgmmaShape::Accumulator::F32
                                                                  : WgmmaShape::Accumulator::S32;
    std::byte *pointers[4];
    for (unsigned r = 0; r < 4; ++r) {
      pointers[r] = reinterpret_cast<std::byte *>(sums[r]);
    }
    const bool nibbles = product.a == Type::S4 || product.a == Type::U4;
    const unsigned chunkBytes = nibbles ? wgmmaRowBytes / 2 : wgmmaRowBytes;
    for (unsigned at = 0; at < rowBytes; at += chunkBytes) {
      std::byte chunkA[16 * wgmmaRowBytes] = {}, chunkB[8 * wgmmaRowBytes] = {};
      auto cut = [&](Type type, const std::byte *rows, unsigned rowCount, std::byte *chunk) {
        for (unsigned row = 0; row < rowCount; ++row) {
          const std::byte *from = rows + row * rowBytes + at;
          if (nibbles) {
            spreadNibbles(type, from, wgmmaRowBytes, chunk + row * wgmmaRowBytes);
          } else {
            std::memcpy(chunk + row * wgmmaRowBytes, from, std::min(chunkBytes, rowBytes - at));
          }
        }
      };
      cut(product.a, rowsA, product.m, chunkA);
      cut(product.b, rowsB, 8, chunkB);
      multiplyWarpgroupShare(shape, chunkA, false, chunkB, true, numerics, pointers);
    }
  }
  for (unsigned r = 0; r < count; ++r) {
    std::memcpy(d[r], sums[r], sizeof(sums[r]));
  }
}

} // namespace emulator
