// What a kernel family makes of a shape and a schedule: CUDA C++ to compile, and how to launch it. The compiler writes
// it into the artifact, the tests launch it as it is. No MLIR in here: families are tested without it.
#ifndef CODEGEN_CUDA_KERNELSPEC_H
#define CODEGEN_CUDA_KERNELSPEC_H

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace elah::cuda {

/// A number that is known with a bucket's dimensions: constant + sum of coefficients[i] * dims[i], in the order of enum
/// elah_dim (tokens, sequences, logit rows, cache rows, pages per sequence).
struct Extent {
  int64_t constant = 0;
  std::array<int64_t, 5> coefficients = {};

  int64_t evaluate(const std::array<int64_t, 5> &dims) const {
    int64_t value = constant;
    for (size_t i = 0; i < dims.size(); ++i) {
      value += coefficients[i] * dims[i];
    }
    return value;
  }
  static Extent of(int64_t constant) { return {constant, {}}; }
  static Extent tokens(int64_t factor = 1) { return {0, {factor, 0, 0, 0, 0}}; }
  static Extent logitRows(int64_t factor = 1) { return {0, {0, 0, factor, 0, 0}}; }
  static Extent cacheRows(int64_t factor = 1) { return {0, {0, 0, 0, factor, 0}}; }
};

enum class MapElement { F8, BF16, F16, F32, I32, U8 };
enum class MapSwizzle { None, B32, B64, B128 };

/// A tensor map (cuTensorMapEncodeTiled) over an operand; no interleave, element strides of one, zeros out of bounds.
struct TensorMap {
  unsigned operand = 0;    ///< Index among the kernel's operands.
  uint64_t byteOffset = 0; ///< Added to the operand's address; a multiple of 16.
  MapElement element = MapElement::BF16;
  std::vector<Extent> sizes;     ///< In elements, innermost first.
  std::vector<uint64_t> strides; ///< In bytes, of every dimension but the innermost.
  std::vector<uint32_t> box;     ///< In elements, innermost first.
  MapSwizzle swizzle = MapSwizzle::None;
};

/// blocks = min(outer * ceil(rows / rowTile), maxBlocks), in x; a multiple of the cluster (rounded up).
struct KernelGrid {
  int64_t outer = 1;
  Extent rows = Extent::of(1);
  int64_t rowTile = 1;
  int64_t maxBlocks = 0; ///< 0: no bound. A persistent kernel's: the target's multiprocessors, or their multiple.
};

/// One kernel, ready to be compiled and launched. See elah/cuda_kernel.h for its parameters.
struct KernelSpec {
  std::string symbol;   ///< A C identifier made of family, shape and schedule: equal specs have equal symbols.
  std::string family;   ///< "fp8_gemm"
  std::string schedule; ///< The schedule in words, "tile 128x128x128, 5 stages, cluster 2".
  /// A translation unit: #includes of files below codegen/Cuda ("kernels/fp8_gemm.cuh"), and one extern "C" __global__.
  std::string source;
  unsigned operands = 0;
  unsigned threads = 128;
  unsigned cluster = 1;                 ///< Blocks of a cluster, in x.
  unsigned sharedBytes = 0;             ///< Dynamic shared memory.
  unsigned maxRegisters = 0;            ///< Above which the occupancy that the schedule claims is lost; 0: not checked.
  unsigned blocksPerMultiprocessor = 1; ///< That the schedule claims.
  Extent scratchBytes; ///< Behind the semaphores; a nonzero extent, or usesSemaphores, adds the parameter.
  bool usesSemaphores = false;
  std::vector<TensorMap> maps;
  KernelGrid grid;
  double seconds = 0; ///< That a launch takes, as a model predicts: in a step as large as it was specialised for.

  bool usesScratch() const {
    bool isZero = scratchBytes.constant == 0;
    for (int64_t coefficient : scratchBytes.coefficients) {
      isZero = isZero && coefficient == 0;
    }
    return usesSemaphores || !isZero;
  }
};

} // namespace elah::cuda

#endif
