#include "ops/warpgroup_product.h"
#include "ops/tensor_core_numerics.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace emulator {

namespace {

constexpr unsigned lanes = 32;

/// B in the product's layout. The four warps of a warpgroup, and often several warpgroups, multiply by the same B one
/// after the other, so the last ones are kept, found by their bytes.
struct ArrangedColumns {
  Element element;
  unsigned n = 0;
  bool transposed, negated;
  std::vector<std::byte> raw;
  std::vector<float> columns;
};

struct Scratch {
  std::array<ArrangedColumns, 8> kept;
  unsigned oldest = 0;
  std::vector<float> values, rows, sums;
  std::vector<float *> pointers;
};

Scratch &scratch() {
  thread_local Scratch own;
  return own;
}

/// values[row][k], whichever way the raw bytes lie.
void widenOperand(Element element, const std::byte *raw, unsigned rows, unsigned k, bool transposed,
                  std::vector<float> &values) {
  values.resize(rows * k);
  if (!transposed) {
    widen(element, raw, rows * k, values.data());
    return;
  }
  std::vector<float> straight(rows * k);
  widen(element, raw, rows * k, straight.data());
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned at = 0; at < k; ++at) {
      values[row * k + at] = straight[at * rows + row];
    }
  }
}

const float *columnsOf(const WgmmaShape &shape, const std::byte *raw) {
  Scratch &own = scratch();
  const size_t bytes = shape.n * wgmmaRowBytes;
  for (ArrangedColumns &kept : own.kept) {
    if (kept.n == shape.n && kept.element == shape.b && kept.transposed == shape.transposeB &&
        kept.negated == shape.negateB && std::memcmp(kept.raw.data(), raw, bytes) == 0) {
      return kept.columns.data();
    }
  }
  ArrangedColumns &fresh = own.kept[own.oldest++ % own.kept.size()];
  fresh.element = shape.b;
  fresh.n = shape.n;
  fresh.transposed = shape.transposeB;
  fresh.negated = shape.negateB;
  fresh.raw.assign(raw, raw + bytes);
  const unsigned k = shape.k();
  fresh.columns.resize(shape.n * k);
  own.values.resize(shape.n * k);
  widen(shape.b, raw, shape.n * k, own.values.data());
  (shape.transposeB ? arrangeColumnsTransposed : arrangeColumns)(own.values.data(), shape.n, k, shape.negateB,
                                                                 fresh.columns.data());
  return fresh.columns.data();
}

void multiplyAsHardware(const WgmmaShape &shape, const std::byte *rawA, bool transposedA, const std::byte *rawB,
                        float *const *sums) {
  const unsigned k = shape.k();
  std::vector<float> a, b;
  widenOperand(shape.a, rawA, 16, k, transposedA, a);
  widenOperand(shape.b, rawB, shape.n, k, shape.transposeB, b);
  if (shape.negateA != shape.negateB) {
    std::transform(a.begin(), a.end(), a.begin(), [](float value) { return -value; });
  }
  const TensorCoreWidths widths = hopperWidths(shape.a);
  for (unsigned r = 0; r < shape.n / 2; ++r) {
    for (unsigned lane = 0; lane < lanes; ++lane) {
      unsigned row = lane / 4 + 8 * (r / 2 % 2), column = r / 4 * 8 + 2 * (lane % 4) + r % 2;
      sums[r][lane] = tensorCoreDot(sums[r][lane], a.data() + row * k, b.data() + column * k, k, widths);
    }
  }
}

} // namespace

void multiplyWarpgroupShare(const WgmmaShape &shape, const std::byte *rawA, bool transposedA, const std::byte *rawB,
                            bool keeps, Numerics numerics, std::byte *const *registers) {
  using Accumulator = WgmmaShape::Accumulator;
  Scratch &own = scratch();
  const unsigned k = shape.k(), count = shape.n / 2;
  own.pointers.resize(count);
  if (shape.accumulator == Accumulator::F32) {
    for (unsigned r = 0; r < count; ++r) {
      own.pointers[r] = reinterpret_cast<float *>(registers[r]);
      if (!keeps) {
        std::fill_n(own.pointers[r], lanes, 0.0f);
      }
    }
  } else {
    own.sums.assign(count * lanes, 0);
    for (unsigned r = 0; r < count; ++r) {
      own.pointers[r] = own.sums.data() + r * lanes;
    }
    if (shape.accumulator == Accumulator::F16 && keeps) {
      for (unsigned r = 0; r < count; ++r) { // Register 2j + h packs columns c = 0 and 1.
        const uint16_t *packed = reinterpret_cast<const uint16_t *>(registers[r / 2]);
        for (unsigned lane = 0; lane < lanes; ++lane) {
          own.pointers[r][lane] = __builtin_bit_cast(_Float16, packed[2 * lane + r % 2]);
        }
      }
    }
  }

  const bool integers = shape.accumulator == Accumulator::S32;
  if (numerics == Numerics::Hardware && !integers) {
    multiplyAsHardware(shape, rawA, transposedA, rawB, own.pointers.data());
  } else {
    const float *columns = columnsOf(shape, rawB);
    widenOperand(shape.a, rawA, 16, k, transposedA, own.values);
    own.rows.resize(k * 64);
    arrangeRows(own.values.data(), k, shape.negateA, own.rows.data());
    multiplyTile(own.rows.data(), columns, shape.n, k, own.pointers.data());
  }

  if (shape.accumulator == Accumulator::F16) {
    for (unsigned r = 0; r < count; ++r) {
      uint16_t *packed = reinterpret_cast<uint16_t *>(registers[r / 2]);
      for (unsigned lane = 0; lane < lanes; ++lane) {
        packed[2 * lane + r % 2] = __builtin_bit_cast(uint16_t, static_cast<_Float16>(own.pointers[r][lane]));
      }
    }
  } else if (integers) {
    for (unsigned r = 0; r < count; ++r) {
      int32_t *sum = reinterpret_cast<int32_t *>(registers[r]);
      for (unsigned lane = 0; lane < lanes; ++lane) {
        int64_t total = (keeps ? int64_t(sum[lane]) : 0) + static_cast<int64_t>(own.pointers[r][lane]);
        if (shape.saturate) {
          total = std::clamp<int64_t>(total, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
        }
        sum[lane] = static_cast<int32_t>(total);
      }
    }
  }
}

} // namespace emulator
