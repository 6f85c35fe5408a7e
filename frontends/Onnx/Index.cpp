// Operators that pick elements by indices, and those that give indices.
#include "frontends/Onnx/Operators.h"

using namespace mlir;

namespace elah::onnx_import {
namespace {

void gather(const Node &n) {
  Value input = n.input(0);
  n.output(n.gather(input, n.input(1), n.axis(n.integer("axis", 0), Node::rank(input))));
}

void gatherElements(const Node &n) {
  Value input = n.input(0);
  int64_t axis = n.axis(n.integer("axis", 0), Node::rank(input));
  n.output(n.make<r1::GatherElementsOp>(input, n.input(1), static_cast<uint64_t>(axis)));
}

void gatherNd(const Node &n) {
  int64_t batch = n.version >= 12 ? n.integer("batch_dims", 0) : 0;
  n.output(n.make<r1::GatherNdOp>(n.input(0), n.input(1), static_cast<uint64_t>(batch)));
}

void topK(const Node &n) {
  Value input = n.input(0);
  int64_t axis = n.axis(n.integer("axis", -1), Node::rank(input));
  bool smallest = n.version >= 11 && n.integer("largest", 1) == 0;
  std::optional<int64_t> k;
  if (n.version < 10) {
    k = n.integer("k");
  } else if (std::optional<Ints> given = Node::constantOf(n.input(1))) {
    n.expect(given->size() == 1, "k must be one number");
    k = given->front();
  }
  Values results;
  if (k && *k > 0) {
    results = n.makeAll<r1::TopkOp>(input, *k, axis, smallest);
  } else {
    n.expect(!k || *k == 0, "k must not be negative");
    results = n.makeAll<r1::SortOp>(input, axis, !smallest);
    Value first = n.iota(k ? Size(*k) : Size(n.cast(n.scalarOf(n.input(1)), n.builder.getI64Type())));
    for (Value &result : results) {
      result = n.gather(result, first, axis);
    }
  }
  n.output(0, results[0]);
  n.output(1, results[1]);
}

template <bool isMax> void argument(const Node &n) {
  Value input = n.input(0);
  int64_t rank = Node::rank(input), axis = n.axis(n.integer("axis", 0), rank);
  bool isLast = n.version >= 12 && n.integer("select_last_index", 0) != 0;
  Value size = n.valueOf(n.sizeOf(input, axis));
  if (isLast) { // The first from behind.
    input = n.gather(input, n.range(n.sub(size, n.index(1)), n.index(-1), n.index(-1)), axis);
  }
  Value found = n.makeAll<r1::TopkOp>(input, int64_t(1), axis, !isMax)[1];
  found = isLast ? n.sub(n.sub(size, n.index(1)), found) : found;
  n.output(n.integer("keepdims", 1) != 0 ? found : n.squeeze(found, {axis}));
}

void nonZero(const Node &n) {
  Value input = n.input(0);
  if (Node::rank(input) ==
      0) { // [0, 1] for a scalar that is not zero, as numpy's atleast_1d has it, then without rows.
    Value places = n.make<r1::NonzeroOp>(n.reshape(input, {Size(1)}));
    n.output(n.slice(places, 0, 0, 0));
    return;
  }
  n.output(n.make<r1::NonzeroOp>(input));
}

void oneHot(const Node &n) {
  Value indices = n.input(0), depth = n.cast(n.scalarOf(n.input(1)), n.builder.getI64Type()), values = n.input(2);
  int64_t rank = Node::rank(indices), axis = n.axis(n.integer("axis", -1), rank + 1);
  n.expect(Node::rank(values) == 1, "values must be the two for off and on");
  indices = n.cast(indices, n.builder.getI64Type());
  // A negative index counts from the end; one that is out of range is on nowhere.
  Value counted = n.select(n.compare(r1::Comparison::Less, indices, n.index(0)), n.add(indices, depth), indices);
  Ints sizes(rank + 1 - axis, 1);
  sizes[0] = -1;
  Value classes = n.make<r1::ReshapeOp>(n.iota(Size(depth)), Value(), n.builder.getDenseI64ArrayAttr(sizes));
  Value isOn = n.compare(r1::Comparison::Equal, n.unsqueeze(counted, {axis}), classes);
  auto value = [&](int64_t index) { return n.scalarOf(n.slice(values, 0, index, index + 1)); };
  n.output(n.select(isOn, value(1), value(0)));
}

void cumSum(const Node &n) {
  Value input = n.input(0);
  bool exclusive = n.integer("exclusive", 0) != 0, reverse = n.integer("reverse", 0) != 0;
  Value axis = n.cast(n.scalarOf(n.input(1)), n.builder.getI64Type());
  n.output(n.byAxis(axis, Node::rank(input), [&](int64_t along) {
    return n.make<r1::CumsumOp>(input, static_cast<uint64_t>(along), exclusive, reverse);
  }));
}

constexpr Operator operators[] = {
    {"ArgMax", 1, argument<true>},
    {"ArgMin", 1, argument<false>},
    {"CumSum", 11, cumSum},
    {"Gather", 1, gather},
    {"GatherElements", 11, gatherElements},
    {"GatherND", 11, gatherNd},
    {"NonZero", 9, nonZero},
    {"OneHot", 9, oneHot},
    {"TopK", 1, topK},
};

} // namespace

llvm::ArrayRef<Operator> indexOperators() { return operators; }

} // namespace elah::onnx_import
