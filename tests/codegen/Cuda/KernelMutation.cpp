#include "tests/codegen/Cuda/KernelMutation.h"
#include "codegen/Cuda/KernelSources.h"

namespace elah::cuda {

std::string whyNotReported(const mutation::Mutation &known, std::vector<KernelSpec> kernels, size_t mutated,
                           const RunKernels &run) {
  static const mutation::FindHeader findHeader = mutation::headersOf(kernelSources());
  KernelSpec &kernel = kernels[mutated];
  auto runMutated = [&](const std::string &source, const mutation::MutationOrder &order) {
    kernel.source = source;
    mutation::Observation seen;
    if (compileForTest(kernel, seen.broken)) {
      RunOrder runOrder = {.order = order.order, .seed = order.seed, .adversarial = order.adversarial};
      runOrder.patience = 1000; // Many bugs end in a deadlock.
      RunOutcome outcome;
      seen.wrong = run(kernels, runOrder, outcome);
      seen.reports = outcome.reports;
    }
    return seen;
  };
  return mutation::whyNotReported(known, mutation::inlineIncludes(kernel.source, findHeader), runMutated);
}

} // namespace elah::cuda
