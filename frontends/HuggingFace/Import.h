#ifndef FRONTENDS_HUGGINGFACE_IMPORT_H
#define FRONTENDS_HUGGINGFACE_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace elah {

/// Imports the model in `folder` (config.json and safetensors) as r1. Only headers are read. On failure the result is
/// null and a diagnostic has been emitted that names file, tensor or key, what was found and what was expected.
mlir::OwningOpRef<mlir::ModuleOp> importHuggingFace(mlir::MLIRContext *context, llvm::StringRef folder);

} // namespace elah

#endif
