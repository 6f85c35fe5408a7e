#ifndef COMPILER_VERIFY_MANIFESTOPERATIONS_H
#define COMPILER_VERIFY_MANIFESTOPERATIONS_H

#include "codegen/Cuda/KernelRunner.h"
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

/// The way back to what the compiler launches: a variant's kernels, of an operation with so many operands. `modules` is
/// the artifact's section of code, which stays where it is.
class VariantKernels {
public:
  VariantKernels(const proto::Manifest &manifest, llvm::StringRef modules, const proto::Variant &variant,
                 unsigned operands);
  VariantKernels(const VariantKernels &) = delete;

  llvm::ArrayRef<cuda::RunnableKernel> runnable() const { return kernels; }
  /// "attention + attention_combine".
  std::string symbols() const;

private:
  std::vector<cuda::KernelSpec> specs;
  std::vector<cuda::RunnableKernel> kernels;
};

} // namespace elah

#endif
