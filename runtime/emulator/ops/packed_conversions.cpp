#include "ops/conversion_forms.h"
#include "ops/float_operations.h"
#include "ops/lanes.h"
#include "ops/small_floats.h"
#include <algorithm>
#include <string>

// PTX ISA 9.7.9: cvt to and from f16x2, bf16x2, tf32, e4m3x2 and e5m2x2; cvt.pack. Of two sources the first makes the
// upper half.

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Type;

namespace {

struct PackedForm {
  bool relu = false, satfinite = false;
  Rounding rounding = Rounding::Nearest;
};

/// Towards zero: what rounding to nearest has carried beyond is taken back.
[[gnu::always_inline]] inline uint16_t towardsZero(uint16_t near, float back, float exact) {
  return __builtin_fabsf(back) > __builtin_fabsf(exact) ? static_cast<uint16_t>(near - 1) : near;
}

template <typename Format> [[gnu::always_inline]] inline uint16_t narrowed(float value, PackedForm form) {
  constexpr uint16_t infinity = std::is_same_v<Format, F16> ? 0x7c00 : 0x7f80, largest = infinity - 1;
  value = form.relu ? Rectify::apply(value) : value;
  uint16_t result = Format::store(value);
  if (form.rounding == Rounding::Zero) {
    result = towardsZero(result, Format::load(result), value);
  }
  if (form.satfinite) {
    const uint16_t magnitude = result & 0x7fff;
    result = magnitude == infinity ? static_cast<uint16_t>((result & 0x8000) | largest) : result;
  }
  return result;
}

template <typename Format> Flow narrowOne(Warp &warp, const Op &op, Lanes lanes) {
  const PackedForm form = *static_cast<const PackedForm *>(op.form);
  uint16_t *d = warp.write<uint16_t>(op.operands[0]);
  const float *a = warp.read<float>(op.operands[1]);
  eachLane(lanes, [=](unsigned lane) { d[lane] = narrowed<Format>(a[lane], form); });
  return Flow::Next;
}

template <typename Format, bool plain> Flow narrowTwo(Warp &warp, const Op &op, Lanes lanes) {
  const PackedForm form = plain ? PackedForm() : *static_cast<const PackedForm *>(op.form);
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const float *a = warp.read<float>(op.operands[1]), *b = warp.read<float>(op.operands[2]);
  eachLane(lanes, [=](unsigned lane) {
    const uint32_t high = narrowed<Format>(a[lane], form), low = narrowed<Format>(b[lane], form);
    d[lane] = high << 16 | low;
  });
  return Flow::Next;
}

enum class TensorRounding : uint8_t { Away, Even, Zero };

template <TensorRounding rounding> Flow toTf32(Warp &warp, const Op &op, Lanes lanes) {
  const PackedForm form = *static_cast<const PackedForm *>(op.form);
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]);
  eachLane(lanes, [=](unsigned lane) {
    const float given = bits<float>(a[lane]);
    const uint32_t word = bits<uint32_t>(form.relu ? Rectify::apply(given) : given);
    const uint32_t magnitude = word & 0x7fffffff;
    const uint32_t addend = rounding == TensorRounding::Away   ? 0x1000
                            : rounding == TensorRounding::Even ? 0xfff + (magnitude >> 13 & 1)
                                                               : 0;
    uint32_t rounded = magnitude < 0x7f800000 ? (magnitude + addend) & ~0x1fffu : magnitude;
    rounded = form.satfinite && rounded == 0x7f800000 ? 0x7f7fe000 : rounded;
    rounded = magnitude > 0x7f800000 ? 0x7fffffff : rounded;
    d[lane] = rounded | (magnitude > 0x7f800000 ? 0 : word & 0x80000000);
  });
  return Flow::Next;
}

template <bool e5m2> [[gnu::always_inline]] inline uint8_t toFp8(float value, bool relu) {
  value = relu ? Rectify::apply(value) : value;
  return e5m2 ? toE5m2(value) : toE4m3(value);
}

template <bool e5m2> Flow singlesToFp8(Warp &warp, const Op &op, Lanes lanes) {
  const bool relu = static_cast<const PackedForm *>(op.form)->relu;
  uint16_t *d = warp.write<uint16_t>(op.operands[0]);
  const float *a = warp.read<float>(op.operands[1]), *b = warp.read<float>(op.operands[2]);
  eachLane(lanes, [=](unsigned lane) {
    d[lane] = static_cast<uint16_t>(toFp8<e5m2>(a[lane], relu) << 8 | toFp8<e5m2>(b[lane], relu));
  });
  return Flow::Next;
}

template <bool e5m2> Flow halvesToFp8(Warp &warp, const Op &op, Lanes lanes) {
  const bool relu = static_cast<const PackedForm *>(op.form)->relu;
  uint16_t *d = warp.write<uint16_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]);
  eachLane(lanes, [=](unsigned lane) {
    const float high = fromHalf(static_cast<uint16_t>(a[lane] >> 16)), low = fromHalf(static_cast<uint16_t>(a[lane]));
    d[lane] = static_cast<uint16_t>(toFp8<e5m2>(high, relu) << 8 | toFp8<e5m2>(low, relu));
  });
  return Flow::Next;
}

template <bool e5m2> Flow fp8ToHalves(Warp &warp, const Op &op, Lanes lanes) {
  const bool relu = static_cast<const PackedForm *>(op.form)->relu;
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint16_t *a = warp.read<uint16_t>(op.operands[1]);
  auto half = [relu](uint8_t code) -> uint32_t {
    uint16_t value = e5m2 ? halfOfE5m2(code) : halfOfE4m3(code);
    value = (value & 0x7fff) > 0x7c00 ? 0x7fff : value;
    return relu && (value & 0x8000) ? 0 : value;
  };
  eachLane(lanes, [=](unsigned lane) {
    d[lane] = half(static_cast<uint8_t>(a[lane] >> 8)) << 16 | half(static_cast<uint8_t>(a[lane]));
  });
  return Flow::Next;
}

bool has(const Decoder &d, std::string_view word) {
  const std::vector<std::string> &modifiers = d.instruction().modifiers;
  return std::find(modifiers.begin(), modifiers.end(), word) != modifiers.end();
}

/// `.relu` and `.satfinite`, in either order.
void afterWords(Decoder &d, PackedForm &form) {
  for (int i = 0; i < 2; ++i) {
    form.relu = form.relu || d.accept("relu");
    form.satfinite = form.satfinite || d.accept("satfinite");
  }
}

void decodeTf32(Decoder &d, Op &op) {
  PackedForm form;
  const unsigned rounding = d.oneOf({"rna", "rn", "rz"});
  afterWords(d, form);
  d.expect("tf32");
  d.expect("f32");
  if (form.relu && rounding == 0) {
    d.error("'.relu' needs .rn or .rz");
  }
  op.operands[0] = d.destination(0, Type::B32);
  op.operands[1] = d.source(1, Type::F32);
  d.operandsEnd(2);
  op.form = d.keep(form);
  op.run = rounding == 0   ? toTf32<TensorRounding::Away>
           : rounding == 1 ? toTf32<TensorRounding::Even>
                           : toTf32<TensorRounding::Zero>;
}

void decodeFp8(Decoder &d, Op &op) {
  PackedForm form;
  d.expect("rn");
  afterWords(d, form);
  const Type to = d.type({Type::E4M3x2, Type::E5M2x2, Type::F16x2});
  if (to == Type::F16x2) {
    const Type from = d.type({Type::E4M3x2, Type::E5M2x2});
    if (form.satfinite) {
      d.error("'.satfinite' has no meaning where every value fits");
    }
    op.operands[0] = d.destination(0, Type::B32);
    op.operands[1] = d.source(1, Type::B16);
    d.operandsEnd(2);
    op.run = from == Type::E5M2x2 ? fp8ToHalves<true> : fp8ToHalves<false>;
  } else {
    const Type from = d.type({Type::F32, Type::F16x2});
    if (!form.satfinite) {
      d.error("expected '.satfinite'");
    }
    op.operands[0] = d.destination(0, Type::B16);
    if (from == Type::F32) {
      op.operands[1] = d.source(1, Type::F32);
      op.operands[2] = d.source(2, Type::F32);
      d.operandsEnd(3);
      op.run = to == Type::E5M2x2 ? singlesToFp8<true> : singlesToFp8<false>;
    } else {
      op.operands[1] = d.source(1, Type::B32);
      d.operandsEnd(2);
      op.run = to == Type::E5M2x2 ? halvesToFp8<true> : halvesToFp8<false>;
    }
  }
  op.form = d.keep(form);
}

// --- cvt.pack

struct IntegerPack {
  unsigned bits;
  bool isSigned, sourceSigned;
};

Flow packIntegers(Warp &warp, const Op &op, Lanes lanes) {
  const IntegerPack form = *static_cast<const IntegerPack *>(op.form);
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]), *b = warp.read<uint32_t>(op.operands[2]),
                 *c = warp.read<uint32_t>(op.operands[3]);
  const int64_t high = form.isSigned ? (int64_t(1) << (form.bits - 1)) - 1 : (int64_t(1) << form.bits) - 1;
  const int64_t low = form.isSigned ? -high - 1 : 0;
  const uint32_t mask = static_cast<uint32_t>((uint64_t(1) << form.bits) - 1);
  auto element = [&](uint32_t word) {
    const int64_t value = form.sourceSigned ? static_cast<int64_t>(static_cast<int32_t>(word)) : word;
    return static_cast<uint32_t>(std::clamp(value, low, high)) & mask;
  };
  eachLaneAlone(lanes, [&](unsigned lane) {
    const uint32_t packed = element(a[lane]) << form.bits | element(b[lane]);
    d[lane] = form.bits == 16 ? packed : c[lane] << 2 * form.bits | packed;
  });
  return Flow::Next;
}

} // namespace

bool decodePackedConversion(Decoder &d, Op &op) {
  if (has(d, "tf32")) {
    decodeTf32(d, op);
    return true;
  }
  if (has(d, "e4m3x2") || has(d, "e5m2x2")) {
    decodeFp8(d, op);
    return true;
  }
  const bool two = has(d, "f16x2") || has(d, "bf16x2");
  if (!two && !has(d, "relu") && !has(d, "satfinite")) {
    return false;
  }
  PackedForm form;
  form.rounding = d.oneOf({"rn", "rz"}) ? Rounding::Zero : Rounding::Nearest;
  afterWords(d, form);
  const Type to = two ? d.type({Type::F16x2, Type::BF16x2}) : d.type({Type::F16, Type::BF16});
  d.expect("f32");
  op.operands[0] = d.destination(0, to);
  op.operands[1] = d.source(1, Type::F32);
  const bool isHalf = to == Type::F16 || to == Type::F16x2;
  if (two) {
    op.operands[2] = d.source(2, Type::F32);
    const bool plain = !form.relu && !form.satfinite && form.rounding == Rounding::Nearest;
    op.run = plain ? (isHalf ? narrowTwo<F16, true> : narrowTwo<BF16, true>)
                   : (isHalf ? narrowTwo<F16, false> : narrowTwo<BF16, false>);
  } else {
    op.run = isHalf ? narrowOne<F16> : narrowOne<BF16>;
  }
  d.operandsEnd(two ? 3 : 2);
  op.form = d.keep(form);
  return true;
}

void decodePack(Decoder &d, Op &op) {
  d.expect("sat");
  const std::string_view to = d.word();
  IntegerPack form{};
  const bool known =
      to == "u16" || to == "s16" || to == "u8" || to == "s8" || to == "u4" || to == "s4" || to == "u2" || to == "s2";
  if (!known) {
    d.error("found '." + std::string(to) + "', expected .u16, .s16, .u8, .s8, .u4, .s4, .u2 or .s2");
    return;
  }
  form.isSigned = to[0] == 's';
  form.bits = to == "u16" || to == "s16" ? 16 : static_cast<unsigned>(to[1] - '0');
  form.sourceSigned = form.bits == 16 ? d.type({Type::S32, Type::U32}) == Type::S32 : d.type({Type::S32}) == Type::S32;
  op.operands[0] = d.destination(0, Type::B32);
  op.operands[1] = d.source(1, Type::S32);
  op.operands[2] = d.source(2, Type::S32);
  op.operands[3] = op.operands[2];
  if (form.bits < 16) {
    d.expect("b32");
    op.operands[3] = d.source(3, Type::B32);
    d.operandsEnd(4);
  } else {
    d.operandsEnd(3);
  }
  op.form = d.keep(form);
  op.run = packIntegers;
}

// clang-format off
VECTOR_CODE_END
// clang-format on
