// wgmma's arithmetic for one warp against a plain triple loop: every type, both majors, accumulators, signs.
#include "tests/runtime/emulator/ops/element_values.h"

#include "ops/host_vectors.h"
#include "ops/tensor_core_numerics.h"
#include "ops/warpgroup_product.h"
#include <cmath>
#include <cstring>
#include <ctime>
#include <gtest/gtest.h>
#include <iostream>
#include <random>

using namespace emulator;

namespace {

struct Case {
  WgmmaShape shape;
  bool keeps = true;
  Numerics numerics = Numerics::F32;
};

void check(const Case &c, double tolerance) {
  std::mt19937 random(c.shape.n * 131 + static_cast<unsigned>(c.shape.a));
  const unsigned n = c.shape.n, k = c.shape.k();
  std::vector<std::byte> a = someBytes(c.shape.a, 16 * wgmmaRowBytes, random);
  std::vector<std::byte> b = someBytes(c.shape.b, n * wgmmaRowBytes, random);
  std::vector<uint32_t> registers(c.shape.accumulatorRegisters() * 32);
  using Accumulator = WgmmaShape::Accumulator;
  auto at = [&](unsigned row, unsigned column) {
    // r = 4j + 2h + c of lane 4i + q
    unsigned r = column / 8 * 4 + row / 8 * 2 + column % 2, lane = row % 8 * 4 + column % 8 / 2;
    return std::pair(r, lane);
  };
  auto get = [&](unsigned row, unsigned column) -> double {
    auto [r, lane] = at(row, column);
    if (c.shape.accumulator == Accumulator::F16) {
      return static_cast<double>(__builtin_bit_cast(_Float16, uint16_t(registers[r / 2 * 32 + lane] >> 16 * (r % 2))));
    }
    uint32_t word = registers[r * 32 + lane];
    return c.shape.accumulator == Accumulator::F32 ? __builtin_bit_cast(float, word) : static_cast<int32_t>(word);
  };
  for (uint32_t &word : registers) {
    switch (c.shape.accumulator) {
    case Accumulator::F32:
      word = __builtin_bit_cast(uint32_t, float(int(random() % 64)) / 8 - 4);
      break;
    case Accumulator::F16:
      word = 0x3C00C000; // 1 and -2
      break;
    case Accumulator::S32:
      word = random() % 1000 - 500;
    }
  }
  std::vector<double> expected(16 * n), scale(16 * n);
  for (unsigned row = 0; row < 16; ++row) {
    for (unsigned column = 0; column < n; ++column) {
      double sum = c.keeps ? get(row, column) : 0, magnitude = std::abs(sum);
      for (unsigned i = 0; i < k; ++i) {
        double left = valueOf(c.shape.a, a.data(), c.shape.transposeA ? i * 16 + row : row * k + i);
        double right = valueOf(c.shape.b, b.data(), c.shape.transposeB ? i * n + column : column * k + i);
        sum += left * right * (c.shape.negateA != c.shape.negateB ? -1 : 1);
        magnitude += std::abs(left * right);
      }
      expected[row * n + column] = sum;
      scale[row * n + column] = magnitude;
    }
  }
  std::vector<std::byte *> pointers;
  for (unsigned r = 0; r < c.shape.accumulatorRegisters(); ++r) {
    pointers.push_back(reinterpret_cast<std::byte *>(registers.data() + r * 32));
  }
  multiplyWarpgroupShare(c.shape, a.data(), c.shape.transposeA, b.data(), c.keeps, c.numerics, pointers.data());
  for (unsigned row = 0; row < 16; ++row) {
    for (unsigned column = 0; column < n; ++column) {
      if (c.shape.accumulator == Accumulator::F16 && std::abs(expected[row * n + column]) > 65519) {
        ASSERT_TRUE(std::isinf(get(row, column)));
        continue;
      }
      ASSERT_NEAR(get(row, column), expected[row * n + column], tolerance * (1e-3 + scale[row * n + column]))
          << "row " << row << " column " << column << " n " << n;
    }
  }
}

Case of(Element a, Element b, WgmmaShape::Accumulator accumulator, unsigned n) {
  Case c;
  c.shape.a = a;
  c.shape.b = b;
  c.shape.accumulator = accumulator;
  c.shape.n = n;
  return c;
}

using Accumulator = WgmmaShape::Accumulator;
constexpr double f32Tolerance = 2e-6, f16Tolerance = 1e-3;

} // namespace

TEST(WarpgroupProduct, EveryWidth) {
  for (unsigned n = 8; n <= 256; n += 8) {
    check(of(Element::E4M3, Element::E4M3, Accumulator::F32, n), f32Tolerance);
    check(of(Element::BF16, Element::BF16, Accumulator::F32, n), f32Tolerance);
  }
}

TEST(WarpgroupProduct, EveryType) {
  for (Element element : {Element::F16, Element::BF16, Element::TF32, Element::E4M3, Element::E5M2}) {
    check(of(element, element, Accumulator::F32, 40), f32Tolerance);
  }
  check(of(Element::E4M3, Element::E5M2, Accumulator::F32, 24), f32Tolerance);
  check(of(Element::E5M2, Element::E4M3, Accumulator::F32, 24), f32Tolerance);
}

TEST(WarpgroupProduct, IntegersAreExact) {
  for (Element a : {Element::S8, Element::U8}) {
    for (Element b : {Element::S8, Element::U8}) {
      check(of(a, b, Accumulator::S32, 32), 0);
    }
  }
  check(of(Element::B1, Element::B1, Accumulator::S32, 16), 0);
}

TEST(WarpgroupProduct, HalfAccumulators) {
  for (Element element : {Element::F16, Element::E4M3, Element::E5M2}) {
    check(of(element, element, Accumulator::F16, 64), f16Tolerance);
  }
}

TEST(WarpgroupProduct, WithoutTheAccumulator) {
  for (Accumulator accumulator : {Accumulator::F32, Accumulator::F16}) {
    Case c = of(Element::F16, Element::F16, accumulator, 32);
    c.keeps = false;
    check(c, accumulator == Accumulator::F16 ? f16Tolerance : f32Tolerance);
  }
  Case c = of(Element::S8, Element::U8, Accumulator::S32, 32);
  c.keeps = false;
  check(c, 0);
}

TEST(WarpgroupProduct, Transposed) {
  for (bool a : {false, true}) {
    for (bool b : {false, true}) {
      Case c = of(Element::BF16, Element::BF16, Accumulator::F32, 72);
      c.shape.transposeA = a;
      c.shape.transposeB = b;
      check(c, f32Tolerance);
    }
  }
}

TEST(WarpgroupProduct, Negated) {
  for (bool a : {false, true}) {
    for (bool b : {false, true}) {
      Case c = of(Element::F16, Element::F16, Accumulator::F32, 16);
      c.shape.negateA = a;
      c.shape.negateB = b;
      check(c, f32Tolerance);
    }
  }
}

TEST(WarpgroupProduct, HardwareNumericsStayClose) {
  for (Element element : {Element::F16, Element::BF16, Element::TF32}) {
    Case c = of(element, element, Accumulator::F32, 16);
    c.numerics = Numerics::Hardware;
    check(c, 1e-6);
  }
  Case c = of(Element::E4M3, Element::E4M3, Accumulator::F32, 16);
  c.numerics = Numerics::Hardware;
  check(c, 40 * std::ldexp(1, -13)); // 33 terms, each cut off at 13 bits below the largest.
}

TEST(WarpgroupProduct, SaturatesIntegers) {
  WgmmaShape shape;
  shape.accumulator = Accumulator::S32;
  shape.a = shape.b = Element::U8;
  shape.n = 8;
  std::vector<std::byte> a(16 * 32, std::byte(255)), b(8 * 32, std::byte(255));
  for (bool saturate : {false, true}) {
    shape.saturate = saturate;
    std::vector<int32_t> registers(4 * 32, 0x7FFFFFFF);
    std::byte *pointers[4];
    for (unsigned r = 0; r < 4; ++r) {
      pointers[r] = reinterpret_cast<std::byte *>(registers.data() + r * 32);
    }
    multiplyWarpgroupShare(shape, a.data(), false, b.data(), true, Numerics::F32, pointers);
    EXPECT_EQ(registers[5], saturate ? 0x7FFFFFFF : static_cast<int32_t>(0x7FFFFFFFu + 255 * 255 * 32));
  }
}

TEST(WarpgroupProduct, Speed) {
  // m64n128k32 e4m3, the four warps one after the other, B new each time. Processor time, the best of some rounds.
  WgmmaShape shape;
  shape.a = shape.b = Element::E4M3;
  shape.n = 128;
  std::mt19937 random(1);
  constexpr unsigned tiles = 32;
  const std::vector<std::byte> a = someBytes(Element::E4M3, tiles * 64 * wgmmaRowBytes, random);
  const std::vector<std::byte> b = someBytes(Element::E4M3, tiles * 128 * wgmmaRowBytes, random);
  std::vector<float> registers(4 * 64 * 32);
  double best = 0;
  for (unsigned round = 0; round < 20; ++round) {
    timespec begin, end;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    for (unsigned tile = 0; tile < tiles; ++tile) {
      for (unsigned warp = 0; warp < 4; ++warp) {
        std::byte *pointers[64];
        for (unsigned r = 0; r < 64; ++r) {
          pointers[r] = reinterpret_cast<std::byte *>(registers.data() + (warp * 64 + r) * 32);
        }
        multiplyWarpgroupShare(shape, a.data() + (tile * 64 + warp * 16) * wgmmaRowBytes, false,
                               b.data() + tile * 128 * wgmmaRowBytes, tile != 0, Numerics::F32, pointers);
      }
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    double seconds = double(end.tv_sec - begin.tv_sec) + 1e-9 * double(end.tv_nsec - begin.tv_nsec);
    best = std::max(best, tiles * 2.0 * 64 * 128 * 32 / seconds / 1e9);
  }
  std::cout << "[  TIMING  ] m64n128k32 e4m3: " << best << " GFLOP/s on a core\n";
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  if (hostVectors() == HostVectors::Avx512) {
    EXPECT_GE(best, 40);
  }
#endif
}

TEST(TensorCoreNumerics, CutsOffSmallTerms) {
  // 2^0 and a term of 2^-14: gone with 13 bits, there with 25.
  float a[32] = {1, 0x1p-7f}, b[32] = {1, 0x1p-7f};
  EXPECT_EQ(tensorCoreDot(0, a, b, 32, hopperWidths(Element::E4M3)), 1.0f);
  EXPECT_EQ(tensorCoreDot(0, a, b, 16, hopperWidths(Element::F16)), 1.0f + 0x1p-14f);
}

TEST(TensorCoreNumerics, CutsTowardsZero) {
  // 1 + 1.5 * 2^-13 has 14 fraction bits: the last is cut, not rounded; so for negative sums.
  float a[32] = {1, 0x1.8p-6f}, b[32] = {1, 0x1p-7f}, negative[32] = {-1, -0x1.8p-6f};
  EXPECT_EQ(tensorCoreDot(0, a, b, 32, hopperWidths(Element::E4M3)), 1.0f + 0x1p-13f);
  EXPECT_EQ(tensorCoreDot(0, negative, b, 32, hopperWidths(Element::E4M3)), -1.0f - 0x1p-13f);
}

TEST(TensorCoreNumerics, KeepsInfinities) {
  float a[16] = {INFINITY}, b[16] = {1};
  EXPECT_EQ(tensorCoreDot(1, a, b, 16, hopperWidths(Element::F16)), INFINITY);
}

TEST(Widen, EveryByteFloat) {
  for (Element element : {Element::E4M3, Element::E5M2}) {
    std::vector<std::byte> all(256);
    for (unsigned i = 0; i < 256; ++i) {
      all[i] = std::byte(i);
    }
    std::vector<float> values(256);
    widen(element, all.data(), 256, values.data());
    for (unsigned i = 0; i < 256; ++i) {
      double expected = valueOf(element, all.data(), i);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(values[i])) << i;
      } else {
        EXPECT_EQ(values[i], expected) << i;
        EXPECT_EQ(std::signbit(values[i]), i >= 128) << i;
      }
    }
  }
}

TEST(Widen, EveryHalf) {
  std::vector<uint16_t> all(65536);
  for (unsigned i = 0; i < 65536; ++i) {
    all[i] = static_cast<uint16_t>(i);
  }
  std::vector<float> values(65536);
  for (Element element : {Element::F16, Element::BF16}) {
    const std::byte *raw = reinterpret_cast<const std::byte *>(all.data());
    widen(element, raw, 65536, values.data());
    for (unsigned i = 0; i < 65536; ++i) {
      double expected = valueOf(element, raw, i);
      ASSERT_TRUE(std::isnan(expected) ? std::isnan(values[i]) : values[i] == expected) << i;
    }
  }
}
