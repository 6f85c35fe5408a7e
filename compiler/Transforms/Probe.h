// A causal mask or a table of cosines can be written in a hundred ways, but depends on nothing except sizes and
// positions: instead of matching the hundred, a fusion computes what stands there and looks at the numbers.
#ifndef COMPILER_TRANSFORMS_PROBE_H
#define COMPILER_TRANSFORMS_PROBE_H

#include "codegen/Reference/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

namespace elah {

/// Computes values of a function for a step of `tokens` tokens behind `past` others: arguments that hold an integer for
/// each token are positions, `past`, `past` + 1, ..., and a cache has `past` rows. Everything else that a value depends
/// on has to be bound before.
class Probe {
public:
  Probe(int64_t tokens, int64_t past, llvm::StringRef weightFolder = {})
      : tokens(tokens), past(past), weightFolder(weightFolder) {}

  void bind(mlir::Value value, HostTensor tensor) { bound.insert_or_assign(value, hostValue(std::move(tensor))); }

  /// The type that the value has in this step; nothing if it cannot be told.
  std::optional<mlir::RankedTensorType> typeOf(mlir::Value value);
  /// The values; nothing if they depend on more than sizes, positions, constants and what is bound.
  std::optional<llvm::SmallVector<HostTensor>> evaluate(mlir::ValueRange values);

private:
  std::optional<HostTensor> sizesOf(mlir::Operation *op);

  int64_t tokens, past;
  int depth = 0; ///< Of operands behind operands.
  llvm::StringRef weightFolder;
  llvm::DenseMap<mlir::Value, HostValue> bound;
  llvm::DenseMap<mlir::Value, mlir::RankedTensorType> types;
};

/// Whether the argument holds an integer for each token.
bool holdsPositions(mlir::Value value);

} // namespace elah

#endif
