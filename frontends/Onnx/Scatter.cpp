// Operators that put elements where indices say.
#include "frontends/Onnx/Operators.h"

using namespace mlir;

namespace elah::onnx_import {
namespace {

r1::Scatter reductionOf(const Node &n) {
  std::string name = n.version >= 16 ? n.text("reduction", "none") : "none";
  static const std::pair<StringRef, r1::Scatter> names[] = {{"none", r1::Scatter::Replace},
                                                            {"add", r1::Scatter::Add},
                                                            {"mul", r1::Scatter::Multiply},
                                                            {"max", r1::Scatter::Maximum},
                                                            {"min", r1::Scatter::Minimum}};
  for (auto [known, reduction] : names) {
    if (known == name) {
      return reduction;
    }
  }
  n.reject(code::attribute, "reduction must be none, add, mul, max or min, found '" + name + "'");
}

void scatterElements(const Node &n) {
  Value input = n.input(0);
  int64_t axis = n.axis(n.integer("axis", 0), Node::rank(input));
  n.output(n.make<r1::ScatterElementsOp>(reductionOf(n), input, n.input(1), n.input(2), static_cast<uint64_t>(axis)));
}

void scatterNd(const Node &n) { n.output(n.make<r1::ScatterNdOp>(reductionOf(n), n.input(0), n.input(1), n.input(2))); }

/// The rows of a batch of caches from an index on, overwritten: [B, ..., P, ...] and [B, ..., S, ...].
void tensorScatter(const Node &n) {
  Value cache = n.input(0), update = n.input(1);
  int64_t rank = Node::rank(cache), axis = n.axis(n.integer("axis", -2), rank);
  std::string mode = n.text("mode", "linear");
  if (mode != "linear" && mode != "circular") {
    n.reject(code::attribute, "mode must be linear or circular, found '" + mode + "'");
  }
  n.expect(axis != 0 && Node::rank(update) == rank, "the axis must not be that of the batch");
  Value rows = n.iota(n.sizeOf(update, axis));
  Ints ofRows(rank, 1), ofBatch(rank, 1);
  ofRows[axis] = -1;
  ofBatch[0] = -1;
  Value places = n.make<r1::ReshapeOp>(rows, Value(), n.builder.getDenseI64ArrayAttr(ofRows));
  if (n.has(2)) {
    Value starts = n.make<r1::ReshapeOp>(n.input(2), Value(), n.builder.getDenseI64ArrayAttr(ofBatch));
    places = n.add(places, starts);
  }
  if (mode == "circular") {
    places = n.make<r1::ModOp>(places, n.valueOf(n.sizeOf(cache, axis)));
  }
  Value indices = n.broadcast(places, n.sizesOf(update));
  n.output(n.make<r1::ScatterElementsOp>(r1::Scatter::Replace, cache, indices, update, static_cast<uint64_t>(axis)));
}

constexpr Operator operators[] = {
    {"Scatter", 9, scatterElements, 10},
    {"ScatterElements", 11, scatterElements},
    {"ScatterND", 11, scatterNd},
    {"TensorScatter", 24, tensorScatter},
};

} // namespace

llvm::ArrayRef<Operator> scatterOperators() { return operators; }

} // namespace elah::onnx_import
