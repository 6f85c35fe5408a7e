#ifndef CODEGEN_CPU_PANELPRODUCT_H
#define CODEGEN_CPU_PANELPRODUCT_H

#include "codegen/Cpu/KernelBuilder.h"
#include "dialects/Kernel/Kernel.h"

namespace elah {

/// What the three matrix families have in common: rows times panels of a packed weight.
struct PanelProduct {
  kernel::PackingAttr packing;
  kernel::Compute compute;
  bool swiglu = false, accumulate = false;
  mlir::Value input, output;
  mlir::Type inputElement, outputElement;
  int64_t inputLow = 0, outputLow = 0; ///< From a value's high part to its low part; 0 if values are not split.
  /// The element at which a row begins, whose index is given: in the input, and in the output at
  /// the matrix's first column.
  std::function<mlir::Value(mlir::Value)> inputIndex, outputIndex;
  int64_t inputStride = 0; ///< Elements from one input row to the next; 0: they lie anywhere.
  mlir::Value rows;        ///< How many.
  mlir::Value weight;      ///< Address of the matrix.
  mlir::Value scales;      ///< Address of the matrix's scales, or null.
  mlir::Value bias;        ///< Or null.
};

/// Multiplies all rows with the panels `firstPanel` .. `endPanel`.
void emitPanelProducts(KernelBuilder &kernel, const PanelProduct &product, mlir::Value firstPanel,
                       mlir::Value endPanel);

/// So many rows read a panel once, as a stream from memory, and take as long as one row.
int64_t mostStreamedRows(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute);

/// The scratch memory that `emitPanelProducts` needs.
uint64_t panelProductScratch(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute);

/// Cuts this call's blocks (batch * panels + panel) by matrices: calls `body(matrix, firstPanel,
/// endPanel)`.
void forEachMatrix(KernelBuilder &kernel, kernel::PackingAttr packing,
                   llvm::function_ref<void(mlir::Value, mlir::Value, mlir::Value)> body);

} // namespace elah

#endif
