// Conversions between the number formats of checkpoints. Written without the compiler's _Float16 or intrinsics: the
// result must not depend on the machine that compiles the model.
#include "codegen/Artifact/ElementFormat.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/ErrorHandling.h"
#include <array>
#include <cmath>
#include <cstring>

namespace elah {
namespace {

float widenF16(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f) {
    return llvm::bit_cast<float>(sign | 0x7f800000 | mantissa << 13);
  }
  if (exponent == 0) {
    float value = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -value : value;
  }
  return llvm::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

// e4m3fn: bias 7, no infinity, 0x7f and 0xff are NaN, the smallest subnormal is 2^-9 (OCP 8-bit floating point, 5.1).
std::array<float, 256> makeF8Table() {
  std::array<float, 256> table;
  for (unsigned bits = 0; bits < 256; ++bits) {
    unsigned exponent = (bits >> 3) & 0xf;
    float mantissa = static_cast<float>(bits & 7);
    float value = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, static_cast<int>(exponent) - 10);
    if ((bits & 0x7f) == 0x7f) {
      value = std::nanf("");
    }
    table[bits] = bits & 0x80 ? -value : value;
  }
  return table;
}

uint16_t narrowBF16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) {
    return static_cast<uint16_t>(bits >> 16 | 0x40); // stays a NaN
  }
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

uint16_t narrowF16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  float magnitude = std::fabs(value);
  if (std::isnan(value)) {
    return sign | 0x7e00;
  }
  if (magnitude >= 65520.0f) {
    return sign | 0x7c00;
  }
  if (magnitude < 6.103515625e-5f) { // subnormal: units of 2^-24, rounded to even by nearbyint
    return sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
  }
  uint32_t rest = (bits & 0x7fffffff) - (112u << 23);
  return sign | static_cast<uint16_t>((rest + 0xfff + ((rest >> 13) & 1)) >> 13);
}

} // namespace

unsigned elementBytes(ElementFormat format) {
  switch (format) {
  case ElementFormat::F32:
    return 4;
  case ElementFormat::BF16:
  case ElementFormat::F16:
    return 2;
  case ElementFormat::F8E4M3:
    return 1;
  }
  llvm_unreachable("unknown element format");
}

void widen(ElementFormat format, const char *bytes, llvm::MutableArrayRef<float> values) {
  switch (format) {
  case ElementFormat::F32:
    std::memcpy(values.data(), bytes, values.size() * 4);
    return;
  case ElementFormat::BF16:
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, bytes + 2 * i, 2);
      values[i] = llvm::bit_cast<float>(uint32_t(bits) << 16);
    }
    return;
  case ElementFormat::F16:
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, bytes + 2 * i, 2);
      values[i] = widenF16(bits);
    }
    return;
  case ElementFormat::F8E4M3: {
    static const std::array<float, 256> table = makeF8Table();
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = table[static_cast<uint8_t>(bytes[i])];
    }
    return;
  }
  }
  llvm_unreachable("unknown element format");
}

void narrow(ElementFormat format, llvm::ArrayRef<float> values, char *bytes) {
  switch (format) {
  case ElementFormat::F32:
    std::memcpy(bytes, values.data(), values.size() * 4);
    return;
  case ElementFormat::BF16:
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits = narrowBF16(values[i]);
      std::memcpy(bytes + 2 * i, &bits, 2);
    }
    return;
  case ElementFormat::F16:
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits = narrowF16(values[i]);
      std::memcpy(bytes + 2 * i, &bits, 2);
    }
    return;
  case ElementFormat::F8E4M3:
    break;
  }
  llvm_unreachable("no recipe narrows to fp8");
}

} // namespace elah
