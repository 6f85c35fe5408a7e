#ifndef CODEGEN_CUDA_KERNELSOURCES_H
#define CODEGEN_CUDA_KERNELSOURCES_H

#include <span>
#include <string_view>

namespace elah::cuda {

/// A file of device code, under the name by which others include it: "kernels/fp8_gemm.cuh", "ptx/mbarrier.cuh".
struct KernelSource {
  const char *name;
  const char *text;
};

/// All files below codegen/Cuda/kernels and codegen/Cuda/ptx.
std::span<const KernelSource> kernelSources();

} // namespace elah::cuda

#endif
