#ifndef CODEGEN_CUDA_COMPILEKERNELS_H
#define CODEGEN_CUDA_COMPILEKERNELS_H

#include "codegen/Cuda/CompiledKernel.h"
#include "codegen/Cuda/KernelSpec.h"
#include "codegen/Cuda/Nvrtc.h"
#include "codegen/Target/CudaTarget.h"
#include <functional>
#include <span>

namespace elah::cuda {

struct CompileKernelsOptions {
  std::string cacheFolder; ///< KernelCache::defaultFolder(); empty: no cache.
  unsigned jobs = 0;       ///< Kernels that are compiled at the same time; 0: as many as there are processors.
  LineInfo lineInfo = LineInfo::Without;
  /// Called by one thread at a time as kernels are done.
  std::function<void(size_t done, size_t total)> onProgress;
  /// The program that child processes run, with its first arguments; it hands its arguments to runKernelCompiler.
  std::vector<std::string> child = {"/proc/self/exe"};
};

struct CompileKernelsOutcome {
  std::vector<CompiledKernel> kernels; ///< One for each spec, in their order; only if there are no errors.
  std::vector<std::string> errors;     ///< Each names the kernel and its schedule.
  size_t found = 0;                    ///< Kernels that were in the cache.
};

/// Compiles kernels for a target and holds them to the gates (KernelGates.h). What the cache does not have is compiled
/// in child processes: when the compiler or its assembler crashes, that is an error with the kernel's name.
CompileKernelsOutcome compileKernels(std::span<const KernelSpec> specs, const CudaTarget &target,
                                     const CompileKernelsOptions &options);

/// First thing in main() of a program that calls compileKernels: compiles one kernel and gives the program's exit
/// status if it was started for that, else nothing.
std::optional<int> runKernelCompiler(int argc, char **argv);

} // namespace elah::cuda

#endif
