// Registration of the exec dialect.
#include "dialects/Exec/Exec.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace elah::exec;

#include "dialects/Exec/ExecDialect.cpp.inc"
#include "dialects/Exec/ExecEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Exec/ExecAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Exec/ExecOps.cpp.inc"

void ExecDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Exec/ExecAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Exec/ExecOps.cpp.inc"
      >();
}

ExtentAttr elah::exec::rowsOf(Value buffer) {
  MLIRContext *context = buffer.getContext();
  Operation *op = buffer.getDefiningOp();
  if (auto view = dyn_cast_or_null<ViewOp>(op)) {
    return rowsOf(view.getSource());
  }
  if (auto alloc = dyn_cast_or_null<AllocOp>(op)) {
    return alloc.getRows();
  }
  auto input = cast<InputOp>(op);
  // Symbolic dimensions: tokens, sequences, logit rows (enum elah_dim).
  int64_t constant = 0;
  SmallVector<int64_t, 3> coefficients = {0, 0, 0};
  switch (input.getInput()) {
  case Input::TokenIds:
  case Input::Positions:
  case Input::TokenSequence:
  case Input::CacheRows:
    coefficients[0] = 1;
    break;
  case Input::SequenceStarts:
    constant = 1;
    [[fallthrough]];
  case Input::ContextLengths:
  case Input::PageTable:
    coefficients[1] = 1;
    break;
  case Input::LogitTokens:
    coefficients[2] = 1;
    break;
  }
  return ExtentAttr::get(context, constant, DenseI64ArrayAttr::get(context, coefficients));
}
