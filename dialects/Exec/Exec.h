// The exec dialect: the host program, one to one what an artifact stores.
#ifndef DIALECTS_EXEC_EXEC_H
#define DIALECTS_EXEC_EXEC_H

#include "dialects/Kernel/Kernel.h"
#include "mlir/IR/SymbolTable.h"

#include "dialects/Exec/ExecDialect.h.inc"
#include "dialects/Exec/ExecEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Exec/ExecAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Exec/ExecOps.h.inc"

namespace elah::exec {

/// The number of rows of a buffer (its first dimension) in a step: of any operation's result in a
/// program, or of an argument of an exec.kernel.
ExtentAttr rowsOf(mlir::Value buffer);

/// Whether a buffer has a row for each token whose logits are wanted.
bool hasLogitRows(mlir::Value buffer);

} // namespace elah::exec

#endif
