// The vocabulary that operators are written in.
#include "frontends/Onnx/Node.h"
#include "frontends/Onnx/GraphImporter.h"
#include "frontends/Onnx/Tensors.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Verifier.h"
#include <cmath>
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah::onnx_import {

Node::Node(GraphImporter &graph, const onnx::NodeProto &proto, int64_t version)
    : graph(graph), proto(proto), version(version), builder(graph.builder), location(graph.locationOf(proto)) {}

size_t Node::inputCount() const { return proto.input_size(); }
size_t Node::outputCount() const { return proto.output_size(); }

bool Node::has(size_t index) const { return index < inputCount() && !proto.input(static_cast<int>(index)).empty(); }

bool Node::wants(size_t output) const {
  return output < outputCount() && !proto.output(static_cast<int>(output)).empty();
}

Value Node::any(size_t index) const {
  if (!has(index)) {
    reject(code::graph, "input " + Twine(index) + " is missing");
  }
  return graph.lookup(proto.input(static_cast<int>(index)));
}

Value Node::input(size_t index) const {
  Value value = any(index);
  if (!isa<RankedTensorType>(value.getType())) {
    reject(code::type, "input " + Twine(index) + " must be a tensor, found a sequence");
  }
  return value;
}

Value Node::optional(size_t index) const { return has(index) ? input(index) : Value(); }

Values Node::inputs() const {
  Values all;
  for (size_t index = 0; index < inputCount(); ++index) {
    all.push_back(input(index));
  }
  return all;
}

void Node::output(size_t index, Value value) const {
  if (wants(index)) {
    graph.define(proto.output(static_cast<int>(index)), value);
  }
}

const onnx::AttributeProto *Node::attribute(StringRef name) const { return graph.attribute(proto, name); }

bool Node::hasAttribute(StringRef name) const { return attribute(name) != nullptr; }

namespace {

StringRef nameOfType(const onnx::AttributeProto &attribute) {
  return onnx::AttributeProto::AttributeType_IsValid(attribute.type())
             ? StringRef(onnx::AttributeProto::AttributeType_Name(attribute.type()))
             : StringRef("unknown type");
}

/// The attribute, if it is there; it must be of that type then.
const onnx::AttributeProto *typed(const Node &node, StringRef name, onnx::AttributeProto::AttributeType type) {
  const onnx::AttributeProto *attribute = node.attribute(name);
  if (attribute && attribute->type() != type) {
    node.reject(code::attribute, "attribute '" + name + "' must be of type " +
                                     onnx::AttributeProto::AttributeType_Name(type) + ", found " +
                                     nameOfType(*attribute));
  }
  return attribute;
}

[[noreturn]] void missing(const Node &node, StringRef name) {
  node.reject(code::attribute, "attribute '" + name + "' is missing");
}

} // namespace

int64_t Node::integer(StringRef name, std::optional<int64_t> otherwise) const {
  if (const onnx::AttributeProto *found = typed(*this, name, onnx::AttributeProto::INT)) {
    return found->i();
  }
  return otherwise ? *otherwise : (missing(*this, name), 0);
}

double Node::number(StringRef name, std::optional<double> otherwise) const {
  if (const onnx::AttributeProto *found = typed(*this, name, onnx::AttributeProto::FLOAT)) {
    return found->f();
  }
  return otherwise ? *otherwise : (missing(*this, name), 0);
}

std::string Node::text(StringRef name, std::optional<std::string> otherwise) const {
  if (const onnx::AttributeProto *found = typed(*this, name, onnx::AttributeProto::STRING)) {
    return found->s();
  }
  return otherwise ? *otherwise : (missing(*this, name), "");
}

std::optional<Ints> Node::integers(StringRef name) const {
  const onnx::AttributeProto *found = typed(*this, name, onnx::AttributeProto::INTS);
  return found ? std::optional<Ints>(Ints(found->ints().begin(), found->ints().end())) : std::nullopt;
}

const onnx::TensorProto *Node::tensor(StringRef name) const {
  const onnx::AttributeProto *found = typed(*this, name, onnx::AttributeProto::TENSOR);
  return found ? &found->t() : nullptr;
}

const onnx::GraphProto &Node::subgraph(StringRef name) const {
  const onnx::AttributeProto *found = typed(*this, name, onnx::AttributeProto::GRAPH);
  if (!found) {
    missing(*this, name);
  }
  return found->g();
}

std::optional<Ints> Node::integers(StringRef name, size_t input) const {
  if (!has(input)) {
    return integers(name);
  }
  std::optional<Ints> found = constantOf(this->input(input));
  if (!found) {
    unsupported("'" + name + "' must be known when the model is imported");
  }
  return found;
}

void Node::reject(StringRef code, const Twine &message) const { throw Failure(code, message); }

int64_t Node::axis(int64_t given, int64_t rank) const {
  int64_t axis = given < 0 ? given + rank : given;
  if (axis < 0 || axis >= rank) {
    reject(code::type, "axis must be in " + Twine(-rank) + ".." + Twine(rank - 1) + ", found " + Twine(given));
  }
  return axis;
}

Ints Node::axes(ArrayRef<int64_t> given, int64_t rank) const {
  if (rank > maxRank || static_cast<int64_t>(given.size()) > rank) {
    reject(code::limit, "expected axes of at most " + Twine(std::min(rank, maxRank)) + " dimensions, found " +
                            Twine(given.size()) + " of " + Twine(rank));
  }
  Ints result = llvm::map_to_vector(given, [&](int64_t one) { return axis(one, rank); });
  llvm::sort(result);
  if (std::adjacent_find(result.begin(), result.end()) != result.end()) {
    reject(code::type, "axes must differ from each other");
  }
  return result;
}

Values Node::finish(Operation *op) const {
  auto fail = [&] {
    std::string message = graph.takeMessage();
    op->erase();
    reject(code::type, message.empty() ? "is no operation of r1" : StringRef(message));
  };
  if (auto inference = dyn_cast<InferTypeOpInterface>(op)) {
    SmallVector<Type> types;
    if (failed(inference.inferReturnTypes(op->getContext(), location, op->getOperands(), op->getAttrDictionary(),
                                          op->getPropertiesStorage(), op->getRegions(), types))) {
      fail();
    }
    for (auto [result, type] : llvm::zip_equal(op->getResults(), types)) {
      result.setType(type);
    }
  } else {
    // Elementwise operations of one operand, and softmax.
    op->getResult(0).setType(op->getOperand(0).getType());
  }
  for (Value result : op->getResults()) {
    try {
      checkSizes(type(result).getShape());
    } catch (const Failure &) {
      op->erase();
      throw;
    }
  }
  if (failed(op->getName().verifyInvariants(op))) {
    fail();
  }
  Values results;
  if (succeeded(builder.tryFold(op, results)) && !results.empty()) {
    op->erase();
    return results;
  }
  return Values(op->getResults());
}

Value Node::constant(DenseElementsAttr value) const {
  return r1::ConstantOp::create(builder, location, mlir::cast<ElementsAttr>(value));
}

Value Node::scalar(Type element, double value) const {
  auto type = RankedTensorType::get({}, element);
  if (auto floatType = dyn_cast<FloatType>(element)) {
    APFloat number(value);
    bool isLossy;
    number.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &isLossy);
    return constant(DenseElementsAttr::get(type, number));
  }
  expect(std::abs(value) < 0x1p63, "must be a number of integers here, found " + Twine(std::to_string(value)));
  APInt number(element.getIntOrFloatBitWidth(), static_cast<uint64_t>(static_cast<int64_t>(value)), /*isSigned=*/true,
               /*implicitTrunc=*/true);
  return constant(DenseElementsAttr::get(type, number));
}

Value Node::index(int64_t value) const {
  return constant(DenseElementsAttr::get(RankedTensorType::get({}, builder.getI64Type()), APInt(64, value, true)));
}

Value Node::indices(ArrayRef<int64_t> values) const {
  return constant(DenseElementsAttr::get(
      RankedTensorType::get({static_cast<int64_t>(values.size())}, builder.getI64Type()), values));
}

Value Node::truth(bool value) const { return scalar(builder.getI1Type(), value); }

std::optional<Ints> Node::constantOf(Value value) {
  DenseIntElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) || elements.getElementType().isUnsignedInteger()) {
    return {};
  }
  return llvm::map_to_vector(elements, [](const APInt &element) { return element.getSExtValue(); });
}

Value Node::cast(Value value, Type to) const { return element(value) == to ? value : make<r1::CastOp>(value, to); }

Value Node::dim(Value value, int64_t axis) const { return make<r1::DimOp>(value, axis); }

Size Node::sizeOf(Value value, int64_t axis) const {
  int64_t size = type(value).getDimSize(axis);
  return ShapedType::isDynamic(size) ? Size(dim(value, axis)) : Size(size);
}

Sizes Node::sizesOf(Value value) const {
  Sizes sizes;
  for (int64_t axis = 0; axis < rank(value); ++axis) {
    sizes.push_back(sizeOf(value, axis));
  }
  return sizes;
}

Value Node::valueOf(Size size) const { return size.computed ? size.computed : index(size.known); }

Value Node::shapeOf(ArrayRef<Size> sizes) const {
  Values parts;
  Ints run;
  auto flush = [&] {
    if (!run.empty()) {
      parts.push_back(indices(run));
      run.clear();
    }
  };
  for (Size size : sizes) {
    if (!size.computed) {
      run.push_back(size.known);
      continue;
    }
    flush();
    parts.push_back(make<r1::ReshapeOp>(size.computed, Value(), builder.getDenseI64ArrayAttr({1})));
  }
  flush();
  return parts.empty() ? indices({}) : concat(parts, 0);
}

Size Node::product(ArrayRef<Size> sizes) const {
  int64_t known = 1;
  Value computed;
  for (Size size : sizes) {
    if (size.computed) {
      computed = computed ? mul(computed, size.computed) : size.computed;
    } else {
      checkSizes({known, size.known});
      known *= size.known;
    }
  }
  if (!computed || known == 0) {
    return known;
  }
  return known == 1 ? computed : mul(computed, index(known));
}

Value Node::reshape(Value value, ArrayRef<Size> sizes) const {
  Ints known;
  size_t computed = 0;
  for (Size size : sizes) {
    known.push_back(size.computed ? -1 : size.known);
    computed += size.computed ? 1 : 0;
  }
  checkSizes(llvm::map_to_vector(known, [](int64_t size) { return size < 0 ? ShapedType::kDynamic : size; }));
  // What is left of no elements says nothing.
  if (computed <= 1 && (computed == 0 || !llvm::is_contained(known, 0))) {
    if (type(value).getShape() == ArrayRef<int64_t>(known)) {
      return value;
    }
    return make<r1::ReshapeOp>(value, Value(), builder.getDenseI64ArrayAttr(known));
  }
  return make<r1::ReshapeOp>(value, shapeOf(sizes), DenseI64ArrayAttr());
}

Value Node::broadcast(Value value, ArrayRef<Size> sizes) const {
  Ints known;
  for (Size size : sizes) {
    if (size.computed) {
      return make<r1::BroadcastToOp>(value, shapeOf(sizes), DenseI64ArrayAttr());
    }
    known.push_back(size.known);
  }
  checkSizes(known);
  return make<r1::BroadcastToOp>(value, Value(), builder.getDenseI64ArrayAttr(known));
}

Value Node::transpose(Value value, ArrayRef<int64_t> permutation) const {
  return make<r1::TransposeOp>(value, permutation);
}

Value Node::slice(Value value, int64_t axis, int64_t start, std::optional<int64_t> limit) const {
  return make<r1::SliceOp>(value, builder.getI64IntegerAttr(axis), builder.getI64IntegerAttr(start),
                           limit ? builder.getI64IntegerAttr(*limit) : IntegerAttr(), builder.getI64IntegerAttr(1));
}

Value Node::concat(ArrayRef<Value> values, int64_t axis) const {
  return values.size() == 1 ? values.front() : make<r1::ConcatOp>(ValueRange(values), static_cast<uint64_t>(axis));
}

Value Node::gather(Value value, Value indices, int64_t axis) const {
  return make<r1::GatherOp>(value, indices, static_cast<uint64_t>(axis));
}

Value Node::range(Value start, Value limit, Value step) const { return make<r1::RangeOp>(start, limit, step); }

Value Node::iota(Size limit) const { return range(index(0), valueOf(limit), index(1)); }

Value Node::select(Value condition, Value onTrue, Value onFalse) const {
  return make<r1::SelectOp>(condition, onTrue, onFalse);
}

Value Node::compare(r1::Comparison comparison, Value lhs, Value rhs) const {
  return make<r1::CompareOp>(comparison, lhs, rhs);
}

Value Node::reduce(r1::Reduction reduction, Value value, ArrayRef<int64_t> axes, bool keepDims) const {
  return make<r1::ReduceOp>(reduction, value, axes, keepDims);
}

Value Node::softmax(Value value, int64_t axis) const {
  if (element(value).isF32()) {
    return make<r1::SoftmaxOp>(value, static_cast<uint64_t>(axis));
  }
  Value powers = make<r1::ExpOp>(sub(value, reduce(r1::Reduction::Max, value, axis, /*keepDims=*/true)));
  return div(powers, reduce(r1::Reduction::Sum, powers, axis, /*keepDims=*/true));
}

Value Node::squeeze(Value value, ArrayRef<int64_t> axes) const {
  Sizes sizes;
  for (int64_t axis = 0; axis < rank(value); ++axis) {
    if (!llvm::is_contained(axes, axis)) {
      sizes.push_back(sizeOf(value, axis));
      continue;
    }
    int64_t size = type(value).getDimSize(axis);
    expect(ShapedType::isDynamic(size) || size == 1,
           "dimension " + Twine(axis) + " must be 1 to be left out, found " + Twine(size));
  }
  return reshape(value, sizes);
}

Value Node::unsqueeze(Value value, ArrayRef<int64_t> axes) const {
  Sizes sizes = sizesOf(value);
  for (int64_t axis : axes) {
    sizes.insert(sizes.begin() + axis, Size(1));
  }
  return reshape(value, sizes);
}

Value Node::scalarOf(Value value) const { return rank(value) == 0 ? value : reshape(value, {}); }

Values Node::choose(Value condition, function_ref<Values()> onTrue, function_ref<Values()> onFalse) const {
  if (std::optional<Ints> known = constantOf(condition)) {
    return known->front() != 0 ? onTrue() : onFalse();
  }
  OperationState state(location, r1::IfOp::getOperationName());
  state.addOperands(condition);
  std::unique_ptr<Region> regions[] = {std::make_unique<Region>(), std::make_unique<Region>()};
  function_ref<Values()> builders[] = {onTrue, onFalse};
  SmallVector<Type> types;
  for (auto [region, build] : llvm::zip_equal(regions, builders)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&region->emplaceBlock());
    Values results = build();
    r1::YieldOp::create(builder, location, results);
    if (region == regions[0]) {
      llvm::append_range(types, ValueRange(results).getTypes());
      continue;
    }
    expect(results.size() == types.size(), "branches must have as many outputs as each other");
    for (auto [index, result] : llvm::enumerate(results)) {
      Type joined = join(types[index], result.getType());
      if (!joined) {
        unsupported("branches that give another type or number of dimensions for output " + Twine(index));
      }
      types[index] = joined;
    }
  }
  for (std::unique_ptr<Region> &region : regions) {
    state.addRegion(std::move(region));
  }
  state.addTypes(types);
  Operation *op = builder.create(state);
  if (failed(op->getName().verifyInvariants(op))) {
    reject(code::type, graph.takeMessage());
  }
  return Values(op->getResults());
}

Value Node::byAxis(Value axis, int64_t rank, function_ref<Value(int64_t)> build) const {
  if (std::optional<Ints> known = constantOf(axis)) {
    return build(this->axis(known->front(), rank));
  }
  Value counted = select(compare(r1::Comparison::Less, axis, index(0)), add(axis, index(rank)), axis);
  std::function<Value(int64_t)> from = [&](int64_t first) -> Value {
    if (first + 1 == rank) {
      return build(first);
    }
    return choose(
        compare(r1::Comparison::Equal, counted, index(first)), [&] { return Values{build(first)}; },
        [&] { return Values{from(first + 1)}; })[0];
  };
  return from(0);
}

Type join(Type lhs, Type rhs) {
  if (lhs == rhs) {
    return lhs;
  }
  if (auto lhsSequence = dyn_cast<r1::SequenceType>(lhs), rhsSequence = dyn_cast<r1::SequenceType>(rhs);
      lhsSequence && rhsSequence) {
    TensorType one = lhsSequence.getElement(), other = rhsSequence.getElement();
    if (one.getElementType() != other.getElementType()) {
      return {};
    }
    // Nothing is known of an empty sequence's elements.
    Type element = !one.hasRank() ? other : !other.hasRank() ? one : join(one, other);
    return element ? r1::SequenceType::get(lhs.getContext(), mlir::cast<TensorType>(element)) : Type();
  }
  auto one = dyn_cast<RankedTensorType>(lhs), other = dyn_cast<RankedTensorType>(rhs);
  if (!one || !other || one.getElementType() != other.getElementType() || one.getRank() != other.getRank()) {
    return {};
  }
  Ints shape(one.getShape());
  for (auto [size, otherSize] : llvm::zip_equal(shape, other.getShape())) {
    size = size == otherSize ? size : ShapedType::kDynamic;
  }
  return one.clone(shape);
}

} // namespace elah::onnx_import
