#ifndef TESTS_CODEGEN_CPU_COMPILEDGRAPH_H
#define TESTS_CODEGEN_CPU_COMPILEDGRAPH_H

#include "codegen/Reference/Interpreter.h"
#include "mlir/IR/BuiltinOps.h"

namespace elah {

/// Compiles `function` of a module of r1's primitives for this machine and calls it; as `interpret` in all else. What
/// goes wrong has been emitted; functions that take or give sequences are refused with "sequences stay inside".
mlir::FailureOr<llvm::SmallVector<HostValue>> runCompiled(mlir::ModuleOp module, llvm::StringRef function,
                                                          llvm::ArrayRef<HostValue> inputs,
                                                          llvm::StringRef weightFolder = "");

} // namespace elah

#endif
