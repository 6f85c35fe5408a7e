// What all fusions share: how a pass goes through a function, replaces what it recognised, and tells what it did and
// what it nearly did. Remarks (mlir/IR/Remarks.h) carry the latter: nobody pays for them who does not ask, and
// `elah-opt --remark-format=emitRemark --remarks-filter=fusion` prints what `elah compile --explain-fusion` reports.
#ifndef COMPILER_TRANSFORMS_FUSION_H
#define COMPILER_TRANSFORMS_FUSION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"

namespace elah {

/// One composite's fusion in one function.
class Fusion {
public:
  /// `composite` is the name of what is made, such as "r1.linear".
  Fusion(mlir::func::FuncOp function, llvm::StringRef composite) : function(function), composite(composite) {}

  /// Calls `visit` on each operation of kind `Op` that is still there, in program order. What branches and loops hold
  /// is left alone.
  template <typename Op> void forEach(llvm::function_ref<void(Op)> visit) {
    llvm::SmallVector<Op> found(function.front().getOps<Op>());
    for (Op op : found) {
      if (!erased.contains(op)) {
        visit(op);
      }
    }
  }

  /// Whether a replacement has erased the operation.
  bool isErased(mlir::Operation *op) const { return erased.contains(op); }

  /// Puts the second of each pair in the place of the first, erases what nobody uses any more, and reports the fusion.
  void replace(llvm::ArrayRef<std::pair<mlir::Value, mlir::Value>> values);
  void replace(mlir::Value root, mlir::Value value) { replace({{root, value}}); }
  /// Reports that `op` looks like the end of a composite, which rule it breaks, and what would fix it.
  llvm::LogicalResult miss(mlir::Operation *op, const llvm::Twine &rule, const llvm::Twine &fix);
  /// While it is not known that a composite was meant, nothing is a near miss.
  void setQuiet(bool value) { isQuiet = value; }

private:
  int64_t eraseDead(mlir::Operation *op);

  mlir::func::FuncOp function;
  llvm::StringRef composite;
  llvm::DenseSet<mlir::Operation *> erased;
  bool isQuiet = false;
};

/// The name of the node of the model's graph that a location stands for.
std::string nodeName(mlir::Location location);

//===--- What patterns see through ------------------------------------------------------------------------------===//

/// The one number of a constant, a scalar or a splat, through casts, reshapes and broadcasts.
std::optional<double> numberOf(mlir::Value value);
/// The shortest decimal that rounds to the same float32: what the number was where it was written, before a graph kept
/// it in f32.
double shortestDecimal(double value);

/// The value before casts between floats that lose nothing, or lose what an activation may lose.
mlir::Value withoutFloatCasts(mlir::Value value);
/// The weight, or another static tensor that is no activation, that `value` is, through casts, dequantization, and
/// reshapes that add or drop sizes of 1; null if it is none. It is as the composites take their weights: [n] or [n, k],
/// of f32, bf16, f16 or blocks of fp8.
mlir::Value weightVectorOf(mlir::Value value, int64_t size);

/// The operands of a commutative operation in an order in which `first` accepts the first of them; false if there is
/// none.
template <typename Op> bool matchEither(Op op, llvm::function_ref<bool(mlir::Value, mlir::Value)> accepts) {
  return accepts(op.getLhs(), op.getRhs()) || accepts(op.getRhs(), op.getLhs());
}

/// `value` as a sequence of factors and divisors: what products and quotients are made of, down to `leaf`, and through
/// casts of floats.
struct Product {
  llvm::SmallVector<mlir::Value> factors, divisors;
};
Product productOf(mlir::Value value, llvm::function_ref<bool(mlir::Value)> isLeaf);

} // namespace elah

#endif
