#ifndef FRONTENDS_HUGGINGFACE_IMPORT_H
#define FRONTENDS_HUGGINGFACE_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace elah {

/// What happens to the layers that predict tokens beyond the next one (DeepSeek-V3's MTP layers, behind the model's
/// own).
enum class NextTokenLayers {
  Skip,   ///< They are left out, as in transformers.
  Import, ///< They become the function `@next_token(tokens, positions, hidden, cache) -> (logits, cache)`.
};

struct ImportOptions {
  NextTokenLayers nextTokenLayers = NextTokenLayers::Skip;
};

/// Imports the model in `folder` (config.json and safetensors) as r1. Only headers are read. On failure the result is
/// null and a diagnostic has been emitted that names file, tensor or key, what was found and what was expected.
mlir::OwningOpRef<mlir::ModuleOp> importHuggingFace(mlir::MLIRContext *context, llvm::StringRef folder,
                                                    const ImportOptions &options = {});

} // namespace elah

#endif
