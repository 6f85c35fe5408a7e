#ifndef CODEGEN_REFERENCE_EVALUATEBODY_H
#define CODEGEN_REFERENCE_EVALUATEBODY_H

#include "mlir/IR/Block.h"

namespace elah {

/// What the body of kernel.generic yields for these arguments, in f64.
double evaluateBody(mlir::Block &body, llvm::ArrayRef<double> arguments);

} // namespace elah

#endif
