#ifndef DIALECTS_R1_INFER_H
#define DIALECTS_R1_INFER_H

#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace elah::r1 {

/// The result type of an elementwise operation whose operands, all of one element type, broadcast to one shape. `name`
/// and `location` are for the error if they do not.
llvm::LogicalResult inferBroadcast(std::optional<mlir::Location> location, llvm::StringRef name,
                                   mlir::ValueRange operands, llvm::SmallVectorImpl<mlir::Type> &types);

/// Whether tensors of r1 can be made of it.
bool isElementType(mlir::Type type);

/// What is known without running the program of the elements of an integer tensor of at most one dimension, such as a
/// computed shape; kDynamic for an element that is not. Nothing, if not even their number is.
std::optional<llvm::SmallVector<int64_t>> knownElements(mlir::Value value);

/// Whether types of values may be the same when the program runs.
bool mayBeSame(mlir::TypeRange lhs, mlir::TypeRange rhs);

/// Holds an operation's result types against what it infers, and its operands and attributes against the constraints
/// that its inference checks.
llvm::LogicalResult verifyByInference(mlir::Operation *op);

template <typename ConcreteOp>
class VerifiedByInference : public mlir::OpTrait::TraitBase<ConcreteOp, VerifiedByInference> {
public:
  static llvm::LogicalResult verifyTrait(mlir::Operation *op) { return verifyByInference(op); }
};

} // namespace elah::r1

#endif
