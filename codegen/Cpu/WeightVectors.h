#ifndef CODEGEN_CPU_WEIGHTVECTORS_H
#define CODEGEN_CPU_WEIGHTVECTORS_H

#include "codegen/Cpu/KernelBuilder.h"
#include "dialects/Kernel/Kernel.h"

namespace elah {

/// A step of a panel (kernel.packing) as vectors that can be multiplied: four of bf16 pairs, or four of f32 values for
/// each value of k in the step.
class WeightVectors {
public:
  WeightVectors(KernelBuilder &k, kernel::Format format, kernel::Compute compute)
      : k(k), format(format), compute(compute) {}

  /// Whether the weights are stored otherwise than they are multiplied.
  static bool isConverted(kernel::Format format, kernel::Compute compute) {
    return compute != kernel::Compute::F32 ? format != kernel::Format::BF16 : format != kernel::Format::F32;
  }
  bool isConverted() const { return isConverted(format, compute); }
  /// Steps as they are multiplied, to one of the packing.
  int64_t parts() const { return compute == kernel::Compute::F32 && format == kernel::Format::U4 ? 2 : 1; }

  /// What the integers of a block of k count from, one vector for each of the panel's four, loaded as f32 numbers; if
  /// that is not the middle of their range.
  void setZeros(llvm::ArrayRef<mlir::Value> numbers);
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
  KernelBuilder::Values loadU4(mlir::Value panel, mlir::Value step);
  mlir::Value convertU8(mlir::Value bytes, int64_t index);
  mlir::Value wordConstant(llvm::ArrayRef<int16_t> values);

  KernelBuilder &k;
  kernel::Format format;
  kernel::Compute compute;
  KernelBuilder::Values zeros; ///< f32; for bf16 pairs of 16 bits. None: the middle of the range.
};

} // namespace elah

#endif
