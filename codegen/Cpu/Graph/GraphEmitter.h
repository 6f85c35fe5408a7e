#ifndef CODEGEN_CPU_GRAPH_GRAPHEMITTER_H
#define CODEGEN_CPU_GRAPH_GRAPHEMITTER_H

#include "codegen/Cpu/Graph/GraphBuilder.h"
#include "dialects/R1/R1.h"
#include "llvm/ADT/DenseMap.h"

namespace elah {

/// Writes the code of a function of r1 primitives. Operations come in order; each tensor either is *held* (memory of
/// its own, or that of the tensor it is another view of) or *lazy*: its elements are computed where they are read, so
/// that chains of elementwise operations and movements become one loop.
class GraphEmitter {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value>;

  explicit GraphEmitter(GraphBuilder &builder) : b(builder) {}

  /// Writes the function. `weights` numbers the r1.weight operations. Fails, with a diagnostic at the operation, where
  /// one is no primitive.
  llvm::LogicalResult emit(mlir::func::FuncOp function, const llvm::DenseMap<mlir::Operation *, int64_t> &weights);

private:
  enum class Keep : uint8_t { Lazy, View, Held };

  // EmitGraph.cpp: what is kept how, and for how long.
  void plan(mlir::Block &block);
  Keep keepOf(mlir::Operation *op) const;
  llvm::LogicalResult emit(mlir::Operation *op);
  /// Writes a block up to its terminator.
  llvm::LogicalResult emitBlock(mlir::Block &block);
  void own(Value value, Value memory);
  void releaseAfter(unsigned order);

  // Sizes.cpp
  llvm::LogicalResult inferDims(mlir::Operation *op);
  void setDims(Value value, llvm::ArrayRef<Value> computed);
  Values broadcastDims(mlir::Operation *op, mlir::ValueRange operands);
  Values dimsOf(Value value) const { return dims.find(value)->second; }
  Value countOf(Value value) { return b.product(dimsOf(value)); }

  // Elements.cpp
  /// The element at `indices`, one for each dimension.
  Value element(Value value, llvm::ArrayRef<Value> indices);
  Value scalar(Value value) { return element(value, {}); }
  /// The element of an operand that broadcasts to `indices`.
  Value broadcastElement(Value operand, llvm::ArrayRef<Value> indices);
  Value computeElementwise(mlir::Operation *op, llvm::ArrayRef<Value> operands);
  Value divide(mlir::Operation *op, Value lhs, Value rhs, mlir::Type element);
  Value remainder(mlir::Operation *op, Value lhs, Value rhs, mlir::Type element);
  /// A divisor that is safe to divide by; zero ends the run.
  Value checkedDivisor(mlir::Operation *op, Value divisor, mlir::Type element);
  Value cast(Value value, mlir::Type from, mlir::Type to);
  Value narrowed(Value value, mlir::Type to);
  Value compare(r1::Comparison comparison, Value lhs, Value rhs, mlir::Type element);
  Value greater(Value lhs, Value rhs, mlir::Type element); ///< NaN if one is.
  Value lesser(Value lhs, Value rhs, mlir::Type element);
  Value sum(Value lhs, Value rhs);
  Value times(Value lhs, Value rhs);

  // Held.cpp
  /// Memory for a result, released behind its last use.
  Value hold(Value value);
  void fill(Value value, llvm::function_ref<Value(llvm::ArrayRef<Value>)> element);
  Value linear(llvm::ArrayRef<Value> dims, llvm::ArrayRef<Value> indices);
  llvm::LogicalResult emitHeld(mlir::Operation *op);
  void emitConcat(r1::ConcatOp op);
  void emitMatmul(r1::MatmulOp op);
  void emitReduce(r1::ReduceOp op);
  void emitCumsum(r1::CumsumOp op);

  // Indices.cpp
  Value resolved(mlir::Operation *op, Value index, Value size);
  void emitGather(r1::GatherOp op);
  void emitGatherElements(r1::GatherElementsOp op);
  void emitGatherNd(r1::GatherNdOp op);
  void emitScatterElements(r1::ScatterElementsOp op);
  void emitScatterNd(r1::ScatterNdOp op);
  Value meet(r1::Scatter scatter, Value there, Value update, mlir::Type element);
  /// The indices of a row of gather_nd's or scatter_nd's, resolved for dimensions of `sizes` from `first` on.
  Values resolvedRow(mlir::Operation *op, Value indices, llvm::ArrayRef<Value> row, llvm::ArrayRef<Value> sizes,
                     size_t first);
  void emitRanking(mlir::Operation *op, Value input, int64_t axis, bool smallestFirst);
  void emitNonzero(r1::NonzeroOp op);

  // ControlFlow.cpp: what leaves a region is memory of its own.
  llvm::LogicalResult emitIf(r1::IfOp op);
  llvm::LogicalResult emitLoop(r1::LoopOp op);
  llvm::FailureOr<Values> emitRegion(mlir::Block &block);
  /// A tensor's or sequence's run-time values: memory, then sizes.
  Values leave(Value value, unsigned order);
  void arrive(Value value, llvm::ArrayRef<Value> parts);
  void partTypes(mlir::Type type, llvm::SmallVectorImpl<mlir::Type> &types);

  // Sequences.cpp
  llvm::LogicalResult emitSequence(mlir::Operation *op);
  Value positionIn(mlir::Operation *op, Value position, Value length, Value limit);
  /// Appends a tensor, from memory of its own.
  void appendTensor(Value sequence, Value tensor);

  mlir::Type elementTypeOf(Value value) const {
    return mlir::cast<mlir::RankedTensorType>(value.getType()).getElementType();
  }
  bool isSequence(Value value) const { return mlir::isa<r1::SequenceType>(value.getType()); }
  std::string describe(mlir::Operation *op) const;

  GraphBuilder &b;
  const llvm::DenseMap<mlir::Operation *, int64_t> *weights = nullptr;
  llvm::DenseMap<Value, Values> dims;
  llvm::DenseMap<Value, Value> held; ///< Where a tensor's elements are.
  llvm::DenseMap<mlir::Operation *, Keep> kept;
  llvm::DenseMap<mlir::Operation *, unsigned> orders;
  llvm::DenseMap<Value, unsigned> lastUses; ///< Of the value and of all that read it lazily.
  /// What the block that is being written owns, and behind which operation it goes.
  struct Owned {
    unsigned lastUse;
    Value memory;
    bool isSequence;
  };
  llvm::SmallVector<Owned> owned;
};

} // namespace elah

#endif
