#ifndef COMPILER_TRANSFORMS_EXPERTBRANCHES_H
#define COMPILER_TRANSFORMS_EXPERTBRANCHES_H

#include "codegen/Reference/HostTensor.h"
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace elah {

/// The gated MLPs that a router's choice reaches: one for each expert, or one that computes a stack of them.
class ExpertBranches {
public:
  struct Weights {
    mlir::Value gate, up, down; ///< [experts, ...]
  };

  ExpertBranches(mlir::func::FuncOp function, r1::RouteOp route);

  /// How many experts the branches compute.
  int64_t count() const;
  /// What all of them read: rows, one for each token.
  mlir::Value input() const { return rows; }
  /// The values that may be the weighted sum of all experts, in program order.
  llvm::SmallVector<mlir::Value> candidates();
  /// The branch that computes each expert, if `end` is the sum of the chosen experts times their weights.
  std::optional<llvm::SmallVector<int64_t>> orderAt(mlir::Value end);
  /// The experts' weights in that order, stacked; null if they do not fit together.
  Weights stack(mlir::OpBuilder &builder, llvm::ArrayRef<int64_t> order) const;

private:
  /// down(swiglu(gate(input), up(input))): of one expert, of all (the results are [experts, rows, outputs]), or of the
  /// ones that `chosen` names, a row each.
  struct Branch {
    mlir::Value input, result, gate, up, down;
    bool isTransposed = false; ///< A stack of [inputs, outputs].
    bool isStack = false;
    mlir::Value chosen; ///< For weights that are gathered.
    /// Their rows in a stack that holds both, every `step`-th.
    int64_t gateFirst = 0, upFirst = 0, count = 0, step = 1;
  };

  void findBranches();
  bool isReached(mlir::Value end, llvm::SmallVectorImpl<size_t> &reached) const;
  /// The multiples of each token's row that `end` comes to.
  std::optional<Floats> sumsFor(mlir::Value end, int64_t tokens, llvm::ArrayRef<int64_t> chosen,
                                llvm::ArrayRef<double> weights);

  mlir::func::FuncOp function;
  r1::RouteOp route;
  mlir::Value rows;
  std::vector<Branch> branches;
};

} // namespace elah

#endif
