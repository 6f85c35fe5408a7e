#include "ops/float_operations.h"

// PTX ISA 9.7.3 and 9.7.4: ex2 lg2 sin cos tanh, all .approx. Computed in double precision and rounded once, which is
// within what the ISA allows of each; the hardware's own last bits are nobody's to know.

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Type;

namespace {

/// 2^x: the whole part goes into the exponent, the rest, at most a half, through its series.
struct Exp2 {
  float operator()(float value) const {
    const double x = value < -200.0f ? -200.0f : value > 200.0f ? 200.0f : value;
    const double whole = __builtin_rint(x), t = (x - whole) * 0.69314718055994530942; // ln 2
    double sum = 1.0 / 40320;
    sum = sum * t + 1.0 / 5040;
    sum = sum * t + 1.0 / 720;
    sum = sum * t + 1.0 / 120;
    sum = sum * t + 1.0 / 24;
    sum = sum * t + 1.0 / 6;
    sum = sum * t + 0.5;
    sum = sum * t + 1.0;
    sum = sum * t + 1.0;
    // Adding 2^52 + 2^51 + 1023 leaves the biased exponent in the lowest bits.
    const uint64_t biased = bits<uint64_t>(whole + (0x1.8p52 + 1023));
    const float result = static_cast<float>(sum * bits<double>(biased << 52));
    return value == value ? result : value;
  }
};

/// log2(x) = exponent + log2(m), with m within a factor of sqrt(2) of 1: atanh's series.
struct Log2 {
  float operator()(float value) const {
    const double x = value;
    const uint64_t word = bits<uint64_t>(x);
    const double m = bits<double>((word & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    const bool upper = m > 1.41421356237309504880;
    const double near = upper ? m * 0.5 : m;
    // The exponent as a double, without a conversion: its bits below those of 2^52.
    const double biased = bits<double>((word >> 52 & 0x7ff) | 0x4330000000000000u) - 0x1p52;
    const double exponent = biased - (upper ? 1022.0 : 1023.0);
    const double s = (near - 1.0) / (near + 1.0), square = s * s;
    double sum = 1.0 / 13;
    sum = sum * square + 1.0 / 11;
    sum = sum * square + 1.0 / 9;
    sum = sum * square + 1.0 / 7;
    sum = sum * square + 1.0 / 5;
    sum = sum * square + 1.0 / 3;
    sum = sum * square + 1.0;
    float result = static_cast<float>(exponent + s * sum * 2.88539008177792681472); // 2 / ln 2
    result = value == 0 ? -__builtin_inff() : result;
    result = value > 3.402823466e+38f ? value : result;
    return value >= 0 ? result : __builtin_nanf("");
  }
};

struct Sine {
  float operator()(float value) const { return static_cast<float>(__builtin_sin(static_cast<double>(value))); }
};
struct Cosine {
  float operator()(float value) const { return static_cast<float>(__builtin_cos(static_cast<double>(value))); }
};
struct HyperbolicTangent {
  float operator()(float value) const { return static_cast<float>(__builtin_tanh(static_cast<double>(value))); }
};

void sameTypes(Decoder &d, Op &op, Type type) {
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  d.operandsEnd(2);
}

template <typename F> Handler single(bool ftz) {
  return ftz ? floatUnaryApart<F32Ftz, 1, F, Plain> : floatUnaryApart<F32, 1, F, Plain>;
}

template <typename F> void decodeSingle(Decoder &d, Op &op) {
  d.expect("approx");
  const bool ftz = d.accept("ftz");
  d.type({Type::F32});
  sameTypes(d, op, Type::F32);
  op.run = single<F>(ftz);
}

/// ex2 and tanh have the small types, too; ex2 of bf16 flushes subnormals, which in bf16 only its result can be.
template <typename F> void decodeWithHalves(Decoder &d, Op &op, bool flushesBf16) {
  d.expect("approx");
  const bool ftz = d.accept("ftz");
  const Type type = d.type({Type::F32, Type::F16, Type::F16x2, Type::BF16, Type::BF16x2});
  const bool isBf16 = type == Type::BF16 || type == Type::BF16x2;
  if (type != Type::F32 && ftz != (isBf16 && flushesBf16)) {
    d.error(ftz ? "'.ftz' is not for this type" : "expected '.ftz' before the type");
  }
  sameTypes(d, op, type);
  switch (type) {
  case Type::F16:
    op.run = floatUnaryApart<F16, 1, F, Plain>;
    break;
  case Type::F16x2:
    op.run = floatUnaryApart<F16, 2, F, Plain>;
    break;
  case Type::BF16:
    op.run = floatUnaryApart<BF16, 1, F, Plain>;
    break;
  case Type::BF16x2:
    op.run = floatUnaryApart<BF16, 2, F, Plain>;
    break;
  default:
    op.run = single<F>(ftz);
  }
}

} // namespace

void addTranscendentals(OpcodeTable &table) {
  table.add("ex2", [](Decoder &d, Op &op) { decodeWithHalves<Exp2>(d, op, true); });
  table.add("tanh", [](Decoder &d, Op &op) { decodeWithHalves<HyperbolicTangent>(d, op, false); });
  table.add("lg2", decodeSingle<Log2>);
  table.add("sin", decodeSingle<Sine>);
  table.add("cos", decodeSingle<Cosine>);
}

// clang-format off
VECTOR_CODE_END
// clang-format on
