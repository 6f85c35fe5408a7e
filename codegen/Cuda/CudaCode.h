#ifndef CODEGEN_CUDA_CUDACODE_H
#define CODEGEN_CUDA_CUDACODE_H

#include "codegen/Cuda/CompiledKernel.h"
#include "codegen/Cuda/KernelSpec.h"
#include "codegen/Target/CudaTarget.h"
#include <map>
#include <string>
#include <vector>

namespace elah {

/// What the kernels of a program became for a Hopper GPU: every kernel that a step within the limits can reach.
struct CudaCode {
  const CudaTarget *target = nullptr;
  /// Sizes of a step in tokens, rising; the last is the most that a step may have.
  std::vector<int64_t> buckets;
  /// All kernels, each once, by their symbols.
  std::vector<cuda::KernelSpec> specs;
  std::vector<cuda::CompiledKernel> compiled; ///< One for each spec.
  /// For each exec.kernel symbol, by bucket: the specs (indices) that run one after the other.
  std::map<std::string, std::vector<std::vector<size_t>>> steps;
  std::map<std::string, std::vector<double>> seconds; ///< That these take, as a model predicts.
  size_t foundInCache = 0;
};

/// The sizes for which a program is specialised: powers of two up to the most tokens of a step, and that number.
std::vector<int64_t> cudaBuckets(int64_t maxTokens);

} // namespace elah

#endif
