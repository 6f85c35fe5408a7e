#ifndef CODEGEN_CUDA_KERNELGATES_H
#define CODEGEN_CUDA_KERNELGATES_H

#include "codegen/Cuda/CompiledKernel.h"
#include "codegen/Cuda/KernelSpec.h"
#include "codegen/Target/CudaTarget.h"

namespace elah::cuda {

/// What keeps a compiled kernel out of an artifact, each with found and expected; empty if nothing does:
/// - a spill, or a remark of the assembler (serialized wgmma, ignored setmaxnreg): the kernel runs, but not as its
///   schedule was meant to;
/// - threads, shared memory or registers that the target does not have, or that leave room for fewer blocks than the
///   schedule claims;
/// - PTX without the entry, or that the emulator does not run, for then nobody could prove the kernel right.
std::vector<std::string> gateFindings(const KernelSpec &spec, const CompiledKernel &kernel, const CudaTarget &target);

} // namespace elah::cuda

#endif
