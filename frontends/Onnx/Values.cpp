// Operators that make tensors out of nothing, or out of a shape.
#include "frontends/Onnx/GraphImporter.h"
#include "frontends/Onnx/Operators.h"
#include "frontends/Onnx/Tensors.h"
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah::onnx_import {
namespace {

void constant(const Node &n) {
  if (const onnx::TensorProto *tensor = n.tensor("value")) {
    n.output(n.graph.tensors.build(n.builder, n.location, *tensor));
    return;
  }
  Builder &b = n.builder;
  auto floats = [&](ArrayRef<float> values, ArrayRef<int64_t> shape) {
    n.output(n.constant(DenseElementsAttr::get(RankedTensorType::get(shape, b.getF32Type()), values)));
  };
  if (n.hasAttribute("value_float")) {
    n.output(n.scalar(b.getF32Type(), n.number("value_float")));
  } else if (n.hasAttribute("value_int")) {
    n.output(n.index(n.integer("value_int")));
  } else if (std::optional<Ints> values = n.hasAttribute("value_ints") ? n.integers("value_ints") : std::nullopt) {
    n.output(n.indices(*values));
  } else if (const onnx::AttributeProto *list = n.attribute("value_floats")) {
    SmallVector<float> values(list->floats().begin(), list->floats().end());
    floats(values, {static_cast<int64_t>(values.size())});
  } else if (n.hasAttribute("sparse_value") || n.hasAttribute("value_string") || n.hasAttribute("value_strings")) {
    n.unsupported("constants of strings and sparse tensors are not supported");
  } else {
    n.reject(code::attribute, "attribute 'value' is missing");
  }
}

void constantOfShape(const Node &n) {
  Value shape = n.input(0), value = n.scalar(n.builder.getF32Type(), 0);
  if (const onnx::TensorProto *tensor = n.tensor("value")) {
    value = n.scalarOf(n.graph.tensors.build(n.builder, n.location, *tensor));
  }
  n.expect(Node::rank(shape) == 1 && !Node::type(shape).isDynamicDim(0),
           "the shape must be a vector of a known length");
  if (std::optional<Ints> sizes = Node::constantOf(shape)) {
    n.expect(llvm::all_of(*sizes, [](int64_t size) { return size >= 0; }), "sizes must not be negative");
    n.output(n.broadcast(value, llvm::to_vector_of<Size>(*sizes)));
    return;
  }
  n.output(n.make<r1::BroadcastToOp>(value, shape, DenseI64ArrayAttr()));
}

void range(const Node &n) {
  auto scalar = [&](size_t index) { return n.scalarOf(n.input(index)); };
  n.output(n.range(scalar(0), scalar(1), scalar(2)));
}

/// i64 [rows, columns]: how far each element is to the right of the diagonal.
Value distances(const Node &n, Size rows, Size columns) {
  return n.sub(n.iota(columns), n.make<r1::ReshapeOp>(n.iota(rows), Value(), n.builder.getDenseI64ArrayAttr({-1, 1})));
}

void eyeLike(const Node &n) {
  Value input = n.input(0);
  n.expect(Node::rank(input) == 2, "the input must be a matrix");
  Type element = n.hasAttribute("dtype") ? elementType(n.builder.getContext(), static_cast<int32_t>(n.integer("dtype")))
                                         : Node::element(input);
  Value distance = distances(n, n.sizeOf(input, 0), n.sizeOf(input, 1));
  n.output(n.cast(n.compare(r1::Comparison::Equal, distance, n.index(n.integer("k", 0))), element));
}

void trilu(const Node &n) {
  Value input = n.input(0);
  int64_t rank = Node::rank(input);
  n.expect(rank >= 2, "the input must be matrices");
  Value diagonal = n.has(1) ? n.scalarOf(n.input(1)) : n.index(0);
  Value distance = distances(n, n.sizeOf(input, rank - 2), n.sizeOf(input, rank - 1));
  bool isUpper = n.integer("upper", 1) != 0;
  Value isKept = n.compare(isUpper ? r1::Comparison::GreaterOrEqual : r1::Comparison::LessOrEqual, distance, diagonal);
  n.output(n.select(isKept, input, n.scalar(Node::element(input), 0)));
}

constexpr Operator operators[] = {
    {"Constant", 1, constant}, {"ConstantOfShape", 9, constantOfShape}, {"EyeLike", 9, eyeLike}, {"Range", 11, range},
    {"Trilu", 14, trilu},
};

} // namespace

llvm::ArrayRef<Operator> valueOperators() { return operators; }

} // namespace elah::onnx_import
