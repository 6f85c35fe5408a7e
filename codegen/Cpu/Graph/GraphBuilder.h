#ifndef CODEGEN_CPU_GRAPH_GRAPHBUILDER_H
#define CODEGEN_CPU_GRAPH_GRAPHBUILDER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"

namespace elah {

/// The vocabulary in which a plain graph is told: a function with the signature of `elah_cpu_graph` (cpu_graph.h),
/// scalars of any of r1's element types, loops, and memory. Sizes and indices are i64. Constants fold as they are made,
/// so that code for static shapes is as short as if it had been written for them.
class GraphBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value>;

  GraphBuilder(mlir::OpBuilder &builder, mlir::ModuleOp module, mlir::Location location, llvm::StringRef symbol);
  /// Ends the function.
  void finish();

  mlir::OpBuilder &builder;
  mlir::Location location; ///< Of what is made next.

  //===--- The call ---===//
  Value weight(int64_t index);
  Value inputData(int64_t index);
  Value inputDim(int64_t index, int64_t axis);
  void setOutput(int64_t index, Value data, llvm::ArrayRef<Value> dims);
  Value allocate(Value bytes);
  void release(Value memory);
  /// Ends the run where `holds` is false; see elah_graph_services::fail.
  void check(Value holds, const llvm::Twine &text, Value first, Value second);

  //===--- Integers ---===//
  Value integer(int64_t value);
  std::optional<int64_t> constant(Value value);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b); ///< Towards zero.
  Value rem(Value a, Value b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  Value less(Value a, Value b);
  Value equal(Value a, Value b);
  Value both(Value a, Value b); ///< Of i1.
  Value select(Value condition, Value a, Value b);
  Value product(llvm::ArrayRef<Value> values);

  //===--- Elements ---===//
  // A float of at most 32 bits is an f32 value here, exactly what its element type holds; every other element is
  // itself.
  mlir::Type scalarType(mlir::Type element);
  /// An f32 value rounded to what `element` holds, to the nearest, ties to even.
  Value round(Value value, mlir::Type element);
  Value number(double value, mlir::Type element);
  /// Bytes of `count` elements in memory; those of four bits lie two in a byte, the lower half first.
  Value bytesOf(Value count, mlir::Type element);
  Value load(Value data, Value index, mlir::Type element);
  void store(Value value, Value data, Value index, mlir::Type element);
  /// The address of element `index`.
  Value address(Value data, Value index, mlir::Type element);
  /// The address of bytes that the object holds.
  Value bytes(llvm::StringRef bytes);

  //===--- Control ---===//
  void loop(Value begin, Value end, llvm::function_ref<void(Value)> body);
  Values loop(Value begin, Value end, llvm::ArrayRef<Value> initial,
              llvm::function_ref<Values(Value, llvm::ArrayRef<Value>)> body);
  /// Loops over all of `dims`, the last innermost.
  void loops(llvm::ArrayRef<Value> dims, llvm::function_ref<void(llvm::ArrayRef<Value>)> body);
  /// Runs `body` while `holds`, both of the values that are carried.
  Values whileLoop(llvm::ArrayRef<Value> initial, llvm::function_ref<Value(llvm::ArrayRef<Value>)> holds,
                   llvm::function_ref<Values(llvm::ArrayRef<Value>)> body);
  void ifThen(Value condition, llvm::function_ref<void()> body);
  Values ifElse(Value condition, llvm::ArrayRef<mlir::Type> types, llvm::function_ref<Values()> then,
                llvm::function_ref<Values()> otherwise);

  //===--- Functions of the runtime ---===//
  /// `function` is of enum elah_graph_function; the value f32 or f64.
  Value call(int64_t function, Value value);
  Value power(Value base, Value exponent);    ///< f64
  Value floatRemainder(Value lhs, Value rhs); ///< Its sign is that of lhs.

  //===--- Sequences ---===//
  Value createSequence();
  void append(Value sequence, Value data, Value bytes, llvm::ArrayRef<Value> dims);
  Value lengthOf(Value sequence);
  /// The data of the tensor at `position`, its rank, and (behind a check of the rank) its sizes.
  struct Element {
    Value data, rank;
    Values dims;
  };
  Element at(Value sequence, Value position, size_t rank);
  /// Appends to `sequence` the tensor at `position` of another.
  void take(Value sequence, Value from, Value position);
  Value copySequence(Value sequence);
  void releaseSequence(Value sequence);

  mlir::Type pointerType();
  Value nullPointer();
  void copyBytes(Value to, Value from, Value bytes);

private:
  Value field(Value base, int64_t bytes);
  Value callPointer(Value function, mlir::Type result, llvm::ArrayRef<Value> arguments);
  Value decodeFloat8(Value byte, mlir::FloatType type);
  Value encodeFloat8(Value value, mlir::FloatType type);

  mlir::ModuleOp module;
  mlir::func::FuncOp function;
  Value services, weights, inputs, outputs, state, sizesScratch;
  llvm::StringMap<std::string> constants; ///< Names of globals by their bytes.
};

} // namespace elah

#endif
