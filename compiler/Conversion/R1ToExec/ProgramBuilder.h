#ifndef COMPILER_CONVERSION_R1TOEXEC_PROGRAMBUILDER_H
#define COMPILER_CONVERSION_R1TOEXEC_PROGRAMBUILDER_H

#include "compiler/Conversion/R1ToExec/Precision.h"
#include "compiler/Conversion/R1ToExec/WeightRecipes.h"
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace elah {

/// The arguments of the function that is converted, and the cache as the operations so far have
/// left it.
struct StepState {
  mlir::Value tokens, positions, cache;
};

/// The program that grows while the model is read: which buffer holds which r1 value, and what a
/// token costs.
class ProgramBuilder {
public:
  ProgramBuilder(exec::ProgramOp program, StepState state, const LoweringTarget &target, const Precision &precision,
                 mlir::Type cacheElement, int64_t pageTokens);

  mlir::OpBuilder builder;
  StepState state;
  const LoweringTarget target;
  const Precision &precision;
  const mlir::Type cacheElement;
  const int64_t pageTokens;
  WeightRecipes weights;

  /// Whether the cache is of latents in FP8: its rows are bytes.
  bool hasFp8Cache() const { return cacheElement.isInteger(8); }

  //===--- Buffers ---===//
  exec::ExtentAttr tokens(int64_t factor = 1) const; ///< factor * tokens rows.
  exec::ExtentAttr logitRows() const;
  /// [rows, columns], or [rows] for columns = 0.
  mlir::Value alloc(mlir::Location loc, exec::ExtentAttr rows, int64_t columns, mlir::Type element);
  /// Columns [first, first + count) of a buffer's rows; the buffer itself if these are all.
  mlir::Value columns(mlir::Location loc, mlir::Value buffer, int64_t first, int64_t count);
  mlir::Value input(exec::Input input);
  mlir::Value cache(mlir::Location loc, int64_t pool, int64_t layer, int64_t width);
  /// The cosines and sines of the step's positions, made where they are needed first.
  mlir::Value ropeTable(mlir::Location loc, r1::RopeAttr rope);

  //===--- What holds an r1 value ---===//
  void bind(mlir::Value activation, mlir::Value buffer);
  /// A norm's result for the tokens whose logits are wanted.
  void bindLogitRows(mlir::Value activation, mlir::Value buffer);
  bool isBound(mlir::Value activation) const;
  mlir::Value f32(mlir::Value activation) const;
  /// The buffer in which no more is lost than where it was made: f32 if there is one, else bf16.
  mlir::Value rows(mlir::Value activation) const;
  /// The buffer in the type that a product in `compute` reads.
  mlir::Value as(kernel::Compute compute, mlir::Value activation) const;
  mlir::Value logitRowsOf(mlir::Value activation, kernel::Compute compute) const;
  /// Rows of `width` values as a product in `compute` reads them; quantized ones come with their scales.
  mlir::Value allocFor(kernel::Compute compute, mlir::Location loc, exec::ExtentAttr rows, int64_t width);
  /// Rows as kernels hand them to each other, f32 or, on Hopper, bf16.
  mlir::Value allocRows(mlir::Location loc, exec::ExtentAttr rows, int64_t width) {
    return allocFor(precision.byDefault(), loc, rows, width);
  }
  /// The scales of quantized rows; null for others.
  mlir::Value scalesOf(mlir::Value rows) const { return scales.lookup(rows); }
  /// Such rows, split or quantized if a product in `compute` reads them so.
  mlir::Value convertFor(kernel::Compute compute, mlir::Location loc, mlir::Value rows);

  /// Linear maps and experts that are not computed yet: each is added to the residual that the sum
  /// which reads them ends in.
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Operation *>> terms;

  //===--- Products ---===//
  /// output (+)= input * weights^T (+ bias); the input is as `compute` reads it.
  void gemm(mlir::Location loc, kernel::Compute compute, mlir::Value input, llvm::ArrayRef<r1::WeightAttr> matrices,
            llvm::ArrayRef<r1::WeightAttr> bias, mlir::Value output,
            kernel::Activation activation = kernel::Activation::None, bool accumulate = false);

  //===--- What one token of one sequence costs ---===//
  /// Of each weight, `share` of its packing's batch is used.
  void count(const PackedWeight &weight, int64_t share);
  void countBytes(int64_t bytes) { activeBytes += bytes; }
  int64_t activeBytes = 0, flops = 0;

private:
  using Key = std::pair<mlir::Value, unsigned>;
  llvm::DenseMap<Key, mlir::Value> bound, boundLogitRows;
  llvm::DenseMap<mlir::Value, mlir::Value> scales;
  llvm::DenseMap<exec::Input, mlir::Value> inputs;
  llvm::DenseMap<r1::RopeAttr, mlir::Value> tables;
};

} // namespace elah

#endif
