#include "compiler/tools/verify_kernels.h"
#include "compiler/Driver/Register.h"
#include "compiler/Verify/VerifyKernels.h"
#include "compiler/Verify/VerifySteps.h"
#include "mlir/IR/DialectRegistry.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <cstdio>

using namespace elah;

namespace {

std::string listed(llvm::ArrayRef<int64_t> tokens) {
  std::vector<int64_t> sorted(tokens);
  llvm::sort(sorted);
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::string text;
  for (int64_t count : sorted) {
    text += (text.empty() ? "" : ",") + std::to_string(count);
  }
  return text;
}

void print(const KernelVerdict &verdict) {
  llvm::StringRef operation = llvm::StringRef(verdict.operation);
  operation.consume_front("kernel.");
  std::printf("%-6s %-16s %-40s tokens %-16s difference %.1e (bound %.0e) %zu reports %10llu instructions\n",
              verdict.passed() ? "ok" : "WRONG", operation.str().c_str(), verdict.launch.c_str(),
              listed(verdict.tokens).c_str(), verdict.difference, verdict.bound, verdict.reports.size(),
              static_cast<unsigned long long>(verdict.instructions));
  for (const std::vector<std::string> *findings : {&verdict.errors, &verdict.reports}) {
    constexpr size_t shown = 4;
    for (const std::string &finding : llvm::ArrayRef(*findings).take_front(shown)) {
      std::printf("       %s\n", finding.c_str());
    }
    if (findings->size() > shown) {
      std::printf("       ... and %zu more\n", findings->size() - shown);
    }
  }
  if (!verdict.passed()) {
    std::printf("       in %s\n", verdict.kernels.c_str());
  }
  std::fflush(stdout);
}

void printJson(const KernelVerdict &verdict) {
  llvm::json::Object object{{"kernels", verdict.kernels},
                            {"operation", verdict.operation},
                            {"launch", verdict.launch},
                            {"tokens", llvm::json::Array(verdict.tokens)},
                            {"difference", verdict.difference},
                            {"bound", verdict.bound},
                            {"instructions", static_cast<int64_t>(verdict.instructions)},
                            {"reports", llvm::json::Array(verdict.reports)},
                            {"errors", llvm::json::Array(verdict.errors)},
                            {"passed", verdict.passed()}};
  std::printf("%s\n", llvm::formatv("{0}", llvm::json::Value(std::move(object))).str().c_str());
  std::fflush(stdout);
}

void printStep(const StepVerdict &verdict) {
  std::printf("%-6s step of %lld tokens behind %lld, %s: logits differ by %.1e (bound %.0e; rounding makes %.1e), %zu "
              "reports\n",
              verdict.passed() ? "ok" : "WRONG", static_cast<long long>(verdict.tokens),
              static_cast<long long>(verdict.length), verdict.order.c_str(), verdict.difference, verdict.bound,
              verdict.rounding, verdict.reports.size());
  for (const std::string &report : llvm::ArrayRef(verdict.reports).take_front(4)) {
    std::printf("       %s\n", report.c_str());
  }
  std::fflush(stdout);
}

void printStepJson(const StepVerdict &verdict) {
  llvm::json::Object object{{"step", verdict.tokens},
                            {"behind", verdict.length},
                            {"order", verdict.order},
                            {"difference", verdict.difference},
                            {"bound", verdict.bound},
                            {"rounding", verdict.rounding},
                            {"reports", llvm::json::Array(verdict.reports)},
                            {"passed", verdict.passed()}};
  std::printf("%s\n", llvm::formatv("{0}", llvm::json::Value(std::move(object))).str().c_str());
}

int fail(const std::string &message, int status) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return status;
}

} // namespace

int verifyKernelsOf(const std::string &file, const VerifyKernelsArguments &arguments) {
  llvm::Expected<ArtifactFile> artifact = readArtifact(file);
  if (!artifact) {
    return fail(llvm::toString(artifact.takeError()), 65);
  }
  if (artifact->manifest.target() != "cuda") {
    return fail(file + ": was compiled for " + artifact->manifest.target() +
                    "; kernels of artifacts for GPUs (elah compile --target h800) are verified on the emulator",
                65);
  }
  std::string error;
  std::unique_ptr<cuda::KernelRunner> runner = cuda::KernelRunner::open(error);
  if (!runner) {
    return fail(error, 66);
  }
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  size_t verified = 0, wrong = 0;
  VerifyKernelsOptions options;
  options.full = arguments.full;
  options.filter = arguments.filter;
  if (!arguments.steps) {
    llvm::Error failure = verifyKernels(*artifact, context, *runner, options, [&](const KernelVerdict &verdict) {
      (arguments.json ? printJson : print)(verdict);
      ++verified;
      wrong += !verdict.passed();
    });
    if (failure) {
      return fail(llvm::toString(std::move(failure)), 65);
    }
    if (verified == 0) {
      return fail(file + ": no kernel has '" + arguments.filter + "' in its name", 66);
    }
    if (!arguments.json) {
      std::printf("%zu kernels verified, %zu wrong\n", verified, wrong);
    }
  }
  // Whole steps, unless the reference, which multiplies in f64, would take hours, or the weights are elsewhere.
  const proto::Manifest &manifest = artifact->manifest;
  bool isSmall = manifest.parameters() < 200'000'000 && manifest.shards().empty();
  if (arguments.steps && !manifest.shards().empty()) {
    return fail(file + ": its weights are in the model's folder; steps are verified of artifacts that have them inside",
                65);
  }
  if (arguments.steps || (arguments.filter.empty() && isSmall)) {
    VerifyStepsOptions stepOptions;
    stepOptions.full = arguments.full;
    stepOptions.check = !arguments.unchecked;
    stepOptions.launches = arguments.steps;
    llvm::Error stopped = verifySteps(
        *artifact, file, context, *runner, stepOptions,
        [&](const KernelVerdict &verdict) {
          (arguments.json ? printJson : print)(verdict);
          wrong += !verdict.passed();
        },
        [&](const StepVerdict &verdict) {
          (arguments.json ? printStepJson : printStep)(verdict);
          wrong += !verdict.passed();
        });
    if (stopped) {
      return fail(llvm::toString(std::move(stopped)), 1);
    }
  }
  return wrong ? 1 : 0;
}
