// Runs kernels as the runtime does: told in MLIR's text form, emitted, loaded with dlopen and
// called with block ranges. Buffers end at a page that nobody may touch, and start as NaNs, so that
// a kernel which reads or writes too far, or reads what it has not written, shows.
#ifndef TESTS_CODEGEN_CPU_KERNELHARNESS_H
#define TESTS_CODEGEN_CPU_KERNELHARNESS_H

#include "codegen/Cpu/Emit.h"
#include "elah/cpu_kernel.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace elah::test {

/// The targets that this machine can run: names, and "bf16-dot" for x86-64-v4 with AVX512-BF16 and no AMX.
std::vector<std::string> runnableTargets();
CpuTarget testTarget(const std::string &name);
/// A target as part of a test's name.
std::string nameOfTarget(const testing::TestParamInfo<std::string> &info);

/// Memory that ends at a forbidden page (rounded to 64 bytes), filled with 0xff.
class Buffer {
public:
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(const Buffer &) = delete;
  void *data() const { return begin; }
  template <typename T> T *as() const { return static_cast<T *>(static_cast<void *>(begin)); }
  size_t size() const { return bytes; }

private:
  char *mapping, *begin;
  size_t mapped, bytes;
};

template <typename T> std::unique_ptr<Buffer> bufferOf(const std::vector<T> &values) {
  auto buffer = std::make_unique<Buffer>(values.size() * sizeof(T));
  std::memcpy(buffer->data(), values.data(), values.size() * sizeof(T));
  return buffer;
}

struct Dims {
  int64_t tokens = 1, sequences = 1, logitRows = 1, cacheRows = 1, pagesPerSequence = 1;
};

/// The kernels of a module in text form: what stands within `module { ... }`.
class Kernels {
public:
  Kernels(const std::string &target, const std::string &text, const CpuEmitOptions &options = {});
  ~Kernels();
  /// Calls a kernel for all its blocks, in two calls if there are several.
  void run(const std::string &symbol, const std::vector<void *> &buffers, const Dims &dims, int64_t blocks);
  elah_cpu_kernel find(const std::string &symbol) const;
  CpuObject object;
  CpuTarget target;

private:
  mlir::MLIRContext context;
  void *library = nullptr;
};

/// The requests of all exec.kernels of a module.
std::vector<CpuKernelRequest> requestsOf(mlir::ModuleOp module);
mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context, const std::string &text);

//===--- Numbers
//--------------------------------------------------------------------------------------------------===//

inline uint16_t toBF16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float fromBF16(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}
inline uint16_t toF16(float value) {
  _Float16 narrow = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &narrow, 2);
  return bits;
}
inline float fromF16(uint16_t bits) {
  _Float16 value;
  std::memcpy(&value, &bits, 2);
  return static_cast<float>(value);
}
inline float fromE4M3(uint8_t bits) {
  int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                              : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return bits & 0x80 ? -value : value;
}

/// The same numbers on every machine.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed * 2654435761u + 88172645463325252u) {}
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }
  int64_t below(int64_t bound) { return static_cast<int64_t>(next() >> 11) % bound; }
  /// In -1 .. 1.
  float number() { return static_cast<float>(static_cast<double>(next() >> 11) / (1ull << 52) - 1); }
  std::vector<float> numbers(size_t count, float scale = 1) {
    std::vector<float> values(count);
    for (float &value : values) {
      value = number() * scale;
    }
    return values;
  }

private:
  uint64_t state;
};

/// 1 - 2 <x, y> / (|x|^2 + |y|^2); NaN anywhere gives NaN.
inline double difference(const std::vector<double> &x, const std::vector<double> &y) {
  double both = 0, squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    both += x[i] * y[i];
    squares += x[i] * x[i] + y[i] * y[i];
  }
  return squares == 0 ? 0 : 1 - 2 * both / squares;
}

} // namespace elah::test

#endif
