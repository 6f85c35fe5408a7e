#ifndef FRONTENDS_ONNX_IMPORT_H
#define FRONTENDS_ONNX_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBufferRef.h"

namespace elah {

struct OnnxImportOptions {
  /// What is known of inputs beyond the model: the ranks of those that the model declares without a shape, or sizes
  /// that never change. Types of r1.
  llvm::StringMap<mlir::Type> inputTypes;
};

/// Imports the ONNX model at `path` as r1: a function @main from the graph's inputs to its outputs, whose names are the
/// attributes `r1.name` of arguments and results; `r1.dims` names their sizes (empty where one is static). Every
/// operation has its node's name as location. Large tensors become `r1.weight`, of files in the model's folder; the
/// model itself is one of them.
///
/// On failure the result is null and one diagnostic has been emitted that names the node, what was found and what was
/// expected, and ends in a code such as [onnx-undefined].
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(mlir::MLIRContext *context, llvm::StringRef path,
                                             const OnnxImportOptions &options = {});

/// Imports a model that lies in memory. Its buffer's identifier is the name that the model has in `folder`, where
/// weights are; without a folder there are none outside of the model, and all of it is held in the IR.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(mlir::MLIRContext *context, llvm::MemoryBufferRef model,
                                             llvm::StringRef folder, const OnnxImportOptions &options = {});

} // namespace elah

#endif
