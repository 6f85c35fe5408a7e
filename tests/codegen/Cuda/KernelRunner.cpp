#include "tests/codegen/Cuda/KernelRunner.h"
#include "codegen/Cuda/KernelCache.h"
#include "codegen/Cuda/KernelGates.h"
#include "codegen/Cuda/Nvrtc.h"
#include "codegen/Reference/RelativeDifference.h"

namespace elah::cuda {
namespace {

std::optional<CompiledKernel> compileSource(const std::string &source, const std::string &symbol, std::string &error) {
  static std::string missing;
  static const std::unique_ptr<Nvrtc> nvrtc = Nvrtc::open(missing);
  static const KernelCache cache(ELAH_TEST_KERNEL_CACHE);
  if (!nvrtc) {
    error = missing;
    return std::nullopt;
  }
  std::string key = KernelCache::keyOf(source, nvrtc->version(), LineInfo::With);
  if (std::optional<CompiledKernel> found = cache.find(key)) {
    return found;
  }
  Nvrtc::Outcome outcome = nvrtc->compile(source, symbol + ".cu", LineInfo::With);
  if (!outcome.kernel) {
    error = symbol + " does not compile:\n" + outcome.log;
    return std::nullopt;
  }
  cache.store(key, *outcome.kernel);
  return outcome.kernel;
}

} // namespace

std::vector<RunOrder> testOrders(unsigned randomSeeds) {
  std::vector<RunOrder> orders = {{.order = "lazy"}};
  for (uint64_t seed = 1; seed <= randomSeeds; ++seed) {
    orders.push_back({.order = "random", .seed = seed, .adversarial = true});
  }
  return orders;
}

std::optional<CompiledKernel> compileForTest(const KernelSpec &spec, std::string &error) {
  return compileSource(spec.source, spec.symbol, error);
}

std::string complaintsOf(const KernelSpec &spec, const CompiledKernel &kernel) {
  std::string complaints;
  for (const std::string &finding : gateFindings(spec, kernel, *findCudaTarget("h800"))) {
    complaints += (complaints.empty() ? spec.symbol + " (" + spec.schedule + "): " : "; ") + finding;
  }
  return complaints;
}

RunOutcome runKernels(std::span<const KernelSpec> kernels, std::vector<Operand> &operands,
                      const std::array<int64_t, 5> &bucket, const std::array<int64_t, 5> &dims, const RunOrder &order) {
  RunOutcome outcome;
  static std::string error;
  static const std::unique_ptr<KernelRunner> runner = KernelRunner::open(ELAH_EMULATOR_LIBRARY, error);
  if (!runner) {
    outcome.error = error;
    return outcome;
  }
  std::vector<CompiledKernel> compiled;
  std::vector<RunnableKernel> runnable;
  for (const KernelSpec &spec : kernels) {
    std::optional<CompiledKernel> kernel = compileForTest(spec, outcome.error);
    if (!kernel) {
      return outcome;
    }
    compiled.push_back(std::move(*kernel));
  }
  for (size_t i = 0; i < kernels.size(); ++i) {
    runnable.push_back({&kernels[i], compiled[i].ptx});
  }
  return runner->run(runnable, operands, bucket, dims, order);
}

std::string checkInOrders(std::span<const KernelSpec> kernels, const std::vector<RunOrder> &orders,
                          const std::function<std::string(const RunOrder &order)> &run) {
  std::string complaints;
  for (const KernelSpec &spec : kernels) {
    std::string error;
    std::optional<CompiledKernel> compiled = compileForTest(spec, error);
    if (!compiled) {
      return error;
    }
    complaints += complaintsOf(spec, *compiled);
  }
  for (const RunOrder &order : orders) {
    std::string wrong = run(order);
    if (!wrong.empty()) {
      complaints += kernels[0].symbol + " (" + kernels[0].schedule + "), " + order.describe() + ": " + wrong + "\n";
      break;
    }
  }
  return complaints;
}

double relativeDifference(std::span<const double> x, std::span<const double> y) {
  RelativeDifference difference;
  for (size_t i = 0; i < x.size(); ++i) {
    difference.add(x[i], y[i]);
  }
  return difference.value();
}

} // namespace elah::cuda
