// Operators that give one element for one element of each input.
#include "frontends/Onnx/Elementwise.h"
#include "frontends/Onnx/Operators.h"
#include "frontends/Onnx/Tensors.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace elah::onnx_import {
Value gelu(const Node &n, Value x, bool isTanh) {
  auto number = [&](double value) { return n.scalar(Node::element(x), value); };
  Value inner;
  if (isTanh) {
    Value cube = n.mul(n.mul(x, x), x);
    inner = n.make<r1::TanhOp>(n.mul(number(std::sqrt(2 / M_PI)), n.add(x, n.mul(number(0.044715), cube))));
  } else {
    inner = n.make<r1::ErfOp>(n.mul(x, number(M_SQRT1_2)));
  }
  return n.mul(n.mul(x, number(0.5)), n.add(inner, number(1)));
}

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// The second input where it belongs by the attributes `broadcast` and `axis` of operator sets before 7.
Value aligned(const Node &n, Value lhs, Value rhs) {
  if (n.version >= 7 || n.integer("broadcast", 0) == 0 || !n.hasAttribute("axis")) {
    return rhs;
  }
  int64_t axis = n.axis(n.integer("axis"), Node::rank(lhs)), behind = Node::rank(lhs) - axis - Node::rank(rhs);
  n.expect(behind >= 0, "the second input must fit behind axis " + Twine(axis));
  Sizes sizes = n.sizesOf(rhs);
  sizes.append(behind, Size(1));
  return n.reshape(rhs, sizes);
}

template <typename Op> void binary(const Node &n) {
  Value lhs = n.input(0);
  n.output(n.make<Op>(lhs, aligned(n, lhs, n.input(1))));
}

template <typename Op> void unary(const Node &n) { n.output(n.make<Op>(n.input(0))); }

/// Operators of any number of inputs.
template <typename Op> void variadic(const Node &n) {
  Value result = n.input(0);
  for (size_t index = 1; index < n.inputCount(); ++index) {
    result = n.make<Op>(result, n.input(index));
  }
  n.output(result);
}

void mean(const Node &n) {
  Value result = n.input(0);
  for (size_t index = 1; index < n.inputCount(); ++index) {
    result = n.add(result, n.input(index));
  }
  n.output(n.div(result, n.scalar(Node::element(result), static_cast<double>(n.inputCount()))));
}

Value like(const Node &n, Value value, double number) { return n.scalar(Node::element(value), number); }

void pow(const Node &n) {
  Value base = n.input(0), exponent = aligned(n, base, n.input(1));
  Type element = Node::element(base);
  // The result is of the base's type, whatever the exponent's is; integers up to 2^53 are exact as f64.
  bool areFloats = isa<FloatType>(element) && isa<FloatType>(Node::element(exponent));
  Type wide = areFloats ? element : n.builder.getF64Type();
  n.output(n.cast(n.make<r1::PowOp>(n.cast(base, wide), n.cast(exponent, wide)), element));
}

void mod(const Node &n) {
  Value lhs = n.input(0), rhs = n.input(1);
  n.output(n.integer("fmod", 0) != 0 ? n.make<r1::RemOp>(lhs, rhs) : n.make<r1::ModOp>(lhs, rhs));
}

void reciprocal(const Node &n) {
  Value input = n.input(0);
  n.output(n.div(like(n, input, 1), input));
}

void sign(const Node &n) {
  Value input = n.input(0), zero = like(n, input, 0);
  Type element = Node::element(input);
  if (!isa<FloatType>(element) && element.isUnsignedInteger()) {
    n.output(n.cast(n.compare(r1::Comparison::Greater, input, zero), element));
    return;
  }
  n.output(n.sub(n.cast(n.compare(r1::Comparison::Greater, input, zero), element),
                 n.cast(n.compare(r1::Comparison::Less, input, zero), element)));
}

void relu(const Node &n) {
  Value input = n.input(0);
  n.output(n.make<r1::MaxOp>(input, like(n, input, 0)));
}

/// log(1 + exp(x)), without overflow: max(x, 0) + log(1 + exp(-|x|)).
void softplus(const Node &n) {
  Value x = n.input(0);
  Value small = n.make<r1::ExpOp>(n.make<r1::NegOp>(n.make<r1::AbsOp>(x)));
  n.output(n.add(n.make<r1::MaxOp>(x, like(n, x, 0)), n.make<r1::LogOp>(n.add(like(n, x, 1), small))));
}

Value clipped(const Node &n, Value value, Value least, Value most) {
  value = least ? n.make<r1::MaxOp>(value, least) : value;
  return most ? n.make<r1::MinOp>(value, most) : value;
}

void clip(const Node &n) {
  Value x = n.input(0);
  if (n.version >= 11) {
    n.output(clipped(n, x, n.optional(1), n.optional(2)));
    return;
  }
  n.output(clipped(n, x, n.hasAttribute("min") ? like(n, x, n.number("min")) : Value(),
                   n.hasAttribute("max") ? like(n, x, n.number("max")) : Value()));
}

void geluOperator(const Node &n) {
  std::string approximate = n.text("approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    n.reject(code::attribute, "approximate must be none or tanh, found '" + approximate + "'");
  }
  n.output(gelu(n, n.input(0), approximate == "tanh"));
}

void swish(const Node &n) {
  Value x = n.input(0);
  double alpha = n.number("alpha", 1.0);
  Value scaled = alpha == 1 ? x : n.mul(x, like(n, x, alpha));
  n.output(n.mul(x, n.make<r1::SigmoidOp>(scaled)));
}

void bitShift(const Node &n) {
  std::string direction = n.text("direction");
  if (direction != "LEFT" && direction != "RIGHT") {
    n.reject(code::attribute, "direction must be LEFT or RIGHT, found '" + direction + "'");
  }
  n.output(direction == "LEFT" ? n.make<r1::ShiftLeftOp>(n.input(0), n.input(1))
                               : n.make<r1::ShiftRightOp>(n.input(0), n.input(1)));
}

void cast(const Node &n, Value input, Type to) {
  Type from = Node::element(input);
  bool isNarrow = isa<FloatType>(to) && to.getIntOrFloatBitWidth() == 8;
  if (isNarrow && isa<FloatType>(from) && n.integer("saturate", 1) != 0) {
    // Out of range becomes the greatest number, not infinity or NaN (since operator set 19).
    double most = APFloat::getLargest(mlir::cast<FloatType>(to).getFloatSemantics()).convertToDouble();
    Value wide = from.getIntOrFloatBitWidth() <= 8 ? n.cast(input, n.builder.getF32Type()) : input;
    input = clipped(n, wide, like(n, wide, -most), like(n, wide, most));
  }
  n.output(n.cast(input, to));
}

void castOperator(const Node &n) {
  // In operator set 1, `to` was a name.
  static const std::pair<StringRef, int32_t> names[] = {
      {"FLOAT", 1},  {"UINT8", 2}, {"INT8", 3},     {"UINT16", 4},  {"INT16", 5},   {"INT32", 6},  {"INT64", 7},
      {"STRING", 8}, {"BOOL", 9},  {"FLOAT16", 10}, {"DOUBLE", 11}, {"UINT32", 12}, {"UINT64", 13}};
  int64_t to = 0;
  if (n.version < 6) {
    std::string name = n.text("to");
    for (auto [known, number] : names) {
      to = known == name ? number : to;
    }
  } else {
    to = n.integer("to");
  }
  n.expect(to >= 0 && to < 64, "'to' must be an element type, found " + Twine(to));
  cast(n, n.input(0), elementType(n.builder.getContext(), static_cast<int32_t>(to)));
}

void castLike(const Node &n) { cast(n, n.input(0), Node::element(n.input(1))); }

void isInf(const Node &n) {
  Value x = n.input(0);
  if (Node::element(x).getIntOrFloatBitWidth() <= 8) {
    x = n.cast(x, n.builder.getF32Type());
  }
  auto is = [&](double what) { return n.compare(r1::Comparison::Equal, x, like(n, x, what)); };
  bool positive = n.integer("detect_positive", 1) != 0, negative = n.integer("detect_negative", 1) != 0;
  Value above = is(infinity), below = is(-infinity);
  Value never = n.make<r1::AndOp>(above, below);
  n.output(positive && negative ? n.make<r1::OrOp>(above, below) : positive ? above : negative ? below : never);
}

void isNaN(const Node &n) {
  Value x = n.input(0);
  if (Node::element(x).getIntOrFloatBitWidth() <= 8) {
    x = n.cast(x, n.builder.getF32Type());
  }
  n.output(n.compare(r1::Comparison::NotEqual, x, x));
}

template <r1::Comparison comparison> void compare(const Node &n) {
  Value lhs = n.input(0), rhs = aligned(n, lhs, n.input(1));
  if (Node::element(lhs).isInteger(1)) { // Truth values are 0 and 1.
    lhs = n.cast(lhs, n.builder.getI8Type());
    rhs = n.cast(rhs, n.builder.getI8Type());
  }
  n.output(n.compare(comparison, lhs, rhs));
}

void exclusiveOr(const Node &n) {
  Value lhs = n.input(0), rhs = aligned(n, lhs, n.input(1));
  Value both = n.make<r1::AndOp>(lhs, rhs), one = n.make<r1::OrOp>(lhs, rhs);
  n.output(n.make<r1::AndOp>(one, n.make<r1::NotOp>(both)));
}

void where(const Node &n) { n.output(n.select(n.input(0), n.input(1), n.input(2))); }

constexpr Operator elementwise[] = {
    {"Abs", 1, unary<r1::AbsOp>},
    {"Add", 1, binary<r1::AddOp>},
    {"BitShift", 11, bitShift},
    {"Cast", 1, castOperator},
    {"CastLike", 15, castLike},
    {"Ceil", 1, unary<r1::CeilOp>},
    {"Clip", 1, clip},
    {"Cos", 7, unary<r1::CosOp>},
    {"Div", 1, binary<r1::DivOp>},
    {"Erf", 9, unary<r1::ErfOp>},
    {"Exp", 1, unary<r1::ExpOp>},
    {"Floor", 1, unary<r1::FloorOp>},
    {"Gelu", 20, geluOperator},
    {"Log", 1, unary<r1::LogOp>},
    {"Max", 1, variadic<r1::MaxOp>},
    {"Mean", 1, mean},
    {"Min", 1, variadic<r1::MinOp>},
    {"Mod", 10, mod},
    {"Mul", 1, binary<r1::MulOp>},
    {"Neg", 1, unary<r1::NegOp>},
    {"Pow", 1, pow},
    {"Reciprocal", 1, reciprocal},
    {"Relu", 1, relu},
    {"Round", 11, unary<r1::RoundOp>},
    {"Sigmoid", 1, unary<r1::SigmoidOp>},
    {"Sign", 9, sign},
    {"Sin", 7, unary<r1::SinOp>},
    {"Softplus", 1, softplus},
    {"Sqrt", 1, unary<r1::SqrtOp>},
    {"Sub", 1, binary<r1::SubOp>},
    {"Sum", 1, variadic<r1::AddOp>},
    {"Swish", 24, swish},
    {"Tanh", 1, unary<r1::TanhOp>},
};

constexpr Operator logic[] = {
    {"And", 1, binary<r1::AndOp>},
    {"Equal", 1, compare<r1::Comparison::Equal>},
    {"Greater", 1, compare<r1::Comparison::Greater>},
    {"GreaterOrEqual", 12, compare<r1::Comparison::GreaterOrEqual>},
    {"IsInf", 10, isInf},
    {"IsNaN", 9, isNaN},
    {"Less", 1, compare<r1::Comparison::Less>},
    {"LessOrEqual", 12, compare<r1::Comparison::LessOrEqual>},
    {"Not", 1, unary<r1::NotOp>},
    {"Or", 1, binary<r1::OrOp>},
    {"Where", 9, where},
    {"Xor", 1, exclusiveOr},
};

} // namespace

llvm::ArrayRef<Operator> elementwiseOperators() { return elementwise; }
llvm::ArrayRef<Operator> logicOperators() { return logic; }

} // namespace elah::onnx_import
