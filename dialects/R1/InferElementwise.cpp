// Result types of the primitives that compute: elementwise operations, contractions, sums. Inference is where the
// constraints are checked, so that a builder, the verifier and `r1-infer-shapes` cannot disagree. Each check carries
// the number that it has in the operation's description; the test of the same name breaks it.
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Traits.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace elah::r1;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Reports what is wrong with the operation that is built or verified.
template <typename Op, typename... Args> LogicalResult reject(std::optional<Location> location, Args &&...args) {
  return emitOptionalError(location, "'", Op::getOperationName(), "' op ", std::forward<Args>(args)...);
}

bool isScalar(Value value) { return typeOf(value).getRank() == 0; }

/// The value of a constant integer scalar.
std::optional<APInt> constantScalar(Value value) {
  DenseIntElementsAttr elements;
  if (matchPattern(value, m_Constant(&elements)) && elements.getNumElements() == 1) {
    return *elements.value_begin<APInt>();
  }
  return {};
}

bool isAxis(int64_t axis, RankedTensorType type) { return axis >= 0 && axis < type.getRank(); }

} // namespace

bool elah::r1::mayBeSame(TypeRange lhs, TypeRange rhs) {
  return succeeded(verifyCompatibleShapes(lhs, rhs)) && llvm::equal(lhs, rhs, [](Type one, Type other) {
           return getElementTypeOrSelf(one) == getElementTypeOrSelf(other);
         });
}

bool elah::r1::isElementType(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    unsigned width = integer.getWidth();
    bool isByteWise = width == 4 || width == 8 || width == 16 || width == 32 || width == 64;
    return integer.isUnsigned() ? isByteWise : integer.isSignless() && (isByteWise || width == 1);
  }
  return isa<Float64Type, Float32Type, Float16Type, BFloat16Type, Float8E4M3FNType, Float8E5M2Type, Float8E4M3FNUZType,
             Float8E5M2FNUZType>(type);
}

LogicalResult elah::r1::verifyByInference(Operation *op) {
  auto inference = cast<InferTypeOpInterface>(op);
  SmallVector<Type> types;
  if (failed(inference.inferReturnTypes(op->getContext(), op->getLoc(), op->getOperands(), op->getAttrDictionary(),
                                        op->getPropertiesStorage(), op->getRegions(), types))) {
    return failure();
  }
  if (!mayBeSame(types, op->getResultTypes())) {
    return op->emitOpError() << "must return " << types << ", found " << op->getResultTypes();
  }
  return success();
}

LogicalResult elah::r1::inferBroadcast(std::optional<Location> location, StringRef name, ValueRange operands,
                                       SmallVectorImpl<Type> &types) {
  RankedTensorType result = typeOf(operands.front());
  for (Value operand : operands.drop_front()) {
    RankedTensorType type = typeOf(operand);
    if (type.getElementType() != result.getElementType()) { // add_c1
      return emitOptionalError(location, "'", name, "' op operands must have one element type, found ", result, " and ",
                               type);
    }
    SmallVector<int64_t> shape;
    if (!OpTrait::util::getBroadcastedShape(result.getShape(), type.getShape(), shape)) { // add_c2
      return emitOptionalError(location, "'", name, "' op operands must broadcast, found ", result, " and ", type);
    }
    result = RankedTensorType::get(shape, result.getElementType());
  }
  types.push_back(result);
  return success();
}

LogicalResult ConstantOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getValue().getType());
  return success();
}

LogicalResult DimOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                      SmallVectorImpl<Type> &types) {
  RankedTensorType type = typeOf(adaptor.getInput());
  if (!isAxis(adaptor.getAxis(), type)) { // dim_c1
    return reject<DimOp>(location, "axis must be a dimension of ", type, ", found ",
                         static_cast<int64_t>(adaptor.getAxis()));
  }
  types.push_back(RankedTensorType::get({}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult ShapeOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  types.push_back(RankedTensorType::get({typeOf(adaptor.getInput()).getRank()}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult RangeOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  RankedTensorType type = typeOf(adaptor.getStart());
  if (!llvm::all_of(adaptor.getOperands(), isScalar) || typeOf(adaptor.getLimit()) != type ||
      typeOf(adaptor.getStep()) != type) { // range_c1
    return reject<RangeOp>(location, "start, limit and step must be scalars of one type, found ", type, ", ",
                           typeOf(adaptor.getLimit()), " and ", typeOf(adaptor.getStep()));
  }
  std::optional<APInt> start = constantScalar(adaptor.getStart()), limit = constantScalar(adaptor.getLimit()),
                       step = constantScalar(adaptor.getStep());
  int64_t size = ShapedType::kDynamic;
  if (step && step->isZero()) { // range_c2
    return reject<RangeOp>(location, "step must not be 0");
  }
  if (start && limit && step) {
    // In 128 bits, limit - start does not wrap.
    APInt distance = limit->sext(128) - start->sext(128), by = step->sext(128);
    bool isEmpty = by.isNegative() ? !distance.isNegative() : !distance.isStrictlyPositive();
    APInt count = (distance.abs() + by.abs() - 1).udiv(by.abs());
    if (!isEmpty && count.getActiveBits() > 46) { // range_c3
      return reject<RangeOp>(location, "must have fewer than 2^46 elements");
    }
    size = isEmpty ? 0 : count.trunc(64).getSExtValue();
  }
  types.push_back(RankedTensorType::get({size}, type.getElementType()));
  return success();
}

LogicalResult CastOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  Type to = adaptor.getTo();
  if (!isElementType(to)) { // cast_c1
    return reject<CastOp>(location, "casts to what tensors are made of, found ", to);
  }
  types.push_back(RankedTensorType::get(typeOf(adaptor.getInput()).getShape(), to));
  return success();
}

LogicalResult CompareOp::inferReturnTypes(MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  if (failed(inferBroadcast(location, getOperationName(), adaptor.getOperands(), types))) { // compare_c1, compare_c2
    return failure();
  }
  types[0] = cast<RankedTensorType>(types[0]).clone(IntegerType::get(context, 1));
  return success();
}

LogicalResult SelectOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType condition = typeOf(adaptor.getCondition());
  if (failed(inferBroadcast(location, getOperationName(), adaptor.getOperands().drop_front(), types))) { // select_c1
    return failure();
  }
  auto chosen = cast<RankedTensorType>(types[0]);
  SmallVector<int64_t> shape;
  if (!OpTrait::util::getBroadcastedShape(condition.getShape(), chosen.getShape(), shape)) { // select_c2
    return reject<SelectOp>(location, "operands must broadcast, found ", condition, " and ", chosen);
  }
  types[0] = chosen.clone(shape);
  return success();
}

LogicalResult MatmulOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType lhs = typeOf(adaptor.getLhs()), rhs = typeOf(adaptor.getRhs());
  if (lhs.getElementType() != rhs.getElementType() || lhs.getRank() < 2 || rhs.getRank() < 2) { // matmul_c1
    return reject<MatmulOp>(location, "operands must be matrices, or stacks of them, of one element type, found ", lhs,
                            " and ", rhs);
  }
  int64_t ofLhs = lhs.getShape().back(), ofRhs = rhs.getDimSize(rhs.getRank() - 2);
  if (!ShapedType::isDynamic(ofLhs) && !ShapedType::isDynamic(ofRhs) && ofLhs != ofRhs) { // matmul_c2
    return reject<MatmulOp>(location, "rhs must have the ", ofLhs, " rows that lhs has columns, found ", ofRhs);
  }
  SmallVector<int64_t> shape;
  if (!OpTrait::util::getBroadcastedShape(lhs.getShape().drop_back(2), rhs.getShape().drop_back(2),
                                          shape)) { // matmul_c3
    return reject<MatmulOp>(location, "the leading dimensions must broadcast, found ", lhs, " and ", rhs);
  }
  shape.push_back(lhs.getDimSize(lhs.getRank() - 2));
  shape.push_back(rhs.getShape().back());
  types.push_back(RankedTensorType::get(shape, lhs.getElementType()));
  return success();
}

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType type = typeOf(adaptor.getInput());
  ArrayRef<int64_t> axes = adaptor.getAxes();
  bool rises = llvm::is_sorted(axes, [](int64_t lhs, int64_t rhs) { return lhs <= rhs; });
  if (!rises || !llvm::all_of(axes, [&](int64_t axis) { return isAxis(axis, type); })) { // reduce_c1
    return reject<ReduceOp>(location, "axes must be dimensions of ", type, " in rising order, found [", axes, "]");
  }
  Reduction reduction = adaptor.getReduction();
  Type element = type.getElementType();
  bool isOrdered = reduction == Reduction::Max || reduction == Reduction::Min;
  bool fits = reduction == Reduction::Mean ? isa<FloatType>(element) : isOrdered || !element.isInteger(1);
  if (!fits || isa<Float8E4M3FNType>(element)) { // reduce_c2
    return reject<ReduceOp>(location, "there is no ", stringifyReduction(reduction), " of ", element);
  }
  SmallVector<int64_t> shape;
  for (auto [axis, size] : llvm::enumerate(type.getShape())) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(axis))) {
      shape.push_back(size);
    } else if (adaptor.getKeepDims()) {
      shape.push_back(1);
    }
  }
  types.push_back(RankedTensorType::get(shape, element));
  return success();
}

LogicalResult CumsumOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType type = typeOf(adaptor.getInput());
  if (!isAxis(adaptor.getAxis(), type)) { // cumsum_c1
    return reject<CumsumOp>(location, "axis must be a dimension of ", type, ", found ",
                            static_cast<int64_t>(adaptor.getAxis()));
  }
  types.push_back(type);
  return success();
}
