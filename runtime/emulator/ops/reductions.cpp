#include "ops/reductions.h"
#include <bit>
#include <cmath>
#include <cstring>

namespace emulator {

namespace {

template <typename Word, typename Value, typename Combine>
uint64_t update(std::byte *memory, const std::byte *operand, Combine combine) {
  static_assert(sizeof(Word) == sizeof(Value));
  Word *word = reinterpret_cast<Word *>(memory);
  Value right;
  std::memcpy(&right, operand, sizeof(right));
  Word old = __atomic_load_n(word, __ATOMIC_RELAXED);
  Word fresh;
  do {
    fresh = std::bit_cast<Word>(static_cast<Value>(combine(std::bit_cast<Value>(old), right)));
  } while (!__atomic_compare_exchange_n(word, &old, fresh, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return old;
}

template <typename Word, typename Value>
uint64_t reduceInteger(Reduction reduction, std::byte *memory, const std::byte *operand) {
  return update<Word, Value>(memory, operand, [&](Value a, Value b) -> Value {
    switch (reduction) {
    case Reduction::Add:
      return static_cast<Value>(static_cast<Word>(a) + static_cast<Word>(b));
    case Reduction::Min:
      return a < b ? a : b;
    case Reduction::Max:
      return a > b ? a : b;
    case Reduction::Inc: // Wraps to 0 behind the operand (PTX ISA, red).
      return static_cast<Word>(a) >= static_cast<Word>(b) ? Value(0) : static_cast<Value>(a + 1);
    case Reduction::Dec:
      return a == 0 || static_cast<Word>(a) > static_cast<Word>(b) ? b : static_cast<Value>(a - 1);
    case Reduction::And:
      return a & b;
    case Reduction::Or:
      return a | b;
    case Reduction::Xor:
      return a ^ b;
    }
    return a;
  });
}

/// min and max give the number where one is NaN, and order -0 before +0.
template <typename Wide> Wide reduceFloat(Reduction reduction, Wide a, Wide b) {
  switch (reduction) {
  case Reduction::Min:
    return a == b ? (std::signbit(a) ? a : b) : std::fmin(a, b);
  case Reduction::Max:
    return a == b ? (std::signbit(a) ? b : a) : std::fmax(a, b);
  default:
    return a + b;
  }
}

float widenBf16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

uint16_t narrowBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) {
    return 0x7FFF;
  }
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

} // namespace

uint64_t reduceElement(Reduction reduction, ptx::Type type, std::byte *memory, const std::byte *operand) {
  switch (type) {
  case ptx::Type::S32:
    return reduceInteger<uint32_t, int32_t>(reduction, memory, operand);
  case ptx::Type::S64:
    return reduceInteger<uint64_t, int64_t>(reduction, memory, operand);
  case ptx::Type::U64:
  case ptx::Type::B64:
    return reduceInteger<uint64_t, uint64_t>(reduction, memory, operand);
  case ptx::Type::F16:
    return update<uint16_t, uint16_t>(memory, operand, [&](uint16_t a, uint16_t b) {
      float sum = reduceFloat<float>(reduction, std::bit_cast<_Float16>(a), std::bit_cast<_Float16>(b));
      return std::bit_cast<uint16_t>(static_cast<_Float16>(sum));
    });
  case ptx::Type::BF16:
    return update<uint16_t, uint16_t>(memory, operand, [&](uint16_t a, uint16_t b) {
      return narrowBf16(reduceFloat<float>(reduction, widenBf16(a), widenBf16(b)));
    });
  case ptx::Type::F32: // The bulk and tensor forms flush nothing; red.add.f32 on global memory is the atomics' own.
    return update<uint32_t, float>(memory, operand, [&](float a, float b) { return reduceFloat(reduction, a, b); });
  case ptx::Type::F64:
    return update<uint64_t, double>(memory, operand, [&](double a, double b) { return reduceFloat(reduction, a, b); });
  default:
    return reduceInteger<uint32_t, uint32_t>(reduction, memory, operand);
  }
}

} // namespace emulator
