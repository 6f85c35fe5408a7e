#ifndef COMPILER_VERIFY_REFERENCEPROGRAM_H
#define COMPILER_VERIFY_REFERENCEPROGRAM_H

#include "codegen/Artifact/Read.h"
#include "codegen/Reference/EvaluateKernel.h"
#include "dialects/Exec/Exec.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <array>
#include <vector>

namespace elah {

/// An artifact's program as its operations say it, one launch after the other (evaluateKernel): what a whole step of
/// the kernels is compared with. One sequence, whose pages lie one behind the other. Weights are embedded.
class ReferenceProgram {
public:
  static llvm::Expected<ReferenceProgram> create(const ArtifactFile &artifact, mlir::MLIRContext &context);

  /// One launch of a step: its operation, the memory of its operands, and the numbers of its kernels' bucket and of the
  /// step. `evaluate` does what the operation says.
  struct Launch {
    const proto::Launch &launch;
    exec::KernelOp kernel;
    llvm::ArrayRef<KernelOperand> operands;
    const std::array<int64_t, 5> &bucket, &dims;
    llvm::function_ref<llvm::Error()> evaluate;
  };
  using Around = llvm::function_ref<llvm::Error(const Launch &)>;

  /// Runs the sequence's next tokens, and gives the logits of the last. `around` is called for each launch, and calls
  /// its `evaluate`.
  llvm::Expected<std::vector<float>> step(llvm::ArrayRef<uint32_t> tokens, Around around = evaluateOnly);
  static llvm::Error evaluateOnly(const Launch &launch) { return launch.evaluate(); }

  /// Whether `operand`, of that launch, is a weight.
  bool isWeight(const proto::Launch &launch, unsigned operand) const;

  /// Whether what a token leaves in the cache is in FP8.
  bool quantizesCache() const;

private:
  explicit ReferenceProgram(const ArtifactFile &artifact) : artifact(&artifact), manifest(&artifact.manifest) {}
  std::span<uint8_t> memoryOf(const proto::Buffer &buffer);

  const ArtifactFile *artifact;
  const proto::Manifest *manifest;
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> operations;
  std::vector<std::vector<uint8_t>> slots;
  std::vector<std::vector<uint8_t>> pools; ///< Of the cache, layer by layer.
  std::array<std::vector<int32_t>, 8> inputs;
  std::array<int64_t, 5> dims = {};
  int64_t length = 0; ///< Of the sequence.
};

} // namespace elah

#endif
