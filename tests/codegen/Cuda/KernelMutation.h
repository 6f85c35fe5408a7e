#ifndef TESTS_CODEGEN_CUDA_KERNELMUTATION_H
#define TESTS_CODEGEN_CUDA_KERNELMUTATION_H

#include "tests/codegen/Cuda/KernelRunner.h"
#include "tests/runtime/emulator/mutations/mutation.h"
#include <functional>

namespace elah::cuda {

/// Runs kernels in an order: reports of the checker go to `outcome`; gives what is wrong with the results, or why there
/// are none.
using RunKernels =
    std::function<std::string(std::span<const KernelSpec> kernels, const RunOrder &order, RunOutcome &outcome)>;

/// Puts the bug into kernels[mutated], or into a header of it. Empty if it is reported as expected in each of its
/// orders; else what happened instead.
std::string whyNotReported(const mutation::Mutation &known, std::vector<KernelSpec> kernels, size_t mutated,
                           const RunKernels &run);

} // namespace elah::cuda

#endif
