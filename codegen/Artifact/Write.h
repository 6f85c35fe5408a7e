#ifndef CODEGEN_ARTIFACT_WRITE_H
#define CODEGEN_ARTIFACT_WRITE_H

#include "codegen/Cuda/CudaCode.h"
#include "codegen/Target/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace elah {

/// What an artifact is made of.
struct ArtifactContents {
  mlir::ModuleOp module;                  ///< In the exec dialect, kernels outlined and arena planned.
  std::string object;                     ///< The kernels' ELF shared object.
  llvm::StringMap<uint64_t> scratchBytes; ///< By kernel symbol.
  CpuTarget target;
  const CudaCode *cuda = nullptr; ///< Instead of the object and the processor.
  std::string modelFolder;        ///< Where the weights are.
  std::string filesFolder;        ///< Where the tokenizer and its like are; empty: with the weights.
  std::string graph;              ///< The file that the model was read from, if it is a graph.
  /// Flags that changed the result, for the receipt, in a fixed order.
  std::vector<std::pair<std::string, std::string>> flags;
};

/// Where the weights of an artifact are.
enum class WeightMode {
  Embed,    ///< In the artifact, packed.
  Reference ///< In the original shards; the artifact says how a session packs them.
};

struct WriteOptions {
  std::string outputPath;
  /// In `Reference` mode no weight is read, only the shards' headers, and the artifact remembers
  /// the model's folder relative to its own.
  WeightMode weights = WeightMode::Embed;
  /// A runner (elah-run) to put before the artifact, for a self-contained program; empty for a
  /// plain artifact.
  std::string runnerPath;
  unsigned threads = 1;
  /// Called after every few MiB with the weight bytes written so far and in all, by one thread at a
  /// time, never with less than before; may be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

/// Writes the artifact (format: elah/artifact.h). The same contents give the same bytes, whatever
/// the number of threads. The output appears whole or not at all; it may not be one of the inputs.
llvm::Error writeArtifact(const ArtifactContents &contents, const WriteOptions &options);

} // namespace elah

#endif
