#include "ops/tile_product.h"
#include "ops/host_vectors.h"
#include <cstring>

// The core is written with vector types of 16 floats, which the compiler lowers to what the processor has; it is
// compiled three times, and the best version that runs here is chosen once.

namespace emulator {

namespace {

using Floats = float __attribute__((vector_size(64), aligned(4)));
using Words = uint32_t __attribute__((vector_size(64), aligned(4)));
using Bytes16 = uint8_t __attribute__((vector_size(16), aligned(1)));
using SignedBytes16 = int8_t __attribute__((vector_size(16), aligned(1)));
using Halves16 = uint16_t __attribute__((vector_size(32), aligned(1)));
using Quad = float __attribute__((vector_size(16), aligned(4)));

#define ELAH_INLINE __attribute__((always_inline)) inline

/// A format with a sign bit, an exponent of bias 127 - `rebias` and a fraction; magnitudes from `specialFrom` on are
/// infinite or NaN. Subnormals go through an integer conversion: as f32 subnormals they would be slow.
ELAH_INLINE Floats widenSmallFloat(Words bits, unsigned signBit, unsigned fractionBits, unsigned rebias,
                                   uint32_t specialFrom) {
  Words magnitude = bits & ((1u << signBit) - 1);
  Words shifted = magnitude << (23 - fractionBits);
  Floats subnormal =
      __builtin_convertvector(magnitude, Floats) * __builtin_bit_cast(float, (1 + rebias - fractionBits) << 23);
  Words tiny;
  std::memcpy(&tiny, &subnormal, sizeof(tiny));
  Words special = (Words)(magnitude >= specialFrom), small = (Words)(magnitude < (1u << fractionBits));
  Words result =
      (special & (shifted | 0x7F800000u)) | (small & tiny) | (~(special | small) & (shifted + (rebias << 23)));
  result |= (bits >> signBit) << 31;
  Floats value;
  std::memcpy(&value, &result, sizeof(value));
  return value;
}

ELAH_INLINE Floats widen16(Element element, const std::byte *packed) {
  auto bytes = [&] {
    Bytes16 raw;
    std::memcpy(&raw, packed, sizeof(raw));
    return __builtin_convertvector(raw, Words);
  };
  auto halves = [&] {
    Halves16 raw;
    std::memcpy(&raw, packed, sizeof(raw));
    return __builtin_convertvector(raw, Words);
  };
  Floats value;
  Words bits;
  switch (element) {
  case Element::E4M3: // Bias 7, no infinity; 0x7F is NaN.
    return widenSmallFloat(bytes(), 7, 3, 120, 0x7F);
  case Element::E5M2: // The upper half of an f16.
    return widenSmallFloat(bytes(), 7, 2, 112, 0x7C);
  case Element::F16:
    return widenSmallFloat(halves(), 15, 10, 112, 0x7C00);
  case Element::BF16:
    bits = halves() << 16;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  case Element::TF32: // The lower 13 bits are not looked at.
    std::memcpy(&bits, packed, sizeof(bits));
    bits &= 0xFFFFE000u;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  case Element::U8:
    return __builtin_convertvector(bytes(), Floats);
  case Element::S8: {
    SignedBytes16 raw;
    std::memcpy(&raw, packed, sizeof(raw));
    return __builtin_convertvector(raw, Floats);
  }
  case Element::B1: {
    uint16_t raw;
    std::memcpy(&raw, packed, sizeof(raw));
    constexpr Words lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return __builtin_convertvector((uint32_t(raw) >> lanes) & 1u, Floats);
  }
  }
  return Floats{};
}

template <Element element> ELAH_INLINE void widenAll(const std::byte *packed, unsigned count, float *values) {
  constexpr unsigned bits = element == Element::TF32                              ? 32
                            : element == Element::F16 || element == Element::BF16 ? 16
                            : element == Element::B1                              ? 1
                                                                                  : 8;
  for (unsigned i = 0; i < count; i += 16) {
    Floats value = widen16(element, packed + i * bits / 8);
    std::memcpy(values + i, &value, sizeof(value));
  }
}

ELAH_INLINE void widenCore(Element element, const std::byte *packed, unsigned count, float *values) {
  switch (element) {
  case Element::F16:
    return widenAll<Element::F16>(packed, count, values);
  case Element::BF16:
    return widenAll<Element::BF16>(packed, count, values);
  case Element::TF32:
    return widenAll<Element::TF32>(packed, count, values);
  case Element::E4M3:
    return widenAll<Element::E4M3>(packed, count, values);
  case Element::E5M2:
    return widenAll<Element::E5M2>(packed, count, values);
  case Element::S8:
    return widenAll<Element::S8>(packed, count, values);
  case Element::U8:
    return widenAll<Element::U8>(packed, count, values);
  case Element::B1:
    return widenAll<Element::B1>(packed, count, values);
  }
}

/// rows[i][j] to rows[j][i].
ELAH_INLINE void transpose(Quad (&rows)[4]) {
  Quad low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
  Quad high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
  Quad low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
  Quad high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
  rows[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  rows[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  rows[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  rows[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

ELAH_INLINE void arrangeRowsCore(const float *values, unsigned k, bool negate, float *a) {
  const float sign = negate ? -1 : 1;
  for (unsigned group = 0; group < 4; ++group) {
    for (unsigned at = 0; at < k; at += 4) {
      Quad rows[4];
      for (unsigned i = 0; i < 4; ++i) {
        std::memcpy(&rows[i], values + (group * 4 + i) * k + at, sizeof(Quad));
      }
      transpose(rows);
      for (unsigned i = 0; i < 4; ++i) {
        Floats repeated =
            __builtin_shufflevector(rows[i], rows[i], 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3) * sign;
        std::memcpy(a + (at + i) * 64 + group * 16, &repeated, sizeof(repeated));
      }
    }
  }
}

ELAH_INLINE void arrangeColumnsCore(const float *values, unsigned n, unsigned k, bool negate, float *b) {
  const float sign = negate ? -1 : 1;
  for (unsigned group = 0; group < n / 4; ++group) { // j = group / 2, c = group % 2
    const float *first = values + (group / 2 * 8 + group % 2) * k;
    for (unsigned at = 0; at < k; at += 4) {
      Quad rows[4];
      for (unsigned i = 0; i < 4; ++i) {
        std::memcpy(&rows[i], first + 2 * i * k + at, sizeof(Quad));
      }
      transpose(rows);
      for (unsigned i = 0; i < 4; ++i) {
        Quad quad = rows[i] * sign;
        std::memcpy(b + (at + i) * n + group * 4, &quad, sizeof(quad));
      }
    }
  }
}

/// `groups` groups of 4 columns, all of K, in registers.
template <unsigned groups>
ELAH_INLINE void multiplyBlock(const float *a, const float *b, unsigned n, unsigned k, float *const *accumulators,
                               unsigned firstGroup) {
#pragma clang fp contract(fast)
  Floats sums[groups][4];
  for (unsigned g = 0; g < groups; ++g) {
    for (unsigned part = 0; part < 4; ++part) { // part = 2h + upper lanes
      const float *from = accumulators[(firstGroup + g) / 2 * 4 + part / 2 * 2 + (firstGroup + g) % 2] + part % 2 * 16;
      std::memcpy(&sums[g][part], from, sizeof(Floats));
    }
  }
  for (unsigned at = 0; at < k; ++at) {
    Floats rows[4];
    std::memcpy(rows, a + at * 64, sizeof(rows));
    for (unsigned g = 0; g < groups; ++g) {
      Quad quad;
      std::memcpy(&quad, b + at * n + (firstGroup + g) * 4, sizeof(quad));
      Floats columns = __builtin_shufflevector(quad, quad, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
      for (unsigned part = 0; part < 4; ++part) {
        sums[g][part] = rows[part] * columns + sums[g][part];
      }
    }
  }
  for (unsigned g = 0; g < groups; ++g) {
    for (unsigned part = 0; part < 4; ++part) {
      float *to = accumulators[(firstGroup + g) / 2 * 4 + part / 2 * 2 + (firstGroup + g) % 2] + part % 2 * 16;
      std::memcpy(to, &sums[g][part], sizeof(Floats));
    }
  }
}

ELAH_INLINE void multiplyCore(const float *a, const float *b, unsigned n, unsigned k, float *const *accumulators) {
  unsigned group = 0;
  for (; group + 4 <= n / 4; group += 4) {
    multiplyBlock<4>(a, b, n, k, accumulators, group);
  }
  for (; group < n / 4; group += 2) {
    multiplyBlock<2>(a, b, n, k, accumulators, group);
  }
}

struct Version {
  void (*widen)(Element, const std::byte *, unsigned, float *);
  void (*arrangeRows)(const float *, unsigned, bool, float *);
  void (*arrangeColumns)(const float *, unsigned, unsigned, bool, float *);
  void (*multiply)(const float *, const float *, unsigned, unsigned, float *const *);
};

#define ELAH_VERSION(name, attributes)                                                                                 \
  namespace name {                                                                                                     \
  attributes void widen(Element element, const std::byte *packed, unsigned count, float *values) {                     \
    widenCore(element, packed, count, values);                                                                         \
  }                                                                                                                    \
  attributes void arrangeRows(const float *values, unsigned k, bool negate, float *a) {                                \
    arrangeRowsCore(values, k, negate, a);                                                                             \
  }                                                                                                                    \
  attributes void arrangeColumns(const float *values, unsigned n, unsigned k, bool negate, float *b) {                 \
    arrangeColumnsCore(values, n, k, negate, b);                                                                       \
  }                                                                                                                    \
  attributes void multiply(const float *a, const float *b, unsigned n, unsigned k, float *const *accumulators) {       \
    multiplyCore(a, b, n, k, accumulators);                                                                            \
  }                                                                                                                    \
  constexpr Version version = {widen, arrangeRows, arrangeColumns, multiply};                                          \
  }

ELAH_VERSION(portable, )
#if defined(__x86_64__)
ELAH_VERSION(avx2, __attribute__((target("avx2,fma"))))
ELAH_VERSION(avx512, __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"), min_vector_width(512))))
#endif
#undef ELAH_VERSION

const Version &chosen() {
#if defined(__x86_64__)
  static const Version &version = hostVectors() == HostVectors::Avx512 ? avx512::version
                                  : hostVectors() == HostVectors::Avx2 ? avx2::version
                                                                       : portable::version;
  return version;
#else
  return portable::version;
#endif
}

} // namespace

unsigned bitsOf(Element element) {
  switch (element) {
  case Element::F16:
  case Element::BF16:
    return 16;
  case Element::TF32:
    return 32;
  case Element::E4M3:
  case Element::E5M2:
  case Element::S8:
  case Element::U8:
    return 8;
  case Element::B1:
    return 1;
  }
  return 0;
}

void widen(Element element, const std::byte *packed, unsigned count, float *values) {
  chosen().widen(element, packed, count, values);
}

void arrangeRows(const float *values, unsigned k, bool negate, float *a) { chosen().arrangeRows(values, k, negate, a); }

void arrangeColumns(const float *values, unsigned n, unsigned k, bool negate, float *b) {
  chosen().arrangeColumns(values, n, k, negate, b);
}

void arrangeColumnsTransposed(const float *values, unsigned n, unsigned k, bool negate, float *b) {
  for (unsigned at = 0; at < k; ++at) {
    for (unsigned column = 0; column < n; ++column) {
      float value = values[at * n + column];
      b[at * n + column / 8 * 8 + column % 2 * 4 + column % 8 / 2] = negate ? -value : value;
    }
  }
}

void multiplyTile(const float *a, const float *b, unsigned n, unsigned k, float *const *accumulators) {
  chosen().multiply(a, b, n, k, accumulators);
}

} // namespace emulator
