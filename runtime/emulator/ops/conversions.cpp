#include "machine/cta.h"
#include "machine/grid.h"
#include "machine/memory.h"
#include "ops/float_operations.h"
#include "ops/lanes.h"
#include "ops/small_floats.h"
#include <algorithm>
#include <string>

// PTX ISA 9.7.9: cvt between numbers of any two types. A conversion is three loops over lanes: from the source's
// register to a wide value (a 64-bit integer, or a double), what happens to that, and into the destination's register.
// Common conversions between single precision and others have loops of their own (ops/packed_conversions.cpp has those
// that give two values at once).

#include "ops/conversion_forms.h"

// clang-format off
VECTOR_CODE_BEGIN
// clang-format on

using ptx::Type;

namespace {

union Wide {
  int64_t integer;
  double real;
};

enum class IntegerRounding : int { None = -1, Nearest, Zero, Minus, Plus };

struct ConvertForm {
  Type from, to;
  IntegerRounding integerRounding = IntegerRounding::None;
  Rounding rounding = Rounding::Nearest;
  bool ftz = false, sat = false;
  void (*load)(Wide *, const void *) = nullptr;
  void (*store)(void *, const Wide *, Lanes, const ConvertForm &) = nullptr;
};

bool isReal(Type type) { return type == Type::F16 || type == Type::BF16 || type == Type::F32 || type == Type::F64; }
bool isSigned(Type type) { return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64; }

// --- Loading.

template <typename T, typename Register> void loadInteger(Wide *to, const void *from) {
  const Register *a = static_cast<const Register *>(from);
  eachLane(allLanes, [=](unsigned lane) { to[lane].integer = static_cast<int64_t>(static_cast<T>(a[lane])); });
}

template <typename Format> void loadReal(Wide *to, const void *from) {
  const typename Format::Memory *a = static_cast<const typename Format::Memory *>(from);
  eachLane(allLanes, [=](unsigned lane) { to[lane].real = static_cast<double>(Format::load(a[lane])); });
}

template <typename T> auto integerLoader(unsigned width) -> void (*)(Wide *, const void *) {
  switch (width) {
  case 1:
    return loadInteger<T, uint8_t>;
  case 2:
    return loadInteger<T, uint16_t>;
  case 4:
    return loadInteger<T, uint32_t>;
  default:
    return loadInteger<T, uint64_t>;
  }
}

auto loaderOf(Type type, unsigned width, bool ftz) -> void (*)(Wide *, const void *) {
  switch (type) {
  case Type::U8:
    return integerLoader<uint8_t>(width);
  case Type::S8:
    return integerLoader<int8_t>(width);
  case Type::U16:
    return integerLoader<uint16_t>(width);
  case Type::S16:
    return integerLoader<int16_t>(width);
  case Type::U32:
    return integerLoader<uint32_t>(width);
  case Type::S32:
    return integerLoader<int32_t>(width);
  case Type::U64:
    return integerLoader<uint64_t>(width);
  case Type::S64:
    return integerLoader<int64_t>(width);
  case Type::F16:
    return loadReal<F16>; // `.ftz` is about single precision (PTX ISA, cvt).
  case Type::BF16:
    return loadReal<BF16>;
  case Type::F32:
    return ftz ? loadReal<F32Ftz> : loadReal<F32>;
  default:
    return loadReal<F64>;
  }
}

// --- Storing.

template <typename T, typename Register>
void storeInteger(void *to, const Wide *from, Lanes lanes, const ConvertForm &) {
  Register *d = static_cast<Register *>(to);
  eachLane(lanes, [=](unsigned lane) {
    d[lane] = static_cast<Register>(static_cast<T>(static_cast<uint64_t>(from[lane].integer)));
  });
}

/// The neighbour of a rounded value that a directed rounding wants, where `near` is the nearest one.
template <typename Word>
[[gnu::always_inline]] inline Word directed(Word near, double back, double exact, Rounding rounding) {
  constexpr Word sign = static_cast<Word>(Word(1) << (sizeof(Word) * 8 - 1));
  const bool negative = near & sign;
  const bool wantsLess = rounding == Rounding::Minus || (rounding == Rounding::Zero && !negative);
  const bool wantsMore = rounding == Rounding::Plus || (rounding == Rounding::Zero && negative);
  if (wantsLess && back > exact) {
    return near == 0  ? static_cast<Word>(sign | 1)
           : negative ? static_cast<Word>(near + 1)
                      : static_cast<Word>(near - 1);
  }
  if (wantsMore && back < exact) {
    return near == sign ? Word(1) : negative ? static_cast<Word>(near - 1) : static_cast<Word>(near + 1);
  }
  return near;
}

/// To single precision, to odd (ops/float_operations.h says why).
[[gnu::always_inline]] inline float oddSingle(double value) {
  const float near = static_cast<float>(value);
  const double back = near;
  uint32_t word = bits<uint32_t>(near);
  const bool changed = (back < value) | (back > value), beyond = __builtin_fabs(back) > __builtin_fabs(value);
  word = changed ? ((beyond ? word - 1 : word) | 1) : word;
  return bits<float>(word);
}

void storeSingle(void *to, const Wide *from, Lanes lanes, const ConvertForm &form) {
  float *d = static_cast<float *>(to);
  const Rounding rounding = form.rounding;
  const bool ftz = form.ftz;
  eachLane(lanes, [=](unsigned lane) {
    const double exact = from[lane].real;
    float near = static_cast<float>(exact);
    if (rounding != Rounding::Nearest) {
      near = bits<float>(directed(bits<uint32_t>(near), static_cast<double>(near), exact, rounding));
    }
    d[lane] = canonical(ftz ? flushed(near) : near);
  });
}

void storeDouble(void *to, const Wide *from, Lanes lanes, const ConvertForm &) {
  double *d = static_cast<double *>(to);
  eachLane(lanes, [=](unsigned lane) { d[lane] = from[lane].real; });
}

template <typename Format> void storeHalf(void *to, const Wide *from, Lanes lanes, const ConvertForm &form) {
  uint16_t *d = static_cast<uint16_t *>(to);
  const Rounding rounding = form.rounding;
  eachLane(lanes, [=](unsigned lane) {
    const double exact = from[lane].real;
    uint16_t near = Format::store(oddSingle(exact));
    if (rounding != Rounding::Nearest) {
      near = directed(near, static_cast<double>(Format::load(near)), exact, rounding);
    }
    d[lane] = near;
  });
}

using Storer = void (*)(void *, const Wide *, Lanes, const ConvertForm &);

template <typename T> Storer integerStorer(unsigned width) {
  using Extend = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
  (void)sizeof(Extend);
  switch (width) {
  case 1:
    return storeInteger<T, uint8_t>;
  case 2:
    return storeInteger<T, uint16_t>;
  case 4:
    return storeInteger<T, uint32_t>;
  default:
    return storeInteger<T, uint64_t>;
  }
}

Storer storerOf(Type type, unsigned width) {
  switch (type) {
  case Type::U8:
    return integerStorer<uint8_t>(width);
  case Type::S8:
    return integerStorer<int8_t>(width);
  case Type::U16:
    return integerStorer<uint16_t>(width);
  case Type::S16:
    return integerStorer<int16_t>(width);
  case Type::U32:
    return integerStorer<uint32_t>(width);
  case Type::S32:
    return integerStorer<int32_t>(width);
  case Type::U64:
    return integerStorer<uint64_t>(width);
  case Type::S64:
    return integerStorer<int64_t>(width);
  case Type::F16:
    return storeHalf<F16>;
  case Type::BF16:
    return storeHalf<BF16>;
  case Type::F32:
    return storeSingle;
  default:
    return storeDouble;
  }
}

// --- In between.

unsigned bitsOf(Type type) { return ptx::sizeOf(type) * 8; }

/// The range of an integer type, as doubles that are exact, or one beyond for 64 bits.
void clampInteger(Wide *values, const ConvertForm &form) {
  const unsigned width = bitsOf(form.to);
  const bool fromSigned = isSigned(form.from);
  eachLaneAlone(allLanes, [&](unsigned lane) {
    const int64_t value = values[lane].integer;
    if (isSigned(form.to)) {
      const int64_t high = static_cast<int64_t>((uint64_t(1) << (width - 1)) - 1), low = -high - 1;
      values[lane].integer = !fromSigned && value < 0 ? high : std::clamp(value, low, high);
    } else {
      const uint64_t high = width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1;
      values[lane].integer =
          fromSigned && value < 0 ? 0 : static_cast<int64_t>(std::min(static_cast<uint64_t>(value), high));
    }
  });
}

[[gnu::always_inline]] inline double toIntegral(double value, IntegerRounding rounding) {
  switch (rounding) {
  case IntegerRounding::Nearest:
    return __builtin_rint(value); // The host rounds to nearest even.
  case IntegerRounding::Zero:
    return __builtin_trunc(value);
  case IntegerRounding::Minus:
    return __builtin_floor(value);
  case IntegerRounding::Plus:
    return __builtin_ceil(value);
  default:
    return value;
  }
}

/// Out of range becomes the nearest end; NaN zero, but of f64 or to 64 bits 1 << (width - 1) (PTX ISA, cvt).
void realToInteger(Wide *values, const ConvertForm &form) {
  const unsigned width = bitsOf(form.to);
  const uint64_t nan = form.from != Type::F64 && width < 64 ? 0 : uint64_t(1) << (width - 1);
  if (isSigned(form.to)) {
    const double end = static_cast<double>(uint64_t(1) << (width - 1));
    const int64_t high = static_cast<int64_t>((uint64_t(1) << (width - 1)) - 1);
    const int64_t none = nan ? -high - 1 : 0;
    eachLane(allLanes, [=, rounding = form.integerRounding](unsigned lane) {
      const double value = toIntegral(values[lane].real, rounding);
      const double inside = value > -end ? (value < end ? value : 0.0) : -end;
      const int64_t integer = static_cast<int64_t>(inside == inside ? inside : 0.0);
      values[lane].integer = value >= end ? high : value == value ? integer : none;
    });
    return;
  }
  const double end = width == 64 ? 0x1p64 : static_cast<double>(uint64_t(1) << width);
  const uint64_t high = width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1;
  eachLaneAlone(allLanes, [&](unsigned lane) {
    const double value = toIntegral(values[lane].real, form.integerRounding);
    const uint64_t integer = value >= end ? high : value > 0 ? static_cast<uint64_t>(value) : value == value ? 0 : nan;
    values[lane].integer = static_cast<int64_t>(integer);
  });
}

/// 64-bit integers that a double does not hold exactly are rounded here, in the way that the destination wants.
void integerToReal(Wide *values, const ConvertForm &form) {
  if (bitsOf(form.from) < 64) {
    eachLane(allLanes, [=](unsigned lane) { values[lane].real = static_cast<double>(values[lane].integer); });
    return;
  }
  const bool isSigned64 = form.from == Type::S64;
  const HostRounding mode(form.to == Type::F64 ? form.rounding : Rounding::Zero);
  eachLaneAlone(allLanes, [&](unsigned lane) {
    const int64_t given = values[lane].integer;
    const uint64_t magnitude =
        isSigned64 && given < 0 ? 0 - static_cast<uint64_t>(given) : static_cast<uint64_t>(given);
    // Both halves are exact; their sum is rounded once. What goes on to a narrower format is rounded to odd.
    const double high = opaque(static_cast<double>(static_cast<uint32_t>(magnitude >> 32)) * 0x1p32),
                 low = opaque(static_cast<double>(static_cast<uint32_t>(magnitude)));
    double value = isSigned64 && given < 0 ? opaque(-high - low) : opaque(high + low);
    if (form.to != Type::F64) {
      const bool exact = static_cast<uint64_t>(__builtin_fabs(value)) == magnitude && __builtin_fabs(value) < 0x1p64;
      value = exact ? value : bits<double>(bits<uint64_t>(value) | 1);
    }
    values[lane].real = value;
  });
}

Flow convert(Warp &warp, const Op &op, Lanes lanes) {
  const ConvertForm &form = *static_cast<const ConvertForm *>(op.form);
  Wide values[warpLanes];
  form.load(values, warp.read<std::byte>(op.operands[1]));
  const bool fromReal = isReal(form.from), toReal = isReal(form.to);
  if (fromReal && toReal) {
    if (form.integerRounding != IntegerRounding::None) {
      eachLane(allLanes, [&, rounding = form.integerRounding](unsigned lane) {
        values[lane].real = toIntegral(values[lane].real, rounding);
      });
    }
    if (form.sat) {
      eachLane(allLanes, [&](unsigned lane) { values[lane].real = saturated(values[lane].real); });
    }
  } else if (fromReal) {
    realToInteger(values, form);
  } else if (toReal) {
    integerToReal(values, form);
    if (form.sat) {
      eachLane(allLanes, [&](unsigned lane) { values[lane].real = saturated(values[lane].real); });
    }
  } else if (form.sat) {
    clampInteger(values, form);
  }
  form.store(warp.write<std::byte>(op.operands[0]), values, lanes, form);
  return Flow::Next;
}

// --- Loops of their own.

template <typename D, typename S> struct Cast {
  D operator()(S value) const { return static_cast<D>(value); }
};
struct HalfToSingle {
  float operator()(uint16_t value) const { return canonical(fromHalf(value)); }
};
struct BfloatToSingle {
  float operator()(uint16_t value) const { return canonical(fromBfloat(value)); }
};
struct SingleToHalf {
  uint16_t operator()(float value) const { return toHalf(value); }
};
struct SingleToBfloat {
  uint16_t operator()(float value) const { return toBfloat(value); }
};

/// Conversions that are frequent, where neither side is narrower than its register and nothing special is asked.
Handler directConversion(const ConvertForm &form) {
  if (form.ftz || form.sat || form.rounding != Rounding::Nearest || form.integerRounding != IntegerRounding::None) {
    return nullptr;
  }
  const auto is = [&](Type to, Type from) { return form.to == to && form.from == from; };
  if (is(Type::F32, Type::S32)) {
    return unary<Cast<float, int32_t>, float, int32_t>;
  }
  if (is(Type::F32, Type::U32)) {
    return unary<Cast<float, uint32_t>, float, uint32_t>;
  }
  if (is(Type::F32, Type::F16)) {
    return unary<HalfToSingle, float, uint16_t>;
  }
  if (is(Type::F32, Type::BF16)) {
    return unary<BfloatToSingle, float, uint16_t>;
  }
  if (is(Type::F16, Type::F32)) {
    return unary<SingleToHalf, uint16_t, float>;
  }
  if (is(Type::BF16, Type::F32)) {
    return unary<SingleToBfloat, uint16_t, float>;
  }
  if (form.from == Type::U32 && (form.to == Type::U64 || form.to == Type::S64)) {
    return unary<Cast<uint64_t, uint32_t>, uint64_t, uint32_t>;
  }
  if (form.from == Type::S32 && (form.to == Type::U64 || form.to == Type::S64)) {
    return unary<Cast<int64_t, int32_t>, int64_t, int32_t>;
  }
  if ((form.from == Type::U64 || form.from == Type::S64) && (form.to == Type::U32 || form.to == Type::S32)) {
    return unary<Cast<uint32_t, uint64_t>, uint32_t, uint64_t>;
  }
  return nullptr;
}

constexpr std::initializer_list<Type> convertible = {Type::U8,  Type::U16, Type::U32, Type::U64, Type::S8,  Type::S16,
                                                     Type::S32, Type::S64, Type::F16, Type::F32, Type::F64, Type::BF16};

unsigned significand(Type type) {
  switch (type) {
  case Type::BF16:
    return 8;
  case Type::F16:
    return 11;
  case Type::F32:
    return 24;
  default:
    return 53;
  }
}

/// Whether every value of `from` is one of `to`.
bool widens(Type from, Type to) {
  return from == to || (significand(to) > significand(from) && !(from == Type::BF16 && to == Type::F16));
}

void decodeConvert(Decoder &d, Op &op) {
  if (decodePackedConversion(d, op)) {
    return;
  }
  ConvertForm form;
  form.integerRounding = static_cast<IntegerRounding>(d.optionalOf({"rni", "rzi", "rmi", "rpi"}));
  const int rounding = d.optionalOf({"rn", "rz", "rm", "rp"});
  form.rounding = rounding < 0 ? Rounding::Nearest : static_cast<Rounding>(rounding);
  form.ftz = d.accept("ftz");
  form.sat = d.accept("sat");
  form.to = d.type(convertible);
  form.from = d.type(convertible);
  const bool fromReal = isReal(form.from), toReal = isReal(form.to);
  if (fromReal && !toReal) {
    if (form.integerRounding == IntegerRounding::None || rounding >= 0) {
      d.error("expected .rni, .rzi, .rmi or .rpi");
    }
  } else if (!fromReal && toReal) {
    if (rounding < 0 || form.integerRounding != IntegerRounding::None) {
      d.error("expected .rn, .rz, .rm or .rp");
    }
  } else if (!fromReal) {
    if (rounding >= 0 || form.integerRounding != IntegerRounding::None) {
      d.error("found a rounding, expected none between integers");
    }
  } else if (form.from != form.to) {
    if (form.integerRounding != IntegerRounding::None) {
      d.error("rounding to an integral value needs two equal types");
    }
    if (!widens(form.from, form.to) && rounding < 0) {
      d.error("expected .rn, .rz, .rm or .rp");
    }
    if (widens(form.from, form.to) && rounding >= 0) {
      d.error("found a rounding, expected none where every value fits");
    }
  } else if (rounding >= 0) {
    d.error("found a rounding, expected .rni, .rzi, .rmi, .rpi or none");
  }
  if (form.ftz && form.from != Type::F32 && form.to != Type::F32) {
    d.error("'.ftz' needs .f32 on one side");
  }
  const unsigned toWidth = d.width(0, form.to), fromWidth = d.width(1, form.from);
  op.operands[0] = d.destination(0, form.to, true);
  op.operands[1] = d.source(1, form.from, true);
  d.operandsEnd(2);
  if ((toReal && toWidth != ptx::sizeOf(form.to)) || (fromReal && fromWidth != ptx::sizeOf(form.from))) {
    d.error("expected a register as wide as the floating-point type");
  }
  form.load = loaderOf(form.from, fromWidth, form.ftz);
  form.store = storerOf(form.to, toWidth);
  op.run = convert;
  if (toWidth == ptx::sizeOf(form.to) && fromWidth == ptx::sizeOf(form.from)) {
    if (Handler direct = directConversion(form)) {
      op.run = direct;
    }
  }
  op.form = d.keep(form);
}

// --- Addresses between state spaces and generic ones.

struct AddTo {
  uint64_t operator()(uint64_t value, uint64_t addend) const { return value + addend; }
};

Flow convertAddress(Warp &warp, const Op &op, Lanes lanes) {
  uint64_t *d = warp.write<uint64_t>(op.operands[0]);
  const uint64_t *a = warp.read<uint64_t>(op.operands[1]);
  const uint64_t offset = static_cast<uint64_t>(op.immediate);
  eachLane(lanes, [=](unsigned lane) { d[lane] = a[lane] + offset; });
  return Flow::Next;
}

void decodeConvertAddress(Decoder &d, Op &op) {
  const bool fromGeneric = d.accept("to");
  const std::string_view space = d.word();
  uint64_t window = 0;
  if (space == "shared" || space == "shared::cta" || space == "shared::cluster") {
    window = sharedWindow;
  } else if (space == "local") {
    window = localWindow;
  } else if (space == "param" || space == "param::entry" || space == "param::func") {
    const ptx::Operand &source = d.operand(1);
    // The parameters of functions and calls lie in local memory.
    if (space == "param::func" || !d.function().entry ||
        (source.kind == ptx::Operand::Kind::Symbol && d.localVariable(source.name))) {
      window = localWindow;
    }
  } else if (space != "global" && space != "const") {
    d.error("found '." + std::string(space) + "', expected a state space");
  }
  const Type type = d.type({Type::U64, Type::U32});
  if (type == Type::U32) {
    d.error("32-bit generic addresses do not exist for .address_size 64");
    return;
  }
  sameTypes(d, op, type, 2);
  op.immediate = static_cast<int64_t>(fromGeneric ? 0 - window : window);
  op.run = convertAddress;
}

Flow isInSpace(Warp &warp, const Op &op, Lanes lanes) {
  const uint64_t *a = warp.read<uint64_t>(op.operands[1]);
  const std::string &space = *static_cast<const std::string *>(op.form);
  Lanes result = 0;
  eachLaneAlone(lanes, [&](unsigned lane) {
    const uint64_t address = a[lane];
    const bool shared = address - sharedWindow < sharedWindowBytes, local = address - localWindow < localWindowBytes;
    bool holds = false;
    if (space == "shared" || space == "shared::cta") {
      holds = shared && (address - sharedWindow) >> sharedRankShift == warp.cta.rank;
    } else if (space == "shared::cluster") {
      holds = shared && (address - sharedWindow) >> sharedRankShift < warp.cta.cluster.ctas.size();
    } else if (space == "local") {
      holds = local;
    } else {
      const Allocation *allocation = shared || local ? nullptr : GlobalMemory::instance().find(address);
      const bool parameter = allocation && allocation->address == warp.grid().parametersAddress;
      if (space == "global") {
        holds = !shared && !local && !parameter && (!allocation || allocation->writable);
      } else if (space == "const") {
        holds = allocation && !allocation->writable && !parameter;
      } else {
        holds = parameter;
      }
    }
    result |= static_cast<Lanes>(holds) << lane;
  });
  warp.write(op.predicates[0], lanes, result);
  return Flow::Next;
}

void decodeIsInSpace(Decoder &d, Op &op) {
  const std::string_view words[] = {"const",       "global",          "local", "shared",
                                    "shared::cta", "shared::cluster", "param", "param::entry"};
  std::string space;
  for (std::string_view word : words) {
    if (d.accept(word)) {
      space = word;
      break;
    }
  }
  if (space.empty()) {
    d.error("expected a state space");
  }
  op.predicates[0] = d.predicateDestination(d.operand(0));
  op.operands[1] = d.source(1, Type::U64);
  d.operandsEnd(2);
  op.form = d.keep(std::move(space));
  op.run = isInSpace;
}

/// szext: the lowest b bits of a, extended by the sign or by zeros.
template <bool wraps, bool isSigned> struct ExtendBits {
  uint32_t operator()(uint32_t a, uint32_t b) const {
    const uint32_t count = wraps ? b & 31 : b < 32 ? b : 32;
    const uint32_t low = count == 32 ? a : a & ((1u << (count & 31)) - 1);
    const bool negative = isSigned && count && (a >> (count - 1) & 1);
    return negative && count < 32 ? low | ~((1u << count) - 1) : low;
  }
};

void decodeExtend(Decoder &d, Op &op) {
  const bool wraps = d.oneOf({"clamp", "wrap"});
  const Type type = d.type({Type::U32, Type::S32});
  sameTypes(d, op, type, 3);
  op.run = type == Type::S32 ? (wraps ? binary<ExtendBits<true, true>, uint32_t, uint32_t>
                                      : binary<ExtendBits<false, true>, uint32_t, uint32_t>)
                             : (wraps ? binary<ExtendBits<true, false>, uint32_t, uint32_t>
                                      : binary<ExtendBits<false, false>, uint32_t, uint32_t>);
}

} // namespace

void addConversions(OpcodeTable &table) {
  table.add("cvt", decodeConvert);
  table.add("cvt.pack", decodePack);
  table.add("cvta", decodeConvertAddress);
  table.add("isspacep", decodeIsInSpace);
  table.add("szext", decodeExtend);
}

// clang-format off
VECTOR_CODE_END
// clang-format on
