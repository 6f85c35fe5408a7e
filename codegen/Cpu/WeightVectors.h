#ifndef CODEGEN_CPU_WEIGHTVECTORS_H
#define CODEGEN_CPU_WEIGHTVECTORS_H

#include "codegen/Cpu/KernelBuilder.h"
#include "dialects/Kernel/Kernel.h"

namespace elah {

/// A step of a panel (kernel.packing) as four vectors that can be multiplied: f32 values, or bf16
/// pairs.
class WeightVectors {
public:
  WeightVectors(KernelBuilder &k, kernel::Format format, kernel::Compute compute)
      : k(k), format(format), compute(compute) {}

  /// Whether the weights are stored otherwise than they are multiplied.
  static bool isConverted(kernel::Format format, kernel::Compute compute) {
    return compute != kernel::Compute::F32 ? format != kernel::Format::BF16 : format != kernel::Format::F32;
  }
  bool isConverted() const { return isConverted(format, compute); }

  /// The vectors of step `step` of the panel at that address.
  KernelBuilder::Values load(mlir::Value panel, mlir::Value step);
  /// Asks for what a stream needs some steps later.
  void prefetch(mlir::Value panel, mlir::Value step);

  /// Converted vectors in memory: 16 * lanes bytes a step.
  void storeConverted(mlir::Value vector, mlir::Value base, mlir::Value step, int64_t index);
  KernelBuilder::Values loadConverted(mlir::Value base, mlir::Value step);

private:
  mlir::Value convertToBF16(mlir::Value vector);
  mlir::Value asPairs(mlir::Value vector);

  KernelBuilder &k;
  kernel::Format format;
  kernel::Compute compute;
};

} // namespace elah

#endif
