#ifndef CODEGEN_ARTIFACT_WRITE_H
#define CODEGEN_ARTIFACT_WRITE_H

#include "codegen/Target/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <string>
#include <utility>
#include <vector>

namespace elah {

/// What an artifact is made of.
struct ArtifactContents {
  mlir::ModuleOp module;                       ///< In the exec dialect, kernels outlined and arena planned.
  std::string object;                          ///< The kernels' ELF shared object.
  llvm::StringMap<uint64_t> scratchBytes;      ///< By kernel symbol.
  CpuTarget target;
  std::string modelFolder;
  /// Flags that changed the result, for the receipt, in a fixed order.
  std::vector<std::pair<std::string, std::string>> flags;
};

struct WriteOptions {
  std::string outputPath;
  /// A runner (elah-run) to put before the artifact, for a self-contained program; empty for a plain artifact.
  std::string runnerPath;
  unsigned threads = 1;
  /// Called now and then with the weight bytes written so far and in all; may be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

/// Writes the artifact (format: elah/artifact.h). The same contents give the same bytes, whatever the number of
/// threads. The output appears whole or not at all.
llvm::Error writeArtifact(const ArtifactContents &contents, const WriteOptions &options);

} // namespace elah

#endif
