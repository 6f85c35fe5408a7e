#include "ops/lanes.h"
#include <algorithm>
#include <limits>
#include <string_view>
#include <type_traits>

// PTX ISA 9.7.1 and 9.7.2, integers: add sub mul mad div rem abs neg min max, sad, mul24 mad24, dp4a dp2a, and with the
// carry flag add.cc addc sub.cc subc mad.cc madc. Where an opcode has forms in floating point too, ops/floats.cpp reads
// those.

#include "ops/float_forms.h"

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Type;

namespace {

template <typename T> using Unsigned = std::make_unsigned_t<T>;
/// Twice as wide, of the same sign.
template <typename T>
using Wide =
    std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
                       std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                                          std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

template <typename T> struct Add {
  T operator()(T a, T b) const { return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
};
template <typename T> struct Sub {
  T operator()(T a, T b) const { return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b)); }
};
struct AddSaturated {
  int32_t operator()(int32_t a, int32_t b) const {
    return static_cast<int32_t>(std::clamp<int64_t>(int64_t(a) + b, INT32_MIN, INT32_MAX));
  }
};
struct SubSaturated {
  int32_t operator()(int32_t a, int32_t b) const {
    return static_cast<int32_t>(std::clamp<int64_t>(int64_t(a) - b, INT32_MIN, INT32_MAX));
  }
};
template <typename T> struct MulLow {
  T operator()(T a, T b) const { return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)); }
};
template <typename T> struct MulHigh {
  T operator()(T a, T b) const { return static_cast<T>((Wide<T>(a) * Wide<T>(b)) >> sizeof(T) * 8); }
};
template <typename T> struct MulWide {
  Wide<T> operator()(T a, T b) const { return Wide<T>(a) * Wide<T>(b); }
};
template <typename T> struct MadLow {
  T operator()(T a, T b, T c) const { return Add<T>()(MulLow<T>()(a, b), c); }
};
template <typename T> struct MadHigh {
  T operator()(T a, T b, T c) const { return Add<T>()(MulHigh<T>()(a, b), c); }
};
template <typename T> struct MadWide {
  Wide<T> operator()(T a, T b, Wide<T> c) const { return Add<Wide<T>>()(MulWide<T>()(a, b), c); }
};
struct MadHighSaturated {
  int32_t operator()(int32_t a, int32_t b, int32_t c) const { return AddSaturated()(MulHigh<int32_t>()(a, b), c); }
};

/// 24-bit multiplication: bits 0..31 or 16..47 of the product of the operands' low 24 bits.
template <typename T> T low24(T value) {
  return static_cast<T>(static_cast<T>(static_cast<uint32_t>(value) << 8) >> 8);
}
template <typename T, bool high> struct Mul24 {
  T operator()(T a, T b) const {
    const Wide<T> product = Wide<T>(low24(a)) * Wide<T>(low24(b));
    return static_cast<T>(high ? product >> 16 : product);
  }
};
template <typename T, bool high> struct Mad24 {
  T operator()(T a, T b, T c) const { return Add<T>()(Mul24<T, high>()(a, b), c); }
};
struct Mad24HighSaturated {
  int32_t operator()(int32_t a, int32_t b, int32_t c) const { return AddSaturated()(Mul24<int32_t, true>()(a, b), c); }
};

/// By zero the ISA leaves the result open; all ones and the dividend are what hardware's sequences give.
template <typename T> struct Div {
  T operator()(T a, T b) const {
    if (b == 0) {
      return static_cast<T>(-1);
    }
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) {
      return static_cast<T>(0 - static_cast<Unsigned<T>>(a));
    }
    return static_cast<T>(a / b);
  }
};
template <typename T> struct Rem {
  T operator()(T a, T b) const {
    if (b == 0) {
      return a;
    }
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) {
      return 0;
    }
    return static_cast<T>(a % b);
  }
};
template <typename T> struct Min {
  T operator()(T a, T b) const { return b < a ? b : a; }
};
template <typename T> struct Max {
  T operator()(T a, T b) const { return a < b ? b : a; }
};
template <typename F, typename T> struct Relu {
  T operator()(T a, T b) const {
    const T value = F()(a, b);
    return value > 0 ? value : T(0);
  }
};
template <typename T> struct Abs {
  T operator()(T a) const {
    return static_cast<T>(a < 0 ? 0 - static_cast<Unsigned<T>>(a) : static_cast<Unsigned<T>>(a));
  }
};
template <typename T> struct Neg {
  T operator()(T a) const { return static_cast<T>(0 - static_cast<Unsigned<T>>(a)); }
};
template <typename T> struct SumOfDifferences {
  T operator()(T a, T b, T c) const {
    const Unsigned<T> difference = a < b ? static_cast<Unsigned<T>>(b) - static_cast<Unsigned<T>>(a)
                                         : static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b);
    return static_cast<T>(static_cast<Unsigned<T>>(c) + difference);
  }
};

/// Two 16-bit operations in a register.
template <typename F, typename T> struct Packed {
  uint32_t operator()(uint32_t a, uint32_t b) const {
    const uint32_t low = static_cast<uint16_t>(F()(static_cast<T>(a), static_cast<T>(b)));
    const uint32_t high = static_cast<uint16_t>(F()(static_cast<T>(a >> 16), static_cast<T>(b >> 16)));
    return high << 16 | low;
  }
};

// --- Choosing by type. F is a template over the operands' type.

template <template <typename> typename F, typename T> constexpr Handler binaryOf = binary<F<T>, T, T>;

template <template <typename> typename F> Handler integerBinary(Type type) {
  switch (type) {
  case Type::U16:
    return binaryOf<F, uint16_t>;
  case Type::S16:
    return binaryOf<F, int16_t>;
  case Type::U32:
    return binaryOf<F, uint32_t>;
  case Type::S32:
    return binaryOf<F, int32_t>;
  case Type::U64:
    return binaryOf<F, uint64_t>;
  case Type::S64:
    return binaryOf<F, int64_t>;
  case Type::U16x2:
    return binary<Packed<F<uint16_t>, uint16_t>, uint32_t, uint32_t>;
  case Type::S16x2:
    return binary<Packed<F<int16_t>, int16_t>, uint32_t, uint32_t>;
  default:
    return nullptr;
  }
}

template <template <typename> typename F> Handler integerTernary(Type type) {
  switch (type) {
  case Type::U16:
    return ternary<F<uint16_t>, uint16_t, uint16_t>;
  case Type::S16:
    return ternary<F<int16_t>, int16_t, int16_t>;
  case Type::U32:
    return ternary<F<uint32_t>, uint32_t, uint32_t>;
  case Type::S32:
    return ternary<F<int32_t>, int32_t, int32_t>;
  case Type::U64:
    return ternary<F<uint64_t>, uint64_t, uint64_t>;
  case Type::S64:
    return ternary<F<int64_t>, int64_t, int64_t>;
  default:
    return nullptr;
  }
}

template <template <typename> typename F> Handler integerUnary(Type type) {
  switch (type) {
  case Type::S16:
    return unary<F<int16_t>, int16_t, int16_t>;
  case Type::S32:
    return unary<F<int32_t>, int32_t, int32_t>;
  case Type::S64:
    return unary<F<int64_t>, int64_t, int64_t>;
  default:
    return nullptr;
  }
}

constexpr std::initializer_list<Type> integers = {Type::U16, Type::S16, Type::U32, Type::S32, Type::U64, Type::S64};
constexpr std::initializer_list<Type> packedIntegers = {Type::U16, Type::S16, Type::U32,   Type::S32,
                                                        Type::U64, Type::S64, Type::U16x2, Type::S16x2};

// --- The carry flag.

/// d = a + b + carry, or a - b - borrow; `operation` says which, and whether the flag is read and written.
enum CarryUse : int64_t { Subtracts = 1, ReadsCarry = 2, WritesCarry = 4 };

template <typename T> Flow addWithCarry(Warp &warp, const Op &op, Lanes lanes) {
  T *d = warp.write<T>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]), *b = warp.read<T>(op.operands[2]);
  const bool subtracts = op.immediate & Subtracts;
  const Lanes in = op.immediate & ReadsCarry ? warp.read(op.predicates[0]) : 0;
  Lanes out = 0;
  eachLaneAlone(lanes, [&](unsigned lane) {
    const T carry = in >> lane & 1;
    T sum;
    const bool first =
        subtracts ? __builtin_sub_overflow(a[lane], b[lane], &sum) : __builtin_add_overflow(a[lane], b[lane], &sum);
    const bool second = subtracts ? __builtin_sub_overflow(sum, carry, &sum) : __builtin_add_overflow(sum, carry, &sum);
    d[lane] = sum;
    out |= static_cast<Lanes>(first | second) << lane;
  });
  if (op.immediate & WritesCarry) {
    warp.write(op.predicates[1], lanes, out);
  }
  return Flow::Next;
}

template <typename T, bool high> Flow madWithCarry(Warp &warp, const Op &op, Lanes lanes) {
  using U = Unsigned<T>;
  U *d = warp.write<U>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]), *b = warp.read<T>(op.operands[2]);
  const U *c = warp.read<U>(op.operands[3]);
  const Lanes in = op.immediate & ReadsCarry ? warp.read(op.predicates[0]) : 0;
  Lanes out = 0;
  eachLaneAlone(lanes, [&](unsigned lane) {
    const U product = static_cast<U>(high ? MulHigh<T>()(a[lane], b[lane]) : MulLow<T>()(a[lane], b[lane]));
    U sum;
    const bool first = __builtin_add_overflow(product, c[lane], &sum);
    const bool second = __builtin_add_overflow(sum, static_cast<U>(in >> lane & 1), &sum);
    d[lane] = sum;
    out |= static_cast<Lanes>(first | second) << lane;
  });
  if (op.immediate & WritesCarry) {
    warp.write(op.predicates[1], lanes, out);
  }
  return Flow::Next;
}

void useCarry(Decoder &d, Op &op, int64_t use) {
  op.immediate = use;
  if (use & ReadsCarry) {
    op.predicates[0] = d.carrySource();
  }
  if (use & WritesCarry) {
    op.predicates[1] = d.carryDestination();
  }
}

void decodeCarryAdd(Decoder &d, Op &op, int64_t use) {
  const Type type = d.type({Type::U32, Type::S32, Type::U64, Type::S64, Type::B32, Type::B64});
  sameTypes(d, op, type, 3);
  useCarry(d, op, use);
  op.run = ptx::sizeOf(type) == 4 ? addWithCarry<uint32_t> : addWithCarry<uint64_t>;
}

void decodeCarryMad(Decoder &d, Op &op, bool high, int64_t use) {
  const Type type = d.type({Type::U32, Type::S32, Type::U64, Type::S64});
  sameTypes(d, op, type, 4);
  useCarry(d, op, use);
  switch (type) {
  case Type::U32:
    op.run = high ? madWithCarry<uint32_t, true> : madWithCarry<uint32_t, false>;
    break;
  case Type::S32:
    op.run = high ? madWithCarry<int32_t, true> : madWithCarry<int32_t, false>;
    break;
  case Type::U64:
    op.run = high ? madWithCarry<uint64_t, true> : madWithCarry<uint64_t, false>;
    break;
  default:
    op.run = high ? madWithCarry<int64_t, true> : madWithCarry<int64_t, false>;
  }
}

// --- Decoders.

void decodeAddOrSub(Decoder &d, Op &op, bool subtracts) {
  if (d.accept("cc")) {
    decodeCarryAdd(d, op, WritesCarry | (subtracts ? Subtracts : 0));
    return;
  }
  if (decodeFloatBinary(d, op, subtracts ? FloatBinary::Sub : FloatBinary::Add)) {
    return;
  }
  const bool saturates = d.accept("sat");
  const Type type = saturates ? d.type({Type::S32}) : subtracts ? d.type(packedIntegers) : d.type(packedIntegers);
  sameTypes(d, op, type, 3);
  if (saturates) {
    op.run = subtracts ? binary<SubSaturated, int32_t, int32_t> : binary<AddSaturated, int32_t, int32_t>;
    return;
  }
  op.run = subtracts ? integerBinary<Sub>(type) : integerBinary<Add>(type);
}

Type widened(Type type) {
  switch (type) {
  case Type::U16:
    return Type::U32;
  case Type::S16:
    return Type::S32;
  case Type::U32:
    return Type::U64;
  default:
    return Type::S64;
  }
}

void decodeMul(Decoder &d, Op &op) {
  if (decodeFloatBinary(d, op, FloatBinary::Mul)) {
    return;
  }
  const unsigned mode = d.oneOf({"hi", "lo", "wide"});
  if (mode == 2) {
    const Type type = d.type({Type::U16, Type::S16, Type::U32, Type::S32});
    op.operands[0] = d.destination(0, widened(type));
    op.operands[1] = d.source(1, type);
    op.operands[2] = d.source(2, type);
    d.operandsEnd(3);
    switch (type) {
    case Type::U16:
      op.run = binary<MulWide<uint16_t>, uint32_t, uint16_t>;
      break;
    case Type::S16:
      op.run = binary<MulWide<int16_t>, int32_t, int16_t>;
      break;
    case Type::U32:
      op.run = binary<MulWide<uint32_t>, uint64_t, uint32_t>;
      break;
    default:
      op.run = binary<MulWide<int32_t>, int64_t, int32_t>;
    }
    return;
  }
  const Type type = d.type(integers);
  sameTypes(d, op, type, 3);
  op.run = mode == 0 ? integerBinary<MulHigh>(type) : integerBinary<MulLow>(type);
}

void decodeMad(Decoder &d, Op &op) {
  if (decodeFloatMad(d, op)) {
    return;
  }
  const unsigned mode = d.oneOf({"hi", "lo", "wide"});
  if (mode < 2 && d.accept("cc")) {
    decodeCarryMad(d, op, mode == 0, WritesCarry);
    return;
  }
  if (mode == 2) {
    const Type type = d.type({Type::U16, Type::S16, Type::U32, Type::S32});
    op.operands[0] = d.destination(0, widened(type));
    op.operands[1] = d.source(1, type);
    op.operands[2] = d.source(2, type);
    op.operands[3] = d.source(3, widened(type));
    d.operandsEnd(4);
    switch (type) {
    case Type::U16:
      op.run = ternary<MadWide<uint16_t>, uint32_t, uint16_t>;
      break;
    case Type::S16:
      op.run = ternary<MadWide<int16_t>, int32_t, int16_t>;
      break;
    case Type::U32:
      op.run = ternary<MadWide<uint32_t>, uint64_t, uint32_t>;
      break;
    default:
      op.run = ternary<MadWide<int32_t>, int64_t, int32_t>;
    }
    return;
  }
  const bool saturates = mode == 0 && d.accept("sat");
  const Type type = saturates ? d.type({Type::S32}) : d.type(integers);
  sameTypes(d, op, type, 4);
  op.run = saturates   ? ternary<MadHighSaturated, int32_t, int32_t>
           : mode == 0 ? integerTernary<MadHigh>(type)
                       : integerTernary<MadLow>(type);
}

void decodeMul24(Decoder &d, Op &op) {
  const bool high = d.oneOf({"lo", "hi"});
  const Type type = d.type({Type::U32, Type::S32});
  sameTypes(d, op, type, 3);
  if (type == Type::U32) {
    op.run =
        high ? binary<Mul24<uint32_t, true>, uint32_t, uint32_t> : binary<Mul24<uint32_t, false>, uint32_t, uint32_t>;
  } else {
    op.run = high ? binary<Mul24<int32_t, true>, int32_t, int32_t> : binary<Mul24<int32_t, false>, int32_t, int32_t>;
  }
}

void decodeMad24(Decoder &d, Op &op) {
  const bool high = d.oneOf({"lo", "hi"});
  const bool saturates = high && d.accept("sat");
  const Type type = saturates ? d.type({Type::S32}) : d.type({Type::U32, Type::S32});
  sameTypes(d, op, type, 4);
  if (saturates) {
    op.run = ternary<Mad24HighSaturated, int32_t, int32_t>;
  } else if (type == Type::U32) {
    op.run =
        high ? ternary<Mad24<uint32_t, true>, uint32_t, uint32_t> : ternary<Mad24<uint32_t, false>, uint32_t, uint32_t>;
  } else {
    op.run = high ? ternary<Mad24<int32_t, true>, int32_t, int32_t> : ternary<Mad24<int32_t, false>, int32_t, int32_t>;
  }
}

void decodeDivOrRem(Decoder &d, Op &op, bool remainder) {
  if (!remainder && decodeFloatDiv(d, op)) {
    return;
  }
  const Type type = d.type(integers);
  sameTypes(d, op, type, 3);
  op.run = remainder ? integerBinary<Rem>(type) : integerBinary<Div>(type);
  // Packed forms do not exist.
}

void decodeMinOrMax(Decoder &d, Op &op, bool isMax) {
  if (decodeFloatMinMax(d, op, isMax)) {
    return;
  }
  const bool relu = d.accept("relu");
  const Type type = relu ? d.type({Type::S16x2, Type::S32}) : d.type(packedIntegers);
  sameTypes(d, op, type, 3);
  if (!relu) {
    op.run = isMax ? integerBinary<Max>(type) : integerBinary<Min>(type);
  } else if (type == Type::S32) {
    op.run = isMax ? binary<Relu<Max<int32_t>, int32_t>, int32_t, int32_t>
                   : binary<Relu<Min<int32_t>, int32_t>, int32_t, int32_t>;
  } else {
    op.run = isMax ? binary<Packed<Relu<Max<int16_t>, int16_t>, int16_t>, uint32_t, uint32_t>
                   : binary<Packed<Relu<Min<int16_t>, int16_t>, int16_t>, uint32_t, uint32_t>;
  }
}

void decodeAbsOrNeg(Decoder &d, Op &op, bool negates) {
  if (decodeFloatSign(d, op, negates)) {
    return;
  }
  const Type type = d.type({Type::S16, Type::S32, Type::S64});
  sameTypes(d, op, type, 2);
  op.run = negates ? integerUnary<Neg>(type) : integerUnary<Abs>(type);
}

// --- Dot products of bytes.

template <bool signedA, bool signedB> Flow dot4(Warp &warp, const Op &op, Lanes lanes) {
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]), *b = warp.read<uint32_t>(op.operands[2]),
                 *c = warp.read<uint32_t>(op.operands[3]);
  eachLane(lanes, [=](unsigned lane) {
    int32_t sum = static_cast<int32_t>(c[lane]);
    for (unsigned byte = 0; byte < 4; ++byte) {
      const uint8_t left = static_cast<uint8_t>(a[lane] >> byte * 8), right = static_cast<uint8_t>(b[lane] >> byte * 8);
      const int32_t x = signedA ? static_cast<int8_t>(left) : left, y = signedB ? static_cast<int8_t>(right) : right;
      sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(x * y));
    }
    d[lane] = static_cast<uint32_t>(sum);
  });
  return Flow::Next;
}

/// Two 16-bit values of a with two bytes of b: the lower ones or the upper ones (`op.immediate`).
template <bool signedA, bool signedB> Flow dot2(Warp &warp, const Op &op, Lanes lanes) {
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]), *b = warp.read<uint32_t>(op.operands[2]),
                 *c = warp.read<uint32_t>(op.operands[3]);
  const unsigned shift = op.immediate ? 16 : 0;
  eachLane(lanes, [=](unsigned lane) {
    uint32_t sum = c[lane];
    for (unsigned i = 0; i < 2; ++i) {
      const uint16_t left = static_cast<uint16_t>(a[lane] >> i * 16);
      const uint8_t right = static_cast<uint8_t>(b[lane] >> (shift + i * 8));
      const int32_t x = signedA ? static_cast<int16_t>(left) : left, y = signedB ? static_cast<int8_t>(right) : right;
      sum += static_cast<uint32_t>(x * y);
    }
    d[lane] = sum;
  });
  return Flow::Next;
}

void decodeDot(Decoder &d, Op &op, bool four) {
  if (!four) {
    op.immediate = d.oneOf({"lo", "hi"});
  }
  const Type a = d.type({Type::U32, Type::S32}), b = d.type({Type::U32, Type::S32});
  const bool signedA = a == Type::S32, signedB = b == Type::S32;
  sameTypes(d, op, Type::B32, 4);
  const Handler handlers[2][4] = {{dot2<false, false>, dot2<false, true>, dot2<true, false>, dot2<true, true>},
                                  {dot4<false, false>, dot4<false, true>, dot4<true, false>, dot4<true, true>}};
  op.run = handlers[four][signedA * 2 + signedB];
}

} // namespace

void addArithmetic(OpcodeTable &table) {
  table.add("add", [](Decoder &d, Op &op) { decodeAddOrSub(d, op, false); });
  table.add("sub", [](Decoder &d, Op &op) { decodeAddOrSub(d, op, true); });
  table.add("mul", decodeMul);
  table.add("mad", decodeMad);
  table.add("mul24", decodeMul24);
  table.add("mad24", decodeMad24);
  table.add("div", [](Decoder &d, Op &op) { decodeDivOrRem(d, op, false); });
  table.add("rem", [](Decoder &d, Op &op) { decodeDivOrRem(d, op, true); });
  table.add("min", [](Decoder &d, Op &op) { decodeMinOrMax(d, op, false); });
  table.add("max", [](Decoder &d, Op &op) { decodeMinOrMax(d, op, true); });
  table.add("abs", [](Decoder &d, Op &op) { decodeAbsOrNeg(d, op, false); });
  table.add("neg", [](Decoder &d, Op &op) { decodeAbsOrNeg(d, op, true); });
  table.add("sad", [](Decoder &d, Op &op) {
    const Type type = d.type(integers);
    sameTypes(d, op, type, 4);
    op.run = integerTernary<SumOfDifferences>(type);
  });
  table.add("addc", [](Decoder &d, Op &op) { decodeCarryAdd(d, op, ReadsCarry | (d.accept("cc") ? WritesCarry : 0)); });
  table.add("subc", [](Decoder &d, Op &op) {
    decodeCarryAdd(d, op, Subtracts | ReadsCarry | (d.accept("cc") ? WritesCarry : 0));
  });
  table.add("madc", [](Decoder &d, Op &op) {
    const bool high = d.oneOf({"lo", "hi"});
    decodeCarryMad(d, op, high, ReadsCarry | (d.accept("cc") ? WritesCarry : 0));
  });
  table.add("dp4a", [](Decoder &d, Op &op) { decodeDot(d, op, true); });
  table.add("dp2a", [](Decoder &d, Op &op) { decodeDot(d, op, false); });
}

// clang-format off
VECTOR_CODE_END
// clang-format on
