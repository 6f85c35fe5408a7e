#ifndef COMPILER_TRANSFORMS_POSITIONAL_H
#define COMPILER_TRANSFORMS_POSITIONAL_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"

namespace elah {

/// The values of a function that come from sizes, positions and constants alone: masks, tables of cosines and sines.
class Positional {
public:
  explicit Positional(mlir::func::FuncOp function);

  bool contains(mlir::Value value) const { return values.contains(value); }

  /// The positions, i32 [T], that the values were computed from. Where they come from sizes alone, these are 0, 1, ...
  /// for the rows of `rows`.
  mlir::Value positionsOf(mlir::OpBuilder &builder, mlir::Location location, mlir::ValueRange values,
                          mlir::Value rows) const;

private:
  llvm::DenseSet<mlir::Value> values;
  mlir::Value given; ///< The positions that a language model's step is given.
};

} // namespace elah

#endif
