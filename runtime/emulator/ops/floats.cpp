#include "ops/float_forms.h"
#include "ops/float_operations.h"
#include "ops/lanes.h"
#include <algorithm>
#include <string>

// PTX ISA 9.7.3, 9.7.4: add sub mul fma mad div abs neg min max in floating point; rcp sqrt rsqrt, testp, copysign.
// Functions that are only approximations (ex2 …) are in ops/approximations.cpp.

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Type;

namespace {

constexpr std::initializer_list<Type> floats = {Type::F32, Type::F64, Type::F16, Type::F16x2, Type::BF16, Type::BF16x2};

bool isHalf(Type type) {
  return type == Type::F16 || type == Type::F16x2 || type == Type::BF16 || type == Type::BF16x2;
}
bool isF16(Type type) { return type == Type::F16 || type == Type::F16x2; }

/// Whether the instruction's type is a floating-point one.
bool isFloatForm(const Decoder &d) {
  const std::vector<std::string> &modifiers = d.instruction().modifiers;
  return !modifiers.empty() &&
         std::find(floats.begin(), floats.end(), ptx::typeNamed(modifiers.back())) != floats.end();
}

std::optional<Rounding> roundingWord(Decoder &d) {
  const int word = d.optionalOf({"rn", "rz", "rm", "rp"});
  return word < 0 ? std::nullopt : std::optional(static_cast<Rounding>(word));
}

// --- Rounding other than to nearest: lane by lane, in the host's rounding mode.

enum class Rounded { Add, Sub, Mul, Fma, Div, Rcp, Sqrt };

struct RoundedForm {
  Rounded what;
  Rounding rounding;
  bool ftz, sat;
};

template <typename T> [[gnu::noinline]] T roundedResult(Rounded what, T a, T b, T c) {
  a = opaque(a);
  b = opaque(b);
  c = opaque(c);
  switch (what) {
  case Rounded::Add:
    return opaque(a + b);
  case Rounded::Sub:
    return opaque(a - b);
  case Rounded::Mul:
    return opaque(a * b);
  case Rounded::Fma:
    return opaque(FloatFma()(a, b, c));
  case Rounded::Div:
    return opaque(a / b);
  case Rounded::Rcp:
    return opaque(opaque(T(1)) / a);
  case Rounded::Sqrt:
    return opaque(std::sqrt(a));
  }
  return a;
}

template <typename T> Flow rounded(Warp &warp, const Op &op, Lanes lanes) {
  const RoundedForm &form = *static_cast<const RoundedForm *>(op.form);
  const unsigned sources = form.what == Rounded::Fma ? 3 : form.what >= Rounded::Rcp ? 1 : 2;
  T *d = warp.write<T>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]), *b = sources > 1 ? warp.read<T>(op.operands[2]) : a,
          *c = sources > 2 ? warp.read<T>(op.operands[3]) : a;
  const HostRounding mode(form.rounding);
  eachLaneAlone(lanes, [&](unsigned lane) {
    T x = a[lane], y = b[lane], z = c[lane];
    if constexpr (sizeof(T) == 4) {
      if (form.ftz) {
        x = flushed(x);
        y = flushed(y);
        z = flushed(z);
      }
    }
    T value = roundedResult<T>(form.what, x, y, z);
    if constexpr (sizeof(T) == 4) {
      value = form.ftz ? flushed(value) : value;
    }
    d[lane] = canonical(form.sat ? saturated(value) : value);
  });
  return Flow::Next;
}

void useRounded(Decoder &d, Op &op, Type type, RoundedForm form) {
  op.form = d.keep(form);
  op.run = type == Type::F64 ? rounded<double> : rounded<float>;
}

// --- Choosing by type and what follows.

enum class After { Plain, Sat, Relu };

template <typename F, typename HalfF, template <typename, unsigned, typename, typename> typename Choose>
Handler byType(Type type, bool ftz, After after) {
  auto post = [&](auto pick) -> Handler {
    switch (after) {
    case After::Sat:
      return pick(Saturate());
    case After::Relu:
      return pick(Rectify());
    default:
      return pick(Plain());
    }
  };
  switch (type) {
  case Type::F32:
    return post([&](auto p) -> Handler {
      using P = decltype(p);
      return ftz ? Choose<F32Ftz, 1, F, P>::handler : Choose<F32, 1, F, P>::handler;
    });
  case Type::F64:
    return Choose<F64, 1, F, Plain>::handler;
  case Type::F16:
    return post([&](auto p) -> Handler {
      using P = decltype(p);
      return ftz ? Choose<F16Ftz, 1, HalfF, P>::handler : Choose<F16, 1, HalfF, P>::handler;
    });
  case Type::F16x2:
    return post([&](auto p) -> Handler {
      using P = decltype(p);
      return ftz ? Choose<F16Ftz, 2, HalfF, P>::handler : Choose<F16, 2, HalfF, P>::handler;
    });
  case Type::BF16:
    return post([&](auto p) -> Handler { return Choose<BF16, 1, HalfF, decltype(p)>::handler; });
  case Type::BF16x2:
    return post([&](auto p) -> Handler { return Choose<BF16, 2, HalfF, decltype(p)>::handler; });
  default:
    return nullptr;
  }
}

template <typename Format, unsigned packed, typename F, typename P> struct ChooseBinary {
  static constexpr Handler handler = floatBinary<Format, packed, F, P>;
};
template <typename Format, unsigned packed, typename F, typename P> struct ChooseTernary {
  static constexpr Handler handler = floatTernary<Format, packed, F, P>;
};

/// The words between the opcode and its type; complains where the type has no such form.
struct FloatWords {
  std::optional<Rounding> rounding;
  bool ftz = false;
  After after = After::Plain;
  Type type = Type::F32;
};

FloatWords floatWords(Decoder &d, bool mayRelu) {
  FloatWords words;
  words.rounding = roundingWord(d);
  words.ftz = d.accept("ftz");
  if (d.accept("sat")) {
    words.after = After::Sat;
  } else if (mayRelu && d.accept("relu")) {
    words.after = After::Relu;
  }
  words.type = d.type(floats);
  const bool isF64 = words.type == Type::F64, isBfloat = isHalf(words.type) && !isF16(words.type);
  if (words.ftz && (isF64 || isBfloat)) {
    d.error("'.ftz' needs .f32 or .f16");
  }
  if (words.after == After::Sat && (isF64 || isBfloat)) {
    d.error("'.sat' needs .f32 or .f16");
  }
  if (words.after == After::Relu && !isHalf(words.type)) {
    d.error("'.relu' needs .f16 or .bf16");
  }
  if (words.rounding.value_or(Rounding::Nearest) != Rounding::Nearest && isHalf(words.type)) {
    d.error("16-bit formats know the rounding .rn only");
  }
  return words;
}

} // namespace

bool decodeFloatBinary(Decoder &d, Op &op, FloatBinary which) {
  if (!isFloatForm(d)) {
    return false;
  }
  const FloatWords words = floatWords(d, false);
  sameTypes(d, op, words.type, 3);
  if (words.rounding.value_or(Rounding::Nearest) != Rounding::Nearest) {
    const Rounded what = which == FloatBinary::Add   ? Rounded::Add
                         : which == FloatBinary::Sub ? Rounded::Sub
                                                     : Rounded::Mul;
    useRounded(d, op, words.type, {what, *words.rounding, words.ftz, words.after == After::Sat});
    return true;
  }
  switch (which) {
  case FloatBinary::Add:
    op.run = byType<FloatAdd, FloatAdd, ChooseBinary>(words.type, words.ftz, words.after);
    break;
  case FloatBinary::Sub:
    op.run = byType<FloatSub, FloatSub, ChooseBinary>(words.type, words.ftz, words.after);
    break;
  case FloatBinary::Mul:
    op.run = byType<FloatMul, FloatMul, ChooseBinary>(words.type, words.ftz, words.after);
    break;
  }
  return true;
}

static void decodeFma(Decoder &d, Op &op, bool roundingRequired) {
  const FloatWords words = floatWords(d, true);
  if (roundingRequired && !words.rounding) {
    d.error("expected a rounding: .rn, .rz, .rm or .rp");
  }
  sameTypes(d, op, words.type, 4);
  if (words.rounding.value_or(Rounding::Nearest) != Rounding::Nearest) {
    useRounded(d, op, words.type, {Rounded::Fma, *words.rounding, words.ftz, words.after == After::Sat});
    return;
  }
  op.run = byType<FloatFma, HalfFma, ChooseTernary>(words.type, words.ftz, words.after);
}

bool decodeFloatMad(Decoder &d, Op &op) {
  if (!isFloatForm(d)) {
    return false;
  }
  // mad in floating point is fma on every target since sm_20.
  decodeFma(d, op, false);
  return true;
}

/// fma.rn.oob: an operand that is -NaN (out of bounds) makes the result 0; here for the 16-bit formats.
namespace {

struct OobFma {
  float operator()(float a, float b, float c) const {
    auto outOfBounds = [](float value) { return value != value && (bits<uint32_t>(value) >> 31); };
    return outOfBounds(a) || outOfBounds(b) ? 0.0f : HalfFma()(a, b, c);
  }
};

/// 2^126 < |b| < infinity gives 0, or NaN for an infinite a (PTX ISA, div.approx).
struct DivApproximate {
  float operator()(float a, float b) const {
    const float magnitude = __builtin_fabsf(b);
    const bool huge = magnitude > 0x1p126f && magnitude < __builtin_inff();
    const float zero = a * 0.0f; // NaN for an infinite a.
    const float signedZero = bits<float>(bits<uint32_t>(zero) ^ (bits<uint32_t>(b) & 0x80000000u));
    return huge ? signedZero : a / b;
  }
};

struct FloatRcp {
  template <typename T> T operator()(T a) const { return T(1) / a; }
};
struct FloatSqrt {
  float operator()(float a) const { return __builtin_sqrtf(a); }
  double operator()(double a) const { return __builtin_sqrt(a); }
};
struct FloatRsqrt {
  float operator()(float a) const { return static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(a))); }
  double operator()(double a) const { return 1.0 / __builtin_sqrt(a); }
};

/// rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64 look at the upper 32 bits of the operand and give as many.
template <typename F> struct UpperHalf {
  double operator()(double a) const {
    const uint64_t word = bits<uint64_t>(a) & 0xffffffff00000000u;
    const uint64_t exponent = word >> 52 & 0x7ff;
    const double in = exponent == 0 ? bits<double>(word & 0x8000000000000000u) : bits<double>(word);
    const double result = F()(in);
    const uint64_t out = bits<uint64_t>(result) & 0xffffffff00000000u;
    if (result != result) {
      return bits<double>(0x7fffffff00000000u);
    }
    return (out >> 52 & 0x7ff) == 0 ? bits<double>(out & 0x8000000000000000u) : bits<double>(out);
  }
};

} // namespace

bool decodeFloatDiv(Decoder &d, Op &op) {
  if (!isFloatForm(d)) {
    return false;
  }
  const int approximate = d.optionalOf({"approx", "full"});
  const std::optional<Rounding> rounding = approximate < 0 ? roundingWord(d) : std::nullopt;
  if (approximate < 0 && !rounding) {
    d.error("expected .approx, .full or a rounding");
  }
  const bool ftz = d.accept("ftz");
  const Type type = approximate < 0 && !ftz ? d.type({Type::F32, Type::F64}) : d.type({Type::F32});
  sameTypes(d, op, type, 3);
  if (rounding.value_or(Rounding::Nearest) != Rounding::Nearest) {
    useRounded(d, op, type, {Rounded::Div, *rounding, ftz, false});
    return true;
  }
  op.run = approximate == 0 ? byType<DivApproximate, FloatDiv, ChooseBinary>(Type::F32, ftz, After::Plain)
                            : byType<FloatDiv, FloatDiv, ChooseBinary>(type, ftz, After::Plain);
  return true;
}

template <bool isMax> static Handler minMaxHandler(Type type, bool ftz, bool nan, bool xorSign) {
  auto choose = [&](auto f) -> Handler {
    using F = decltype(f);
    return byType<F, F, ChooseBinary>(type, ftz, After::Plain);
  };
  if (xorSign) {
    return nan ? choose(FloatMinMax<isMax, true, true>()) : choose(FloatMinMax<isMax, false, true>());
  }
  return nan ? choose(FloatMinMax<isMax, true, false>()) : choose(FloatMinMax<isMax, false, false>());
}

bool decodeFloatMinMax(Decoder &d, Op &op, bool isMax) {
  if (!isFloatForm(d)) {
    return false;
  }
  const bool ftz = d.accept("ftz"), nan = d.accept("NaN"), xorSign = d.accept("xorsign");
  if (xorSign) {
    d.expect("abs");
  }
  const Type type = d.type(floats);
  if ((type == Type::F64 && (ftz || nan || xorSign)) || (ftz && isHalf(type) && !isF16(type))) {
    d.error("min and max do not exist in this form for the type");
  }
  sameTypes(d, op, type, 3);
  op.run = isMax ? minMaxHandler<true>(type, ftz, nan, xorSign) : minMaxHandler<false>(type, ftz, nan, xorSign);
  return true;
}

// --- Signs: bits alone, so NaNs pass as they are.

namespace {

template <typename Word, bool negates, bool ftz> struct SignBits {
  Word operator()(Word word) const {
    constexpr Word sign = sizeof(Word) == 2 ? Word(0x8000) : static_cast<Word>(Word(1) << (sizeof(Word) * 8 - 1));
    if constexpr (ftz && sizeof(Word) == 4) {
      word = (word & 0x7f800000) == 0 ? word & sign : word;
    } else if constexpr (ftz && sizeof(Word) == 2) {
      word = (word & 0x7c00) == 0 ? word & sign : word;
    }
    return negates ? word ^ sign : word & static_cast<Word>(~sign);
  }
};

template <bool negates, bool ftz> struct SignBitsPacked {
  uint32_t operator()(uint32_t word) const {
    const SignBits<uint16_t, negates, ftz> half;
    return half(static_cast<uint16_t>(word)) | static_cast<uint32_t>(half(static_cast<uint16_t>(word >> 16))) << 16;
  }
};

template <bool negates, bool ftz> Handler signHandler(Type type) {
  switch (type) {
  case Type::F32:
    return unary<SignBits<uint32_t, negates, ftz>, uint32_t, uint32_t>;
  case Type::F64:
    return unary<SignBits<uint64_t, negates, false>, uint64_t, uint64_t>;
  case Type::F16:
  case Type::BF16:
    return unary<SignBits<uint16_t, negates, ftz>, uint16_t, uint16_t>;
  default:
    return unary<SignBitsPacked<negates, ftz>, uint32_t, uint32_t>;
  }
}

} // namespace

bool decodeFloatSign(Decoder &d, Op &op, bool negates) {
  if (!isFloatForm(d)) {
    return false;
  }
  const bool ftz = d.accept("ftz");
  const Type type = d.type(floats);
  if (ftz && type != Type::F32 && !isF16(type)) {
    d.error("'.ftz' needs .f32 or .f16");
  }
  sameTypes(d, op, type, 2);
  op.run = negates ? (ftz ? signHandler<true, true>(type) : signHandler<true, false>(type))
                   : (ftz ? signHandler<false, true>(type) : signHandler<false, false>(type));
  return true;
}

namespace {

template <typename F, typename P = Plain> Handler single(bool ftz) {
  return ftz ? floatUnary<F32Ftz, 1, F, P> : floatUnary<F32, 1, F, P>;
}

/// rcp and sqrt: `.approx{.ftz}.f32`, `.rnd{.ftz}.f32`, `.rnd.f64`; rcp also `.approx.ftz.f64`.
template <typename F> void decodeRoundedUnary(Decoder &d, Op &op, Rounded what) {
  const bool approximate = d.accept("approx");
  const std::optional<Rounding> rounding = approximate ? std::nullopt : roundingWord(d);
  if (!approximate && !rounding) {
    d.error("expected .approx or a rounding");
  }
  const bool ftz = d.accept("ftz");
  const bool doubleToo = approximate ? ftz && what == Rounded::Rcp : !ftz;
  const Type type = doubleToo ? d.type({Type::F32, Type::F64}) : d.type({Type::F32});
  sameTypes(d, op, type, 2);
  if (rounding.value_or(Rounding::Nearest) != Rounding::Nearest) {
    useRounded(d, op, type, {what, *rounding, ftz, false});
  } else if (type == Type::F64) {
    op.run = approximate ? floatUnary<F64, 1, UpperHalf<F>, Plain> : floatUnary<F64, 1, F, Plain>;
  } else {
    op.run = single<F>(ftz);
  }
}

void decodeRsqrt(Decoder &d, Op &op) {
  d.expect("approx");
  const bool ftz = d.accept("ftz");
  const Type type = d.type({Type::F32, Type::F64});
  sameTypes(d, op, type, 2);
  op.run = type == Type::F32 ? single<FloatRsqrt>(ftz)
           : ftz             ? floatUnary<F64, 1, UpperHalf<FloatRsqrt>, Plain>
                             : floatUnary<F64, 1, FloatRsqrt, Plain>;
}

/// The sign of a, all else of b.
template <typename Word> struct CopySign {
  Word operator()(Word a, Word b) const {
    constexpr Word sign = Word(1) << (sizeof(Word) * 8 - 1);
    return (a & sign) | (b & ~sign);
  }
};

enum Property : unsigned { Finite, Infinite, Number, NotANumber, Normal, Subnormal };

template <typename Word, unsigned exponentBits> Flow testProperty(Warp &warp, const Op &op, Lanes lanes) {
  constexpr unsigned fractionBits = sizeof(Word) * 8 - 1 - exponentBits;
  constexpr Word mask = (Word(1) << (sizeof(Word) * 8 - 1)) - 1;
  constexpr Word infinity = ((Word(1) << exponentBits) - 1) << fractionBits, least = Word(1) << fractionBits;
  const Word *a = warp.read<Word>(op.operands[1]);
  Lanes result = 0;
  eachLaneAlone(lanes, [&](unsigned lane) {
    const Word value = a[lane] & mask;
    bool holds = false;
    switch (op.immediate) {
    case Finite:
      holds = value < infinity;
      break;
    case Infinite:
      holds = value == infinity;
      break;
    case Number:
      holds = value <= infinity;
      break;
    case NotANumber:
      holds = value > infinity;
      break;
    case Normal:
      holds = value >= least && value < infinity;
      break;
    case Subnormal:
      holds = value != 0 && value < least;
      break;
    }
    result |= static_cast<Lanes>(holds) << lane;
  });
  warp.write(op.predicates[0], lanes, result);
  return Flow::Next;
}

void decodeTest(Decoder &d, Op &op) {
  op.immediate = d.oneOf({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  const Type type = d.type({Type::F32, Type::F64});
  op.predicates[0] = d.predicateDestination(d.operand(0));
  op.operands[1] = d.source(1, type);
  d.operandsEnd(2);
  op.run = type == Type::F32 ? testProperty<uint32_t, 8> : testProperty<uint64_t, 11>;
}

void decodeFmaOpcode(Decoder &d, Op &op) {
  const std::vector<std::string> &modifiers = d.instruction().modifiers;
  if (std::find(modifiers.begin(), modifiers.end(), "oob") == modifiers.end()) {
    decodeFma(d, op, true);
    return;
  }
  d.expect("rn");
  d.expect("oob");
  const bool relu = d.accept("relu");
  const Type type = d.type({Type::F16, Type::F16x2, Type::BF16, Type::BF16x2});
  sameTypes(d, op, type, 4);
  op.run = byType<FloatFma, OobFma, ChooseTernary>(type, false, relu ? After::Relu : After::Plain);
}

} // namespace

void addFloat(OpcodeTable &table) {
  table.add("fma", decodeFmaOpcode);
  table.add("rcp", [](Decoder &d, Op &op) { decodeRoundedUnary<FloatRcp>(d, op, Rounded::Rcp); });
  table.add("sqrt", [](Decoder &d, Op &op) { decodeRoundedUnary<FloatSqrt>(d, op, Rounded::Sqrt); });
  table.add("rsqrt", decodeRsqrt);
  table.add("testp", decodeTest);
  table.add("copysign", [](Decoder &d, Op &op) {
    const Type type = d.type({Type::F32, Type::F64});
    sameTypes(d, op, type, 3);
    op.run = type == Type::F32 ? binary<CopySign<uint32_t>, uint32_t, uint32_t>
                               : binary<CopySign<uint64_t>, uint64_t, uint64_t>;
  });
}

// clang-format off
VECTOR_CODE_END
// clang-format on
