// Norms, and softmax.
#include "frontends/Onnx/Normalization.h"
#include "frontends/Onnx/Operators.h"
#include "frontends/Onnx/Tensors.h"

using namespace mlir;

namespace elah::onnx_import {

Value normalized(const Node &n, Value input, ArrayRef<int64_t> axes, double epsilon, Value *inverse) {
  Value square = n.reduce(r1::Reduction::Mean, n.mul(input, input), axes, /*keepDims=*/true);
  Value factor = n.make<r1::RsqrtOp>(n.add(square, n.scalar(Node::element(input), epsilon)));
  if (inverse) {
    *inverse = factor;
  }
  return n.mul(input, factor);
}

Value centred(const Node &n, Value input, ArrayRef<int64_t> axes, Value *mean) {
  Value average = n.reduce(r1::Reduction::Mean, input, axes, /*keepDims=*/true);
  if (mean) {
    *mean = average;
  }
  return n.sub(input, average);
}

namespace {

/// What numbers are normalized in: stash_type, f32 where it is not said.
Type stashType(const Node &n, Value input) {
  int64_t type = n.integer("stash_type", 1);
  if (type != 1 && type != 10 && type != 11 && type != 16) {
    n.reject(code::attribute, "stash_type must be a float type, found " + Twine(type));
  }
  // f64 is normalized in itself, as every implementation does.
  return Node::element(input).isF64() ? Node::element(input)
                                      : elementType(n.builder.getContext(), static_cast<int32_t>(type));
}

Ints axesFrom(const Node &n, Value input) {
  int64_t rank = Node::rank(input), first = n.axis(n.integer("axis", -1), rank);
  return llvm::to_vector(llvm::seq<int64_t>(first, rank));
}

void layerNormalization(const Node &n) {
  Value input = n.input(0);
  Type element = Node::element(input), stash = stashType(n, input);
  Ints axes = axesFrom(n, input);
  Value mean, inverse;
  Value result =
      normalized(n, centred(n, n.cast(input, stash), axes, &mean), axes, n.number("epsilon", 1e-5), &inverse);
  result = n.mul(n.cast(result, element), n.input(1));
  n.output(0, n.has(2) ? n.add(result, n.input(2)) : result);
  n.output(1, mean);
  n.output(2, inverse);
}

void rmsNormalization(const Node &n) {
  Value input = n.input(0), scale = n.input(1);
  Value result =
      normalized(n, n.cast(input, stashType(n, input)), axesFrom(n, input), n.number("epsilon", 1e-5), nullptr);
  n.output(n.mul(n.cast(result, Node::element(scale)), scale));
}

void lpNormalization(const Node &n) {
  Value input = n.input(0);
  int64_t axis = n.axis(n.integer("axis", -1), Node::rank(input)), power = n.integer("p", 2);
  n.expect(power == 1 || power == 2, "p must be 1 or 2, found " + Twine(power));
  Value length = power == 1
                     ? n.reduce(r1::Reduction::Sum, n.make<r1::AbsOp>(input), axis, /*keepDims=*/true)
                     : n.make<r1::SqrtOp>(n.reduce(r1::Reduction::Sum, n.mul(input, input), axis, /*keepDims=*/true));
  // Of zeros, nothing is to be divided.
  Value isZero = n.compare(r1::Comparison::Equal, length, n.scalar(Node::element(input), 0));
  n.output(n.div(input, n.select(isZero, n.scalar(Node::element(input), 1), length)));
}

/// Until operator set 13, softmax was over all dimensions from the axis on, as rows of a matrix.
template <bool isLog> void softmax(const Node &n) {
  Value input = n.input(0);
  int64_t rank = Node::rank(input);
  auto over = [&](Value value, int64_t axis) -> Value {
    if (!isLog) {
      return n.softmax(value, axis);
    }
    Value shifted = n.sub(value, n.reduce(r1::Reduction::Max, value, axis, /*keepDims=*/true));
    Value sum = n.reduce(r1::Reduction::Sum, n.make<r1::ExpOp>(shifted), axis, /*keepDims=*/true);
    return n.sub(shifted, n.make<r1::LogOp>(sum));
  };
  if (n.version >= 13) {
    n.output(over(input, n.axis(n.integer("axis", -1), rank)));
    return;
  }
  int64_t axis = n.axis(n.integer("axis", 1), rank);
  if (axis == rank - 1) {
    n.output(over(input, axis));
    return;
  }
  Sizes sizes = n.sizesOf(input);
  ArrayRef<Size> all = sizes;
  Value rows = n.reshape(input, {n.product(all.take_front(axis)), n.product(all.drop_front(axis))});
  n.output(n.reshape(over(rows, 1), sizes));
}

constexpr Operator operators[] = {
    {"LayerNormalization", 17, layerNormalization},
    {"LogSoftmax", 1, softmax<true>},
    {"LpNormalization", 1, lpNormalization},
    {"RMSNormalization", 23, rmsNormalization},
    // An operator of ONNX Runtime that it reads in ONNX's own domain, where the GenAI builder writes it.
    {"SimplifiedLayerNormalization", 1, rmsNormalization},
    {"Softmax", 1, softmax<false>},
};

} // namespace

llvm::ArrayRef<Operator> normalizationOperators() { return operators; }

} // namespace elah::onnx_import
