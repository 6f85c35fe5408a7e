// Lists of tensors.
#include "frontends/Onnx/Operators.h"
#include "frontends/Onnx/Tensors.h"

using namespace mlir;

namespace elah::onnx_import {
namespace {

r1::SequenceType sequenceOf(Type element) {
  return r1::SequenceType::get(element.getContext(), mlir::cast<TensorType>(element));
}

Value sequence(const Node &n, size_t index) {
  Value value = n.any(index);
  n.expect(isa<r1::SequenceType>(value.getType()), "input " + Twine(index) + " must be a sequence");
  return value;
}

TensorType elementOf(Value value) { return mlir::cast<r1::SequenceType>(value.getType()).getElement(); }

Value position(const Node &n, size_t index) {
  return n.has(index) ? n.cast(n.scalarOf(n.input(index)), n.builder.getI64Type()) : Value();
}

void empty(const Node &n) {
  Type element = elementType(n.builder.getContext(), static_cast<int32_t>(n.integer("dtype", 1)));
  n.output(r1::SequenceOp::create(n.builder, n.location, sequenceOf(UnrankedTensorType::get(element)), ValueRange()));
}

void construct(const Node &n) {
  Values elements = n.inputs();
  n.expect(!elements.empty(), "needs a tensor");
  Type element = elements.front().getType();
  for (Value other : elements) {
    element = join(element, other.getType());
    n.expect(static_cast<bool>(element), "tensors must have one element type and number of dimensions");
  }
  n.output(r1::SequenceOp::create(n.builder, n.location, sequenceOf(element), elements));
}

void insert(const Node &n) {
  Value list = sequence(n, 0), element = n.input(1);
  Type joined = join(list.getType(), sequenceOf(element.getType()));
  n.expect(static_cast<bool>(joined), "the tensor must have the element type and number of dimensions of the others");
  n.output(r1::SequenceInsertOp::create(n.builder, n.location, joined, list, element, position(n, 2)));
}

void erase(const Node &n) {
  Value list = sequence(n, 0);
  n.output(r1::SequenceEraseOp::create(n.builder, n.location, list.getType(), list, position(n, 1)));
}

void at(const Node &n) {
  Value list = sequence(n, 0);
  if (!elementOf(list).hasRank()) {
    n.unsupported("it is not known how many dimensions the sequence's tensors have");
  }
  n.expect(n.has(1), "needs a position");
  n.output(r1::SequenceAtOp::create(n.builder, n.location, elementOf(list), list, position(n, 1)));
}

void length(const Node &n) {
  auto type = RankedTensorType::get({}, n.builder.getI64Type());
  n.output(r1::SequenceLengthOp::create(n.builder, n.location, type, sequence(n, 0)));
}

void concat(const Node &n) {
  Value list = sequence(n, 0);
  auto element = dyn_cast<RankedTensorType>(elementOf(list));
  if (!element) {
    n.unsupported("it is not known how many dimensions the sequence's tensors have");
  }
  bool isStacked = n.integer("new_axis", 0) != 0;
  Ints shape(element.getShape());
  int64_t axis = n.axis(n.integer("axis"), element.getRank() + (isStacked ? 1 : 0));
  if (isStacked) {
    shape.insert(shape.begin() + axis, ShapedType::kDynamic);
  } else {
    shape[axis] = ShapedType::kDynamic;
  }
  n.output(r1::SequenceConcatOp::create(n.builder, n.location, element.clone(shape), list, axis, isStacked));
}

void split(const Node &n) {
  Value input = n.input(0);
  int64_t axis = n.axis(n.integer("axis", 0), Node::rank(input));
  Value sizes = n.has(1) ? n.cast(n.input(1), n.builder.getI64Type()) : n.index(1);
  n.expect(Node::rank(sizes) <= 1, "sizes must be one number, or one for each part");
  // Without sizes, parts are single, and keepdims says whether they keep the dimension.
  bool isDropped = !n.has(1) && n.integer("keepdims", 1) == 0;
  Ints shape(Node::type(input).getShape());
  if (isDropped) {
    shape.erase(shape.begin() + axis);
  } else {
    shape[axis] = n.has(1) ? ShapedType::kDynamic : 1;
  }
  Type element = Node::type(input).clone(shape);
  n.output(r1::SequenceSplitOp::create(n.builder, n.location, sequenceOf(element), input, sizes, axis, isDropped));
}

constexpr Operator operators[] = {
    {"ConcatFromSequence", 11, concat}, {"SequenceAt", 11, at},         {"SequenceConstruct", 11, construct},
    {"SequenceEmpty", 11, empty},       {"SequenceErase", 11, erase},   {"SequenceInsert", 11, insert},
    {"SequenceLength", 11, length},     {"SplitToSequence", 11, split},
};

} // namespace

llvm::ArrayRef<Operator> sequenceOperators() { return operators; }

} // namespace elah::onnx_import
