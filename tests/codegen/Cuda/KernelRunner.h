#ifndef TESTS_CODEGEN_CUDA_KERNELRUNNER_H
#define TESTS_CODEGEN_CUDA_KERNELRUNNER_H

#include "codegen/Cuda/CompiledKernel.h"
#include "codegen/Cuda/KernelRunner.h"
#include <functional>

namespace elah::cuda {

/// Lazy, and random with some seeds, adversarial: what a kernel must survive.
std::vector<RunOrder> testOrders(unsigned randomSeeds = 2);

/// Compiles with NVRTC, or finds the kernel in the build folder's cache. The error holds the compiler's log.
std::optional<CompiledKernel> compileForTest(const KernelSpec &spec, std::string &error);

/// What the gates of a compilation would refuse: spills, the assembler's remarks, registers beyond the schedule's.
/// Empty if nothing.
std::string complaintsOf(const KernelSpec &spec, const CompiledKernel &kernel);

/// Compiles the kernels and runs them as KernelRunner does.
RunOutcome runKernels(std::span<const KernelSpec> kernels, std::vector<Operand> &operands,
                      const std::array<int64_t, 5> &bucket, const std::array<int64_t, 5> &dims, const RunOrder &order);

/// Compiles the kernels within the gates, then runs them in each of the orders, up to the first that gives a complaint.
/// Empty if there is none.
std::string checkInOrders(std::span<const KernelSpec> kernels, const std::vector<RunOrder> &orders,
                          const std::function<std::string(const RunOrder &order)> &run);

/// 1 - 2<x,y>/(|x|^2+|y|^2): 0 for equal vectors.
double relativeDifference(std::span<const double> x, std::span<const double> y);

} // namespace elah::cuda

#endif
