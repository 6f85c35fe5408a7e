#ifndef DIALECTS_R1_DECOMPOSE_H
#define DIALECTS_R1_DECOMPOSE_H

#include "dialects/R1/R1.h"

namespace elah::r1 {

/// Writes expressions of r1 operations at one place and location. Scalars and frequencies are f32, as activations are.
class Composer {
public:
  Composer(mlir::OpBuilder &builder, mlir::Location location) : builder(builder), location(location) {}

  template <typename Op, typename... Args> Op make(Args &&...args) const {
    return Op::create(builder, location, std::forward<Args>(args)...);
  }

  mlir::Value scalar(double value) const { return floats(value, {}); }
  mlir::Value vector(llvm::ArrayRef<double> values) const {
    return floats(values, {static_cast<int64_t>(values.size())});
  }
  /// 0, 1, ... limit - 1 of an integer type; the limit is a number or an i64 scalar.
  mlir::Value iota(mlir::Value limit, unsigned bits) const;
  mlir::Value iota(int64_t limit, unsigned bits) const;
  mlir::Value integer(int64_t value, unsigned bits) const;

  /// A weight's elements as f32, whatever its format.
  mlir::Value widened(mlir::Value weight) const;
  mlir::Value reshape(mlir::Value input, llvm::ArrayRef<int64_t> sizes) const { return make<ReshapeOp>(input, sizes); }
  mlir::Value transpose(mlir::Value input, llvm::ArrayRef<int64_t> permutation) const {
    return make<TransposeOp>(input, permutation);
  }
  mlir::Value slice(mlir::Value input, int64_t axis, int64_t start, int64_t limit) const {
    return make<SliceOp>(input, axis, start, limit);
  }
  mlir::Value concat(mlir::ValueRange inputs, int64_t axis) const { return make<ConcatOp>(inputs, axis); }
  mlir::Value sum(mlir::Value input, int64_t axis, bool keepDims = false) const {
    return make<ReduceOp>(Reduction::Sum, input, llvm::ArrayRef<int64_t>(axis), keepDims);
  }
  mlir::Value max(mlir::Value input, int64_t axis, bool keepDims = false) const {
    return make<ReduceOp>(Reduction::Max, input, llvm::ArrayRef<int64_t>(axis), keepDims);
  }

private:
  mlir::Value floats(llvm::ArrayRef<double> values, llvm::ArrayRef<int64_t> shape) const;

  mlir::OpBuilder &builder;
  mlir::Location location;
};

/// The values that a decomposition ends in, with the types of the results that they stand for: what the composite's
/// user knows of its shape may be more or less than what can be inferred. Each value is an operation's of the
/// decomposition.
llvm::SmallVector<mlir::Value> results(mlir::Operation *composite, mlir::ValueRange values);

} // namespace elah::r1

#endif
