// Operators that make one element of many.
#include "frontends/Onnx/Operators.h"
#include <functional>

using namespace mlir;

namespace elah::onnx_import {
namespace {

using Reduce = Value (*)(const Node &, Value input, ArrayRef<int64_t> axes, bool keepDims);
/// What is done to each element before, or to each result after.
using Map = Value (*)(const Node &, Value);

/// Over axes that are computed, for a reduction that may go axis by axis: each in turn, if it is among them. Sizes are
/// then as dynamic as the axes.
Value reduceComputed(const Node &n, Value input, Value axes, bool keepDims, Reduce reduce) {
  int64_t rank = Node::rank(input);
  Value isReduced = n.make<r1::ScatterElementsOp>(r1::Scatter::Replace, n.indices(Ints(rank, 0)), axes,
                                                  n.broadcast(n.index(1), n.sizesOf(axes)), 0);
  Value result = input;
  for (int64_t axis = 0; axis < rank; ++axis) {
    Value holds = n.compare(r1::Comparison::NotEqual, n.scalarOf(n.slice(isReduced, 0, axis, axis + 1)), n.index(0));
    result = n.choose(
        holds, [&] { return Values{reduce(n, result, {axis}, /*keepDims=*/true)}; }, [&] { return Values{result}; })[0];
  }
  if (keepDims) {
    return result;
  }
  int64_t count = Node::type(axes).getDimSize(0);
  n.expect(!ShapedType::isDynamic(count), "must know how many axes there are");
  Value places = n.make<r1::NonzeroOp>(n.compare(r1::Comparison::Equal, isReduced, n.index(0)));
  places.setType(RankedTensorType::get({1, rank - count}, n.builder.getI64Type()));
  Value sizes = n.gather(n.make<r1::ShapeOp>(result), n.reshape(places, {Size(rank - count)}), 0);
  return n.make<r1::ReshapeOp>(result, sizes, DenseI64ArrayAttr());
}

/// `since` is the operator set from which axes are an input.
template <int64_t since, Reduce reduce, Map before = nullptr, Map after = nullptr> void reduction(const Node &n) {
  Value input = n.input(0);
  if constexpr (before != nullptr) {
    input = before(n, input);
  }
  auto give = [&](Value result) {
    if constexpr (after != nullptr) {
      result = after(n, result);
    }
    n.output(result);
  };
  int64_t rank = Node::rank(input);
  bool keepDims = n.integer("keepdims", 1) != 0;
  std::optional<Ints> axes;
  if (n.version < since) {
    axes = n.integers("axes");
  } else if (n.has(1)) {
    axes = Node::constantOf(n.input(1));
    bool isEmpty = Node::type(n.input(1)).getShape() == ArrayRef<int64_t>{0};
    if (isEmpty) {
      axes.emplace();
    }
    if (!axes) {
      give(reduceComputed(n, input, n.input(1), keepDims, reduce));
      return;
    }
  }
  if (!axes || axes->empty()) {
    bool isNothing = n.version >= since && n.integer("noop_with_empty_axes", 0) != 0;
    axes = isNothing ? Ints() : llvm::to_vector(llvm::seq<int64_t>(0, rank));
  }
  give(reduce(n, input, n.axes(*axes, rank), keepDims));
}

template <r1::Reduction kind> Value plain(const Node &n, Value input, ArrayRef<int64_t> axes, bool keepDims) {
  return n.reduce(kind, input, axes, keepDims);
}

Value mean(const Node &n, Value input, ArrayRef<int64_t> axes, bool keepDims) {
  Type element = Node::element(input);
  if (isa<FloatType>(element)) {
    return n.reduce(r1::Reduction::Mean, input, axes, keepDims);
  }
  return n.cast(n.reduce(r1::Reduction::Mean, n.cast(input, n.builder.getF64Type()), axes, keepDims), element);
}

Value square(const Node &n, Value input) { return n.mul(input, input); }
Value magnitude(const Node &n, Value input) { return n.make<r1::AbsOp>(input); }
Value logarithm(const Node &n, Value input) { return n.make<r1::LogOp>(input); }

Value length(const Node &n, Value input, ArrayRef<int64_t> axes, bool keepDims) {
  Type element = Node::element(input);
  Type wide = isa<FloatType>(element) ? element : n.builder.getF64Type();
  return n.cast(n.make<r1::SqrtOp>(n.reduce(r1::Reduction::Sum, square(n, n.cast(input, wide)), axes, keepDims)),
                element);
}

Value logOfSumOfPowers(const Node &n, Value input, ArrayRef<int64_t> axes, bool keepDims) {
  Value most = n.reduce(r1::Reduction::Max, input, axes, /*keepDims=*/true);
  Value powers = n.make<r1::ExpOp>(n.sub(input, most));
  Value sum = n.add(n.make<r1::LogOp>(n.reduce(r1::Reduction::Sum, powers, axes, /*keepDims=*/true)), most);
  return keepDims ? sum : n.squeeze(sum, axes);
}

constexpr Operator operators[] = {
    {"ReduceL1", 1, reduction<18, plain<r1::Reduction::Sum>, magnitude>},
    {"ReduceL2", 1, reduction<18, length>},
    {"ReduceLogSum", 1, reduction<18, plain<r1::Reduction::Sum>, nullptr, logarithm>},
    {"ReduceLogSumExp", 1, reduction<18, logOfSumOfPowers>},
    {"ReduceMax", 1, reduction<18, plain<r1::Reduction::Max>>},
    {"ReduceMean", 1, reduction<18, mean>},
    {"ReduceMin", 1, reduction<18, plain<r1::Reduction::Min>>},
    {"ReduceProd", 1, reduction<18, plain<r1::Reduction::Prod>>},
    {"ReduceSum", 1, reduction<13, plain<r1::Reduction::Sum>>},
    {"ReduceSumSquare", 1, reduction<18, plain<r1::Reduction::Sum>, square>},
};

} // namespace

llvm::ArrayRef<Operator> reductionOperators() { return operators; }

} // namespace elah::onnx_import
