// Registration of the r1 dialect's operations, attributes and types.
#include "dialects/R1/R1.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace elah::r1;

#include "dialects/R1/R1Dialect.cpp.inc"
#include "dialects/R1/R1Enums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/R1/R1Attrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/R1/R1Types.cpp.inc"
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
