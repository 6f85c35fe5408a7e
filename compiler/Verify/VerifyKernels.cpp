// Does each kernel of an artifact do what its operation says? On a rented GPU a wrong number is found late and far from
// its cause; here every kernel is alone with operands that are known, and the emulator tells of what hardware lets
// pass.
#include "compiler/Verify/VerifyKernels.h"
#include "codegen/Reference/EvaluateKernel.h"
#include "compiler/Verify/CompareOperands.h"
#include "compiler/Verify/ManifestOperations.h"
#include "compiler/Verify/RandomOperands.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include <map>

using namespace mlir;

namespace elah {
namespace {

/// Multiply-adds of a product that the reference evaluates without leaving columns out.
constexpr double wholeProduct = 1e9;
/// Steps of more tokens are tried only with `full`.
constexpr int64_t largeStep = 64;

class Verifier {
public:
  Verifier(const ArtifactFile &artifact, MLIRContext &context, cuda::KernelRunner &runner,
           const VerifyKernelsOptions &options)
      : manifest(artifact.manifest), modules(artifact.section(ELAH_SECTION_CUDA_MODULES)), context(context),
        runner(runner), options(options) {}

  llvm::Error run(llvm::function_ref<void(const KernelVerdict &)> onVerdict) {
    std::map<std::pair<uint32_t, int>, bool> seen;
    for (const proto::Launch &launch : manifest.launches()) {
      for (int variant = 0; variant < launch.variants_size(); ++variant) {
        if (!seen.try_emplace({launch.operation(), variant}, true).second || !isWanted(launch, variant)) {
          continue;
        }
        auto module = parseOperation(manifest, launch.operation(), context);
        if (!module) {
          return module.takeError();
        }
        onVerdict(verify(launch, variant, kernelOf(**module)));
      }
    }
    return llvm::Error::success();
  }

private:
  bool isWanted(const proto::Launch &launch, int variant) const {
    if (options.filter.empty() || llvm::StringRef(launch.name()).contains(options.filter)) {
      return true;
    }
    return llvm::any_of(launch.variants(variant).steps(), [&](const proto::Step &step) {
      const proto::Kernel &kernel = manifest.kernels(static_cast<int>(step.kernel()));
      return llvm::StringRef(kernel.symbol()).contains(options.filter) ||
             llvm::StringRef(kernel.family()).contains(options.filter);
    });
  }

  /// The buckets that a variant serves.
  std::vector<int64_t> bucketsOf(const proto::Launch &launch, int variant) const {
    int64_t above = variant ? launch.variants(variant - 1).max_tokens() : 0;
    std::vector<int64_t> buckets;
    for (int64_t tokens : manifest.buckets()) {
      if (tokens > above && tokens <= launch.variants(variant).max_tokens()) {
        buckets.push_back(tokens);
      }
    }
    if (!options.full && buckets.size() > 1) {
      bool isSmall = buckets.back() <= largeStep;
      buckets = isSmall ? std::vector{buckets.front(), buckets.back()} : std::vector{buckets.front()};
    }
    return buckets;
  }

  VerifyStep stepOf(int64_t bucket, int64_t tokens) const {
    const proto::Limits &limits = manifest.limits();
    VerifyStep step;
    step.pageTokens = manifest.cache().page_tokens();
    step.maxPosition = std::min<int64_t>(limits.max_context(), options.full ? limits.max_context() : 300) - 1;
    int64_t pages = (limits.max_context() - 1) / step.pageTokens + 1;
    int64_t logitRows = limits.max_logit_rows() ? limits.max_logit_rows() : limits.max_tokens();
    int64_t sequences = std::min<int64_t>(limits.max_sequences(), 8);
    // Enough for the tokens of a step, and for sequences at the last position.
    int64_t cachePages =
        std::max(bucket, std::min<int64_t>(sequences, 4) * (step.maxPosition + 1)) / step.pageTokens + 2;
    auto dims = [&](int64_t count) -> std::array<int64_t, 5> {
      return {count, std::min({count, sequences, (count + 1) / 2 + 1}), std::min(count, logitRows),
              cachePages * step.pageTokens, pages};
    };
    step.bucket = dims(bucket);
    step.bucket[1] = std::min<int64_t>(bucket, limits.max_sequences());
    step.dims = dims(tokens);
    return step;
  }

  KernelVerdict verify(const proto::Launch &launch, int variant, exec::KernelOp kernel) {
    KernelVerdict verdict;
    verdict.operation = kernel.getKernel()->getName().getStringRef().str();
    verdict.launch = launch.name();
    const VariantKernels kernels(manifest, modules, launch.variants(variant), kernel.getKernel()->getNumOperands());
    verdict.kernels = kernels.symbols();
    uint64_t seed = 1;
    int64_t below = variant ? launch.variants(variant - 1).max_tokens() : 0;
    for (int64_t bucket : bucketsOf(launch, variant)) {
      std::vector<std::pair<int64_t, cuda::RunOrder>> runs = {{bucket, {.order = "eager", .count = true}},
                                                              {bucket, {.order = "lazy"}}};
      int64_t ragged = std::max(below + 1, (below + bucket) / 2 + 1);
      runs.push_back({std::min(ragged, bucket), {.order = "random", .seed = seed, .adversarial = true}});
      if (options.full) {
        runs.push_back({below + 1, {.order = "lazy"}});
        runs.push_back({bucket, {.order = "random", .seed = seed + 1, .adversarial = true}});
      }
      for (const auto &[tokens, order] : runs) {
        tryStep(kernel, kernels.runnable(), stepOf(bucket, tokens), order, ++seed, verdict);
        verdict.tokens.push_back(tokens);
      }
      below = bucket;
    }
    return verdict;
  }

  void tryStep(exec::KernelOp kernel, ArrayRef<cuda::RunnableKernel> runnable, const VerifyStep &step,
               const cuda::RunOrder &order, uint64_t seed, KernelVerdict &verdict) {
    Operation *op = kernel.getKernel();
    std::vector<cuda::Operand> initial = randomOperands(kernel, step, seed), expected = initial, actual = initial;
    EvaluateKernelOptions evaluation;
    if (auto packing = op->getAttrOfType<kernel::PackingAttr>("packing")) {
      double work = static_cast<double>(packing.getN()) * static_cast<double>(packing.getK()) *
                    static_cast<double>(step.dims[0]) * (isa<kernel::HeadGemmOp>(op) ? packing.getBatch() : 1);
      evaluation.columnBlockStep = static_cast<int64_t>(std::ceil(work / wholeProduct));
    }
    SmallVector<KernelOperand> operands;
    for (auto [value, operand] : llvm::zip_equal(op->getOperands(), expected)) {
      operands.push_back({cast<MemRefType>(value.getType()), std::span<uint8_t>(operand.bytes)});
    }
    std::string where = llvm::formatv("{0} tokens of {1}, {2}", step.dims[0], step.bucket[0], order.describe());
    if (llvm::Error error = evaluateKernel(op, operands, step.dims, evaluation)) {
      verdict.errors.push_back(llvm::toString(std::move(error)));
      return;
    }
    cuda::RunOutcome outcome = runner.run(runnable, actual, step.bucket, step.dims, order);
    if (!outcome.error.empty()) {
      verdict.errors.push_back(where + ": " + outcome.error);
      return;
    }
    for (const std::string &report : outcome.reports) {
      verdict.reports.push_back(where + ": " + report);
    }
    if (verdict.instructions == 0) {
      for (const std::string &counters : outcome.counters) {
        verdict.instructions += instructionsOf(counters);
      }
    }
    compareOperands(kernel, evaluation, {initial, expected, actual}, where, verdict);
  }

  static uint64_t instructionsOf(const std::string &counters) {
    llvm::Expected<llvm::json::Value> json = llvm::json::parse(counters);
    if (!json) {
      llvm::consumeError(json.takeError());
      return 0;
    }
    const llvm::json::Object *object = json->getAsObject();
    const llvm::json::Object *instructions = object ? object->getObject("instructions") : nullptr;
    return instructions ? static_cast<uint64_t>(instructions->getInteger("warps").value_or(0)) : 0;
  }

  const proto::Manifest &manifest;
  llvm::StringRef modules;
  MLIRContext &context;
  cuda::KernelRunner &runner;
  const VerifyKernelsOptions &options;
};

} // namespace

llvm::Error verifyKernels(const ArtifactFile &artifact, MLIRContext &context, cuda::KernelRunner &runner,
                          const VerifyKernelsOptions &options,
                          llvm::function_ref<void(const KernelVerdict &)> onVerdict) {
  return Verifier(artifact, context, runner, options).run(onVerdict);
}

} // namespace elah
