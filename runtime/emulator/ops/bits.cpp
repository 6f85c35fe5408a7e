#include "ops/lanes.h"
#include <algorithm>

// PTX ISA 9.7.1 and 9.7.8, bits: and or xor not cnot lop3 shl shr shf bfe bfi bmsk bfind fns brev clz popc prmt.

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Type;

namespace {

// --- Logic.

enum Logic : int64_t { And, Or, Xor };

Flow predicateLogic(Warp &warp, const Op &op, Lanes lanes) {
  const Lanes a = warp.read(op.predicates[1]), b = warp.read(op.predicates[2]);
  warp.write(op.predicates[0], lanes, op.immediate == And ? a & b : op.immediate == Or ? a | b : a ^ b);
  return Flow::Next;
}
Flow predicateNot(Warp &warp, const Op &op, Lanes lanes) {
  warp.write(op.predicates[0], lanes, ~warp.read(op.predicates[1]));
  return Flow::Next;
}

struct BitAnd {
  template <typename T> T operator()(T a, T b) const { return a & b; }
};
struct BitOr {
  template <typename T> T operator()(T a, T b) const { return a | b; }
};
struct BitXor {
  template <typename T> T operator()(T a, T b) const { return a ^ b; }
};
struct BitNot {
  template <typename T> T operator()(T a) const { return static_cast<T>(~a); }
};
struct LogicalNot {
  template <typename T> T operator()(T a) const { return a == 0; }
};

template <typename F> Handler binaryBits(Type type) {
  switch (ptx::sizeOf(type)) {
  case 2:
    return binary<F, uint16_t, uint16_t>;
  case 4:
    return binary<F, uint32_t, uint32_t>;
  default:
    return binary<F, uint64_t, uint64_t>;
  }
}
template <typename F> Handler unaryBits(Type type) {
  switch (ptx::sizeOf(type)) {
  case 2:
    return unary<F, uint16_t, uint16_t>;
  case 4:
    return unary<F, uint32_t, uint32_t>;
  default:
    return unary<F, uint64_t, uint64_t>;
  }
}

template <typename F> void decodeLogic(Decoder &d, Op &op, Logic which) {
  const Type type = d.type({Type::Pred, Type::B16, Type::B32, Type::B64});
  if (type == Type::Pred) {
    op.predicates[0] = d.predicateDestination(d.operand(0));
    op.predicates[1] = d.predicateSource(d.operand(1));
    op.predicates[2] = d.predicateSource(d.operand(2));
    d.operandsEnd(3);
    op.immediate = which;
    op.run = predicateLogic;
    return;
  }
  sameTypes(d, op, type, 3);
  op.run = binaryBits<F>(type);
}

/// For each bit the one of the table that the three operands' bits select.
Flow lookUp3(Warp &warp, const Op &op, Lanes lanes) {
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]), *b = warp.read<uint32_t>(op.operands[2]),
                 *c = warp.read<uint32_t>(op.operands[3]);
  uint32_t table[8];
  for (unsigned i = 0; i < 8; ++i) {
    table[i] = op.immediate >> i & 1 ? ~0u : 0u;
  }
  eachLane(lanes, [=](unsigned lane) {
    const uint32_t x = a[lane], y = b[lane], z = c[lane];
    const uint32_t low =
        (~x & ~y & ~z & table[0]) | (~x & ~y & z & table[1]) | (~x & y & ~z & table[2]) | (~x & y & z & table[3]);
    d[lane] =
        low | (x & ~y & ~z & table[4]) | (x & ~y & z & table[5]) | (x & y & ~z & table[6]) | (x & y & z & table[7]);
  });
  return Flow::Next;
}

/// lop3.BoolOp: also p = (d != 0) BoolOp q.
Flow lookUp3WithPredicate(Warp &warp, const Op &op, Lanes lanes) {
  lookUp3(warp, op, lanes);
  const uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const Lanes nonzero = lanesWhere([=](unsigned lane) { return d[lane] != 0; });
  const Lanes q = warp.read(op.predicates[1]);
  warp.write(op.predicates[0], lanes, op.immediate >> 8 ? nonzero & q : nonzero | q);
  return Flow::Next;
}

void decodeLookUp3(Decoder &d, Op &op) {
  const int boolOp = d.optionalOf({"or", "and"});
  d.expect("b32");
  const ptx::Operand &destination = d.operand(0);
  if (boolOp >= 0) {
    if (destination.kind != ptx::Operand::Kind::Pair) {
      d.error("expected a destination d|p");
      return;
    }
    op.operands[0] = d.destination(destination.elements[0], Type::B32);
    op.predicates[0] = d.predicateDestination(destination.elements[1]);
    op.predicates[1] = d.predicateSource(d.operand(5));
  } else {
    op.operands[0] = d.destination(0, Type::B32);
  }
  for (unsigned i = 1; i < 4; ++i) {
    op.operands[i] = d.source(i, Type::B32);
  }
  op.immediate = d.constant(4);
  if (op.immediate < 0 || op.immediate > 255) {
    d.error("expected a table of 0 to 255");
  }
  d.operandsEnd(boolOp >= 0 ? 6 : 5);
  op.immediate |= boolOp == 1 ? 0x100 : 0;
  op.run = boolOp >= 0 ? lookUp3WithPredicate : lookUp3;
}

// --- Shifts: amounts beyond the width count as the width.

template <typename T> struct ShiftLeft {
  T operator()(T a, uint32_t b) const { return b < sizeof(T) * 8 ? static_cast<T>(a << b) : T(0); }
};
template <typename T> struct ShiftRight {
  T operator()(T a, uint32_t b) const {
    if constexpr (std::is_signed_v<T>) {
      return static_cast<T>(a >> (b < sizeof(T) * 8 ? b : sizeof(T) * 8 - 1));
    } else {
      return b < sizeof(T) * 8 ? static_cast<T>(a >> b) : T(0);
    }
  }
};

void decodeShift(Decoder &d, Op &op, bool left) {
  const Type type =
      left
          ? d.type({Type::B16, Type::B32, Type::B64})
          : d.type({Type::B16, Type::B32, Type::B64, Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64});
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, Type::U32);
  d.operandsEnd(3);
  auto choose = [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_signed_v<T>) {
      op.run = binary<ShiftRight<T>, T, T, uint32_t>;
    } else {
      op.run = left ? binary<ShiftLeft<T>, T, T, uint32_t> : binary<ShiftRight<T>, T, T, uint32_t>;
    }
  };
  switch (type) {
  case Type::S16:
    choose(int16_t());
    break;
  case Type::S32:
    choose(int32_t());
    break;
  case Type::S64:
    choose(int64_t());
    break;
  default:
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
}

/// shf: of the 64 bits {b, a} the upper 32 of a shift to the left, or the lower 32 of one to the right.
template <bool left, bool wraps> struct Funnel {
  uint32_t operator()(uint32_t a, uint32_t b, uint32_t c) const {
    const uint32_t amount = wraps ? c & 31 : c < 32 ? c : 32;
    const uint64_t both = static_cast<uint64_t>(b) << 32 | a;
    return static_cast<uint32_t>(left ? both << amount >> 32 : both >> amount);
  }
};

void decodeFunnel(Decoder &d, Op &op) {
  const bool right = d.oneOf({"l", "r"}), wraps = d.oneOf({"clamp", "wrap"});
  d.expect("b32");
  sameTypes(d, op, Type::B32, 4);
  op.run = right ? (wraps ? ternary<Funnel<false, true>, uint32_t, uint32_t>
                          : ternary<Funnel<false, false>, uint32_t, uint32_t>)
                 : (wraps ? ternary<Funnel<true, true>, uint32_t, uint32_t>
                          : ternary<Funnel<true, false>, uint32_t, uint32_t>);
}

// --- Fields.

template <typename T> struct ExtractField {
  T operator()(T a, uint32_t b, uint32_t c) const {
    constexpr uint32_t width = sizeof(T) * 8;
    using U = std::make_unsigned_t<T>;
    const uint32_t position = b & 0xff, length = c & 0xff;
    // Bits beyond the operand are its sign, or zeros; so is the rest of the result, from the field's last bit.
    const U shifted = position < width ? static_cast<U>(static_cast<U>(a) >> position) : U(0);
    const U mask = length < width ? static_cast<U>((U(1) << (length < width ? length : 0)) - 1) : static_cast<U>(~U(0));
    const uint32_t last = position + length - 1;
    const uint32_t signAt = last < width ? last : width - 1;
    const bool negative = std::is_signed_v<T> && length != 0 && (static_cast<U>(a) >> signAt & 1);
    // Where the field reaches beyond the operand, those bits are the sign too.
    const uint32_t available = position < width ? width - position : 0;
    const uint32_t real = length < available ? length : available;
    const U realMask = real < width ? static_cast<U>((U(1) << (real < width ? real : 0)) - 1) : static_cast<U>(~U(0));
    const U value = shifted & mask & realMask;
    return static_cast<T>(length == 0 ? U(0) : negative ? static_cast<U>(value | static_cast<U>(~realMask)) : value);
  }
};

template <typename T> Flow extractField(Warp &warp, const Op &op, Lanes lanes) {
  return ternary<ExtractField<T>, T, T, uint32_t, uint32_t>(warp, op, lanes);
}

void decodeExtractField(Decoder &d, Op &op) {
  const Type type = d.type({Type::U32, Type::U64, Type::S32, Type::S64});
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, Type::U32);
  op.operands[3] = d.source(3, Type::U32);
  d.operandsEnd(4);
  op.run = type == Type::U32   ? extractField<uint32_t>
           : type == Type::U64 ? extractField<uint64_t>
           : type == Type::S32 ? extractField<int32_t>
                               : extractField<int64_t>;
}

template <typename T> Flow insertField(Warp &warp, const Op &op, Lanes lanes) {
  T *f = warp.write<T>(op.operands[0]);
  const T *a = warp.read<T>(op.operands[1]), *b = warp.read<T>(op.operands[2]);
  const uint32_t *c = warp.read<uint32_t>(op.operands[3]), *d = warp.read<uint32_t>(op.operands[4]);
  eachLane(lanes, [=](unsigned lane) {
    constexpr uint32_t width = sizeof(T) * 8;
    const uint32_t position = c[lane] & 0xff, length = d[lane] & 0xff;
    const T ones = length < width ? static_cast<T>((T(1) << (length < width ? length : 0)) - 1) : static_cast<T>(~T(0));
    const uint32_t shift = position < width ? position : 0;
    const T mask = position < width ? static_cast<T>(ones << shift) : T(0);
    f[lane] = static_cast<T>((b[lane] & ~mask) | (static_cast<T>(a[lane] << shift) & mask));
  });
  return Flow::Next;
}

void decodeInsertField(Decoder &d, Op &op) {
  const Type type = d.type({Type::B32, Type::B64});
  op.operands[0] = d.destination(0, type);
  op.operands[1] = d.source(1, type);
  op.operands[2] = d.source(2, type);
  op.operands[3] = d.source(3, Type::U32);
  op.operands[4] = d.source(4, Type::U32);
  d.operandsEnd(5);
  op.run = type == Type::B32 ? insertField<uint32_t> : insertField<uint64_t>;
}

/// bmsk: b ones from bit a on.
template <bool wraps> struct MakeMask {
  uint32_t operator()(uint32_t a, uint32_t b) const {
    const uint32_t position = wraps ? a & 31 : a < 32 ? a : 32, length = wraps ? b & 31 : b < 32 ? b : 32;
    const uint64_t ones = (uint64_t(1) << length) - 1;
    return static_cast<uint32_t>(ones << position);
  }
};

// --- Counting.

template <typename T> struct PopulationCount {
  uint32_t operator()(T a) const { return static_cast<uint32_t>(__builtin_popcountll(a)); }
};
template <typename T> struct LeadingZeros {
  uint32_t operator()(T a) const {
    return a ? static_cast<uint32_t>(__builtin_clzll(a)) - (64 - sizeof(T) * 8) : sizeof(T) * 8;
  }
};
template <typename T> struct Reverse {
  T operator()(T a) const {
    return sizeof(T) == 4 ? static_cast<T>(__builtin_bitreverse32(static_cast<uint32_t>(a)))
                          : static_cast<T>(__builtin_bitreverse64(a));
  }
};
/// The highest bit that differs from the sign; all ones where there is none.
template <typename T, bool shiftAmount> struct FindBit {
  uint32_t operator()(T a) const {
    using U = std::make_unsigned_t<T>;
    const U value = static_cast<U>(a < 0 ? ~a : a);
    if (!value) {
      return ~0u;
    }
    const uint32_t place = 63 - static_cast<uint32_t>(__builtin_clzll(value));
    return shiftAmount ? sizeof(T) * 8 - 1 - place : place;
  }
};

template <template <typename> typename F> void decodeCount(Decoder &d, Op &op) {
  const Type type = d.type({Type::B32, Type::B64});
  op.operands[0] = d.destination(0, Type::U32);
  op.operands[1] = d.source(1, type);
  d.operandsEnd(2);
  op.run = type == Type::B32 ? unary<F<uint32_t>, uint32_t, uint32_t> : unary<F<uint64_t>, uint32_t, uint64_t>;
}

void decodeFindBit(Decoder &d, Op &op) {
  const bool shift = d.accept("shiftamt");
  const Type type = d.type({Type::U32, Type::U64, Type::S32, Type::S64});
  op.operands[0] = d.destination(0, Type::U32);
  op.operands[1] = d.source(1, type);
  d.operandsEnd(2);
  auto choose = [&](auto zero) {
    using T = decltype(zero);
    op.run = shift ? unary<FindBit<T, true>, uint32_t, T> : unary<FindBit<T, false>, uint32_t, T>;
  };
  switch (type) {
  case Type::U32:
    choose(uint32_t());
    break;
  case Type::U64:
    choose(uint64_t());
    break;
  case Type::S32:
    choose(int32_t());
    break;
  default:
    choose(int64_t());
  }
}

/// fns: the n-th set bit from a base on, upwards or downwards; n = 0 asks for the base itself.
struct FindNthSet {
  uint32_t operator()(uint32_t mask, uint32_t base, int32_t n) const {
    if (n == 0) {
      return base < 32 && (mask >> base & 1) ? base : ~0u;
    }
    const int step = n > 0 ? 1 : -1;
    int32_t left = n > 0 ? n : -n;
    for (int64_t place = base; place >= 0 && place < 32; place += step) {
      if (mask >> place & 1 && --left == 0) {
        return static_cast<uint32_t>(place);
      }
    }
    return ~0u;
  }
};

// --- prmt

enum PermuteMode : int64_t { General, ForwardExtract, BackwardExtract, Replicate8, EdgeLeft, EdgeRight, Replicate16 };

Flow permute(Warp &warp, const Op &op, Lanes lanes) {
  uint32_t *d = warp.write<uint32_t>(op.operands[0]);
  const uint32_t *a = warp.read<uint32_t>(op.operands[1]), *b = warp.read<uint32_t>(op.operands[2]),
                 *c = warp.read<uint32_t>(op.operands[3]);
  auto selectors = [&](uint32_t control) -> uint32_t {
    // Four fields of four bits: a byte of {b, a}, and whether its sign is spread over the result's byte.
    const uint32_t low = control & 3;
    uint32_t selector = 0;
    for (uint32_t byte = 0; byte < 4; ++byte) {
      uint32_t from = 0;
      switch (op.immediate) {
      case ForwardExtract:
        from = low + byte;
        break;
      case BackwardExtract:
        from = (low - byte) & 7;
        break;
      case Replicate8:
        from = low;
        break;
      case EdgeLeft:
        from = std::max(low, byte);
        break;
      case EdgeRight:
        from = std::min(low, byte);
        break;
      default:
        from = (control & 1) * 2 + (byte & 1);
      }
      selector |= from << byte * 4;
    }
    return selector;
  };
  auto pick = [](uint64_t both, uint32_t selector) {
    uint32_t value = 0;
    for (unsigned byte = 0; byte < 4; ++byte) {
      const uint32_t field = selector >> byte * 4 & 15;
      const uint32_t found = static_cast<uint32_t>(both >> (field & 7) * 8 & 0xff);
      const uint32_t spread = found & 0x80 ? 0xff : 0;
      value |= (field & 8 ? spread : found) << byte * 8;
    }
    return value;
  };
  if (op.immediate == General) {
    eachLane(lanes, [=](unsigned lane) { d[lane] = pick(static_cast<uint64_t>(b[lane]) << 32 | a[lane], c[lane]); });
  } else {
    eachLaneAlone(lanes, [&](unsigned lane) {
      d[lane] = pick(static_cast<uint64_t>(b[lane]) << 32 | a[lane], selectors(c[lane]));
    });
  }
  return Flow::Next;
}

} // namespace

void addBits(OpcodeTable &table) {
  table.add("and", [](Decoder &d, Op &op) { decodeLogic<BitAnd>(d, op, And); });
  table.add("or", [](Decoder &d, Op &op) { decodeLogic<BitOr>(d, op, Or); });
  table.add("xor", [](Decoder &d, Op &op) { decodeLogic<BitXor>(d, op, Xor); });
  table.add("not", [](Decoder &d, Op &op) {
    const Type type = d.type({Type::Pred, Type::B16, Type::B32, Type::B64});
    if (type == Type::Pred) {
      op.predicates[0] = d.predicateDestination(d.operand(0));
      op.predicates[1] = d.predicateSource(d.operand(1));
      d.operandsEnd(2);
      op.run = predicateNot;
      return;
    }
    sameTypes(d, op, type, 2);
    op.run = unaryBits<BitNot>(type);
  });
  table.add("cnot", [](Decoder &d, Op &op) {
    const Type type = d.type({Type::B16, Type::B32, Type::B64});
    sameTypes(d, op, type, 2);
    op.run = unaryBits<LogicalNot>(type);
  });
  table.add("lop3", decodeLookUp3);
  table.add("shl", [](Decoder &d, Op &op) { decodeShift(d, op, true); });
  table.add("shr", [](Decoder &d, Op &op) { decodeShift(d, op, false); });
  table.add("shf", decodeFunnel);
  table.add("bfe", decodeExtractField);
  table.add("bfi", decodeInsertField);
  table.add("bmsk", [](Decoder &d, Op &op) {
    const bool wraps = d.oneOf({"clamp", "wrap"});
    d.expect("b32");
    sameTypes(d, op, Type::B32, 3);
    op.run = wraps ? binary<MakeMask<true>, uint32_t, uint32_t> : binary<MakeMask<false>, uint32_t, uint32_t>;
  });
  table.add("popc", decodeCount<PopulationCount>);
  table.add("clz", decodeCount<LeadingZeros>);
  table.add("brev", [](Decoder &d, Op &op) {
    const Type type = d.type({Type::B32, Type::B64});
    sameTypes(d, op, type, 2);
    op.run =
        type == Type::B32 ? unary<Reverse<uint32_t>, uint32_t, uint32_t> : unary<Reverse<uint64_t>, uint64_t, uint64_t>;
  });
  table.add("bfind", decodeFindBit);
  table.add("fns", [](Decoder &d, Op &op) {
    d.expect("b32");
    op.operands[0] = d.destination(0, Type::B32);
    op.operands[1] = d.source(1, Type::B32);
    op.operands[2] = d.source(2, Type::B32);
    op.operands[3] = d.source(3, Type::S32);
    d.operandsEnd(4);
    op.run = ternary<FindNthSet, uint32_t, uint32_t, uint32_t, int32_t>;
  });
  table.add("prmt", [](Decoder &d, Op &op) {
    d.expect("b32");
    op.immediate = d.optionalOf({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"}) + 1;
    sameTypes(d, op, Type::B32, 4);
    op.run = permute;
  });
}

// clang-format off
VECTOR_CODE_END
// clang-format on
