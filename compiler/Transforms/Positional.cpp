#include "compiler/Transforms/Positional.h"
#include "compiler/Transforms/Probe.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

namespace {

/// The flat elements of a value in a step.
std::optional<Integers> elementsOf(Value value, int64_t tokens, int64_t past) {
  std::optional<SmallVector<HostTensor>> found = Probe(tokens, past).evaluate(value);
  return found && !found->front().isFloat() ? std::optional(found->front().integers()) : std::nullopt;
}

/// Whether a value of a step has the positions of its tokens.
bool isPositionOfEach(Value value) {
  for (auto [tokens, past] : {std::pair<int64_t, int64_t>(1, 0), {4, 0}, {3, 5}}) {
    Integers positions;
    for (int64_t token = 0; token < tokens; ++token) {
      positions.push_back(past + token);
    }
    if (elementsOf(value, tokens, past) != positions) {
      return false;
    }
  }
  return true;
}

} // namespace

Positional::Positional(func::FuncOp function) {
  // A language model's step is given its positions behind its tokens.
  if (function.getName() == "forward" && function.getNumArguments() >= 2 && holdsPositions(function.getArgument(0)) &&
      holdsPositions(function.getArgument(1))) {
    given = function.getArgument(1);
  }
  for (Value argument : function.getArguments()) {
    if (holdsPositions(argument)) {
      values.insert(argument);
    }
  }
  function.walk([&](Operation *op) {
    if (op->getNumRegions() > 0 || !isa_and_nonnull<r1::R1Dialect>(op->getDialect()) ||
        isa<r1::DecomposableOpInterface>(op) || !llvm::all_of(op->getResultTypes(), llvm::IsaPred<RankedTensorType>)) {
      return;
    }
    auto weight = dyn_cast<r1::WeightOp>(op);
    if (weight && !weight.getValueAttr()) {
      return; // Its elements are not known here.
    }
    bool isPositional = isa<r1::DimOp, r1::ShapeOp>(op) ||
                        llvm::all_of(op->getOperands(), [&](Value operand) { return values.contains(operand); });
    if (isPositional && !isa<r1::CacheReadOp>(op)) {
      values.insert_range(op->getResults());
    }
  });
}

Value Positional::positionsOf(OpBuilder &builder, Location location, ValueRange from, Value rows) const {
  // Back to the argument, or to integers that floats are made of, or that are compared.
  llvm::DenseSet<Value> seen;
  SmallVector<Value> worklist(from), candidates;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second) {
      continue;
    }
    if (holdsPositions(value)) {
      return value;
    }
    auto type = dyn_cast<RankedTensorType>(value.getType());
    Operation *op = value.getDefiningOp();
    if (!op || isa<r1::DimOp, r1::ShapeOp, r1::ConstantOp>(op)) {
      continue;
    }
    if (type.getElementType().isInteger(64) && llvm::is_contained(type.getShape(), ShapedType::kDynamic)) {
      candidates.push_back(value);
    }
    llvm::append_range(worklist, op->getOperands());
  }
  auto *own = llvm::find_if(candidates, isPositionOfEach);
  if (given && (own != candidates.end() || candidates.empty())) {
    return given;
  }
  Value computed = own != candidates.end() ? *own : candidates.empty() ? Value() : candidates.front();
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  if (!computed) {
    auto scalar = [&](int64_t number) -> Value {
      auto type = RankedTensorType::get({}, i64);
      return r1::ConstantOp::create(builder, location, cast<ElementsAttr>(DenseElementsAttr::get(type, number)));
    };
    Value count = r1::DimOp::create(builder, location, rows, 0);
    computed = r1::RangeOp::create(builder, location, scalar(0), count, scalar(1));
  }
  if (cast<RankedTensorType>(computed.getType()).getRank() != 1) {
    computed = r1::ReshapeOp::create(builder, location, computed, ArrayRef<int64_t>{-1});
  }
  return r1::CastOp::create(builder, location, computed, i32);
}

} // namespace elah
