// Conversions between the number formats of checkpoints. Written without the compiler's _Float16 or
// intrinsics, and without arithmetic on f32 subnormals: neither the machine nor its flush-to-zero
// mode may change the result. The loops have no branches, so that a compiler vectorizes them.
#include "packing/element_format.h"
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian");

namespace elah {
namespace {

float widenBF16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

float widenF16(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = bits & 0x7c00, mantissa = bits & 0x3ff;
  uint32_t rest = uint32_t(bits & 0x7fff) << 13;
  uint32_t normal = rest + (exponent == 0x7c00 ? 224u << 23 : 112u << 23);
  uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24f);
  return std::bit_cast<float>(sign | (exponent == 0 ? subnormal : normal));
}

// e4m3fn: bias 7, no infinity, 0x7f and 0xff are NaN, the smallest subnormal is 2^-9 (OCP 8-bit
// floating point, 5.1).
std::array<float, 256> makeF8Table() {
  std::array<float, 256> table;
  for (unsigned bits = 0; bits < 256; ++bits) {
    int exponent = static_cast<int>(bits >> 3 & 0xf);
    float mantissa = static_cast<float>(bits & 7);
    float value = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    if ((bits & 0x7f) == 0x7f) {
      value = std::bit_cast<float>(0x7fc00000u);
    }
    table[bits] = bits & 0x80 ? -value : value;
  }
  return table;
}

uint16_t narrowBF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t quiet = bits >> 16 | 0x40; // a NaN stays one, even if its lower bits alone said so
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

uint16_t narrowF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t rest = magnitude - (112u << 23);
  uint32_t normal = (rest + 0xfff + (rest >> 13 & 1)) >> 13;
  // The unit in the last place of 0.5 is 2^-24, that of f16's subnormals: the sum is rounded to it.
  float sum = (magnitude < 0x38800000 ? std::bit_cast<float>(magnitude) : 0.0f) + 0.5f;
  uint32_t subnormal = std::bit_cast<uint32_t>(sum) - 0x3f000000;
  uint32_t result = magnitude < 0x38800000 ? subnormal : normal; // below 2^-14
  result = magnitude >= 0x477ff000 ? uint32_t(0x7c00) : result;  // from 65520 on: infinity
  result = magnitude > 0x7f800000 ? uint32_t(0x7e00) : result;   // NaN
  return static_cast<uint16_t>(sign | result);
}

template <typename Bits, float widenOne(Bits)> void widenAll(const uint8_t *bytes, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + sizeof(bits) * i, sizeof(bits));
    values[i] = widenOne(bits);
  }
}

template <uint16_t narrowOne(float)> void narrowAll(std::span<const float> values, uint8_t *bytes) {
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits = narrowOne(values[i]);
    std::memcpy(bytes + 2 * i, &bits, 2);
  }
}

} // namespace

unsigned elementBits(proto::ElementFormat format) {
  switch (format) {
  case proto::ELEMENT_FORMAT_F32:
    return 32;
  case proto::ELEMENT_FORMAT_BF16:
  case proto::ELEMENT_FORMAT_F16:
    return 16;
  case proto::ELEMENT_FORMAT_F8E4M3:
  case proto::ELEMENT_FORMAT_BYTES:
  case proto::ELEMENT_FORMAT_U8:
    return 8;
  case proto::ELEMENT_FORMAT_U4:
    return 4;
  default:
    return 0;
  }
}

bool isInteger(proto::ElementFormat format) {
  return format == proto::ELEMENT_FORMAT_U4 || format == proto::ELEMENT_FORMAT_U8;
}

uint64_t bytesOf(proto::ElementFormat format, uint64_t elements) {
  return format == proto::ELEMENT_FORMAT_U4 ? elements / 2 + elements % 2 : elements * (elementBits(format) / 8);
}

void widen(proto::ElementFormat format, const uint8_t *bytes, std::span<float> values) {
  switch (format) {
  case proto::ELEMENT_FORMAT_F32:
    if (!values.empty()) {
      std::memcpy(values.data(), bytes, values.size() * 4);
    }
    return;
  case proto::ELEMENT_FORMAT_BF16:
    widenAll<uint16_t, widenBF16>(bytes, values);
    return;
  case proto::ELEMENT_FORMAT_F16:
    widenAll<uint16_t, widenF16>(bytes, values);
    return;
  case proto::ELEMENT_FORMAT_F8E4M3: {
    static const std::array<float, 256> table = makeF8Table();
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = table[bytes[i]];
    }
    return;
  }
  case proto::ELEMENT_FORMAT_U4:
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(bytes[i / 2] >> (i % 2 * 4) & 15);
    }
    return;
  case proto::ELEMENT_FORMAT_U8:
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(bytes[i]);
    }
    return;
  default:
    assert(false && "unknown element format");
  }
}

void narrow(proto::ElementFormat format, std::span<const float> values, uint8_t *bytes) {
  switch (format) {
  case proto::ELEMENT_FORMAT_F32:
    if (!values.empty()) {
      std::memcpy(bytes, values.data(), values.size() * 4);
    }
    return;
  case proto::ELEMENT_FORMAT_BF16:
    narrowAll<narrowBF16>(values, bytes);
    return;
  case proto::ELEMENT_FORMAT_F16:
    narrowAll<narrowF16>(values, bytes);
    return;
  default:
    assert(false && "no recipe narrows to fp8 or integers");
  }
}

} // namespace elah
