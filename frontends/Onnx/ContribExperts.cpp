// Mixtures of experts as ONNX Runtime has them. Every expert computes every token here, and what was not chosen is left
// out of the sum: what that means, not how it is run.
#include "frontends/Onnx/Contrib.h"
#include "frontends/Onnx/Elementwise.h"
#include "frontends/Onnx/Operators.h"

using namespace mlir;

namespace elah::onnx_import {
namespace {

/// The weights of all experts for each token, 0 for those that are not chosen: [T, E].
Value shares(const Node &n, Value logits, Value weights) {
  int64_t k = n.integer("k", 1);
  n.expect(n.integer("use_sparse_mixer", 0) == 0, "sparse mixers are not supported");
  n.expect(Node::rank(logits) == 2, "router_probs must be [tokens, experts]");
  // With router_weights, experts are chosen by one tensor and weighted by the other.
  Value scores = weights ? weights : n.softmax(logits, 1);
  Value chosen = n.makeAll<r1::TopkOp>(logits, k, int64_t(1), false)[1];
  Value parts = n.make<r1::GatherElementsOp>(scores, chosen, 1);
  if (n.integer("normalize_routing_weights", 0) != 0) {
    parts = n.div(parts, n.reduce(r1::Reduction::Sum, parts, {1}, /*keepDims=*/true));
  }
  Value none = n.broadcast(n.scalar(Node::element(parts), 0), n.sizesOf(logits));
  return n.make<r1::ScatterElementsOp>(r1::Scatter::Replace, none, chosen, parts, 1);
}

Value activated(const Node &n, Value hidden, Value other) {
  std::string name = n.text("activation_type", "relu");
  auto number = [&](double value) { return n.scalar(Node::element(hidden), value); };
  if (name == "swiglu") {
    int64_t fusion = n.integer("swiglu_fusion", 0), last = Node::rank(hidden) - 1;
    Value gate = hidden, linear = other;
    if (fusion != 0) {
      int64_t width = Node::type(hidden).getDimSize(last);
      n.expect(!ShapedType::isDynamic(width) && width % 2 == 0, "gate and linear part must be of one size");
      auto every = [&](int64_t start) {
        return n.make<r1::SliceOp>(hidden, n.builder.getI64IntegerAttr(last), n.builder.getI64IntegerAttr(start),
                                   IntegerAttr(), n.builder.getI64IntegerAttr(2));
      };
      gate = fusion == 1 ? every(0) : n.slice(hidden, last, 0, width / 2);
      linear = fusion == 1 ? every(1) : n.slice(hidden, last, width / 2, width);
    }
    n.expect(static_cast<bool>(linear), "swiglu needs fc3, or both in fc1");
    if (n.hasAttribute("swiglu_limit")) {
      Value limit = number(n.number("swiglu_limit"));
      gate = n.make<r1::MinOp>(gate, limit);
      linear = n.make<r1::MaxOp>(n.make<r1::MinOp>(linear, limit), number(-n.number("swiglu_limit")));
    }
    double alpha = n.number("activation_alpha", 1), beta = n.number("activation_beta", 0);
    Value swish = n.mul(gate, n.make<r1::SigmoidOp>(alpha == 1 ? gate : n.mul(gate, number(alpha))));
    return n.mul(swish, beta == 0 ? linear : n.add(linear, number(beta)));
  }
  if (name == "relu") {
    hidden = n.make<r1::MaxOp>(hidden, number(0));
  } else if (name == "silu") {
    hidden = n.mul(hidden, n.make<r1::SigmoidOp>(hidden));
  } else if (name == "gelu") {
    hidden = gelu(n, hidden, /*isTanh=*/true);
  } else if (name != "identity") {
    n.reject(code::attribute, "activation_type must be relu, gelu, silu, swiglu or identity, found '" + name + "'");
  }
  return other ? n.mul(hidden, other) : hidden;
}

struct Layer {
  Value weight, bias; ///< [E, out, in] and [E, out]; null where there is none.
};

void experts(const Node &n, Value logits, Value weights, const Layer (&layers)[3]) {
  Value input = n.input(0);
  int64_t width = Node::type(input).getShape().back();
  Value rows = n.make<r1::ReshapeOp>(input, Value(), n.builder.getDenseI64ArrayAttr({-1, width}));
  auto project = [&](Value value, const Layer &layer) {
    Value product = n.make<r1::MatmulOp>(value, n.transpose(layer.weight, {0, 2, 1}));
    return layer.bias ? n.add(product, n.unsqueeze(layer.bias, {1})) : product;
  };
  Value first = n.unsqueeze(rows, {0});
  Value other = layers[2].weight ? project(first, layers[2]) : Value();
  Value outputs = project(activated(n, project(first, layers[0]), other), layers[1]); // [E, T, H]
  Value share = n.cast(n.unsqueeze(n.transpose(shares(n, logits, weights), {1, 0}), {2}), Node::element(outputs));
  // What is not chosen counts as 0 even where it is not a number.
  Value isChosen = n.compare(r1::Comparison::NotEqual, share, n.scalar(Node::element(share), 0));
  Value counted = n.select(isChosen, n.mul(outputs, share), n.scalar(Node::element(outputs), 0));
  n.output(n.reshape(n.reduce(r1::Reduction::Sum, counted, {0}, /*keepDims=*/false), n.sizesOf(input)));
}

void moe(const Node &n) {
  n.expect(Node::rank(n.input(0)) >= 2 && !ShapedType::isDynamic(Node::type(n.input(0)).getShape().back()),
           "the input must be rows of a known size");
  const Layer layers[3] = {{n.input(2), n.optional(3)}, {n.input(4), n.optional(5)}, {n.optional(6), n.optional(7)}};
  experts(n, n.input(1), Value(), layers);
}

void quantizedMoe(const Node &n) {
  n.expect(Node::rank(n.input(0)) >= 2 && !ShapedType::isDynamic(Node::type(n.input(0)).getShape().back()),
           "the input must be rows of a known size");
  if (n.text("quant_type", "int") != "int" || n.integer("weights_prepacked", 0) == 1) {
    n.unsupported("weights must be integers that are not prepacked");
  }
  int64_t bits = n.integer("expert_weight_bits", 4), block = n.integer("block_size", 0);
  n.expect(bits == 2 || bits == 4 || bits == 8, "expert_weight_bits must be 2, 4 or 8, found " + Twine(bits));
  Type element = Node::element(n.input(0));
  auto layer = [&](size_t weight, size_t zeros) -> Layer {
    if (!n.has(weight)) {
      return {};
    }
    ArrayRef<int64_t> packed = Node::type(n.input(weight)).getShape();
    if (packed.size() == 3 && !ShapedType::isDynamicShape(packed)) {
      Ints shape(packed);
      shape[2] *= 8 / bits;
      bool isOfRows = Node::rank(n.input(weight + 1)) == 2;
      Value stored = isOfRows || block > 0 ? quantizedWeight(n, n.input(weight), n.input(weight + 1), n.optional(zeros),
                                                             shape, bits, isOfRows ? shape[2] : block)
                                           : Value();
      if (stored) {
        return {n.cast(stored, element), n.optional(weight + 2)};
      }
    }
    Value numbers = unpacked(n, n.input(weight), bits), scales = n.cast(n.input(weight + 1), element), zero;
    n.expect(Node::rank(numbers) == 3, "weights must be [experts, outputs, inputs]");
    numbers = n.cast(numbers, element);
    if (n.has(zeros)) {
      zero = unpacked(n, n.input(zeros), bits);
      zero = n.cast(Node::rank(scales) == 3 ? n.gather(zero, n.iota(n.sizeOf(scales, 2)), 2) : zero, element);
    } else {
      zero = n.scalar(element, static_cast<double>(1 << (bits - 1)));
    }
    Sizes whole = n.sizesOf(numbers);
    auto ofRows = [&](Value value) { return Node::rank(value) == 0 ? value : n.unsqueeze(value, {2}); };
    Value value;
    if (Node::rank(scales) == 2) {
      value = n.mul(n.sub(numbers, ofRows(zero)), ofRows(scales));
    } else { // [experts, outputs, blocks]
      n.expect(Node::rank(scales) == 3 && block > 0, "scales of blocks need block_size");
      Sizes apart = n.sizesOf(scales);
      apart.push_back(Size(block));
      auto ofBlocks = [&](Value parameter) {
        return Node::rank(parameter) == 0 ? parameter : n.unsqueeze(parameter, {3});
      };
      value = n.mul(n.sub(n.reshape(numbers, apart), ofBlocks(zero)), ofBlocks(scales));
      value = n.reshape(value, whole);
    }
    return {value, n.optional(weight + 2)};
  };
  const Layer layers[3] = {layer(2, 11), layer(5, 12), layer(8, 13)};
  experts(n, n.input(1), n.optional(14), layers);
}

constexpr Operator operators[] = {{"MoE", 0, moe}, {"QMoE", 0, quantizedMoe}};

} // namespace

llvm::ArrayRef<Operator> contribExpertOperators() { return operators; }

} // namespace elah::onnx_import
