// Parts of tensors, and tensors with something around them. Bounds that are not known, and negative steps, are gathers.
#include "frontends/Onnx/Operators.h"
#include "frontends/Onnx/Tensors.h"

using namespace mlir;

namespace elah::onnx_import {
namespace {

/// Slices as numpy does: a negative bound counts from the end, and bounds are brought into the dimension.
Value sliceOf(const Node &n, Value input, int64_t axis, int64_t start, int64_t end, int64_t step) {
  n.expect(step != 0, "step must not be 0");
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  if (step > 0) {
    // "To the end" is written as some large number.
    bool isOpen = end >= maxElements;
    return n.make<r1::SliceOp>(input, n.builder.getI64IntegerAttr(axis), n.builder.getI64IntegerAttr(start),
                               isOpen ? IntegerAttr() : n.builder.getI64IntegerAttr(end),
                               n.builder.getI64IntegerAttr(step));
  }
  step = std::max(step, -most);
  Size size = n.sizeOf(input, axis);
  if (!size.computed) {
    auto inRange = [&](int64_t bound) {
      return std::clamp<int64_t>(bound < 0 ? bound + size.known : bound, -1, size.known - 1);
    };
    return n.gather(input, n.range(n.index(inRange(start)), n.index(inRange(end)), n.index(step)), axis);
  }
  auto inRange = [&](int64_t bound) {
    Value counted = bound < 0 ? n.add(size.computed, n.index(bound)) : n.index(bound);
    return n.make<r1::MinOp>(n.make<r1::MaxOp>(counted, n.index(-1)), n.sub(size.computed, n.index(1)));
  };
  return n.gather(input, n.range(inRange(start), inRange(end), n.index(step)), axis);
}

/// A computed slice of one axis; bounds and step are i64 scalars.
Value sliceComputed(const Node &n, Value input, int64_t axis, Value start, Value end, Value step) {
  Value size = n.valueOf(n.sizeOf(input, axis)), zero = n.index(0), one = n.index(1);
  Value isBackwards = n.compare(r1::Comparison::Less, step, zero);
  Value least = n.select(isBackwards, n.index(-1), zero), most = n.select(isBackwards, n.sub(size, one), size);
  auto inRange = [&](Value bound) {
    Value counted = n.select(n.compare(r1::Comparison::Less, bound, zero), n.add(bound, size), bound);
    return n.make<r1::MinOp>(n.make<r1::MaxOp>(counted, least), most);
  };
  return n.gather(input, n.range(inRange(start), inRange(end), step), axis);
}

void slice(const Node &n) {
  Value input = n.input(0);
  int64_t rank = Node::rank(input);
  if (n.version < 10) {
    std::optional<Ints> starts = n.integers("starts"), ends = n.integers("ends"), axes = n.integers("axes");
    n.expect(starts && ends && starts->size() == ends->size() && (!axes || axes->size() == starts->size()),
             "needs as many starts as ends and axes");
    for (auto [index, start] : llvm::enumerate(*starts)) {
      int64_t axis = n.axis(axes ? (*axes)[index] : static_cast<int64_t>(index), rank);
      input = sliceOf(n, input, axis, start, (*ends)[index], 1);
    }
    n.output(input);
    return;
  }
  auto bounds = [&](size_t index) {
    Value value = n.cast(n.input(index), n.builder.getI64Type());
    n.expect(Node::rank(value) == 1 && !Node::type(value).isDynamicDim(0),
             "bounds and axes must be vectors of a known length");
    return value;
  };
  Value starts = bounds(1), ends = bounds(2);
  int64_t count = Node::type(starts).getDimSize(0);
  n.expect(count <= rank, "must not have more bounds than the " + Twine(rank) + " dimensions");
  Value axes = n.has(3) ? bounds(3) : n.indices(llvm::to_vector(llvm::seq<int64_t>(0, count)));
  Value steps = n.has(4) ? bounds(4) : n.indices(Ints(count, 1));
  for (Value other : {ends, axes, steps}) {
    n.expect(Node::type(other).getDimSize(0) == count, "needs as many starts as ends, axes and steps");
  }
  auto at = [&](Value of, int64_t index) { return n.scalarOf(n.slice(of, 0, index, index + 1)); };
  std::optional<Ints> knownAxes = Node::constantOf(axes), knownSteps = Node::constantOf(steps);
  std::optional<Ints> knownStarts = r1::knownElements(starts), knownEnds = r1::knownElements(ends);
  if (knownAxes) {
    n.axes(*knownAxes, rank);
    for (auto [index, given] : llvm::enumerate(*knownAxes)) {
      int64_t axis = n.axis(given, rank), start = knownStarts ? (*knownStarts)[index] : ShapedType::kDynamic;
      int64_t end = knownEnds ? (*knownEnds)[index] : ShapedType::kDynamic;
      // knownElements says what it does not know by the least i64, which is a bound, too: "to the start", backwards.
      std::optional<Ints> allEnds = Node::constantOf(ends);
      end = allEnds ? std::max((*allEnds)[index], -maxElements) : end;
      bool isKnown = knownSteps && !ShapedType::isDynamic(start) && !ShapedType::isDynamic(end);
      input = isKnown ? sliceOf(n, input, axis, start, end, (*knownSteps)[index])
                      : sliceComputed(n, input, axis, at(starts, static_cast<int64_t>(index)),
                                      at(ends, static_cast<int64_t>(index)), at(steps, static_cast<int64_t>(index)));
    }
    n.output(input);
    return;
  }
  // Which axes they are is computed, too: all are sliced, most from start to end.
  auto spread = [&](Value onto, Value values) {
    return n.make<r1::ScatterElementsOp>(r1::Scatter::Replace, onto, axes, values, 0);
  };
  Value allStarts = spread(n.indices(Ints(rank, 0)), starts);
  Value allEnds = spread(n.make<r1::ShapeOp>(input), ends), allSteps = spread(n.indices(Ints(rank, 1)), steps);
  for (int64_t axis = 0; axis < rank; ++axis) {
    input = sliceComputed(n, input, axis, at(allStarts, axis), at(allEnds, axis), at(allSteps, axis));
  }
  n.output(input);
}

/// One axis with `before` and `after` more elements (less, where they are negative).
Value padAxis(const Node &n, Value input, int64_t axis, Value before, Value after, StringRef mode, Value filling) {
  Size size = n.sizeOf(input, axis);
  Value count = n.valueOf(size), zero = n.index(0), last = n.sub(count, n.index(1));
  Value places = n.range(n.make<r1::NegOp>(before), n.add(count, after), n.index(1));
  auto inside = [&](Value at) { return n.make<r1::MaxOp>(n.make<r1::MinOp>(at, last), zero); };
  if (mode == "edge") {
    return n.gather(input, inside(places), axis);
  }
  if (mode == "wrap") {
    return n.gather(input, n.make<r1::ModOp>(places, count), axis);
  }
  if (mode == "reflect") { // Back and forth, without the edges twice.
    Value period = n.make<r1::MaxOp>(n.mul(last, n.index(2)), n.index(1));
    Value phase = n.make<r1::ModOp>(places, period);
    return n.gather(input, n.make<r1::MinOp>(phase, n.sub(period, phase)), axis);
  }
  Ints behind{-1};
  behind.append(Node::rank(input) - axis - 1, 1);
  Value isInside = n.make<r1::AndOp>(n.compare(r1::Comparison::GreaterOrEqual, places, zero),
                                     n.compare(r1::Comparison::LessOrEqual, places, last));
  Value column = n.make<r1::ReshapeOp>(isInside, Value(), n.builder.getDenseI64ArrayAttr(behind));
  return n.select(column, n.gather(input, inside(places), axis), filling);
}

void pad(const Node &n) {
  Value input = n.input(0);
  int64_t rank = Node::rank(input);
  std::string mode = n.text("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap") {
    n.reject(code::attribute, "mode must be constant, edge, reflect or wrap, found '" + mode + "'");
  }
  Value pads, filling = n.scalar(Node::element(input), 0);
  Ints axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (n.version < 11) {
    std::optional<Ints> given = n.integers(n.version < 2 ? "paddings" : "pads");
    n.expect(given.has_value(), "needs pads");
    pads = n.indices(*given);
    filling = n.scalar(Node::element(input), n.number("value", 0));
  } else {
    pads = n.cast(n.input(1), n.builder.getI64Type());
    filling = n.has(2) ? n.scalarOf(n.input(2)) : filling;
    if (n.version >= 18 && n.has(3)) {
      Ints given = *n.integers("axes", 3);
      n.axes(given, rank); // Each once.
      axes = llvm::map_to_vector(given, [&](int64_t one) { return n.axis(one, rank); });
    }
  }
  int64_t count = static_cast<int64_t>(axes.size());
  n.expect(Node::rank(pads) == 1 && Node::type(pads).getDimSize(0) == 2 * count,
           "must have two pads for each of " + Twine(count) + " axes");
  std::optional<Ints> known = Node::constantOf(pads);
  for (int64_t index = 0; index < count; ++index) {
    if (known && (*known)[index] == 0 && (*known)[count + index] == 0) {
      continue;
    }
    bool isPlain = known && mode == "constant" && (*known)[index] >= 0 && (*known)[count + index] >= 0;
    if (isPlain) {
      auto piece = [&](int64_t size) {
        Sizes sizes = n.sizesOf(input);
        sizes[axes[index]] = Size(size);
        return n.broadcast(filling, sizes);
      };
      Values parts;
      if ((*known)[index] > 0) {
        parts.push_back(piece((*known)[index]));
      }
      parts.push_back(input);
      if ((*known)[count + index] > 0) {
        parts.push_back(piece((*known)[count + index]));
      }
      input = n.concat(parts, axes[index]);
      continue;
    }
    auto at = [&](int64_t place) { return n.scalarOf(n.slice(pads, 0, place, place + 1)); };
    input = padAxis(n, input, axes[index], at(index), at(count + index), mode, filling);
  }
  n.output(input);
}

constexpr Operator operators[] = {{"Pad", 1, pad}, {"Slice", 1, slice}};

} // namespace

llvm::ArrayRef<Operator> sliceOperators() { return operators; }

} // namespace elah::onnx_import
