#ifndef RUNTIME_EMULATOR_OPS_FLOAT_OPERATIONS_H
#define RUNTIME_EMULATOR_OPS_FLOAT_OPERATIONS_H

// The operations themselves, on the values of a format (ops/floating_point.h), and the loops over lanes for them.

#include "ops/floating_point.h"
#include <cfenv>

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

enum class Rounding : uint8_t { Nearest, Zero, Minus, Plus };

/// What becomes of a result before it is stored.
struct Plain {
  template <typename T> static T apply(T value) { return value; }
};
struct Saturate {
  template <typename T> static T apply(T value) { return saturated(value); }
};
struct Rectify {
  template <typename T> static T apply(T value) { return value < 0 || value == 0 ? T(0) : value; } // NaN stays.
};

struct FloatAdd {
  template <typename T> T operator()(T a, T b) const { return a + b; }
};
struct FloatSub {
  template <typename T> T operator()(T a, T b) const { return a - b; }
};
struct FloatMul {
  template <typename T> T operator()(T a, T b) const { return a * b; }
};
struct FloatDiv {
  template <typename T> T operator()(T a, T b) const { return a / b; }
};
struct FloatFma {
  float operator()(float a, float b, float c) const { return __builtin_fmaf(a, b, c); }
  double operator()(double a, double b, double c) const { return __builtin_fma(a, b, c); }
};

/// a * b + c rounded to odd in single precision: rounding that once more to 11 or 8 bits gives what rounding the exact
/// value would (Boldo and Melquiond, 2008). The product of two such values is exact in double precision.
struct HalfFma {
  float operator()(float a, float b, float c) const {
    const double product = static_cast<double>(a) * static_cast<double>(b), addend = c, sum = product + addend;
    const double part = sum - product, rest = (product - (sum - part)) + (addend - part); // Knuth's two-sum.
    uint64_t word = bits<uint64_t>(sum);
    const bool inexact = (rest < 0) | (rest > 0), outward = (rest > 0) == (sum > 0);
    word = inexact && !(word & 1) ? (outward ? word + 1 : word - 1) : word;
    const double odd = bits<double>(word);
    const float near = static_cast<float>(odd);
    const double back = near;
    uint32_t single = bits<uint32_t>(near);
    const bool changed = (back < odd) | (back > odd), beyond = __builtin_fabs(back) > __builtin_fabs(odd);
    single = changed ? ((beyond ? single - 1 : single) | 1) : single;
    return bits<float>(single);
  }
};

template <bool isMax, bool propagatesNan, bool xorSign> struct FloatMinMax {
  template <typename T> T operator()(T a, T b) const {
    using Word = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    constexpr Word sign = Word(1) << (sizeof(T) * 8 - 1);
    const Word signs = (bits<Word>(a) ^ bits<Word>(b)) & sign;
    const T nan = a + b;
    const bool aNan = a != a, bNan = b != b;
    if constexpr (xorSign) {
      a = bits<T>(bits<Word>(a) & ~sign);
      b = bits<T>(bits<Word>(b) & ~sign);
    }
    // -0 is less than +0.
    const T equal = bits<T>(isMax ? bits<Word>(a) & bits<Word>(b) : bits<Word>(a) | bits<Word>(b));
    const T less = a < b ? (isMax ? b : a) : (isMax ? a : b);
    T value = a == b ? equal : less;
    value = aNan ? b : value;
    value = bNan ? a : value;
    if constexpr (xorSign) {
      value = bits<T>(bits<Word>(value) | signs);
    }
    const bool none = propagatesNan ? aNan | bNan : aNan & bNan;
    return none ? nan : value;
  }
};

/// Elements of a register: one, or two halves.
template <unsigned packed, typename Each> [[gnu::always_inline]] inline void eachElement(Lanes lanes, Each each) {
  if constexpr (packed == 1) {
    eachLane(lanes, each);
  } else {
    eachLane(lanes, [=](unsigned lane) {
      each(lane * 2);
      each(lane * 2 + 1);
    });
  }
}

template <typename Format, unsigned packed, typename F, typename Post>
Flow floatUnary(Warp &warp, const Op &op, Lanes lanes) {
  using M = typename Format::Memory;
  M *d = warp.write<M>(op.operands[0]);
  const M *a = warp.read<M>(op.operands[1]);
  eachElement<packed>(lanes, [=](unsigned i) { d[i] = Format::store(Post::apply(F()(Format::load(a[i])))); });
  return Flow::Next;
}

/// As above, for a function so long that the compiler no longer knows that a result in the operand's place does no
/// harm: the operands are copied first.
template <typename Format, unsigned packed, typename F, typename Post>
Flow floatUnaryApart(Warp &warp, const Op &op, Lanes lanes) {
  using M = typename Format::Memory;
  M *d = warp.write<M>(op.operands[0]);
  alignas(64) M a[warpLanes * packed];
  __builtin_memcpy(a, warp.read<M>(op.operands[1]), sizeof a);
  eachElement<packed>(lanes, [=, &a](unsigned i) { d[i] = Format::store(Post::apply(F()(Format::load(a[i])))); });
  return Flow::Next;
}

template <typename Format, unsigned packed, typename F, typename Post>
Flow floatBinary(Warp &warp, const Op &op, Lanes lanes) {
  using M = typename Format::Memory;
  M *d = warp.write<M>(op.operands[0]);
  const M *a = warp.read<M>(op.operands[1]), *b = warp.read<M>(op.operands[2]);
  eachElement<packed>(
      lanes, [=](unsigned i) { d[i] = Format::store(Post::apply(F()(Format::load(a[i]), Format::load(b[i])))); });
  return Flow::Next;
}

template <typename Format, unsigned packed, typename F, typename Post>
Flow floatTernary(Warp &warp, const Op &op, Lanes lanes) {
  using M = typename Format::Memory;
  M *d = warp.write<M>(op.operands[0]);
  const M *a = warp.read<M>(op.operands[1]), *b = warp.read<M>(op.operands[2]), *c = warp.read<M>(op.operands[3]);
  eachElement<packed>(lanes, [=](unsigned i) {
    d[i] = Format::store(Post::apply(F()(Format::load(a[i]), Format::load(b[i]), Format::load(c[i]))));
  });
  return Flow::Next;
}

/// The host's rounding mode, for a while.
class HostRounding {
public:
  explicit HostRounding(Rounding rounding) : before(std::fegetround()) {
    std::fesetround(rounding == Rounding::Zero    ? FE_TOWARDZERO
                    : rounding == Rounding::Minus ? FE_DOWNWARD
                    : rounding == Rounding::Plus  ? FE_UPWARD
                                                  : FE_TONEAREST);
  }
  ~HostRounding() { std::fesetround(before); }

private:
  const int before;
};

/// Hides a value from the optimiser, which may neither compute ahead nor move what depends on the rounding mode.
template <typename T> [[gnu::always_inline]] inline T opaque(T value) {
  asm volatile("" : "+x"(value)::"memory");
  return value;
}

// clang-format off
VECTOR_CODE_END
// clang-format on

#endif
