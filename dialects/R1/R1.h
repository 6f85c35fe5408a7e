// The r1 dialect: what a model means (DESIGN: tensors in, tensors out, no target, no buffers).
#ifndef DIALECTS_R1_R1_H
#define DIALECTS_R1_R1_H

#include "dialects/R1/Infer.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir {
class PatternRewriter;
} // namespace mlir

#include "dialects/R1/R1Dialect.h.inc"
#include "dialects/R1/R1Enums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/R1/R1Attrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/R1/R1Interfaces.h.inc"
#include "dialects/R1/R1Types.h.inc"
#define GET_OP_CLASSES
#include "dialects/R1/R1Ops.h.inc"

#endif
