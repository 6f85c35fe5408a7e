// Operators that look at shapes, and give elements another one.
#include "frontends/Onnx/Operators.h"

using namespace mlir;

namespace elah::onnx_import {
namespace {

void shape(const Node &n) {
  Value input = n.input(0);
  int64_t rank = Node::rank(input);
  auto bound = [&](StringRef name, int64_t otherwise) {
    int64_t given = n.version >= 15 ? n.integer(name, otherwise) : otherwise;
    return std::clamp<int64_t>(given < 0 ? given + rank : given, 0, rank);
  };
  int64_t start = bound("start", 0), end = std::max(bound("end", rank), start);
  Value whole = n.make<r1::ShapeOp>(input);
  n.output(start == 0 && end == rank ? whole : n.slice(whole, 0, start, end));
}

void size(const Node &n) { n.output(n.valueOf(n.product(n.sizesOf(n.input(0))))); }

/// Sizes that a constant shape says: 0 is the input's own size, and one -1 what is left.
Value reshapeTo(const Node &n, Value input, ArrayRef<int64_t> given, bool keepsZero) {
  Sizes sizes;
  int64_t left = -1;
  for (auto [index, size] : llvm::enumerate(given)) {
    int64_t at = static_cast<int64_t>(index);
    if (size == 0 && !keepsZero) {
      n.expect(at < Node::rank(input), "size 0 of dimension " + Twine(at) + " stands for one that the input has not");
      sizes.push_back(n.sizeOf(input, at));
      continue;
    }
    n.expect(size >= -1 && (size >= 0 || left < 0), "sizes must not be negative but for one -1");
    left = size == -1 ? at : left;
    sizes.push_back(Size(size));
  }
  bool hasComputed = llvm::any_of(sizes, [](Size size) { return static_cast<bool>(size.computed); });
  if (!hasComputed) {
    Ints known = llvm::map_to_vector(sizes, [](Size size) { return size.known; });
    bool hasZero = llvm::is_contained(known, 0);
    if (left >= 0 && hasZero) { // What is left of no elements says nothing, and is allowed to be 0.
      known[left] = 0;
    }
    sizes.assign(known.begin(), known.end());
    if (left < 0 || hasZero) {
      return n.reshape(input, sizes);
    }
    n.product(llvm::map_to_vector(known, [](int64_t size) { return Size(size == -1 ? 1 : size); }));
    return n.make<r1::ReshapeOp>(input, Value(), n.builder.getDenseI64ArrayAttr(known));
  }
  if (left < 0) {
    return n.reshape(input, sizes);
  }
  return n.make<r1::ReshapeOp>(input, n.shapeOf(sizes), DenseI64ArrayAttr());
}

void reshape(const Node &n) {
  Value input = n.input(0);
  bool keepsZero = n.version >= 14 && n.integer("allowzero", 0) != 0;
  if (n.version < 5) {
    std::optional<Ints> given = n.integers("shape");
    n.expect(given.has_value(), "needs the attribute shape");
    n.output(reshapeTo(n, input, *given, keepsZero));
    return;
  }
  Value shape = n.input(1);
  n.expect(Node::rank(shape) == 1 && !Node::type(shape).isDynamicDim(0) && Node::element(shape).isSignlessInteger(64),
           "the shape must be a vector of i64 of a known length");
  if (std::optional<Ints> given = Node::constantOf(shape)) {
    n.output(reshapeTo(n, input, *given, keepsZero));
    return;
  }
  std::optional<Ints> known = r1::knownElements(shape);
  int64_t rank = Node::type(shape).getDimSize(0);
  bool mayCopy =
      !keepsZero &&
      (!known || llvm::any_of(*known, [](int64_t size) { return size == 0 || ShapedType::isDynamic(size); }));
  if (mayCopy) {
    // Where the shape says 0, the size is the input's own.
    Sizes own;
    for (int64_t axis = 0; axis < rank; ++axis) {
      own.push_back(axis < Node::rank(input) ? n.sizeOf(input, axis) : Size(int64_t(0)));
    }
    Values parts;
    for (int64_t axis = 0; axis < rank; ++axis) {
      Value size = n.slice(shape, 0, axis, axis + 1);
      int64_t at = known ? (*known)[axis] : ShapedType::kDynamic;
      if (ShapedType::isDynamic(at) || at == 0) {
        size = n.select(n.compare(r1::Comparison::Equal, size, n.indices({0})), n.shapeOf({own[axis]}), size);
      }
      parts.push_back(size);
    }
    shape = parts.empty() ? shape : n.concat(parts, 0);
  }
  n.output(n.make<r1::ReshapeOp>(input, shape, DenseI64ArrayAttr()));
}

/// Sizes without those of axes that are computed: the places of others are those where nothing was marked.
void squeezeComputed(const Node &n, Value input, Value axes) {
  int64_t rank = Node::rank(input), count = Node::type(axes).getDimSize(0);
  n.expect(!ShapedType::isDynamic(count) && count <= rank, "must know how many axes there are");
  Value kept =
      n.make<r1::ScatterElementsOp>(r1::Scatter::Replace, n.indices(Ints(rank, 1)), axes, n.indices(Ints(count, 0)), 0);
  Value places = n.make<r1::NonzeroOp>(kept);
  places.setType(RankedTensorType::get({1, rank - count}, n.builder.getI64Type()));
  Value sizes = n.gather(n.make<r1::ShapeOp>(input), n.reshape(places, {Size(rank - count)}), 0);
  n.output(n.make<r1::ReshapeOp>(input, sizes, DenseI64ArrayAttr()));
}

void squeeze(const Node &n) {
  Value input = n.input(0);
  if (n.version >= 13 && n.has(1) && !Node::constantOf(n.input(1))) {
    squeezeComputed(n, input, n.input(1));
    return;
  }
  std::optional<Ints> given = n.version >= 13 ? n.integers("axes", 1) : n.integers("axes");
  if (!given) {
    given.emplace();
    for (int64_t axis = 0; axis < Node::rank(input); ++axis) {
      int64_t size = Node::type(input).getDimSize(axis);
      if (ShapedType::isDynamic(size)) {
        n.unsupported("sizes of the input are unknown where no axes are given");
      }
      if (size == 1) {
        given->push_back(axis);
      }
    }
  }
  n.output(n.squeeze(input, n.axes(*given, Node::rank(input))));
}

void unsqueeze(const Node &n) {
  Value input = n.input(0);
  if (n.version >= 13 && n.has(1) && !Node::constantOf(n.input(1))) {
    Value axes = n.input(1);
    int64_t count = Node::rank(axes) == 0 ? 1 : Node::type(axes).getDimSize(0);
    n.expect(!ShapedType::isDynamic(count), "must know how many axes there are");
    int64_t rank = Node::rank(input) + count;
    axes = n.reshape(axes, {Size(count)});
    Value free = n.make<r1::ScatterElementsOp>(r1::Scatter::Replace, n.indices(Ints(rank, 1)), axes,
                                               n.indices(Ints(count, 0)), 0);
    Value places = n.make<r1::NonzeroOp>(free);
    places.setType(RankedTensorType::get({1, rank - count}, n.builder.getI64Type()));
    Value sizes = n.make<r1::ScatterElementsOp>(r1::Scatter::Replace, n.indices(Ints(rank, 1)),
                                                n.reshape(places, {Size(rank - count)}), n.make<r1::ShapeOp>(input), 0);
    n.output(n.make<r1::ReshapeOp>(input, sizes, DenseI64ArrayAttr()));
    return;
  }
  std::optional<Ints> given = n.version >= 13 ? n.integers("axes", 1) : n.integers("axes");
  n.expect(given.has_value(), "needs axes");
  n.output(n.unsqueeze(input, n.axes(*given, Node::rank(input) + static_cast<int64_t>(given->size()))));
}

void transpose(const Node &n) {
  Value input = n.input(0);
  std::optional<Ints> permutation = n.integers("perm");
  if (!permutation) {
    permutation = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, Node::rank(input))));
  }
  n.output(n.transpose(input, *permutation));
}

void flatten(const Node &n) {
  Value input = n.input(0);
  int64_t rank = Node::rank(input), axis = n.integer("axis", 1);
  axis = axis < 0 && n.version >= 11 ? axis + rank : axis;
  n.expect(axis >= 0 && axis <= rank, "axis must be in 0.." + Twine(rank) + ", found " + Twine(axis));
  Sizes sizes = n.sizesOf(input);
  ArrayRef<Size> all = sizes;
  n.output(n.reshape(input, {n.product(all.take_front(axis)), n.product(all.drop_front(axis))}));
}

/// A size of the result of broadcasting both ways: the other one where one is 1.
Value expandTo(const Node &n, Value input, Value shape) {
  n.expect(Node::rank(shape) == 1 && !Node::type(shape).isDynamicDim(0),
           "the shape must be a vector of a known length");
  int64_t rank = Node::rank(input), given = Node::type(shape).getDimSize(0), result = std::max(rank, given);
  shape = n.cast(shape, n.builder.getI64Type());
  std::optional<Ints> known = r1::knownElements(shape);
  Sizes sizes;
  for (int64_t axis = 0; axis < result; ++axis) {
    int64_t own = axis - (result - rank), of = axis - (result - given);
    if (of < 0) {
      sizes.push_back(n.sizeOf(input, own));
      continue;
    }
    int64_t ownSize = own < 0 ? 1 : Node::type(input).getDimSize(own);
    int64_t size = known ? (*known)[of] : ShapedType::kDynamic;
    if (size == 1) {
      sizes.push_back(own < 0 ? Size(1) : n.sizeOf(input, own));
    } else if (!ShapedType::isDynamic(size)) {
      n.expect(size >= 0, "sizes must not be negative, found " + Twine(size));
      sizes.push_back(Size(size));
    } else if (!ShapedType::isDynamic(ownSize) && ownSize != 1) {
      sizes.push_back(Size(ownSize));
    } else {
      Value computed = n.scalarOf(n.slice(shape, 0, of, of + 1));
      if (ownSize != 1) {
        computed = n.select(n.compare(r1::Comparison::Equal, computed, n.index(1)), n.dim(input, own), computed);
      }
      sizes.push_back(Size(computed));
    }
  }
  return n.broadcast(input, sizes);
}

void expand(const Node &n) { n.output(expandTo(n, n.input(0), n.input(1))); }

void tile(const Node &n) {
  Value input = n.input(0), repeats = n.input(1);
  int64_t rank = Node::rank(input);
  if (n.version < 6) { // One axis, and how often: (input, tiles, axis).
    std::optional<Ints> axis = n.integers("axis", 2);
    n.expect(axis && axis->size() == 1, "needs one axis");
    Ints ones(rank, 1);
    Values parts;
    for (int64_t dim = 0; dim < rank; ++dim) {
      parts.push_back(dim == n.axis(axis->front(), rank) ? n.reshape(n.cast(repeats, n.builder.getI64Type()), {Size(1)})
                                                         : n.indices({1}));
    }
    repeats = n.concat(parts, 0);
  }
  n.expect(Node::rank(repeats) == 1 && Node::type(repeats).getDimSize(0) == rank,
           "must have one number of repetitions for each of " + Twine(rank) + " dimensions");
  std::optional<Ints> known = Node::constantOf(repeats);
  Sizes apart, together, whole;
  for (int64_t axis = 0; axis < rank; ++axis) {
    Size size = n.sizeOf(input, axis);
    n.expect(!known || (*known)[axis] >= 0, "must not be repeated less than 0 times");
    Size times = known ? Size((*known)[axis]) : Size(n.scalarOf(n.slice(repeats, 0, axis, axis + 1)));
    apart.append({Size(1), size});
    together.append({times, size});
    whole.push_back(n.product({times, size}));
  }
  n.output(n.reshape(n.broadcast(n.reshape(input, apart), together), whole));
}

void concat(const Node &n) {
  Values inputs = n.inputs();
  n.expect(!inputs.empty(), "needs an input");
  int64_t axis = n.version < 4 ? n.integer("axis", 1) : n.integer("axis");
  n.output(n.concat(inputs, n.axis(axis, Node::rank(inputs.front()))));
}

void split(const Node &n) {
  Value input = n.input(0);
  int64_t axis = n.axis(n.integer("axis", 0), Node::rank(input)), count = static_cast<int64_t>(n.outputCount());
  Size size = n.sizeOf(input, axis);
  std::optional<Ints> parts;
  if (n.version < 13) {
    parts = n.version < 2 && n.has(1) ? n.integers("split", 1) : n.integers("split");
  } else if (n.has(1)) {
    Value given = n.input(1);
    parts = Node::constantOf(given);
    if (!parts) {
      // Each part reaches from the sum of those before it as far as its own.
      n.expect(Node::rank(given) == 1 && Node::type(given).getDimSize(0) == count, "must have a size for each output");
      Value end = n.make<r1::CumsumOp>(given, 0, false, false), start = n.sub(end, given);
      for (int64_t index = 0; index < count; ++index) {
        auto at = [&](Value of) { return n.scalarOf(n.slice(of, 0, index, index + 1)); };
        n.output(index, n.gather(input, n.range(at(start), at(end), n.index(1)), axis));
      }
      return;
    }
  }
  if (!parts && size.computed) {
    n.unsupported("a dimension of unknown size is split into parts that are not given");
  }
  if (!parts) {
    int64_t number = n.version >= 18 ? n.integer("num_outputs", count) : count;
    n.expect(number == count && count > 0,
             "must have " + Twine(count) + " outputs, found num_outputs " + Twine(number));
    n.expect(n.version >= 18 || size.known % count == 0,
             "cannot be split evenly: " + Twine(size.known) + " into " + Twine(count));
    int64_t part = (size.known + count - 1) / count, left = size.known;
    parts.emplace();
    for (int64_t index = 0; index < count; ++index) {
      parts->push_back(std::min(part, left));
      left -= parts->back();
    }
  }
  int64_t start = 0;
  n.expect(static_cast<int64_t>(parts->size()) == count, "must have a size for each of " + Twine(count) + " outputs");
  for (int64_t index = 0; index < count; ++index) {
    int64_t part = (*parts)[index];
    n.expect(part >= 0 && (size.computed || part <= size.known - start), "parts must fit into the dimension");
    n.output(index, n.slice(input, axis, start, start + part));
    start += part;
  }
  n.expect(size.computed || start == size.known, "parts must come to " + Twine(size.known) + ", found " + Twine(start));
}

void identity(const Node &n) { n.output(n.any(0)); }

void dropout(const Node &n) {
  Value input = n.input(0);
  // Until operator set 7 an attribute said that nothing is dropped.
  bool trains = n.version < 7 && n.integer("is_test", 0) == 0 && n.number("ratio", 0.5) != 0;
  if (n.version >= 12 && n.has(2)) {
    std::optional<Ints> training = Node::constantOf(n.input(2));
    bool isOff = training && training->front() == 0;
    // Nothing is dropped at a ratio of 0 either; what else is random.
    if (!isOff) {
      DenseElementsAttr ratio;
      auto constant = n.has(1) ? n.input(1).getDefiningOp<r1::ConstantOp>() : r1::ConstantOp();
      ratio = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
      trains = !ratio || !isa<FloatType>(ratio.getElementType()) || !ratio.isSplat() ||
               !ratio.getSplatValue<APFloat>().isZero();
    }
  }
  if (trains) {
    n.unsupported("dropout in training mode is random");
  }
  n.output(0, input);
  if (n.wants(1)) {
    // Before operator set 10 the mask was of the data's type.
    Type element = n.version >= 10 ? n.builder.getI1Type() : Node::element(input);
    n.output(1, n.broadcast(n.scalar(element, 1), n.sizesOf(input)));
  }
}

constexpr Operator operators[] = {
    {"Concat", 1, concat},       {"Dropout", 1, dropout}, {"Expand", 8, expand}, {"Flatten", 1, flatten},
    {"Identity", 1, identity},   {"Reshape", 1, reshape}, {"Shape", 1, shape},   {"Size", 1, size},
    {"Split", 1, split},         {"Squeeze", 1, squeeze}, {"Tile", 1, tile},     {"Transpose", 1, transpose},
    {"Unsqueeze", 1, unsqueeze},
};

} // namespace

llvm::ArrayRef<Operator> shapeOperators() { return operators; }

} // namespace elah::onnx_import
