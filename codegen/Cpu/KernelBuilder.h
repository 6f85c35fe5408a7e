#ifndef CODEGEN_CPU_KERNELBUILDER_H
#define CODEGEN_CPU_KERNELBUILDER_H

#include "codegen/Target/CpuTarget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace elah {

/// Writes one kernel: a function with the signature of `elah_cpu_kernel` (cpu_kernel.h) and the vocabulary in which
/// kernels are told. All integers are i64, all arithmetic on numbers f32, scalar or vector; memory is addressed as
/// element `index` behind a pointer. Binary operations broadcast a scalar to the other's vector.
class KernelBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value>;

  KernelBuilder(mlir::OpBuilder &builder, mlir::Operation *kernelOp, llvm::StringRef symbol, const CpuTarget &target);

  const CpuTarget &target;
  int64_t lanes() const { return target.lanes(); }

  //===--- The launch ---===//
  /// The address of operand `index` of the kernel operation.
  Value buffer(unsigned index);
  /// The value of symbolic dimension `index` (enum elah_dim).
  Value dim(unsigned index);
  /// The number of rows of an operand, from this step's dimensions.
  Value rows(Value operand);
  Value blockBegin, blockEnd, scratch;

  //===--- Types and constants ---===//
  mlir::Type f32Type() { return builder.getF32Type(); }
  mlir::Type vectorType(int64_t width, mlir::Type element) {
    return width == 0 ? element : mlir::Type(mlir::VectorType::get({width}, element));
  }
  Value integer(int64_t value);
  Value number(double value);
  Value splat(double value, int64_t width);

  //===--- Arithmetic ---===//
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b); ///< Integers: unsigned.
  Value rem(Value a, Value b); ///< Unsigned.
  Value max(Value a, Value b);
  Value min(Value a, Value b);
  Value fma(Value a, Value b, Value c); ///< a * b + c
  Value less(Value a, Value b);
  Value greater(Value a, Value b); ///< Ordered: false if one is NaN.
  Value equal(Value a, Value b);
  Value select(Value condition, Value a, Value b);
  Value sqrt(Value a);
  Value exp(Value a);     ///< Within 2 ulp; 0 below -87.
  Value exp2(Value a);    ///< 2^a within 2 ulp for a <= 0, 0 below -126.
  Value sigmoid(Value a); ///< 1 / (1 + exp(-a))
  Value silu(Value a);
  Value sum(Value vector);     ///< Of all lanes.
  Value largest(Value vector); ///< Of all lanes.
  Value broadcast(Value scalar, int64_t width);
  Value toInteger(Value i32); ///< i32 to i64.
  /// The elements of two vectors by turns: the first half of what results, and the second.
  std::pair<Value, Value> interleave(Value even, Value odd);
  /// The columns of a square whose rows are given: a power of two of vectors of as many elements.
  Values transpose(llvm::ArrayRef<Value> rows);

  //===--- Memory ---===//
  Value address(Value base, Value index, mlir::Type element);
  Value loadInteger(Value base, Value index);              ///< An i32 as i64.
  void storeInteger(Value value, Value base, Value index); ///< An i64 as i32.
  /// `width` elements (0: a scalar), widened to f32.
  Value load(Value base, Value index, mlir::Type element, int64_t width);
  /// Stores f32 value(s) as `element`, rounded to the nearest, ties to even.
  void store(Value value, Value base, Value index, mlir::Type element);
  /// The same, but for `lowOffset` != 0 what rounding took off is stored, too, so many elements behind.
  void store(Value value, Value base, Value index, mlir::Type element, int64_t lowOffset);
  /// Loads and stores of any type without conversion.
  Value loadRaw(mlir::Type type, Value base, Value index, mlir::Type element);
  void storeRaw(Value value, Value base, Value index, mlir::Type element);
  /// Widens packed weights to f32, exactly.
  Value widen(Value values);

  //===--- Control ---===//
  void loop(Value begin, Value end, Value step, llvm::function_ref<void(Value)> body);
  Values loop(Value begin, Value end, Value step, llvm::ArrayRef<Value> initial,
              llvm::function_ref<Values(Value, llvm::ArrayRef<Value>)> body);
  /// Calls `body` with `begin` and then with what it returned, while that is less than `end`.
  void advance(Value begin, Value end, llvm::function_ref<Value(Value)> body);
  void ifThen(Value condition, llvm::function_ref<void()> body);
  Values ifElse(Value condition, llvm::ArrayRef<mlir::Type> types, llvm::function_ref<Values()> then,
                llvm::function_ref<Values()> otherwise);
  /// Calls `body(index, width)` for pieces of 0..count: vectors of the target's lanes, then one narrower piece.
  void forEachPiece(int64_t count, llvm::function_ref<void(Value, int64_t)> body);
  /// The sum over 0..count of what `body(index, width)` returns for each piece.
  Value sumOfPieces(int64_t count, llvm::function_ref<Value(Value, int64_t)> body);
  Value largestOfPieces(int64_t count, llvm::function_ref<Value(Value, int64_t)> body);

  void finish();

  mlir::OpBuilder &builder;
  mlir::Location location;
  mlir::func::FuncOp function;

private:
  Value buffers, dims;
  void unify(Value &a, Value &b);
  Value reducePieces(int64_t count, double neutral, llvm::function_ref<Value(Value, int64_t)> body,
                     llvm::function_ref<Value(Value, Value)> combine, llvm::function_ref<Value(Value)> reduce);
};

} // namespace elah

#endif
