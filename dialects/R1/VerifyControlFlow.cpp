// What regions and sequences may hold. Each check carries the number that it has in the operation's description; the
// test of the same name breaks it.
#include "dialects/R1/R1.h"

using namespace mlir;
using namespace elah::r1;

namespace {

TensorType elementOf(Value sequence) { return cast<SequenceType>(sequence.getType()).getElement(); }

/// Whether a value of one type may turn out to be of the other.
bool canBe(Type lhs, Type rhs) {
  auto lhsSequence = dyn_cast<SequenceType>(lhs), rhsSequence = dyn_cast<SequenceType>(rhs);
  if (lhsSequence && rhsSequence) {
    return canBe(lhsSequence.getElement(), rhsSequence.getElement());
  }
  auto lhsTensor = dyn_cast<TensorType>(lhs), rhsTensor = dyn_cast<TensorType>(rhs);
  return lhs == rhs || (lhsTensor && rhsTensor && mayBeSame(TypeRange(lhs), TypeRange(rhs)));
}

bool canBe(TypeRange lhs, TypeRange rhs) {
  return lhs.size() == rhs.size() && llvm::all_of_zip(lhs, rhs, [](Type one, Type other) { return canBe(one, other); });
}

bool isScalar(Type type, unsigned width) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 0 && tensor.getElementType().isSignlessInteger(width);
}

} // namespace

LogicalResult SequenceType::verify(function_ref<InFlightDiagnostic()> emitError, TensorType element) {
  if (!element) { // sequence_c1
    return emitError() << "expected a tensor as element";
  }
  return success();
}

LogicalResult IfOp::verify() {
  for (Region *region : getRegions()) { // if_c1
    Operation *yield = region->front().getTerminator();
    if (region->getNumArguments() != 0 || !canBe(yield->getOperandTypes(), getResultTypes())) {
      return emitOpError() << "regions must yield " << getResultTypes() << " without arguments, found "
                           << yield->getOperandTypes();
    }
  }
  return success();
}

LogicalResult LoopOp::verify() {
  TypeRange arguments = getBody().front().getArgumentTypes(), initial = getInitial().getTypes();
  if (arguments.empty() || !isScalar(arguments.front(), 64) || !canBe(arguments.drop_front(), initial)) { // loop_c1
    return emitOpError() << "the region must take an i64 scalar and " << initial << ", found " << arguments;
  }
  TypeRange carried = arguments.drop_front(), results = getResultTypes(),
            yielded = getBody().front().getTerminator()->getOperandTypes();
  size_t count = carried.size();
  bool carries = yielded.size() >= 1 + count && isScalar(yielded.front(), 1) &&
                 canBe(yielded.slice(1, count), carried) && getNumResults() >= count &&
                 canBe(yielded.slice(1, count), results.take_front(count));
  if (!carries) { // loop_c2
    return emitOpError() << "the region must yield an i1 scalar and " << carried << ", found " << yielded;
  }
  TypeRange stacked = yielded.drop_front(1 + count), stacks = results.drop_front(count);
  bool stacksUp =
      stacked.size() == stacks.size() && llvm::all_of_zip(stacked, stacks, [](Type part, Type stack) {
        auto partType = dyn_cast<RankedTensorType>(part), stackType = dyn_cast<RankedTensorType>(stack);
        return partType && stackType && stackType.getRank() == partType.getRank() + 1 &&
               canBe(partType, RankedTensorType::get(stackType.getShape().drop_front(), stackType.getElementType()));
      });
  if (!stacksUp) { // loop_c3
    return emitOpError() << "must return stacks of " << stacked << ", found " << stacks;
  }
  return success();
}

LogicalResult SequenceOp::verify() {
  for (Value element : getElements()) { // sequence_op_c1
    if (!canBe(element.getType(), elementOf(getResult()))) {
      return emitOpError() << "elements must be " << elementOf(getResult()) << ", found " << element.getType();
    }
  }
  return success();
}

LogicalResult SequenceInsertOp::verify() {
  TensorType result = elementOf(getResult());
  if (!canBe(getElement().getType(), result) || !canBe(elementOf(getSequence()), result)) { // sequence_insert_c1
    return emitOpError() << "elements must be " << result << ", found " << elementOf(getSequence()) << " and "
                         << getElement().getType();
  }
  return success();
}

LogicalResult SequenceAtOp::verify() {
  if (!canBe(getType(), elementOf(getSequence()))) { // sequence_at_c1
    return emitOpError() << "must return " << elementOf(getSequence()) << ", found " << getType();
  }
  return success();
}

LogicalResult SequenceConcatOp::verify() {
  auto result = cast<RankedTensorType>(getType());
  int64_t axis = getAxis();
  if (axis < 0 || axis >= result.getRank()) { // sequence_concat_c1
    return emitOpError() << "axis must be a dimension of " << result << ", found " << axis;
  }
  TensorType element = elementOf(getSequence());
  bool fits = element.getElementType() == result.getElementType() &&
              (!element.hasRank() || element.getRank() + (getStacked() ? 1 : 0) == result.getRank());
  if (!fits) { // sequence_concat_c2
    return emitOpError() << "must return tensors " << element << (getStacked() ? " stacked" : " in a row") << ", found "
                         << result;
  }
  return success();
}

LogicalResult SequenceSplitOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  int64_t axis = getAxis();
  if (axis < 0 || axis >= input.getRank()) { // sequence_split_c1
    return emitOpError() << "axis must be a dimension of " << input << ", found " << axis;
  }
  TensorType element = elementOf(getResult());
  bool fits = element.getElementType() == input.getElementType() &&
              (!element.hasRank() || element.getRank() + (getDropped() ? 1 : 0) == input.getRank());
  if (!fits) { // sequence_split_c2
    return emitOpError() << "elements must be parts of " << input << (getDropped() ? " without the axis" : "")
                         << ", found " << element;
  }
  return success();
}
