// Passes within a dialect; what each does and why is in Passes.td.
#ifndef COMPILER_TRANSFORMS_PASSES_H
#define COMPILER_TRANSFORMS_PASSES_H

#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace elah {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Passes.h.inc"

/// Adds all fusions, from primitives to the composites that they mean. `weightFolder` is where the model's files lie:
/// some tables have to be read to be known.
void buildFusionPipeline(mlir::OpPassManager &passes, llvm::StringRef weightFolder = {});
/// Makes that known to elah-opt as `-r1-fuse`, `-r1-fuse=weights=FOLDER`.
void registerFusionPipeline();

} // namespace elah

#endif
