// mma.sync (PTX ISA 9.7.14.5). The arithmetic is warp_product.h's; here are the forms.

#include "ops/warp_matrix.h"
#include "machine/cta.h"
#include "machine/grid.h"
#include "ops/warp_product.h"

namespace emulator {

namespace {

using Type = WarpProduct::Type;
using Accumulator = WarpProduct::Accumulator;

struct MmaForm {
  WarpProduct product;
  std::vector<Operand> a, b, c, d;
};

Flow multiply(Warp &warp, const Op &op, Lanes) {
  const MmaForm &form = *static_cast<const MmaForm *>(op.form);
  const void *a[8], *b[4], *c[4];
  void *d[4];
  for (size_t i = 0; i < form.a.size(); ++i) {
    a[i] = warp.read<std::byte>(form.a[i]);
  }
  for (size_t i = 0; i < form.b.size(); ++i) {
    b[i] = warp.read<std::byte>(form.b[i]);
  }
  for (size_t i = 0; i < form.c.size(); ++i) {
    c[i] = warp.read<std::byte>(form.c[i]);
  }
  for (size_t i = 0; i < form.d.size(); ++i) {
    d[i] = warp.write<std::byte>(form.d[i]);
  }
  multiplyWarp(form.product, a, b, c, d, warp.grid().options.numerics);
  return Flow::Next;
}

/// Shapes by element type, as sm_90 has them: {m, k}.
struct ShapeRow {
  Type type;
  unsigned m, k;
};
constexpr ShapeRow shapes[] = {{Type::F16, 16, 8},  {Type::F16, 16, 16}, {Type::BF16, 16, 8},  {Type::BF16, 16, 16},
                               {Type::TF32, 16, 4}, {Type::TF32, 16, 8}, {Type::F64, 8, 4},    {Type::F64, 16, 4},
                               {Type::F64, 16, 8},  {Type::F64, 16, 16}, {Type::E4M3, 16, 16}, {Type::E4M3, 16, 32},
                               {Type::S8, 8, 16},   {Type::S8, 16, 16},  {Type::S8, 16, 32},   {Type::S4, 8, 32},
                               {Type::S4, 16, 32},  {Type::S4, 16, 64},  {Type::B1, 8, 128},   {Type::B1, 16, 128},
                               {Type::B1, 16, 256}};

/// Types that may stand together, by one name for both.
Type family(Type type) {
  switch (type) {
  case Type::E5M2:
    return Type::E4M3;
  case Type::U8:
    return Type::S8;
  case Type::U4:
    return Type::S4;
  default:
    return type;
  }
}

std::optional<Type> typeNamed(std::string_view word) {
  constexpr std::pair<std::string_view, Type> names[] = {
      {"f16", Type::F16},   {"bf16", Type::BF16}, {"tf32", Type::TF32}, {"e4m3", Type::E4M3},
      {"e5m2", Type::E5M2}, {"f64", Type::F64},   {"s8", Type::S8},     {"u8", Type::U8},
      {"s4", Type::S4},     {"u4", Type::U4},     {"b1", Type::B1}};
  for (const auto &[name, type] : names) {
    if (name == word) {
      return type;
    }
  }
  return std::nullopt;
}

ptx::Type registerType(Accumulator accumulator) {
  switch (accumulator) {
  case Accumulator::F16:
    return ptx::Type::B32;
  case Accumulator::F32:
    return ptx::Type::F32;
  case Accumulator::F64:
    return ptx::Type::F64;
  case Accumulator::S32:
    return ptx::Type::S32;
  }
  return ptx::Type::B32;
}

void readFragment(Decoder &d, unsigned index, unsigned count, ptx::Type type, bool writes,
                  std::vector<Operand> &registers) {
  const ptx::Operand &operand = d.operand(index);
  const bool isVector = operand.kind == ptx::Operand::Kind::Vector;
  if ((isVector ? operand.elements.size() : 1) != count) {
    d.error("operand " + std::to_string(index + 1) + ": expected " + std::to_string(count) + " registers");
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    const ptx::Operand &element = isVector ? operand.elements[i] : operand;
    registers.push_back(writes ? d.destination(element, type) : d.source(element, type));
  }
}

void decodeMultiply(Decoder &d, Op &op) {
  d.expect("sync");
  d.expect("aligned");
  MmaForm form;
  WarpProduct &product = form.product;
  std::string shape(d.word());
  unsigned n = 0;
  int used = 0;
  if (std::sscanf(shape.c_str(), "m%un%uk%u%n", &product.m, &n, &product.k, &used) != 3 ||
      used != static_cast<int>(shape.size()) || n != 8) {
    d.error("mma.sync has no shape '" + shape + "'");
    return;
  }
  d.expect("row");
  d.expect("col");
  product.saturate = d.accept("satfinite");
  constexpr Accumulator accumulators[] = {Accumulator::F16, Accumulator::F32, Accumulator::F64, Accumulator::S32};
  product.accumulator = accumulators[d.oneOf({"f16", "f32", "f64", "s32"})];
  std::string wordA(d.word()), wordB(d.word());
  std::optional<Type> a = typeNamed(wordA), b = typeNamed(wordB);
  product.addend = accumulators[d.oneOf({"f16", "f32", "f64", "s32"})];
  if (!a || !b) {
    d.error("'" + wordA + "' times '" + wordB + "' is no product of mma.sync on sm_90");
    return;
  }
  product.a = *a;
  product.b = *b;
  if (*a == Type::B1) {
    product.exclusiveOr = d.oneOf({"xor", "and"}) == 0;
    d.expect("popc");
  }
  const bool integers = family(*a) == Type::S8 || family(*a) == Type::S4 || *a == Type::B1;
  const bool fitting = integers          ? product.accumulator == Accumulator::S32
                       : *a == Type::F64 ? product.accumulator == Accumulator::F64
                       : *a == Type::F16 || family(*a) == Type::E4M3
                           ? product.accumulator == Accumulator::F16 || product.accumulator == Accumulator::F32
                           : product.accumulator == Accumulator::F32;
  if (family(*a) != family(*b) || !fitting ||
      (product.addend != product.accumulator && (integers || *a != Type::F16))) {
    d.error("mma.sync does not multiply " + wordA + " by " + wordB + " into these types");
    return;
  }
  if (product.saturate && (!integers || *a == Type::B1)) {
    d.error(".satfinite needs integer elements of 4 or 8 bits");
  }
  bool known = false;
  for (const ShapeRow &row : shapes) {
    known |= row.type == family(*a) && row.m == product.m && row.k == product.k;
  }
  if (!known) {
    d.error("mma.sync has no shape '" + shape + "' for " + wordA + " on sm_90");
    return;
  }
  const ptx::Type factor = *a == Type::F64 ? ptx::Type::F64 : ptx::Type::B32;
  readFragment(d, 0, product.registersC(product.accumulator), registerType(product.accumulator), true, form.d);
  readFragment(d, 1, product.registersA(), factor, false, form.a);
  readFragment(d, 2, product.registersB(), factor, false, form.b);
  readFragment(d, 3, product.registersC(product.addend), registerType(product.addend), false, form.c);
  op.convergence = Convergence::Warp;
  op.form = d.keep(std::move(form));
  op.run = multiply;
}

} // namespace

void addWarpMatrix(OpcodeTable &table) {
  table.add("mma", decodeMultiply);
  for (const char *name : {"mma.sp", "mma.sp::ordered_metadata"}) {
    table.add(name, [](Decoder &d, Op &) { d.error("sparse mma (.sp) is not supported by the emulator"); });
  }
  addMatrixMoves(table);
  addWarpMatrixFragments(table);
}

} // namespace emulator
