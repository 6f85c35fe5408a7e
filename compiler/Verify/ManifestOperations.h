#ifndef COMPILER_VERIFY_MANIFESTOPERATIONS_H
#define COMPILER_VERIFY_MANIFESTOPERATIONS_H

#include "codegen/Cuda/KernelSpec.h"
#include "dialects/Exec/Exec.h"
#include "elah/manifest.pb.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

namespace elah {

/// A module with the exec.kernel that manifest.operations(index) is the text of.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> parseOperation(const proto::Manifest &manifest, uint32_t index,
                                                                 mlir::MLIRContext &context);

/// Of such a module.
exec::KernelOp kernelOf(mlir::ModuleOp module);

/// The way back from the manifest to what can be evaluated.
cuda::Extent extentOf(const proto::Extent &extent);

/// The way back to what the compiler launches, of an operation with so many operands.
cuda::KernelSpec kernelSpecOf(const proto::Kernel &kernel, const proto::Grid &grid, unsigned operands);

} // namespace elah

#endif
