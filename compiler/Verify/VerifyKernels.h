#ifndef COMPILER_VERIFY_VERIFYKERNELS_H
#define COMPILER_VERIFY_VERIFYKERNELS_H

#include "codegen/Artifact/Read.h"
#include "codegen/Cuda/KernelRunner.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>
#include <vector>

namespace elah {

struct VerifyKernelsOptions {
  /// Every bucket of every kernel, and contexts up to the limit; else each kernel in its smallest bucket and, if that
  /// is not large, in its largest.
  bool full = false;
  /// Only kernels whose symbol, family or launch holds this.
  std::string filter;
};

/// What became of the kernels that one launch runs in some buckets.
struct KernelVerdict {
  std::string kernels;              ///< Their symbols.
  std::string operation;            ///< "kernel.gemm"
  std::string launch;               ///< The first one in the program that runs them.
  std::vector<int64_t> tokens;      ///< Of the steps that were tried.
  double difference = 0;            ///< The largest relative difference, 1 - 2<x,y>/(|x|^2+|y|^2), of an output.
  double bound = 0;                 ///< What that output may have.
  uint64_t instructions = 0;        ///< Of warps, in the first step.
  std::vector<std::string> reports; ///< Of the emulator's checker.
  std::vector<std::string> errors;  ///< Wrong results, kernels that did not run.

  bool passed() const { return reports.empty() && errors.empty(); }
};

/// Runs each of an artifact's CUDA kernels alone on the emulator, in eager, lazy and random order, with full and with
/// ragged steps and random operands, under the checker, and compares it with what its operation means (evaluateKernel).
llvm::Error verifyKernels(const ArtifactFile &artifact, mlir::MLIRContext &context, cuda::KernelRunner &runner,
                          const VerifyKernelsOptions &options,
                          llvm::function_ref<void(const KernelVerdict &)> onVerdict);

} // namespace elah

#endif
