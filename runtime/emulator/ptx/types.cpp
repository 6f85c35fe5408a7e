#include "ptx/module.h"
#include <iterator>

namespace emulator::ptx {

namespace {

struct TypeRow {
  std::string_view name;
  unsigned size;
};

/// By Type's value.
constexpr TypeRow rows[] = {
    {"none", 0},   {"pred", 0},    {"b8", 1},    {"b16", 2},  {"b32", 4},    {"b64", 8},    {"b128", 16},
    {"u8", 1},     {"u16", 2},     {"u32", 4},   {"u64", 8},  {"s8", 1},     {"s16", 2},    {"s32", 4},
    {"s64", 8},    {"f16", 2},     {"f16x2", 4}, {"bf16", 2}, {"bf16x2", 4}, {"tf32", 4},   {"f32", 4},
    {"f32x2", 8},  {"f64", 8},     {"e4m3", 1},  {"e5m2", 1}, {"e4m3x2", 2}, {"e5m2x2", 2}, {"e2m1x2", 1},
    {"e8m0x2", 2}, {"ue8m0x2", 2}, {"u8x4", 4},  {"s8x4", 4}, {"u16x2", 4},  {"s16x2", 4},
};
static_assert(std::size(rows) == static_cast<size_t>(Type::S16x2) + 1);

} // namespace

unsigned sizeOf(Type type) { return rows[static_cast<size_t>(type)].size; }

std::string_view nameOf(Type type) { return rows[static_cast<size_t>(type)].name; }

Type typeNamed(std::string_view word) {
  for (size_t i = 1; i < std::size(rows); ++i) {
    if (rows[i].name == word) {
      return static_cast<Type>(i);
    }
  }
  return Type::None;
}

const Function *Module::function(std::string_view name) const {
  for (const Function &function : functions) {
    if (function.name == name) {
      return function.aliasOf.empty() ? &function : this->function(function.aliasOf);
    }
  }
  return nullptr;
}

std::string_view Module::textOf(const Instruction &instruction) const {
  return std::string_view(text).substr(instruction.textBegin, instruction.textEnd - instruction.textBegin);
}

} // namespace emulator::ptx
