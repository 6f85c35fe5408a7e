// Registration of the r1 dialect's operations, attributes and types.
#include "dialects/R1/R1.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace elah::r1;

#include "dialects/R1/R1Dialect.cpp.inc"
#include "dialects/R1/R1Enums.cpp.inc"
#include "dialects/R1/R1Interfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/R1/R1Attrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/R1/R1Types.cpp.inc"

// Types of an elementwise operation: the one that all have, `(lhs, rhs) -> result` otherwise.
static ParseResult parseElementwiseTypes(OpAsmParser &parser, Type &lhs, Type &rhs, Type &result) {
  SMLoc loc = parser.getCurrentLocation();
  Type type;
  if (parser.parseType(type)) {
    return failure();
  }
  auto function = dyn_cast<FunctionType>(type);
  if (!function) {
    lhs = rhs = result = type;
    return success();
  }
  if (function.getNumInputs() != 2 || function.getNumResults() != 1) {
    return parser.emitError(loc) << "expected the types of two operands and a result, found " << type;
  }
  lhs = function.getInput(0);
  rhs = function.getInput(1);
  result = function.getResult(0);
  return success();
}

// The shape of a reshape: a computed one, or the sizes themselves.
static ParseResult parseSizes(OpAsmParser &parser, std::optional<OpAsmParser::UnresolvedOperand> &shape,
                              DenseI64ArrayAttr &sizes) {
  OpAsmParser::UnresolvedOperand operand;
  OptionalParseResult isComputed = parser.parseOptionalOperand(operand);
  if (isComputed.has_value()) {
    shape = operand;
    return *isComputed;
  }
  sizes = dyn_cast_or_null<DenseI64ArrayAttr>(DenseI64ArrayAttr::parse(parser, Type()));
  return success(static_cast<bool>(sizes));
}

static void printSizes(OpAsmPrinter &printer, Operation *, Value shape, DenseI64ArrayAttr sizes) {
  if (shape) {
    printer << shape;
  } else {
    sizes.print(printer);
  }
}

static void printElementwiseTypes(OpAsmPrinter &printer, Operation *op, Type lhs, Type rhs, Type result) {
  if (lhs == result && rhs == result) {
    printer << result;
  } else {
    printer << FunctionType::get(op->getContext(), {lhs, rhs}, result);
  }
}

#define GET_OP_CLASSES
#include "dialects/R1/R1Ops.cpp.inc"

void R1Dialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/R1/R1Attrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/R1/R1Types.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/R1/R1Ops.cpp.inc"
      >();
}

Operation *R1Dialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  return elements && elements.getType() == type ? ConstantOp::create(builder, loc, elements) : nullptr;
}
