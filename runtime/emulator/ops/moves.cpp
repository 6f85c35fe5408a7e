#include "ops/floating_point.h"
#include "ops/lanes.h"
#include <functional>

// PTX ISA 9.7.6 and 9.7.9: mov selp slct setp set.

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Type;

namespace {

struct B128 {
  uint64_t low, high;
};

// --- mov

template <typename T> Flow copy(Warp &warp, const Op &op, Lanes lanes) {
  T *d = warp.write<T>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]);
  eachLane(lanes, [=](unsigned lane) { d[lane] = a[lane]; });
  return Flow::Next;
}

Flow copyPredicate(Warp &warp, const Op &op, Lanes lanes) {
  warp.write(op.predicates[0], lanes, warp.read(op.predicates[1]));
  return Flow::Next;
}

/// `parts` values of type Part are one of type Whole; operand 0 is the whole, those behind it the parts.
template <typename Whole, typename Part, unsigned parts> Flow pack(Warp &warp, const Op &op, Lanes lanes) {
  Part *d = reinterpret_cast<Part *>(warp.write<Whole>(op.operands[0]));
  for (unsigned part = 0; part < parts; ++part) {
    const Part *a = warp.read<Part>(op.operands[1 + part]);
    eachLane(lanes, [=](unsigned lane) { d[lane * parts + part] = a[lane]; });
  }
  return Flow::Next;
}

template <typename Whole, typename Part, unsigned parts> Flow unpack(Warp &warp, const Op &op, Lanes lanes) {
  const Part *a = reinterpret_cast<const Part *>(warp.read<Whole>(op.operands[0]));
  for (unsigned part = 0; part < parts; ++part) {
    Part *d = warp.write<Part>(op.operands[1 + part]);
    eachLane(lanes, [=](unsigned lane) { d[lane] = a[lane * parts + part]; });
  }
  return Flow::Next;
}

Handler copyOf(unsigned bytes) {
  switch (bytes) {
  case 1:
    return copy<uint8_t>;
  case 2:
    return copy<uint16_t>;
  case 4:
    return copy<uint32_t>;
  case 8:
    return copy<uint64_t>;
  default:
    return copy<B128>;
  }
}

struct Packing {
  unsigned bytes, parts;
  Handler pack, unpack;
  Type part;
};

constexpr Packing packings[] = {
    {2, 2, pack<uint16_t, uint8_t, 2>, unpack<uint16_t, uint8_t, 2>, Type::B8},
    {4, 2, pack<uint32_t, uint16_t, 2>, unpack<uint32_t, uint16_t, 2>, Type::B16},
    {4, 4, pack<uint32_t, uint8_t, 4>, unpack<uint32_t, uint8_t, 4>, Type::B8},
    {8, 2, pack<uint64_t, uint32_t, 2>, unpack<uint64_t, uint32_t, 2>, Type::B32},
    {8, 4, pack<uint64_t, uint16_t, 4>, unpack<uint64_t, uint16_t, 4>, Type::B16},
    {16, 2, pack<B128, uint64_t, 2>, unpack<B128, uint64_t, 2>, Type::B64},
    {16, 4, pack<B128, uint32_t, 4>, unpack<B128, uint32_t, 4>, Type::B32},
};

void decodeMove(Decoder &d, Op &op) {
  using Kind = ptx::Operand::Kind;
  const Type type = d.type({Type::Pred, Type::B16, Type::B32, Type::B64, Type::B128, Type::U16, Type::U32, Type::U64,
                            Type::S16, Type::S32, Type::S64, Type::F32, Type::F64, Type::F16, Type::BF16});
  d.operandsEnd(2);
  if (type == Type::Pred) {
    op.predicates[0] = d.predicateDestination(d.operand(0));
    op.predicates[1] = d.predicateSource(d.operand(1));
    op.run = copyPredicate;
    return;
  }
  const unsigned bytes = ptx::sizeOf(type);
  const bool unpacks = d.operand(0).kind == Kind::Vector;
  if (!unpacks && d.operand(1).kind != Kind::Vector) {
    op.operands[0] = d.destination(0, type);
    op.operands[1] = d.source(1, type);
    op.run = copyOf(bytes);
    return;
  }
  const std::vector<ptx::Operand> &elements = d.operand(unpacks ? 0 : 1).elements;
  for (const Packing &packing : packings) {
    if (packing.bytes == bytes && packing.parts == elements.size()) {
      op.operands[0] = unpacks ? d.source(1, type) : d.destination(0, type);
      for (unsigned i = 0; i < packing.parts; ++i) {
        op.operands[1 + i] = unpacks ? d.destination(elements[i], packing.part) : d.source(elements[i], packing.part);
      }
      op.run = unpacks ? packing.unpack : packing.pack;
      return;
    }
  }
  d.error("found a vector of " + std::to_string(elements.size()) + ", expected one that makes " +
          std::to_string(bytes * 8) + " bits");
}

// --- selp, slct

template <typename T> Flow select(Warp &warp, const Op &op, Lanes lanes) {
  T *d = warp.write<T>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]), *b = warp.read<T>(op.operands[2]);
  const Lanes chosen = warp.read(op.predicates[0]);
  eachLane(lanes, [=](unsigned lane) {
    const T yes = a[lane], no = b[lane];
    d[lane] = chosen >> lane & 1 ? yes : no;
  });
  return Flow::Next;
}

void decodeSelect(Decoder &d, Op &op) {
  const Type type = d.type({Type::B16, Type::B32, Type::B64, Type::U16, Type::U32, Type::U64, Type::S16, Type::S32,
                            Type::S64, Type::F32, Type::F64});
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, type);
  op.predicates[0] = d.predicateSource(d.operand(3));
  d.operandsEnd(4);
  switch (ptx::sizeOf(type)) {
  case 2:
    op.run = select<uint16_t>;
    break;
  case 4:
    op.run = select<uint32_t>;
    break;
  default:
    op.run = select<uint64_t>;
  }
}

template <typename T, typename C> struct SelectBySign {
  T operator()(T a, T b, C c) const { return c >= 0 ? a : b; }
};
template <typename T> struct SelectBySignFtz {
  T operator()(T a, T b, float c) const { return flushed(c) >= 0 ? a : b; }
};

void decodeSelectBySign(Decoder &d, Op &op) {
  const bool ftz = d.accept("ftz");
  const Type type = d.type({Type::B16, Type::B32, Type::B64, Type::U16, Type::U32, Type::U64, Type::S16, Type::S32,
                            Type::S64, Type::F32, Type::F64});
  const Type by = d.type({Type::S32, Type::F32});
  if (ftz && by != Type::F32) {
    d.error("'.ftz' needs a comparison of type .f32");
  }
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, type);
  op.operands[3] = d.source(3, by);
  d.operandsEnd(4);
  auto choose = [&](auto zero) {
    using T = decltype(zero);
    op.run = by == Type::S32 ? ternary<SelectBySign<T, int32_t>, T, T, T, int32_t>
             : ftz           ? ternary<SelectBySignFtz<T>, T, T, T, float>
                             : ternary<SelectBySign<T, float>, T, T, T, float>;
  };
  switch (ptx::sizeOf(type)) {
  case 2:
    choose(uint16_t());
    break;
  case 4:
    choose(uint32_t());
    break;
  default:
    choose(uint64_t());
  }
}

// --- Comparisons

enum Comparison : unsigned { Eq, Ne, Lt, Le, Gt, Ge, Lo, Ls, Hi, Hs, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan };

template <unsigned comparison, typename T> [[gnu::always_inline]] inline bool holds(T a, T b) {
  if constexpr (comparison == Eq) {
    return a == b;
  } else if constexpr (comparison == Ne) {
    return std::is_floating_point_v<T> ? (a < b) | (a > b) : a != b; // False where one is NaN.
  } else if constexpr (comparison == Lt || comparison == Lo) {
    return a < b;
  } else if constexpr (comparison == Le || comparison == Ls) {
    return a <= b;
  } else if constexpr (comparison == Gt || comparison == Hi) {
    return a > b;
  } else if constexpr (comparison == Ge || comparison == Hs) {
    return a >= b;
  } else if constexpr (comparison == Equ) {
    return !((a < b) | (a > b));
  } else if constexpr (comparison == Neu) {
    return a != b;
  } else if constexpr (comparison == Ltu) {
    return !(a >= b);
  } else if constexpr (comparison == Leu) {
    return !(a > b);
  } else if constexpr (comparison == Gtu) {
    return !(a <= b);
  } else if constexpr (comparison == Geu) {
    return !(a < b);
  } else if constexpr (comparison == Num) {
    return (a == a) & (b == b);
  } else {
    return (a != a) | (b != b);
  }
}

template <typename T> struct Integer {
  using Memory = T;
  using Value = T;
  static Value load(Memory memory) { return memory; }
};

enum BoolOp : int { NoBoolOp = -1, And, Or, Xor };

Lanes combined(BoolOp boolOp, Lanes a, Lanes b) {
  switch (boolOp) {
  case And:
    return a & b;
  case Or:
    return a | b;
  case Xor:
    return a ^ b;
  default:
    return a;
  }
}

/// One comparison a lane; of packed formats the halves follow one another (`second`).
template <typename Format, unsigned comparison, unsigned packed>
[[gnu::always_inline]] inline Lanes compared(Warp &warp, const Op &op, unsigned half) {
  const typename Format::Memory *a = warp.read<typename Format::Memory>(op.operands[1]);
  const typename Format::Memory *b = warp.read<typename Format::Memory>(op.operands[2]);
  return lanesWhere([=](unsigned lane) {
    return holds<comparison>(Format::load(a[lane * packed + half]), Format::load(b[lane * packed + half]));
  });
}

/// setp: predicates are p, q and the one to combine with.
template <typename Format, unsigned comparison> Flow setPredicate(Warp &warp, const Op &op, Lanes lanes) {
  const Lanes result = compared<Format, comparison, 1>(warp, op, 0);
  const BoolOp boolOp = static_cast<BoolOp>(op.immediate);
  const Lanes with = boolOp == NoBoolOp ? allLanes : warp.read(op.predicates[2]);
  warp.write(op.predicates[0], lanes, combined(boolOp, result, with));
  if (op.predicates[1].index) {
    warp.write(op.predicates[1], lanes, combined(boolOp, ~result, with));
  }
  return Flow::Next;
}

/// setp of packed values: p is the lower half's, q the upper one's.
template <typename Format, unsigned comparison> Flow setPredicates(Warp &warp, const Op &op, Lanes lanes) {
  const Lanes low = compared<Format, comparison, 2>(warp, op, 0), high = compared<Format, comparison, 2>(warp, op, 1);
  const BoolOp boolOp = static_cast<BoolOp>(op.immediate);
  const Lanes with = boolOp == NoBoolOp ? allLanes : warp.read(op.predicates[2]);
  warp.write(op.predicates[0], lanes, combined(boolOp, low, with));
  if (op.predicates[1].index) {
    warp.write(op.predicates[1], lanes, combined(boolOp, high, with));
  }
  return Flow::Next;
}

struct SetForm {
  BoolOp boolOp;
  uint64_t yes; ///< what stands for true; false is 0
  unsigned bytes;
};

template <typename Format, unsigned comparison, unsigned packed> Flow setValue(Warp &warp, const Op &op, Lanes lanes) {
  const SetForm &form = *static_cast<const SetForm *>(op.form);
  const Lanes with = form.boolOp == NoBoolOp ? allLanes : warp.read(op.predicates[2]);
  for (unsigned half = 0; half < packed; ++half) {
    const Lanes result = combined(form.boolOp, compared<Format, comparison, packed>(warp, op, half), with);
    auto store = [&](auto *d) {
      using T = std::remove_pointer_t<decltype(d)>;
      const T yes = static_cast<T>(form.yes);
      eachLane(lanes, [=](unsigned lane) { d[lane * packed + half] = result >> lane & 1 ? yes : T(0); });
    };
    if (form.bytes == 2) {
      store(warp.write<uint16_t>(op.operands[0]));
    } else {
      store(warp.write<uint32_t>(op.operands[0]));
    }
  }
  return Flow::Next;
}

enum class Comparing { ToPredicate, ToPredicates, ToValue, ToValues };

template <typename Format, unsigned comparison> Handler comparer(Comparing what) {
  if constexpr (std::is_same_v<typename Format::Memory, uint16_t> && std::is_same_v<typename Format::Value, float>) {
    if (what == Comparing::ToPredicates) {
      return setPredicates<Format, comparison>;
    }
    if (what == Comparing::ToValues) {
      return setValue<Format, comparison, 2>;
    }
  }
  return what == Comparing::ToPredicate ? setPredicate<Format, comparison> : setValue<Format, comparison, 1>;
}

template <typename Format, unsigned... comparisons>
Handler comparerOf(Comparing what, unsigned comparison, std::integer_sequence<unsigned, comparisons...>) {
  const Handler handlers[] = {comparer<Format, comparisons>(what)...};
  return comparison < sizeof...(comparisons) ? handlers[comparison] : nullptr;
}

template <typename Format> Handler comparerOf(Comparing what, unsigned comparison) {
  // Integers know eq to hs, floating point eq to ge and equ to nan.
  if constexpr (std::is_floating_point_v<typename Format::Value>) {
    return comparerOf<Format>(what, comparison, std::make_integer_sequence<unsigned, 18>());
  } else {
    return comparerOf<Format>(what, comparison, std::make_integer_sequence<unsigned, 10>());
  }
}

bool isHalf(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::F16x2 || type == Type::BF16x2;
}

Handler comparisonHandler(Decoder &d, Comparing what, unsigned comparison, Type type, bool ftz) {
  const bool unsignedNames = comparison >= Lo && comparison <= Hs;
  switch (type) {
  case Type::B16:
  case Type::B32:
  case Type::B64:
    if (comparison > Ne) {
      d.error("bits can be compared with .eq and .ne only");
    }
    break;
  case Type::S16:
  case Type::S32:
  case Type::S64:
  case Type::F32:
  case Type::F64:
  case Type::F16:
  case Type::F16x2:
  case Type::BF16:
  case Type::BF16x2:
    if (unsignedNames) {
      d.error(".lo, .ls, .hi and .hs compare unsigned integers");
    }
    break;
  default:
    break;
  }
  if (ftz && type != Type::F32 && type != Type::F16 && type != Type::F16x2) {
    d.error("'.ftz' needs .f32 or .f16");
  }
  Handler handler = nullptr;
  switch (type) {
  case Type::B16:
  case Type::U16:
    handler = comparerOf<Integer<uint16_t>>(what, comparison);
    break;
  case Type::S16:
    handler = comparerOf<Integer<int16_t>>(what, comparison);
    break;
  case Type::B32:
  case Type::U32:
    handler = comparerOf<Integer<uint32_t>>(what, comparison);
    break;
  case Type::S32:
    handler = comparerOf<Integer<int32_t>>(what, comparison);
    break;
  case Type::B64:
  case Type::U64:
    handler = comparerOf<Integer<uint64_t>>(what, comparison);
    break;
  case Type::S64:
    handler = comparerOf<Integer<int64_t>>(what, comparison);
    break;
  case Type::F32:
    handler = ftz ? comparerOf<F32Ftz>(what, comparison) : comparerOf<F32>(what, comparison);
    break;
  case Type::F64:
    handler = comparerOf<F64>(what, comparison);
    break;
  case Type::F16:
  case Type::F16x2:
    handler = ftz ? comparerOf<F16Ftz>(what, comparison) : comparerOf<F16>(what, comparison);
    break;
  case Type::BF16:
  case Type::BF16x2:
    handler = comparerOf<BF16>(what, comparison);
    break;
  default:
    break;
  }
  if (!handler) {
    d.error("integers cannot be compared so");
  }
  return handler;
}

unsigned comparisonWord(Decoder &d) {
  return d.oneOf({"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu",
                  "num", "nan"});
}

BoolOp boolOpWord(Decoder &d) { return static_cast<BoolOp>(d.optionalOf({"and", "or", "xor"})); }

constexpr std::initializer_list<Type> comparable = {Type::B16, Type::B32, Type::B64,   Type::U16,  Type::U32,
                                                    Type::U64, Type::S16, Type::S32,   Type::S64,  Type::F32,
                                                    Type::F64, Type::F16, Type::F16x2, Type::BF16, Type::BF16x2};

void decodeSetPredicate(Decoder &d, Op &op) {
  using Kind = ptx::Operand::Kind;
  const unsigned comparison = comparisonWord(d);
  const BoolOp boolOp = boolOpWord(d);
  const bool ftz = d.accept("ftz");
  const Type type = d.type(comparable);
  const bool packed = type == Type::F16x2 || type == Type::BF16x2;
  const ptx::Operand &destination = d.operand(0);
  if (destination.kind == Kind::Pair && destination.elements.size() == 2) {
    op.predicates[0] = d.predicateDestination(destination.elements[0]);
    op.predicates[1] = d.predicateDestination(destination.elements[1]);
  } else {
    op.predicates[0] = d.predicateDestination(destination);
    if (packed) {
      d.error("expected a destination p|q");
    }
  }
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, type);
  op.immediate = boolOp;
  if (boolOp != NoBoolOp) {
    op.predicates[2] = d.predicateSource(d.operand(3));
  }
  d.operandsEnd(boolOp == NoBoolOp ? 3 : 4);
  op.run = comparisonHandler(d, packed ? Comparing::ToPredicates : Comparing::ToPredicate, comparison, type, ftz);
}

void decodeSet(Decoder &d, Op &op) {
  const unsigned comparison = comparisonWord(d);
  const BoolOp boolOp = boolOpWord(d);
  const bool ftz = d.accept("ftz");
  const Type to =
      d.type({Type::U32, Type::S32, Type::F32, Type::F16, Type::BF16, Type::F16x2, Type::BF16x2, Type::U16, Type::S16});
  const Type type = d.type(comparable);
  const bool packed = type == Type::F16x2 || type == Type::BF16x2;
  const bool packedResult = to == Type::F16x2 || to == Type::BF16x2;
  if ((packedResult && !packed) || ((isHalf(to) || to == Type::U16 || to == Type::S16) && !isHalf(type)) ||
      (packed && (to == Type::F16 || to == Type::BF16 || to == Type::U16 || to == Type::S16))) {
    d.error("'set' does not exist for these types");
  }
  SetForm form{boolOp, 0, ptx::sizeOf(to)};
  switch (to) {
  case Type::F32:
    form.yes = 0x3f800000;
    break;
  case Type::F16:
  case Type::F16x2:
    form.yes = 0x3c00;
    break;
  case Type::BF16:
  case Type::BF16x2:
    form.yes = 0x3f80;
    break;
  default:
    form.yes = ~uint64_t(0);
  }
  if (packed) {
    form.bytes = 2;
  }
  op.operands[0] = d.destination(0, to);
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, type);
  if (boolOp != NoBoolOp) {
    op.predicates[2] = d.predicateSource(d.operand(3));
  }
  d.operandsEnd(boolOp == NoBoolOp ? 3 : 4);
  op.form = d.keep(form);
  op.run = comparisonHandler(d, packed ? Comparing::ToValues : Comparing::ToValue, comparison, type, ftz);
}

} // namespace

void addMoves(OpcodeTable &table) {
  table.add("mov", decodeMove);
  table.add("selp", decodeSelect);
  table.add("slct", decodeSelectBySign);
  table.add("setp", decodeSetPredicate);
  table.add("set", decodeSet);
}

// clang-format off
VECTOR_CODE_END
// clang-format on
