// wmma (PTX ISA 9.7.14.4): matrices in fragments whose layout is the implementation's own affair. Here lane L holds
// elements E * L to E * L + E - 1 of the matrix, in the order of its rows (A and C) or columns (B), as far as the
// registers that the ISA prescribes have room; what is left of them is zero.

#include "ops/addresses.h"
#include "ops/tensor_core_numerics.h"
#include "ops/warp_matrix.h"
#include "ops/warp_product.h"
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace emulator {

namespace {

enum class Role : uint8_t { A, B, C };

/// Elements of a fragment. `bits` of one; F32, F64 and S32 are accumulators' types too.
enum class Kind : uint8_t { F16, BF16, TF32, F32, F64, S32, S8, U8, S4, U4, B1 };

constexpr std::pair<std::string_view, Kind> kindNames[] = {
    {"f16", Kind::F16}, {"bf16", Kind::BF16}, {"tf32", Kind::TF32}, {"f32", Kind::F32},
    {"f64", Kind::F64}, {"s32", Kind::S32},   {"s8", Kind::S8},     {"u8", Kind::U8},
    {"s4", Kind::S4},   {"u4", Kind::U4},     {"b1", Kind::B1}};

unsigned bitsOf(Kind kind) {
  switch (kind) {
  case Kind::F64:
    return 64;
  case Kind::TF32:
  case Kind::F32:
  case Kind::S32:
    return 32;
  case Kind::F16:
  case Kind::BF16:
    return 16;
  case Kind::S8:
  case Kind::U8:
    return 8;
  case Kind::S4:
  case Kind::U4:
    return 4;
  case Kind::B1:
    return 1;
  }
  return 0;
}

struct Shape {
  unsigned m = 0, n = 0, k = 0;
};

struct Fragment {
  Role role = Role::A;
  Kind kind = Kind::F16;
  Shape shape;

  unsigned rows() const { return role == Role::B ? shape.n : shape.m; } ///< B by columns
  unsigned width() const { return role == Role::C ? shape.n : shape.k; }
  unsigned perLane() const { return rows() * width() / warpLanes; }
  unsigned bytesPerRegister() const { return kind == Kind::F64 ? 8 : 4; }
  /// As the ISA has it: f16 factors always take 8.
  unsigned registers() const {
    return kind == Kind::F16 && role != Role::C ? 8 : perLane() * bitsOf(kind) / (8 * bytesPerRegister());
  }
  ptx::Type registerType() const {
    return kind == Kind::F64   ? ptx::Type::F64
           : kind == Kind::F32 ? ptx::Type::F32
           : kind == Kind::S32 ? ptx::Type::S32
                               : ptx::Type::B32;
  }
};

struct MoveForm {
  Fragment fragment;
  bool rowMajor = true, hasStride = false;
  NamedSpace space = NamedSpace::Generic;
  Decoder::Address address;
  Operand stride;
  std::vector<Operand> registers;
};

/// Bits of an element in a lane's registers.
uint64_t getBits(const std::byte *const *registers, const Fragment &fragment, unsigned lane, unsigned index) {
  const unsigned bits = bitsOf(fragment.kind), registerBits = fragment.bytesPerRegister() * 8;
  uint64_t word = 0;
  std::memcpy(&word, registers[index * bits / registerBits] + lane * fragment.bytesPerRegister(),
              fragment.bytesPerRegister());
  word >>= index * bits % registerBits;
  return bits == 64 ? word : word & ((uint64_t(1) << bits) - 1);
}

void putBits(std::byte *const *registers, const Fragment &fragment, unsigned lane, unsigned index, uint64_t value) {
  const unsigned bits = bitsOf(fragment.kind), registerBits = fragment.bytesPerRegister() * 8;
  std::byte *place = registers[index * bits / registerBits] + lane * fragment.bytesPerRegister();
  uint64_t word = 0;
  std::memcpy(&word, place, fragment.bytesPerRegister());
  const uint64_t mask = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  word = (word & ~(mask << index * bits % registerBits)) | (value & mask) << index * bits % registerBits;
  std::memcpy(place, &word, fragment.bytesPerRegister());
}

/// Loads or stores a fragment. The address and the stride are the warp's, from its first lane.
template <bool loads> Flow move(Warp &warp, const Op &op, Lanes lanes) {
  const MoveForm &form = *static_cast<const MoveForm *>(op.form);
  const Fragment &fragment = form.fragment;
  const unsigned bits = bitsOf(fragment.kind), first = static_cast<unsigned>(__builtin_ctz(lanes));
  const bool alongRows = (fragment.role == Role::B) != form.rowMajor; // Elements of a (B: column) row are neighbours.
  const uint64_t stride = form.hasStride ? warp.read<uint32_t>(form.stride)[first]
                          : alongRows    ? fragment.width()
                                         : fragment.rows();
  const uint64_t base = addressOf(warp, form.address, first);
  std::array<std::byte *, 8> registers = {};
  for (size_t r = 0; r < form.registers.size(); ++r) {
    registers[r] = warp.write<std::byte>(form.registers[r]);
    if (loads) {
      std::memset(registers[r], 0, warpLanes * fragment.bytesPerRegister());
    }
  }
  const unsigned bytes = std::max(1u, bits / 8);
  Observer *observer = warp.grid().observer;
  for (unsigned index = 0; index < fragment.perLane(); ++index) {
    uint64_t addresses[warpLanes];
    Target target;
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      const unsigned element = lane * fragment.perLane() + index;
      const uint64_t row = element / fragment.width(), column = element % fragment.width();
      const uint64_t at = (alongRows ? row * stride + column : column * stride + row) * bits;
      const uint64_t address = base + at / 8;
      const bool shared = form.space == NamedSpace::SharedCta ||
                          (form.space == NamedSpace::Generic && address - sharedWindow < sharedWindowBytes);
      target = resolve(warp, op, first, address, form.space, bytes, bytes, shared);
      if (!target.bytes) {
        return Flow::Ended;
      }
      addresses[lane] = target.cta ? target.offset : address;
      uint64_t word = 0;
      if (loads) {
        std::memcpy(&word, target.bytes, bytes);
        putBits(registers.data(), fragment, lane, index, word >> at % 8);
      } else {
        word = getBits(registers.data(), fragment, lane, index);
        std::memcpy(target.bytes, &word, bytes);
      }
    }
    if (observer) {
      MemoryAccess access;
      access.actor = {&warp, &op};
      access.kind = loads ? MemoryAccess::Kind::Read : MemoryAccess::Kind::Write;
      access.shared = target.cta != nullptr;
      access.cta = target.cta;
      access.lanes = allLanes;
      access.addresses = addresses;
      access.bytes = bytes;
      observer->access(access);
    }
  }
  return Flow::Next;
}

struct ProductForm {
  Fragment a, b, c, d;
  bool saturate = false, exclusiveOr = false;
  std::vector<Operand> registersA, registersB, registersC, registersD;
};

double numberOf(Kind kind, uint64_t bits) {
  switch (kind) {
  case Kind::F16:
    return static_cast<double>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
  case Kind::BF16:
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  case Kind::TF32:
    return std::bit_cast<float>(static_cast<uint32_t>(bits) & 0xFFFFE000u);
  case Kind::F32:
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  case Kind::F64:
    return std::bit_cast<double>(bits);
  case Kind::S32:
    return static_cast<int32_t>(bits);
  case Kind::S8:
    return static_cast<int8_t>(bits);
  case Kind::S4:
    return static_cast<int>(bits & 7) - static_cast<int>(bits & 8);
  default:
    return static_cast<double>(bits);
  }
}

std::vector<double> numbersOf(Warp &warp, const Fragment &fragment, const std::vector<Operand> &operands) {
  std::array<const std::byte *, 8> registers = {};
  for (size_t r = 0; r < operands.size(); ++r) {
    registers[r] = warp.read<std::byte>(operands[r]);
  }
  std::vector<double> numbers(fragment.rows() * fragment.width());
  for (unsigned i = 0; i < numbers.size(); ++i) {
    numbers[i] =
        numberOf(fragment.kind, getBits(registers.data(), fragment, i / fragment.perLane(), i % fragment.perLane()));
  }
  return numbers;
}

Element elementOf(Kind kind) {
  return kind == Kind::F16 ? Element::F16 : kind == Kind::BF16 ? Element::BF16 : Element::TF32;
}

/// c + a . b, in the arithmetic of the type.
double dot(const ProductForm &form, const double *a, const double *b, double c, Numerics numerics) {
  const unsigned k = form.a.shape.k;
  if (form.d.kind == Kind::F64) {
    for (unsigned i = 0; i < k; ++i) {
      c = std::fma(a[i], b[i], c);
    }
    return c;
  }
  if (form.d.kind == Kind::S32) { // Exact: the sums have less than 53 bits.
    for (unsigned i = 0; i < k; ++i) {
      c += form.a.kind == Kind::B1 && form.exclusiveOr ? double(a[i] != b[i]) : a[i] * b[i];
    }
    return c;
  }
  float left[16], right[16];
  for (unsigned i = 0; i < k; ++i) {
    left[i] = static_cast<float>(a[i]);
    right[i] = static_cast<float>(b[i]);
  }
  float sum = static_cast<float>(c);
  if (numerics == Numerics::Hardware) {
    return tensorCoreDot(sum, left, right, k, hopperWidths(elementOf(form.a.kind)));
  }
  for (unsigned i = 0; i < k; ++i) {
    sum = std::fma(left[i], right[i], sum);
  }
  return sum;
}

uint64_t bitsOfNumber(const ProductForm &form, double value) {
  switch (form.d.kind) {
  case Kind::F16:
    return std::bit_cast<uint16_t>(static_cast<_Float16>(static_cast<float>(value)));
  case Kind::F32:
    return std::bit_cast<uint32_t>(static_cast<float>(value));
  case Kind::F64:
    return std::bit_cast<uint64_t>(value);
  default:
    if (form.saturate) {
      value = std::min(std::max(value, double(std::numeric_limits<int32_t>::min())),
                       double(std::numeric_limits<int32_t>::max()));
    }
    return static_cast<uint32_t>(static_cast<int64_t>(value));
  }
}

Flow multiply(Warp &warp, const Op &op, Lanes) {
  const ProductForm &form = *static_cast<const ProductForm *>(op.form);
  const std::vector<double> a = numbersOf(warp, form.a, form.registersA), b = numbersOf(warp, form.b, form.registersB),
                            c = numbersOf(warp, form.c, form.registersC);
  std::array<std::byte *, 8> registers = {};
  for (size_t r = 0; r < form.registersD.size(); ++r) {
    registers[r] = warp.write<std::byte>(form.registersD[r]);
  }
  const Shape &shape = form.a.shape;
  for (unsigned i = 0; i < shape.m * shape.n; ++i) {
    double sum = dot(form, a.data() + i / shape.n * shape.k, b.data() + i % shape.n * shape.k, c[i],
                     warp.grid().options.numerics);
    putBits(registers.data(), form.d, i / form.d.perLane(), i % form.d.perLane(), bitsOfNumber(form, sum));
  }
  return Flow::Next;
}

Shape readShape(Decoder &d) {
  std::string word(d.word());
  Shape shape;
  int used = 0;
  if (std::sscanf(word.c_str(), "m%un%uk%u%n", &shape.m, &shape.n, &shape.k, &used) != 3 ||
      used != static_cast<int>(word.size())) {
    d.error("expected a shape mMnNkK, found '" + word + "'");
    return {16, 16, 16};
  }
  return shape;
}

Kind readKind(Decoder &d) {
  std::string_view word = d.word();
  for (const auto &[name, kind] : kindNames) {
    if (name == word) {
      return kind;
    }
  }
  d.error("wmma has no type '" + std::string(word) + "'");
  return Kind::F16;
}

void checkShape(Decoder &d, Kind factor, const Shape &shape) {
  auto is = [&](unsigned m, unsigned n, unsigned k) { return shape.m == m && shape.n == n && shape.k == k; };
  bool known = false;
  switch (factor) {
  case Kind::F16:
  case Kind::BF16:
  case Kind::S8:
  case Kind::U8:
    known = is(16, 16, 16) || is(8, 32, 16) || is(32, 8, 16);
    break;
  case Kind::TF32:
    known = is(16, 16, 8);
    break;
  case Kind::F64:
    known = is(8, 8, 4);
    break;
  case Kind::S4:
  case Kind::U4:
    known = is(8, 8, 32);
    break;
  case Kind::B1:
    known = is(8, 8, 128);
    break;
  default:
    break;
  }
  if (!known) {
    d.error("wmma does not have this shape for this type");
  }
}

void readRegisters(Decoder &d, unsigned index, const Fragment &fragment, bool writes, std::vector<Operand> &registers) {
  const ptx::Operand &operand = d.operand(index);
  const bool isVector = operand.kind == ptx::Operand::Kind::Vector;
  const unsigned count = fragment.registers();
  if ((isVector ? operand.elements.size() : 1) != count) {
    d.error("operand " + std::to_string(index + 1) + ": expected " + std::to_string(count) + " registers");
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    const ptx::Operand &element = isVector ? operand.elements[i] : operand;
    registers.push_back(writes ? d.destination(element, fragment.registerType())
                               : d.source(element, fragment.registerType()));
  }
}

void decodeMove(Decoder &d, Op &op, bool loads) {
  MoveForm form;
  form.fragment.role = loads ? std::array{Role::A, Role::B, Role::C}[d.oneOf({"a", "b", "c"})] : Role::C;
  if (!loads) {
    d.expect("d");
  }
  d.expect("sync");
  d.expect("aligned");
  form.rowMajor = d.oneOf({"row", "col"}) == 0;
  form.fragment.shape = readShape(d);
  form.space = spaceNamed(d, false, true);
  form.fragment.kind = readKind(d);
  const Kind kind = form.fragment.kind;
  const bool accumulates = kind == Kind::F32 || kind == Kind::S32 || kind == Kind::F64 || kind == Kind::F16;
  if (form.fragment.role == Role::C ? !accumulates : kind == Kind::F32 || kind == Kind::S32) {
    d.error("wmma has no such fragment of this type");
  } else if (form.fragment.role != Role::C) {
    checkShape(d, kind, form.fragment.shape);
    if (bitsOf(kind) < 8 && form.rowMajor != (form.fragment.role == Role::A)) {
      d.error("fragments of less than 8 bits are .row for A and .col for B");
    }
  }
  readRegisters(d, loads ? 0 : 1, form.fragment, loads, form.registers);
  form.address = d.address(loads ? 1 : 0, spaceOf(form.space));
  if (d.operandCount() > 2) {
    form.hasStride = true;
    form.stride = d.source(2, ptx::Type::B32);
  }
  op.convergence = Convergence::Warp;
  op.form = d.keep(std::move(form));
  op.run = loads ? move<true> : move<false>;
}

void decodeMultiply(Decoder &d, Op &op) {
  ProductForm form;
  const int bitOperation = d.optionalOf({"xor", "and"});
  if (bitOperation >= 0) {
    d.expect("popc");
    form.exclusiveOr = bitOperation == 0;
  }
  d.expect("sync");
  d.expect("aligned");
  d.oneOf({"row", "col"}); // How a fragment came to be does not change what it holds.
  d.oneOf({"row", "col"});
  const Shape shape = readShape(d);
  const Kind first = readKind(d), second = readKind(d);
  Kind a = Kind::F16, b = Kind::F16, c = second;
  if (!d.peek().empty() && d.peek() != "satfinite") { // dtype.atype.btype.ctype; f16 factors go unnamed.
    a = second;
    b = readKind(d);
    c = readKind(d);
  }
  form.saturate = d.accept("satfinite");
  const bool signs = (a == Kind::S8 || a == Kind::U8)   ? (b == Kind::S8 || b == Kind::U8)
                     : (a == Kind::S4 || a == Kind::U4) ? (b == Kind::S4 || b == Kind::U4)
                                                        : a == b;
  const bool integers = bitsOf(a) <= 8;
  const bool fitting = integers         ? first == Kind::S32 && c == Kind::S32
                       : a == Kind::F64 ? first == Kind::F64 && c == Kind::F64
                       : a == Kind::F16
                           ? (first == Kind::F16 || first == Kind::F32) && (c == Kind::F16 || c == Kind::F32)
                           : first == Kind::F32 && c == Kind::F32;
  if (!signs || !fitting || (a == Kind::B1) != (bitOperation >= 0)) {
    d.error("wmma does not multiply these types");
    return;
  }
  checkShape(d, a, shape);
  form.a = {Role::A, a, shape};
  form.b = {Role::B, b, shape};
  form.c = {Role::C, c, shape};
  form.d = {Role::C, first, shape};
  readRegisters(d, 0, form.d, true, form.registersD);
  readRegisters(d, 1, form.a, false, form.registersA);
  readRegisters(d, 2, form.b, false, form.registersB);
  readRegisters(d, 3, form.c, false, form.registersC);
  op.convergence = Convergence::Warp;
  op.form = d.keep(std::move(form));
  op.run = multiply;
}

} // namespace

void addWarpMatrixFragments(OpcodeTable &table) {
  table.add("wmma.load", [](Decoder &d, Op &op) { decodeMove(d, op, true); });
  table.add("wmma.store", [](Decoder &d, Op &op) { decodeMove(d, op, false); });
  table.add("wmma.mma", decodeMultiply);
}

} // namespace emulator
