// mma.sync's arithmetic against a plain triple loop over matrices, spread into fragments as PTX ISA 9.7.14.5 says.
#include "ops/warp_product.h"
#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace emulator;

namespace {

using Type = WarpProduct::Type;
using Accumulator = WarpProduct::Accumulator;

/// Small values that every type has: the bits, and the number.
struct Value {
  uint64_t bits;
  double number;
};

Value some(Type type, uint32_t random) {
  const int small = static_cast<int>(random % 7) - 3; // -3 … 3
  const int positive = static_cast<int>(random % 8);
  switch (type) {
  case Type::F64:
    return {std::bit_cast<uint64_t>(small * 0.5), small * 0.5};
  case Type::F16:
    return {std::bit_cast<uint16_t>(static_cast<_Float16>(small * 0.25)), small * 0.25};
  case Type::BF16:
    return {std::bit_cast<uint32_t>(small * 0.25f) >> 16, small * 0.25};
  case Type::TF32:
    return {std::bit_cast<uint32_t>(small * 0.25f) | 0x1FFF * (small != 0), small * 0.25}; // low bits are ignored
  case Type::E4M3: {
    constexpr uint8_t bits[] = {0xC4, 0xC0, 0xB8, 0x00, 0x38, 0x40, 0x44};
    return {bits[random % 7], double(small)};
  }
  case Type::E5M2: {
    constexpr uint8_t bits[] = {0xC2, 0xC0, 0xBC, 0x00, 0x3C, 0x40, 0x42};
    return {bits[random % 7], double(small)};
  }
  case Type::S8:
    return {static_cast<uint8_t>(small * 40), small * 40.0};
  case Type::U8:
    return {static_cast<uint8_t>(positive * 36), positive * 36.0};
  case Type::S4:
    return {static_cast<uint8_t>(small * 2) & 0xFu, small * 2.0};
  case Type::U4:
    return {static_cast<uint8_t>(positive * 2), positive * 2.0};
  case Type::B1:
    return {random & 1, double(random & 1)};
  }
  return {};
}

using Words = std::vector<std::vector<uint64_t>>; // [register][lane]

void put(Words &registers, Type type, unsigned r, unsigned lane, unsigned element, uint64_t bits) {
  const unsigned size = bitsOf(type);
  registers[r][lane] |= size == 64 ? bits : bits << (element * size);
}

void check(WarpProduct product, Numerics numerics = Numerics::F32) {
  std::mt19937 random(product.k * 7 + product.m + 100 * static_cast<unsigned>(product.a));
  const unsigned m = product.m, k = product.k, perRegister = product.a == Type::F64 ? 1 : 32 / bitsOf(product.a);
  std::vector<double> a(m * k), b(k * 8), c(m * 8);
  Words wordsA(product.registersA(), std::vector<uint64_t>(32)), wordsB(product.registersB(), wordsA[0]);
  Words wordsC(product.registersC(product.addend), std::vector<uint64_t>(32));
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned group = lane / 4, inGroup = lane % 4;
    for (unsigned i = 0; i < wordsA.size() * perRegister; ++i) {
      unsigned r = i / perRegister;
      unsigned row = m == 8 || r % 2 == 0 ? group : group + 8;
      unsigned column = inGroup * perRegister + i % perRegister + (m == 8 ? r : r / 2) * 4 * perRegister;
      Value value = some(product.a, random());
      a[row * k + column] = value.number;
      put(wordsA, product.a, r, lane, i % perRegister, value.bits);
    }
    for (unsigned i = 0; i < wordsB.size() * perRegister; ++i) {
      unsigned row = inGroup * perRegister + i % perRegister + i / perRegister * 4 * perRegister;
      Value value = some(product.b, random());
      b[row * 8 + group] = value.number;
      put(wordsB, product.b, i / perRegister, lane, i % perRegister, value.bits);
    }
    for (unsigned i = 0; i < m * 8 / 32; ++i) {
      double value = static_cast<int>(random() % 9) - 4;
      c[(group + 8 * (i / 2)) * 8 + inGroup * 2 + i % 2] = value;
      switch (product.addend) {
      case Accumulator::F16:
        put(wordsC, Type::F16, i / 2, lane, i % 2, std::bit_cast<uint16_t>(static_cast<_Float16>(value)));
        break;
      case Accumulator::F32:
        wordsC[i][lane] = std::bit_cast<uint32_t>(static_cast<float>(value));
        break;
      case Accumulator::F64:
        wordsC[i][lane] = std::bit_cast<uint64_t>(value);
        break;
      case Accumulator::S32:
        wordsC[i][lane] = static_cast<uint32_t>(static_cast<int32_t>(value));
      }
    }
  }
  std::vector<std::vector<uint32_t>> narrow;
  narrow.reserve(64);
  auto pointers = [&](Words &words) {
    std::vector<void *> result;
    for (std::vector<uint64_t> &word : words) {
      if (product.a == Type::F64) {
        result.push_back(word.data());
      } else {
        narrow.emplace_back(word.begin(), word.end());
        result.push_back(narrow.back().data());
      }
    }
    return result;
  };
  Words wordsD(product.registersC(product.accumulator), std::vector<uint64_t>(32));
  std::vector<void *> pointersA = pointers(wordsA), pointersB = pointers(wordsB), pointersC = pointers(wordsC),
                      pointersD = pointers(wordsD);
  multiplyWarp(product, pointersA.data(), pointersB.data(), pointersC.data(), pointersD.data(), numerics);
  for (unsigned row = 0; row < m; ++row) {
    for (unsigned column = 0; column < 8; ++column) {
      double expected = c[row * 8 + column];
      for (unsigned i = 0; i < k; ++i) {
        double left = a[row * k + i], right = b[i * 8 + column];
        expected += product.a == Type::B1 && product.exclusiveOr ? double(left != right) : left * right;
      }
      unsigned lane = row % 8 * 4 + column / 2, e = row / 8 * 2 + column % 2;
      double got = 0;
      switch (product.accumulator) {
      case Accumulator::F16:
        got = static_cast<double>(std::bit_cast<_Float16>(
            static_cast<uint16_t>(static_cast<uint32_t *>(pointersD[e / 2])[lane] >> (e % 2 * 16))));
        break;
      case Accumulator::F32:
        got = static_cast<float *>(pointersD[e])[lane];
        break;
      case Accumulator::F64:
        got = static_cast<double *>(pointersD[e])[lane];
        break;
      case Accumulator::S32:
        got = static_cast<int32_t *>(pointersD[e])[lane];
      }
      ASSERT_EQ(got, expected) << "row " << row << " column " << column << " type " << static_cast<int>(product.a)
                               << " m " << m << " k " << k;
    }
  }
}

WarpProduct of(Type a, Type b, unsigned m, unsigned k, Accumulator accumulator) {
  WarpProduct product;
  product.a = a;
  product.b = b;
  product.m = m;
  product.k = k;
  product.accumulator = product.addend = accumulator;
  return product;
}

} // namespace

TEST(WarpProduct, HalfPrecision) {
  for (unsigned k : {8, 16}) {
    check(of(Type::F16, Type::F16, 16, k, Accumulator::F32));
    check(of(Type::F16, Type::F16, 16, k, Accumulator::F16));
    check(of(Type::BF16, Type::BF16, 16, k, Accumulator::F32));
    WarpProduct mixed = of(Type::F16, Type::F16, 16, k, Accumulator::F32);
    mixed.addend = Accumulator::F16;
    check(mixed);
    mixed.accumulator = Accumulator::F16;
    mixed.addend = Accumulator::F32;
    check(mixed);
  }
}

TEST(WarpProduct, Tf32) {
  check(of(Type::TF32, Type::TF32, 16, 4, Accumulator::F32));
  check(of(Type::TF32, Type::TF32, 16, 8, Accumulator::F32));
}

TEST(WarpProduct, DoublePrecision) {
  check(of(Type::F64, Type::F64, 8, 4, Accumulator::F64));
  for (unsigned k : {4, 8, 16}) {
    check(of(Type::F64, Type::F64, 16, k, Accumulator::F64));
  }
}

TEST(WarpProduct, ByteFloats) {
  for (Type a : {Type::E4M3, Type::E5M2}) {
    for (Type b : {Type::E4M3, Type::E5M2}) {
      for (unsigned k : {16, 32}) {
        check(of(a, b, 16, k, Accumulator::F32));
        check(of(a, b, 16, k, Accumulator::F16));
      }
    }
  }
}

TEST(WarpProduct, Bytes) {
  for (Type a : {Type::S8, Type::U8}) {
    for (Type b : {Type::S8, Type::U8}) {
      check(of(a, b, 8, 16, Accumulator::S32));
      check(of(a, b, 16, 16, Accumulator::S32));
      check(of(a, b, 16, 32, Accumulator::S32));
    }
  }
}

TEST(WarpProduct, Nibbles) {
  for (Type a : {Type::S4, Type::U4}) {
    for (Type b : {Type::S4, Type::U4}) {
      check(of(a, b, 8, 32, Accumulator::S32));
      check(of(a, b, 16, 32, Accumulator::S32));
      check(of(a, b, 16, 64, Accumulator::S32));
    }
  }
}

TEST(WarpProduct, Bits) {
  for (bool exclusiveOr : {false, true}) {
    for (auto [m, k] : {std::pair(8u, 128u), {16u, 128u}, {16u, 256u}}) {
      WarpProduct product = of(Type::B1, Type::B1, m, k, Accumulator::S32);
      product.exclusiveOr = exclusiveOr;
      check(product);
    }
  }
}

TEST(WarpProduct, HardwareNumericsOfSmallNumbersAreExact) {
  check(of(Type::F16, Type::F16, 16, 16, Accumulator::F32), Numerics::Hardware);
  check(of(Type::TF32, Type::TF32, 16, 8, Accumulator::F32), Numerics::Hardware);
}
