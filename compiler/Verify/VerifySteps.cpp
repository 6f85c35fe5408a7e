// Whole steps of a program on the emulator, launched by the runtime as on a GPU, against its operations one after the
// other.
#include "compiler/Verify/VerifySteps.h"
#include "codegen/Reference/RelativeDifference.h"
#include "compiler/Verify/ReferenceProgram.h"
#include <elah/elah.h>
#include <memory>
#include <random>

namespace elah {
namespace {

/// Rounding that goes the other way in one layer changes what the next ones quantize. In an FP8 cache it changes a
/// value by an eighth, for all tokens behind, and with it now and then the choice of an expert: of 25 steps of Tiny-R1,
/// whose tokens are random, the farthest was 1.9e-2 off.
constexpr double logitsBound = 1e-3, fp8CacheBound = 3e-2;
constexpr int64_t promptTokens = 13, decodeSteps = 2;

llvm::Error lastError() { return llvm::createStringError(elah_last_error()); }

} // namespace

llvm::Error verifySteps(const ArtifactFile &artifact, const std::string &path, mlir::MLIRContext &context,
                        cuda::KernelRunner &runner, bool full,
                        llvm::function_ref<void(const StepVerdict &)> onVerdict) {
  // A prompt, and tokens that follow whatever the logits say.
  const proto::Limits &limits = artifact.manifest.limits();
  std::vector<std::vector<uint32_t>> steps;
  std::mt19937 random(1);
  int64_t first = std::min<int64_t>({promptTokens, limits.max_tokens(), limits.max_context() - decodeSteps});
  for (int64_t i = 0; i <= decodeSteps; ++i) {
    std::vector<uint32_t> &tokens = steps.emplace_back(i == 0 ? std::max<int64_t>(first, 1) : 1);
    for (uint32_t &token : tokens) {
      token = static_cast<uint32_t>(random() % artifact.manifest.vocabulary());
    }
  }
  llvm::Expected<ReferenceProgram> reference = ReferenceProgram::create(artifact, context);
  if (!reference) {
    return reference.takeError();
  }
  std::vector<std::vector<float>> expected;
  for (const std::vector<uint32_t> &tokens : steps) {
    llvm::Expected<std::vector<float>> logits = reference->step(tokens);
    if (!logits) {
      return logits.takeError();
    }
    expected.push_back(std::move(*logits));
  }

  std::vector<cuda::RunOrder> orders = {{.order = "eager"}};
  if (full) {
    orders.push_back({.order = "lazy"});
    orders.push_back({.order = "random", .seed = 1, .adversarial = true});
  }
  elah_artifact *opened;
  if (elah_artifact_open(path.c_str(), &opened)) {
    return lastError();
  }
  std::unique_ptr<elah_artifact, decltype(&elah_artifact_close)> closing(opened, elah_artifact_close);
  for (const cuda::RunOrder &order : orders) {
    if (std::string problem = runner.setOrder(order); !problem.empty()) {
      return llvm::createStringError(problem);
    }
    elah_session_options options = {};
    options.device = "emulator";
    elah_session *created;
    if (elah_session_create(opened, &options, &created)) {
      return lastError();
    }
    std::unique_ptr<elah_session, decltype(&elah_session_free)> session(created, elah_session_free);
    elah_chunk chunk = {};
    chunk.logits = ELAH_LOGITS_LAST;
    if (elah_sequence_create(created, &chunk.sequence)) {
      return lastError();
    }
    int64_t length = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      chunk.tokens = steps[i].data();
      chunk.count = steps[i].size();
      const float *logits;
      size_t rows;
      if (elah_session_step(created, &chunk, 1, &logits, &rows)) {
        return lastError();
      }
      StepVerdict verdict;
      verdict.order = order.describe();
      verdict.tokens = static_cast<int64_t>(chunk.count);
      verdict.length = length;
      RelativeDifference difference;
      for (size_t token = 0; token < expected[i].size(); ++token) {
        difference.add(expected[i][token], logits[token]);
      }
      verdict.difference = difference.value();
      verdict.bound = reference->quantizesCache() ? fp8CacheBound : logitsBound;
      verdict.reports = runner.takeReports();
      onVerdict(verdict);
      length += verdict.tokens;
    }
  }
  return llvm::Error::success();
}

} // namespace elah
