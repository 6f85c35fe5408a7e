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
  Value cast(Value value, mlir::Type from, mlir::Type to);
  Value compare(r1::Comparison comparison, Value lhs, Value rhs);
  Value greater(Value lhs, Value rhs); ///< NaN if one is.
  Value lesser(Value lhs, Value rhs);
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
  void emitScatterElements(r1::ScatterElementsOp op);
  void emitTopk(r1::TopkOp op);
  void emitNonzero(r1::NonzeroOp op);

  mlir::Type elementTypeOf(Value value) const {
    return mlir::cast<mlir::RankedTensorType>(value.getType()).getElementType();
  }
  std::string describe(mlir::Operation *op) const;

  GraphBuilder &b;
  const llvm::DenseMap<mlir::Operation *, int64_t> *weights = nullptr;
  llvm::DenseMap<Value, Values> dims;
  llvm::DenseMap<Value, Value> held; ///< Where a tensor's elements are.
  llvm::DenseMap<mlir::Operation *, Keep> kept;
  llvm::DenseMap<mlir::Operation *, unsigned> orders;
  llvm::DenseMap<Value, unsigned> lastUses;            ///< Of the value and of all that read it lazily.
  llvm::SmallVector<std::pair<unsigned, Value>> owned; ///< Memory, and behind which operation it goes.
};

} // namespace elah

#endif
