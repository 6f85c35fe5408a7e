#ifndef COMPILER_VERIFY_VERIFYSTEPS_H
#define COMPILER_VERIFY_VERIFYSTEPS_H

#include "codegen/Artifact/Read.h"
#include "codegen/Cuda/KernelRunner.h"
#include "compiler/Verify/VerifyKernels.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>
#include <vector>

namespace elah {

struct VerifyStepsOptions {
  bool full = false; ///< In lazy and random order, too.
  bool check = true; ///< Under the emulator's checker, which takes most of the time.
  /// First each launch alone, on the operands that the step hands it.
  bool launches = false;
};

/// What became of one step of the whole program.
struct StepVerdict {
  std::string order;              ///< "lazy, seed 1"
  int64_t tokens = 0, length = 0; ///< Of this step, and of the sequence before it.
  double difference = 0;          ///< Of the last token's logits, as in KernelVerdict.
  /// What rounding makes: the same difference between two references, of which one has embeddings that are an f32's
  /// last bit apart.
  double rounding = 0;
  double bound = 0;
  std::vector<std::string> reports;
  bool passed() const { return difference <= bound && reports.empty(); }
};

/// Runs a session of the artifact at `path` on the emulator, a prompt in one step and some decode steps, and compares
/// the logits with those of the program as its operations say it. In eager order and, with `full`, in lazy and random.
llvm::Error verifySteps(const ArtifactFile &artifact, const std::string &path, mlir::MLIRContext &context,
                        cuda::KernelRunner &runner, const VerifyStepsOptions &options,
                        llvm::function_ref<void(const KernelVerdict &)> onLaunch,
                        llvm::function_ref<void(const StepVerdict &)> onStep);

} // namespace elah

#endif
