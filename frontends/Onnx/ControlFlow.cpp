// If, Loop and Scan. What a loop carries may change its sizes from one iteration to the next: a body is built with what
// is known of its inputs, and again with less while it yields other sizes than it takes.
#include "frontends/Onnx/GraphImporter.h"
#include "frontends/Onnx/Operators.h"
#include <limits>
#include <onnx/onnx_pb.h>

using namespace mlir;

namespace elah::onnx_import {
namespace {

void ifOperator(const Node &n) {
  Value condition = n.input(0);
  n.expect(Node::element(condition).isInteger(1), "the condition must be a truth value");
  auto branch = [&](StringRef name) {
    Values results = n.graph.subgraph(n.subgraph(name), {});
    n.expect(results.size() >= n.outputCount(), "'" + name + "' must have " + Twine(n.outputCount()) + " outputs");
    return results;
  };
  Values results =
      n.choose(n.scalarOf(condition), [&] { return branch("then_branch"); }, [&] { return branch("else_branch"); });
  for (size_t index = 0; index < n.outputCount(); ++index) {
    n.output(index, results[index]);
  }
}

/// Sequences of which nothing is known take the type of what they are carried with.
void refine(Value value, Type type) {
  auto sequence = value.getDefiningOp<r1::SequenceOp>();
  if (sequence && sequence.getElements().empty() && isa<r1::SequenceType>(type)) {
    value.setType(type);
  }
}

/// r1.loop with a body that `build` gives: from the iteration and the carried values to whether it goes on, the carried
/// values of the next, and what is stacked.
Values loop(const Node &n, Value limit, Value condition, Values initial, size_t stacks,
            llvm::function_ref<Values(Value, ValueRange)> build) {
  constexpr int maxAttempts = 4;
  OpBuilder &b = n.builder;
  SmallVector<Type> carried = llvm::to_vector(ValueRange(initial).getTypes());
  for (int attempt = 0; attempt < maxAttempts; ++attempt) {
    OperationState state(n.location, r1::LoopOp::getOperationName());
    state.addOperands({limit, condition});
    state.addOperands(initial);
    auto region = std::make_unique<Region>();
    Block &body = region->emplaceBlock();
    Value iteration = body.addArgument(RankedTensorType::get({}, b.getI64Type()), n.location);
    for (Type type : carried) {
      body.addArgument(type, n.location);
    }
    Values yielded;
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(&body);
      yielded = build(iteration, body.getArguments().drop_front());
      yielded[0] = n.scalarOf(yielded[0]);
      r1::YieldOp::create(b, n.location, yielded);
    }
    n.expect(yielded.size() == 1 + carried.size() + stacks,
             "the body must have " + Twine(1 + carried.size() + stacks) + " outputs, found " + Twine(yielded.size()));
    bool isSettled = true;
    for (auto [index, type] : llvm::enumerate(carried)) {
      refine(yielded[1 + index], type);
      Type joined = join(type, yielded[1 + index].getType());
      if (!joined) {
        n.reject(code::type,
                 "must carry values of one type and number of dimensions, input " + Twine(index) + " changes it");
      }
      // In the last attempt but one, nothing stays of sizes.
      if (attempt + 2 == maxAttempts && joined != type) {
        if (auto tensor = dyn_cast<RankedTensorType>(joined)) {
          joined = tensor.clone(Ints(tensor.getRank(), ShapedType::kDynamic));
        }
      }
      isSettled &= joined == type;
      type = joined;
    }
    if (!isSettled) {
      for (auto [value, type] : llvm::zip_equal(initial, carried)) {
        refine(value, type);
      }
      continue;
    }
    SmallVector<Type> types = carried;
    for (Value part : ArrayRef(yielded).take_back(stacks)) {
      auto type = dyn_cast<RankedTensorType>(part.getType());
      n.expect(static_cast<bool>(type), "what is stacked must be tensors");
      Ints shape{ShapedType::kDynamic};
      llvm::append_range(shape, type.getShape());
      types.push_back(type.clone(shape));
    }
    state.addRegion(std::move(region));
    state.addTypes(types);
    Operation *op = b.create(state);
    if (failed(op->getName().verifyInvariants(op))) {
      n.reject(code::type, n.graph.takeMessage());
    }
    return Values(op->getResults());
  }
  n.unsupported("the types of what the loop carries do not settle");
}

void loopOperator(const Node &n) {
  const onnx::GraphProto &body = n.subgraph("body");
  n.expect(n.inputCount() >= 2, "needs a trip count and a condition, which may be empty");
  Value limit =
      n.has(0) ? n.cast(n.scalarOf(n.input(0)), n.builder.getI64Type()) : n.index(std::numeric_limits<int64_t>::max());
  Value condition = n.has(1) ? n.scalarOf(n.input(1)) : n.truth(true);
  Values initial;
  for (size_t index = 2; index < n.inputCount(); ++index) {
    initial.push_back(n.any(index));
  }
  n.expect(n.outputCount() >= initial.size(), "must have an output for each carried value");
  size_t stacks = n.outputCount() - initial.size();
  Values results = loop(n, limit, condition, initial, stacks, [&](Value iteration, ValueRange carried) {
    Values arguments{iteration, n.truth(true)};
    llvm::append_range(arguments, carried);
    Values yielded = n.graph.subgraph(body, arguments);
    n.expect(!yielded.empty() && isa<RankedTensorType>(yielded[0].getType()), "the body must yield a condition first");
    return yielded;
  });
  for (auto [index, result] : llvm::enumerate(results)) {
    n.output(index, result);
  }
}

/// Scan is a loop that takes one slice of each scanned input an iteration.
void scan(const Node &n) {
  const onnx::GraphProto &body = n.subgraph("body");
  int64_t scanned = n.integer("num_scan_inputs"), total = static_cast<int64_t>(n.inputCount());
  // In operator set 8 there were a batch dimension and sequence lengths in front.
  bool hasBatch = n.version < 9;
  int64_t first = hasBatch ? 1 : 0, states = total - first - scanned;
  n.expect(scanned > 0 && states >= 0, "num_scan_inputs must be in 1.." + Twine(total - first));
  if (hasBatch) {
    n.expect(!n.has(0), "sequence lengths are not supported");
  }
  int64_t outputs = static_cast<int64_t>(n.outputCount()), stacks = outputs - states;
  n.expect(stacks >= 0, "must have an output for each state");
  auto flags = [&](StringRef name, int64_t count) {
    Ints values = n.integers(name).value_or(Ints(count, 0));
    n.expect(static_cast<int64_t>(values.size()) == count, "'" + name + "' must have " + Twine(count) + " numbers");
    return values;
  };
  Ints inputDirections = flags(hasBatch ? "directions" : "scan_input_directions", scanned);
  Ints inputAxes = flags("scan_input_axes", scanned), outputAxes = flags("scan_output_axes", stacks);
  Ints outputDirections = flags("scan_output_directions", stacks);

  auto overSequence = [&](Values initial, Values sequences) {
    Value length = n.valueOf(n.sizeOf(sequences.front(), inputAxes.front()));
    Values results = loop(n, length, n.truth(true), initial, stacks, [&](Value iteration, ValueRange carried) {
      Values arguments(carried);
      for (auto [index, sequence] : llvm::enumerate(sequences)) {
        Value at = inputDirections[index] != 0 ? n.sub(n.sub(length, n.index(1)), iteration) : iteration;
        arguments.push_back(n.gather(sequence, at, inputAxes[index]));
      }
      Values yielded = n.graph.subgraph(body, arguments);
      yielded.insert(yielded.begin(), n.truth(true));
      return yielded;
    });
    for (int64_t index = 0; index < stacks; ++index) {
      Value &stack = results[states + index];
      if (outputDirections[index] != 0) {
        stack = n.gather(stack, n.range(n.sub(length, n.index(1)), n.index(-1), n.index(-1)), 0);
      }
      int64_t axis = n.axis(outputAxes[index], Node::rank(stack));
      Ints permutation = llvm::to_vector(llvm::seq<int64_t>(1, Node::rank(stack)));
      permutation.insert(permutation.begin() + axis, 0);
      stack = axis == 0 ? stack : n.transpose(stack, permutation);
    }
    return results;
  };
  Values initial, sequences;
  for (int64_t index = 0; index < states; ++index) {
    initial.push_back(n.input(first + index));
  }
  for (int64_t index = 0; index < scanned; ++index) {
    Value sequence = n.input(first + states + index);
    int64_t rank = Node::rank(sequence) - first;
    inputAxes[index] = n.axis(inputAxes[index], rank);
    sequences.push_back(sequence);
  }
  Values results;
  if (!hasBatch) {
    results = overSequence(initial, sequences);
  } else {
    // Each sequence of the batch on its own, and the results stacked.
    Value count = n.valueOf(n.sizeOf(sequences.front(), 0));
    results = loop(n, count, n.truth(true), {}, states + stacks, [&](Value member, ValueRange) {
      auto ofMember = [&](Value value) { return n.gather(value, member, 0); };
      Values own = overSequence(llvm::map_to_vector(initial, ofMember), llvm::map_to_vector(sequences, ofMember));
      own.insert(own.begin(), n.truth(true));
      return own;
    });
  }
  for (auto [index, result] : llvm::enumerate(results)) {
    n.output(index, result);
  }
}

constexpr Operator operators[] = {{"If", 1, ifOperator}, {"Loop", 1, loopOperator}, {"Scan", 8, scan}};

} // namespace

llvm::ArrayRef<Operator> controlFlowOperators() { return operators; }

} // namespace elah::onnx_import
