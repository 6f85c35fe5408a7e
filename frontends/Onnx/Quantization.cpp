// Numbers as small integers (or floats) with a scale: one for all, one along an axis, or one for a block along it.
#include "frontends/Onnx/Linear.h"
#include "frontends/Onnx/Operators.h"
#include "frontends/Onnx/Tensors.h"
#include <limits>

using namespace mlir;

namespace elah::onnx_import {
namespace {

/// A scale or zero point, so that it broadcasts against `input`.
Value spread(const Node &n, Value parameter, Value input, int64_t axis, int64_t block) {
  int64_t rank = Node::rank(input);
  if (block > 0) {
    n.expect(Node::rank(parameter) == rank, "scales of blocks must have as many dimensions as the input");
    // Each scale stands for `block` elements; the last block may be cut.
    Size blocks = n.sizeOf(parameter, axis), size = n.sizeOf(input, axis);
    Sizes sizes = n.sizesOf(parameter), repeated, whole = sizes;
    repeated = sizes;
    repeated.insert(repeated.begin() + axis + 1, Size(block));
    whole[axis] = n.product({blocks, Size(block)});
    Value all = n.reshape(n.broadcast(n.unsqueeze(parameter, {axis + 1}), repeated), whole);
    bool isWhole = !whole[axis].computed && !size.computed && whole[axis].known == size.known;
    return isWhole ? all : n.gather(all, n.iota(size), axis);
  }
  if (Node::rank(parameter) == 0 || Node::type(parameter).getShape() == ArrayRef<int64_t>{1}) {
    return n.scalarOf(parameter);
  }
  n.expect(Node::rank(parameter) == 1, "a scale must be one number, or one along an axis");
  Sizes sizes{n.sizeOf(parameter, 0)};
  sizes.append(rank - axis - 1, Size(1));
  return n.reshape(parameter, sizes);
}

struct Layout {
  int64_t axis = 0, block = 0;
};

Layout layoutOf(const Node &n, Value input, Value scale) {
  Layout layout;
  layout.block = n.version >= 21 ? n.integer("block_size", 0) : 0;
  n.expect(layout.block >= 0 && layout.block < maxElements, "block_size must not be negative");
  if (layout.block > 0 || (Node::rank(scale) == 1 && Node::type(scale).getShape() != ArrayRef<int64_t>{1})) {
    layout.axis = n.axis(n.version >= 13 ? n.integer("axis", 1) : 1, Node::rank(input));
  }
  return layout;
}

/// The least and greatest number of an integer type.
std::pair<double, double> rangeOf(Type element) {
  unsigned width = element.getIntOrFloatBitWidth();
  if (element.isUnsignedInteger()) {
    return {0, std::ldexp(1.0, static_cast<int>(width)) - 1};
  }
  return {-std::ldexp(1.0, static_cast<int>(width) - 1), std::ldexp(1.0, static_cast<int>(width) - 1) - 1};
}

/// round(input / scale) + zero point, within what the type holds.
Value quantized(const Node &n, Value input, Value scale, Value zero, Type to) {
  Type wide = n.builder.getF32Type();
  Value ratio = n.div(n.cast(input, wide), n.cast(scale, wide));
  double least, most;
  if (auto narrow = dyn_cast<FloatType>(to)) {
    most = APFloat::getLargest(narrow.getFloatSemantics()).convertToDouble();
    least = -most;
  } else {
    ratio = n.make<r1::RoundOp>(ratio);
    std::tie(least, most) = rangeOf(to);
  }
  Value shifted = zero ? n.add(ratio, n.cast(zero, wide)) : ratio;
  if (isa<FloatType>(to) && n.integer("saturate", 1) == 0) {
    return n.cast(shifted, to);
  }
  Value clipped = n.make<r1::MinOp>(n.make<r1::MaxOp>(shifted, n.scalar(wide, least)), n.scalar(wide, most));
  return n.cast(clipped, to);
}

/// (input - zero point) * scale, of the scale's type.
Value dequantized(const Node &n, Value input, Value scale, Value zero) {
  Type element = Node::element(scale);
  // Differences of integers of up to 16 bits are exact as f32; those of 32 bits are formed before.
  Type wide = Node::element(input).isSignlessInteger(32) ? Type(n.builder.getI32Type()) : Type(n.builder.getF32Type());
  Value value = n.cast(input, wide);
  value = zero ? n.sub(value, n.cast(zero, wide)) : value;
  return n.cast(n.mul(n.cast(value, n.builder.getF32Type()), n.cast(scale, n.builder.getF32Type())), element);
}

void quantizeLinear(const Node &n) {
  Value input = n.input(0), scale = n.input(1), zero = n.optional(2);
  Layout layout = layoutOf(n, input, scale);
  Type to = zero ? Node::element(zero) : Type(IntegerType::get(n.builder.getContext(), 8, IntegerType::Unsigned));
  if (!zero && n.version >= 21 && n.integer("output_dtype", 0) != 0) {
    to = elementType(n.builder.getContext(), static_cast<int32_t>(n.integer("output_dtype")));
  }
  zero = zero ? spread(n, zero, input, layout.axis, layout.block) : zero;
  n.output(quantized(n, input, spread(n, scale, input, layout.axis, layout.block), zero, to));
}

void dequantizeLinear(const Node &n) {
  Value input = n.input(0), scale = n.input(1), zero = n.optional(2);
  Layout layout = layoutOf(n, input, scale);
  zero = zero ? spread(n, zero, input, layout.axis, layout.block) : zero;
  n.output(dequantized(n, input, spread(n, scale, input, layout.axis, layout.block), zero));
}

void dynamicQuantizeLinear(const Node &n) {
  Value input = n.input(0);
  Type byte = IntegerType::get(n.builder.getContext(), 8, IntegerType::Unsigned), wide = n.builder.getF32Type();
  Ints all = llvm::to_vector(llvm::seq<int64_t>(0, Node::rank(input)));
  Value zero = n.scalar(wide, 0);
  Value most = n.make<r1::MaxOp>(n.reduce(r1::Reduction::Max, input, all, false), zero);
  Value least = n.make<r1::MinOp>(n.reduce(r1::Reduction::Min, input, all, false), zero);
  Value scale = n.div(n.sub(most, least), n.scalar(wide, 255));
  // Zeros alone have any scale.
  scale = n.select(n.compare(r1::Comparison::Equal, scale, zero), n.scalar(wide, 1), scale);
  Value point = n.make<r1::RoundOp>(n.div(n.make<r1::NegOp>(least), scale));
  point = n.cast(n.make<r1::MinOp>(n.make<r1::MaxOp>(point, zero), n.scalar(wide, 255)), byte);
  n.output(0, quantized(n, input, scale, point, byte));
  n.output(1, scale);
  n.output(2, point);
}

/// i32 numbers less a zero point that is one, or one for each row (`axis` 0, of matrices) or column (1).
Value centred(const Node &n, Value input, Value zero, bool isRows) {
  Value wide = n.cast(input, n.builder.getI32Type());
  if (!zero) {
    return wide;
  }
  zero = n.cast(zero, n.builder.getI32Type());
  if (isRows && Node::rank(zero) == 1 && Node::rank(input) > 1 && Node::type(zero).getShape() != ArrayRef<int64_t>{1}) {
    zero = n.unsqueeze(zero, {1});
  }
  return n.sub(wide, zero);
}

void matMulInteger(const Node &n) {
  n.output(multiplied(n, centred(n, n.input(0), n.optional(2), true), centred(n, n.input(1), n.optional(3), false)));
}

void qLinearMatMul(const Node &n) {
  Value product = multiplied(n, centred(n, n.input(0), n.input(2), true), centred(n, n.input(3), n.input(5), false));
  Type wide = n.builder.getF32Type();
  auto column = [&](Value scale) { // One for each row.
    bool isVector = Node::rank(scale) == 1 && Node::type(scale).getShape() != ArrayRef<int64_t>{1};
    return n.cast(isVector ? n.unsqueeze(scale, {1}) : scale, wide);
  };
  Value value = n.mul(n.mul(n.cast(product, wide), column(n.input(1))), n.cast(n.input(4), wide));
  n.output(quantized(n, value, n.input(6), n.input(7), Node::element(n.input(7))));
}

constexpr Operator operators[] = {
    {"DequantizeLinear", 10, dequantizeLinear}, {"DynamicQuantizeLinear", 11, dynamicQuantizeLinear},
    {"MatMulInteger", 10, matMulInteger},       {"QLinearMatMul", 10, qLinearMatMul},
    {"QuantizeLinear", 10, quantizeLinear},
};

} // namespace

llvm::ArrayRef<Operator> quantizationOperators() { return operators; }

} // namespace elah::onnx_import
