#ifndef COMPILER_CONVERSION_R1TOEXEC_WEIGHTRECIPES_H
#define COMPILER_CONVERSION_R1TOEXEC_WEIGHTRECIPES_H

#include "compiler/Conversion/R1ToExec/LoweringTarget.h"
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

namespace elah {

/// The matrices of an r1.weight: its parts, or the slices of a part that stacks several. Fails,
/// with an error, if `weight` is computed rather than read from disk.
mlir::FailureOr<llvm::SmallVector<r1::WeightAttr>> matricesOf(mlir::Operation *user, mlir::Value weight);

/// A packed matrix, as the product kernels want it.
struct PackedWeight {
  mlir::Value bytes, scales; ///< scales: null unless the packing has blocks.
  kernel::PackingAttr packing;
};

/// One head's rows in a matrix that holds those of all heads.
struct HeadSlices {
  int64_t heads, stride, first; ///< Head h begins at row h * stride + first.
  int64_t n, k;                 ///< Of one head's product.
  bool transposed;              ///< The rows are k rows of n values.
};

/// Writes exec.weight symbols into the module, each recipe once, and refers to them at the
/// builder's insertion point.
class WeightRecipes {
public:
  WeightRecipes(mlir::ModuleOp module, mlir::OpBuilder &program, const LoweringTarget &target)
      : module(module), program(program), target(target), symbols(mlir::OpBuilder::atBlockBegin(module.getBody())) {}

  /// f32 values, one source after the other: scales of norms, biases.
  mlir::Value vector(mlir::Location loc, llvm::ArrayRef<r1::WeightAttr> sources);
  /// A matrix as it lies.
  mlir::Value table(mlir::Location loc, r1::WeightAttr source);
  /// Matrices with one k: those that are stacked along n, batch by batch; with `swiglu` gate and up
  /// of each batch.
  PackedWeight panels(mlir::Location loc, llvm::ArrayRef<r1::WeightAttr> sources, int64_t batch,
                      kernel::Compute compute, bool swiglu);
  /// One matrix per head. A source of f8 or integers loses its blocks, which heads do not respect: its values
  /// become `converted`.
  PackedWeight headPanels(mlir::Location loc, r1::WeightAttr source, const HeadSlices &slices, kernel::Compute compute,
                          kernel::Format converted, llvm::StringRef suffix);

  /// Whether `next` may stand below `above` in one panel matrix without converting either.
  bool canStack(llvm::ArrayRef<r1::WeightAttr> above, r1::WeightAttr next) const;

private:
  mlir::Value refer(mlir::Location loc, exec::RecipeAttr recipe, mlir::MemRefType type, llvm::StringRef suffix);
  int64_t stepOf(kernel::Format format, kernel::Compute compute) const;
  kernel::Format formatOf(llvm::ArrayRef<r1::WeightAttr> sources, kernel::Compute compute, bool swiglu) const;

  mlir::ModuleOp module;
  mlir::OpBuilder &program;
  const LoweringTarget target;
  mlir::OpBuilder symbols;
  llvm::DenseMap<exec::RecipeAttr, mlir::StringAttr> known;
  llvm::DenseMap<mlir::StringAttr, unsigned> names;
};

} // namespace elah

#endif
