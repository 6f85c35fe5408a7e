// Every value of every 8- and 16-bit format, against the formats' definitions written down as arithmetic.
#include "runtime/packing/element_format.h"
#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <optional>
#include <random>
#include <vector>

using namespace elah;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// What a pattern of a binary format is worth; no value for NaN.
std::optional<double> worth(unsigned bits, unsigned exponentBits, unsigned mantissaBits, int bias, bool hasInfinity) {
  unsigned mantissa = bits & ((1u << mantissaBits) - 1);
  unsigned exponent = (bits >> mantissaBits) & ((1u << exponentBits) - 1);
  double sign = bits >> (mantissaBits + exponentBits) & 1 ? -1 : 1;
  unsigned highest = (1u << exponentBits) - 1;
  if (hasInfinity && exponent == highest) {
    return mantissa == 0 ? std::optional(sign * infinity) : std::nullopt;
  }
  if (!hasInfinity && exponent == highest && mantissa == (1u << mantissaBits) - 1) {
    return std::nullopt;
  }
  int power = static_cast<int>(exponent == 0 ? 1 : exponent) - bias - static_cast<int>(mantissaBits);
  return sign * std::ldexp((exponent == 0 ? 0.0 : 1 << mantissaBits) + mantissa, power);
}

std::optional<double> worthF16(unsigned bits) { return worth(bits, 5, 10, 15, true); }
std::optional<double> worthBF16(unsigned bits) { return worth(bits, 8, 7, 127, true); }
std::optional<double> worthF8(unsigned bits) { return worth(bits, 4, 3, 7, false); }

void expectWidens(proto::ElementFormat format, unsigned count, std::optional<double> worthOf(unsigned)) {
  uint64_t size = bytesOf(format, 1);
  std::vector<uint8_t> bytes;
  for (unsigned bits = 0; bits < count; ++bits) {
    for (unsigned i = 0; i < size; ++i) {
      bytes.push_back(static_cast<uint8_t>(bits >> 8 * i));
    }
  }
  std::vector<float> values(count);
  widen(format, bytes.data(), values);
  for (unsigned bits = 0; bits < count; ++bits) {
    std::optional<double> expected = worthOf(bits);
    if (!expected) {
      EXPECT_TRUE(std::isnan(values[bits])) << bits;
      continue;
    }
    EXPECT_EQ(static_cast<double>(values[bits]), *expected) << bits;
    EXPECT_EQ(std::signbit(values[bits]), std::signbit(*expected)) << bits;
  }
}

TEST(ElementFormat, WidensEveryF8) { expectWidens(proto::ELEMENT_FORMAT_F8E4M3, 256, worthF8); }
TEST(ElementFormat, WidensEveryF16) { expectWidens(proto::ELEMENT_FORMAT_F16, 65536, worthF16); }
TEST(ElementFormat, WidensEveryBF16) { expectWidens(proto::ELEMENT_FORMAT_BF16, 65536, worthBF16); }

TEST(ElementFormat, WidensIntegers) {
  const uint8_t bytes[] = {0xf0, 0x2a, 0x07};
  std::vector<float> values(5);
  widen(proto::ELEMENT_FORMAT_U4, bytes, values);
  EXPECT_EQ(values, (std::vector<float>{0, 15, 10, 2, 7}));
  values.resize(3);
  widen(proto::ELEMENT_FORMAT_U8, bytes, values);
  EXPECT_EQ(values, (std::vector<float>{240, 42, 7}));
  EXPECT_EQ(bytesOf(proto::ELEMENT_FORMAT_U4, 5), 3u);
}

TEST(ElementFormat, CopiesF32AsItIs) {
  std::vector<uint32_t> bits = {0, 0x80000000, 1, 0x7f800000, 0x7f800001, 0xffc12345, 0x3f800000};
  std::vector<float> values(bits.size());
  widen(proto::ELEMENT_FORMAT_F32, reinterpret_cast<const uint8_t *>(bits.data()), values);
  std::vector<uint32_t> back(bits.size());
  narrow(proto::ELEMENT_FORMAT_F32, values, reinterpret_cast<uint8_t *>(back.data()));
  EXPECT_EQ(back, bits);
}

uint16_t narrowOne(proto::ElementFormat format, float value) {
  uint16_t bits;
  narrow(format, {&value, 1}, reinterpret_cast<uint8_t *>(&bits));
  return bits;
}

float before(float value) { return std::nextafterf(value, 0); }
float after(float value) { return std::nextafterf(value, std::numeric_limits<float>::infinity()); }

/// Every value narrows to itself; of two neighbours all between narrow to the nearer one, and the middle
/// to the even one. `bound` is the first pattern that is no finite number.
void expectNarrows(proto::ElementFormat format, unsigned bound, std::optional<double> worthOf(unsigned),
                   double afterLast) {
  for (unsigned sign : {0u, 0x8000u}) {
    float factor = sign ? -1.0f : 1.0f;
    for (unsigned bits = 0; bits < bound; ++bits) {
      double low = *worthOf(bits), high = bits + 1 < bound ? *worthOf(bits + 1) : afterLast;
      float lowest = static_cast<float>(low), middle = static_cast<float>((low + high) / 2);
      ASSERT_EQ(static_cast<double>(middle), (low + high) / 2) << "the middle is an f32";
      unsigned even = bits % 2 == 0 ? bits : bits + 1;
      ASSERT_EQ(narrowOne(format, factor * lowest), sign | bits) << lowest;
      ASSERT_EQ(narrowOne(format, factor * after(lowest)), sign | bits) << lowest;
      ASSERT_EQ(narrowOne(format, factor * before(middle)), sign | bits) << middle;
      ASSERT_EQ(narrowOne(format, factor * middle), sign | even) << middle;
      ASSERT_EQ(narrowOne(format, factor * after(middle)), sign | (bits + 1)) << middle;
    }
  }
}

TEST(ElementFormat, NarrowsToF16NearestEven) { expectNarrows(proto::ELEMENT_FORMAT_F16, 0x7c00, worthF16, 65536); }

TEST(ElementFormat, NarrowsToBF16NearestEven) {
  expectNarrows(proto::ELEMENT_FORMAT_BF16, 0x7f80, worthBF16, std::ldexp(1, 128));
}

TEST(ElementFormat, NarrowsTheEnds) {
  float inf = std::numeric_limits<float>::infinity(), most = std::numeric_limits<float>::max();
  for (proto::ElementFormat format : {proto::ELEMENT_FORMAT_F16, proto::ELEMENT_FORMAT_BF16}) {
    uint16_t infinityBits = format == proto::ELEMENT_FORMAT_F16 ? 0x7c00 : 0x7f80;
    EXPECT_EQ(narrowOne(format, inf), infinityBits);
    EXPECT_EQ(narrowOne(format, -inf), infinityBits | 0x8000);
    EXPECT_EQ(narrowOne(format, most), infinityBits);
    EXPECT_EQ(narrowOne(format, -most), infinityBits | 0x8000);
    for (uint32_t nan : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu, 0x7f80ffffu}) {
      uint16_t bits = narrowOne(format, std::bit_cast<float>(nan));
      EXPECT_GT(bits & 0x7fff, infinityBits) << std::hex << nan;
      EXPECT_EQ(bits >> 15, nan >> 31) << std::hex << nan;
    }
  }
  for (uint32_t tiny : {1u, 0x007fffffu, 0x00800000u, 0x33000000u}) { // up to 2^-25, a tie with zero
    EXPECT_EQ(narrowOne(proto::ELEMENT_FORMAT_F16, std::bit_cast<float>(tiny)), 0);
    EXPECT_EQ(narrowOne(proto::ELEMENT_FORMAT_F16, -std::bit_cast<float>(tiny)), 0x8000);
  }
  EXPECT_EQ(narrowOne(proto::ELEMENT_FORMAT_F16, std::bit_cast<float>(0x33000001u)), 1);
}

// Another's implementation on bits of all kinds: the compiler's own conversion.
TEST(ElementFormat, AgreesWithTheCompiler) {
  std::mt19937 random(20261125);
  for (int i = 0; i < 4'000'000; ++i) {
    float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isnan(value)) {
      ASSERT_EQ(narrowOne(proto::ELEMENT_FORMAT_F16, value), std::bit_cast<uint16_t>(static_cast<_Float16>(value)))
          << std::hexfloat << value;
    }
  }
}

} // namespace
