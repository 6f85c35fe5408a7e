#ifndef COMPILER_DRIVER_PIPELINE_H
#define COMPILER_DRIVER_PIPELINE_H

#include "compiler/Driver/Phase.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <cstdint>
#include <string>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace elah {

struct PipelineOptions {
  std::string cpu = "host";
  bool isCuda = false;    ///< For a Hopper GPU, and not for that processor.
  int64_t maxContext = 0; ///< Tokens of a sequence; 0: what the model was made for.
  int64_t maxSequences = 8;
  int64_t maxTokens = 512; ///< Of a step.
  std::string precision = "auto";
  std::string kvCache = "auto"; ///< Or fp8.
  std::string weightFolder;     ///< Where the model's files lie.
};

/// Adds the passes from an imported r1 module to a finished exec module. `phaseEnds` is called where a phase's passes
/// are all in and may add some of its own; if it returns false, the pipeline ends there.
void buildPipeline(mlir::OpPassManager &passes, const PipelineOptions &options,
                   llvm::function_ref<bool(Phase)> phaseEnds);

/// The same for a plain graph: a module of one function @main.
void buildGraphPipeline(mlir::OpPassManager &passes, llvm::function_ref<bool(Phase)> phaseEnds);

/// Makes both pipelines known to elah-opt, as `-elah-pipeline=cpu=... max-context=...` and `-elah-graph-pipeline`.
void registerPipeline();

} // namespace elah

#endif
