#ifndef FRONTENDS_ONNX_NODE_H
#define FRONTENDS_ONNX_NODE_H

#include "dialects/R1/R1.h"
#include "frontends/Onnx/Failure.h"
#include "mlir/IR/Builders.h"

namespace onnx {
class AttributeProto;
class GraphProto;
class NodeProto;
class TensorProto;
} // namespace onnx

namespace elah::onnx_import {

class GraphImporter;

/// A size of a tensor: a number, or an i64 scalar that the program computes.
struct Size {
  Size(int64_t known) : known(known) {}
  Size(mlir::Value computed) : computed(computed) {}

  int64_t known = mlir::ShapedType::kDynamic;
  mlir::Value computed;
};

using Values = llvm::SmallVector<mlir::Value>;
using Ints = llvm::SmallVector<int64_t>;
using Sizes = llvm::SmallVector<Size>;

/// The node that is imported: its attributes and inputs, held against what its operator expects, and r1's operations,
/// which have its location and are folded as they are built. Whatever is wrong is thrown as a Failure.
class Node {
public:
  Node(GraphImporter &graph, const onnx::NodeProto &proto, int64_t version);

  GraphImporter &graph;
  const onnx::NodeProto &proto;
  const int64_t version; ///< Of the operator set that the node's graph imports.
  mlir::OpBuilder &builder;
  mlir::Location location;

  // Inputs and outputs.
  size_t inputCount() const;
  size_t outputCount() const;
  bool has(size_t index) const;
  bool wants(size_t output) const;
  mlir::Value any(size_t index) const;      ///< A tensor or a sequence.
  mlir::Value input(size_t index) const;    ///< A tensor.
  mlir::Value optional(size_t index) const; ///< A tensor, or null.
  Values inputs() const;                    ///< All, each a tensor.
  void output(size_t index, mlir::Value value) const;
  void output(mlir::Value value) const { output(0, value); }

  // Attributes.
  bool hasAttribute(llvm::StringRef name) const;
  int64_t integer(llvm::StringRef name, std::optional<int64_t> otherwise = {}) const;
  double number(llvm::StringRef name, std::optional<double> otherwise = {}) const;
  std::string text(llvm::StringRef name, std::optional<std::string> otherwise = {}) const;
  std::optional<Ints> integers(llvm::StringRef name) const;
  const onnx::TensorProto *tensor(llvm::StringRef name) const;
  const onnx::GraphProto &subgraph(llvm::StringRef name) const;
  const onnx::AttributeProto *attribute(llvm::StringRef name) const;
  /// Integers that are an attribute in some versions and an input in others; nothing, if neither is there.
  std::optional<Ints> integers(llvm::StringRef name, size_t input) const;

  // Failures.
  [[noreturn]] void reject(llvm::StringRef code, const llvm::Twine &message) const;
  [[noreturn]] void unsupported(const llvm::Twine &message) const { reject(code::unsupported, message); }
  void expect(bool holds, const llvm::Twine &message) const {
    if (!holds) {
      reject(code::type, message);
    }
  }

  // Operations.
  template <typename Op, typename... Args> Values makeAll(Args &&...args) const {
    llvm::SmallVector<mlir::Type> types(Op::template hasTrait<mlir::OpTrait::OneResult>() ? 1 : 2, builder.getI1Type());
    return finish(Op::create(builder, location, mlir::TypeRange(types), std::forward<Args>(args)...));
  }
  template <typename Op, typename... Args> mlir::Value make(Args &&...args) const {
    return makeAll<Op>(std::forward<Args>(args)...).front();
  }

  static mlir::RankedTensorType type(mlir::Value value) { return mlir::cast<mlir::RankedTensorType>(value.getType()); }
  static mlir::Type element(mlir::Value value) { return type(value).getElementType(); }
  static int64_t rank(mlir::Value value) { return type(value).getRank(); }
  static bool isFloat(mlir::Value value) { return mlir::isa<mlir::FloatType>(element(value)); }
  /// An axis that may count from the end, as one from the start.
  int64_t axis(int64_t given, int64_t rank) const;
  Ints axes(llvm::ArrayRef<int64_t> given, int64_t rank) const;

  mlir::Value constant(mlir::DenseElementsAttr value) const;
  mlir::Value scalar(mlir::Type element, double value) const;
  mlir::Value index(int64_t value) const; ///< An i64 scalar.
  mlir::Value indices(llvm::ArrayRef<int64_t> values) const;
  mlir::Value truth(bool value) const;
  /// The elements of a constant integer tensor.
  static std::optional<Ints> constantOf(mlir::Value value);

  mlir::Value cast(mlir::Value value, mlir::Type element) const;
  mlir::Value dim(mlir::Value value, int64_t axis) const;
  Size sizeOf(mlir::Value value, int64_t axis) const;
  Sizes sizesOf(mlir::Value value) const;
  mlir::Value valueOf(Size size) const; ///< As an i64 scalar.
  mlir::Value shapeOf(llvm::ArrayRef<Size> sizes) const;
  Size product(llvm::ArrayRef<Size> sizes) const;

  mlir::Value reshape(mlir::Value value, llvm::ArrayRef<Size> sizes) const;
  mlir::Value broadcast(mlir::Value value, llvm::ArrayRef<Size> sizes) const;
  mlir::Value transpose(mlir::Value value, llvm::ArrayRef<int64_t> permutation) const;
  mlir::Value slice(mlir::Value value, int64_t axis, int64_t start, std::optional<int64_t> limit) const;
  mlir::Value concat(llvm::ArrayRef<mlir::Value> values, int64_t axis) const;
  mlir::Value gather(mlir::Value value, mlir::Value indices, int64_t axis) const;
  mlir::Value range(mlir::Value start, mlir::Value limit, mlir::Value step) const;
  mlir::Value iota(Size limit) const; ///< 0, 1, ... of i64.
  mlir::Value select(mlir::Value condition, mlir::Value onTrue, mlir::Value onFalse) const;
  mlir::Value compare(r1::Comparison comparison, mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value reduce(r1::Reduction reduction, mlir::Value value, llvm::ArrayRef<int64_t> axes, bool keepDims) const;
  mlir::Value add(mlir::Value lhs, mlir::Value rhs) const { return make<r1::AddOp>(lhs, rhs); }
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs) const { return make<r1::SubOp>(lhs, rhs); }
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs) const { return make<r1::MulOp>(lhs, rhs); }
  mlir::Value div(mlir::Value lhs, mlir::Value rhs) const { return make<r1::DivOp>(lhs, rhs); }
  mlir::Value softmax(mlir::Value value, int64_t axis) const;
  mlir::Value squeeze(mlir::Value value, llvm::ArrayRef<int64_t> axes) const;
  mlir::Value unsqueeze(mlir::Value value, llvm::ArrayRef<int64_t> axes) const; ///< Axes of the result, rising.
  mlir::Value scalarOf(mlir::Value value) const; ///< The one element of a tensor as a scalar.

  /// The value that `build` gives for the axis that an i64 scalar says, out of 0 .. rank - 1.
  mlir::Value byAxis(mlir::Value axis, int64_t rank, llvm::function_ref<mlir::Value(int64_t)> build) const;
  /// `onTrue()` or `onFalse()`, of which one alone is computed.
  Values choose(mlir::Value condition, llvm::function_ref<Values()> onTrue, llvm::function_ref<Values()> onFalse) const;

private:
  Values finish(mlir::Operation *op) const;
};

/// What both types can be of: sizes that differ are dynamic. Null, if there is none.
mlir::Type join(mlir::Type lhs, mlir::Type rhs);

} // namespace elah::onnx_import

#endif
