#ifndef CODEGEN_REFERENCE_EVALUATEKERNEL_H
#define CODEGEN_REFERENCE_EVALUATEKERNEL_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "llvm/Support/Error.h"
#include <array>
#include <cstdint>
#include <span>

namespace elah {

/// An operand of a kernel in host memory: elements of the memref's type, and rows as far apart as its layout says.
struct KernelOperand {
  mlir::MemRefType type;
  std::span<uint8_t> bytes; ///< From the operand's address on.
};

struct EvaluateKernelOptions {
  /// Of products, only blocks of 128 columns are computed, every `columnBlockStep`th and the last: they cost most.
  int64_t columnBlockStep = 1;
};

/// Does what an operation of the kernel dialect says, in f64, and rounds only where it is stored: what the kernels of
/// every device are compared with. Weights must lie in rows. `dims` are a step's, in the order of enum elah_dim. Values
/// that are not computed keep their bytes.
llvm::Error evaluateKernel(mlir::Operation *op, llvm::ArrayRef<KernelOperand> operands,
                           const std::array<int64_t, 5> &dims, const EvaluateKernelOptions &options = {});

/// Whether a column of a product's result is computed under these options.
bool isComputed(int64_t column, int64_t columns, const EvaluateKernelOptions &options);

/// Element `index` of memory that holds elements of that type, as a number.
double loadElement(mlir::Type element, std::span<const uint8_t> bytes, int64_t index);

/// Rounds to nearest even; what is too large for f8 becomes its largest value, as conversions to f8 do.
void storeElement(mlir::Type element, std::span<uint8_t> bytes, int64_t index, double value);

} // namespace elah

#endif
