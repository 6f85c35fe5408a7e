// What elementwise operations and constants come to without running them: operations that change nothing, and the
// arithmetic on integers that computes shapes. Constant floats are left alone: they would be rounded here in another
// way than where they run.
#include "dialects/R1/R1.h"
#include "llvm/ADT/STLFunctionalExtras.h"

using namespace mlir;
using namespace elah::r1;

namespace {

/// Larger tensors are not made at compile time.
constexpr int64_t maxFoldedElements = 4096;

/// Whether all elements of a constant are `value`.
bool isAll(Attribute constant, int64_t value) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(constant);
  if (!elements || !elements.isSplat()) {
    return false;
  }
  if (isa<FloatType>(elements.getElementType())) {
    return elements.getSplatValue<APFloat>().convertToDouble() == static_cast<double>(value);
  }
  return elements.getSplatValue<APInt>() ==
         APInt(elements.getElementType().getIntOrFloatBitWidth(), value, /*isSigned=*/true, /*implicitTrunc=*/true);
}

bool isTrue(Attribute constant) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(constant);
  return elements && elements.isSplat() && elements.getSplatValue<APInt>().isOne();
}

bool isFalse(Attribute constant) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(constant);
  return elements && elements.isSplat() && elements.getSplatValue<APInt>().isZero();
}

/// Applies `compute` to the elements of constant integers that broadcast to the type of the result. Null where an
/// operand is no such constant, or `compute` has no answer.
Attribute foldIntegers(ArrayRef<Attribute> operands, Type resultType,
                       function_ref<std::optional<APInt>(ArrayRef<APInt>)> compute) {
  auto type = cast<RankedTensorType>(resultType);
  if (!type.hasStaticShape() || type.getNumElements() > maxFoldedElements ||
      !type.getElementType().isSignlessInteger()) {
    return {};
  }
  SmallVector<DenseIntElementsAttr> constants;
  SmallVector<SmallVector<int64_t>> strides; // 0 where a dimension is repeated
  for (Attribute operand : operands) {
    auto elements = dyn_cast_or_null<DenseIntElementsAttr>(operand);
    if (!elements) {
      return {};
    }
    constants.push_back(elements);
    ArrayRef<int64_t> shape = elements.getType().getShape();
    SmallVector<int64_t> &own = strides.emplace_back(type.getRank(), 0);
    int64_t stride = 1;
    for (size_t back = 1; back <= shape.size(); ++back) {
      int64_t size = shape[shape.size() - back];
      own[own.size() - back] = size == 1 ? 0 : stride;
      stride *= size;
    }
  }
  SmallVector<APInt> results, elements;
  for (int64_t index = 0; index < type.getNumElements(); ++index) {
    elements.clear();
    for (auto [constant, own] : llvm::zip_equal(constants, strides)) {
      int64_t rest = index, offset = 0;
      for (int64_t axis = type.getRank() - 1; axis >= 0; --axis) {
        offset += rest % type.getDimSize(axis) * own[axis];
        rest /= type.getDimSize(axis);
      }
      elements.push_back(constant.getValues<APInt>()[offset]);
    }
    std::optional<APInt> result = compute(elements);
    if (!result) {
      return {};
    }
    results.push_back(*result);
  }
  return DenseIntElementsAttr::get(type, results);
}

using Pair = ArrayRef<APInt>;

APInt truth(bool value) { return APInt(1, value); }

} // namespace

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValueAttr(); }

OpFoldResult DimOp::fold(FoldAdaptor) {
  int64_t size = cast<RankedTensorType>(getInput().getType()).getDimSize(getAxis());
  if (ShapedType::isDynamic(size)) {
    return {};
  }
  return DenseIntElementsAttr::get(cast<ShapedType>(getType()), size);
}

OpFoldResult ShapeOp::fold(FoldAdaptor) {
  auto input = cast<RankedTensorType>(getInput().getType());
  auto type = RankedTensorType::get({input.getRank()}, IntegerType::get(getContext(), 64));
  if (!input.hasStaticShape() || getType() != type) {
    return {};
  }
  return DenseIntElementsAttr::get(type, input.getShape());
}

OpFoldResult RangeOp::fold(FoldAdaptor adaptor) {
  auto type = cast<RankedTensorType>(getType());
  auto start = dyn_cast_or_null<DenseIntElementsAttr>(adaptor.getStart());
  auto step = dyn_cast_or_null<DenseIntElementsAttr>(adaptor.getStep());
  if (!start || !step || !isa_and_nonnull<DenseIntElementsAttr>(adaptor.getLimit()) || !type.hasStaticShape() ||
      type.getNumElements() > maxFoldedElements) {
    return {};
  }
  SmallVector<APInt> values;
  APInt value = *start.value_begin<APInt>();
  for (int64_t index = 0; index < type.getNumElements(); ++index) {
    values.push_back(value);
    value += *step.value_begin<APInt>();
  }
  return DenseIntElementsAttr::get(type, values);
}

OpFoldResult NegOp::fold(FoldAdaptor adaptor) {
  if (auto inner = getInput().getDefiningOp<NegOp>(); inner && inner.getInput().getType() == getType()) {
    return inner.getInput();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) { return -values[0]; });
}

OpFoldResult NotOp::fold(FoldAdaptor adaptor) {
  if (auto inner = getInput().getDefiningOp<NotOp>(); inner && inner.getInput().getType() == getType()) {
    return inner.getInput();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) { return ~values[0]; });
}

OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType()) {
    return getInput();
  }
  Type from = cast<RankedTensorType>(getInput().getType()).getElementType();
  if (from.isUnsignedInteger()) {
    return {};
  }
  unsigned width = getTo().isSignlessInteger() ? getTo().getIntOrFloatBitWidth() : 0;
  return foldIntegers(adaptor.getInput(), getType(), [&](Pair values) {
    APInt value = values[0];
    if (width == 1) {
      return truth(!value.isZero());
    }
    return value.getBitWidth() == 1 ? value.zext(width) : value.sextOrTrunc(width);
  });
}

OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  if (isAll(adaptor.getRhs(), 0) && getLhs().getType() == getType()) {
    return getLhs();
  }
  if (isAll(adaptor.getLhs(), 0) && getRhs().getType() == getType()) {
    return getRhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) { return values[0] + values[1]; });
}

OpFoldResult SubOp::fold(FoldAdaptor adaptor) {
  if (isAll(adaptor.getRhs(), 0) && getLhs().getType() == getType()) {
    return getLhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) { return values[0] - values[1]; });
}

OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  if (isAll(adaptor.getRhs(), 1) && getLhs().getType() == getType()) {
    return getLhs();
  }
  if (isAll(adaptor.getLhs(), 1) && getRhs().getType() == getType()) {
    return getRhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) { return values[0] * values[1]; });
}

OpFoldResult DivOp::fold(FoldAdaptor adaptor) {
  if (isAll(adaptor.getRhs(), 1) && getLhs().getType() == getType()) {
    return getLhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) -> std::optional<APInt> {
    bool overflows = values[0].isMinSignedValue() && values[1].isAllOnes();
    if (values[1].isZero() || overflows) {
      return {};
    }
    return values[0].sdiv(values[1]);
  });
}

OpFoldResult ModOp::fold(FoldAdaptor adaptor) {
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) -> std::optional<APInt> {
    if (values[1].isZero()) {
      return {};
    }
    APInt rest = values[0].srem(values[1]);
    return rest.isZero() || rest.isNegative() == values[1].isNegative() ? rest : rest + values[1];
  });
}

OpFoldResult RemOp::fold(FoldAdaptor adaptor) {
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) -> std::optional<APInt> {
    if (values[1].isZero()) {
      return {};
    }
    return values[0].srem(values[1]);
  });
}

OpFoldResult ShiftLeftOp::fold(FoldAdaptor adaptor) {
  return isAll(adaptor.getRhs(), 0) && getLhs().getType() == getType() ? getLhs() : Value();
}

OpFoldResult ShiftRightOp::fold(FoldAdaptor adaptor) {
  return isAll(adaptor.getRhs(), 0) && getLhs().getType() == getType() ? getLhs() : Value();
}

OpFoldResult PowOp::fold(FoldAdaptor adaptor) {
  if (isAll(adaptor.getRhs(), 1) && getLhs().getType() == getType()) {
    return getLhs();
  }
  return {};
}

OpFoldResult MaxOp::fold(FoldAdaptor adaptor) {
  if (getLhs() == getRhs() && getLhs().getType() == getType()) {
    return getLhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(),
                      [](Pair values) { return llvm::APIntOps::smax(values[0], values[1]); });
}

OpFoldResult MinOp::fold(FoldAdaptor adaptor) {
  if (getLhs() == getRhs() && getLhs().getType() == getType()) {
    return getLhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(),
                      [](Pair values) { return llvm::APIntOps::smin(values[0], values[1]); });
}

OpFoldResult AndOp::fold(FoldAdaptor adaptor) {
  if ((isTrue(adaptor.getRhs()) || getLhs() == getRhs()) && getLhs().getType() == getType()) {
    return getLhs();
  }
  if (isTrue(adaptor.getLhs()) && getRhs().getType() == getType()) {
    return getRhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) { return values[0] & values[1]; });
}

OpFoldResult OrOp::fold(FoldAdaptor adaptor) {
  if ((isFalse(adaptor.getRhs()) || getLhs() == getRhs()) && getLhs().getType() == getType()) {
    return getLhs();
  }
  if (isFalse(adaptor.getLhs()) && getRhs().getType() == getType()) {
    return getRhs();
  }
  return foldIntegers(adaptor.getOperands(), getType(), [](Pair values) { return values[0] | values[1]; });
}

OpFoldResult CompareOp::fold(FoldAdaptor adaptor) {
  return foldIntegers({adaptor.getLhs(), adaptor.getRhs()}, getType(), [&](Pair values) {
    switch (getComparison()) {
    case Comparison::Equal:
      return truth(values[0] == values[1]);
    case Comparison::NotEqual:
      return truth(values[0] != values[1]);
    case Comparison::Less:
      return truth(values[0].slt(values[1]));
    case Comparison::LessOrEqual:
      return truth(values[0].sle(values[1]));
    case Comparison::Greater:
      return truth(values[0].sgt(values[1]));
    case Comparison::GreaterOrEqual:
      return truth(values[0].sge(values[1]));
    }
    llvm_unreachable("unknown comparison");
  });
}

OpFoldResult SelectOp::fold(FoldAdaptor adaptor) {
  if ((isTrue(adaptor.getCondition()) || getOnTrue() == getOnFalse()) && getOnTrue().getType() == getType()) {
    return getOnTrue();
  }
  if (isFalse(adaptor.getCondition()) && getOnFalse().getType() == getType()) {
    return getOnFalse();
  }
  return foldIntegers(adaptor.getOperands(), getType(),
                      [](Pair values) { return values[0].isOne() ? values[1] : values[2]; });
}
