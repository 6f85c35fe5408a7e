// Elementwise operations between composites, which no composite holds: a model's own multipliers, caps and sums.
#ifndef COMPILER_CONVERSION_R1TOEXEC_LEFTOVERS_H
#define COMPILER_CONVERSION_R1TOEXEC_LEFTOVERS_H

#include "dialects/R1/R1.h"

namespace elah {

/// Whether `op` adds to a residual stream in place: one operand at least is a linear map or experts used only here, or
/// a sum of such.
bool isResidualSum(r1::AddOp op);

/// Whether `op` is elementwise arithmetic on rows that kernel.generic can do, and no residual sum.
bool isLeftover(mlir::Operation *op);

/// Whether all that becomes of these rows is what the function returns as logits, perhaps through leftovers.
bool becomesLogits(mlir::Value rows);

} // namespace elah

#endif
