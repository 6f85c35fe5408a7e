// Whole steps of a program on the emulator, launched by the runtime as on a GPU, against its operations one after the
// other.
#include "compiler/Verify/VerifySteps.h"
#include "codegen/Reference/RelativeDifference.h"
#include "compiler/Verify/ReferenceProgram.h"
#include "compiler/Verify/VerifyLaunches.h"
#include <cstring>
#include <elah/elah.h>
#include <functional>
#include <memory>
#include <random>
#include <utility>

namespace elah {
namespace {

/// In an FP8 cache rounding that goes the other way changes a value by an eighth, for all tokens behind, and with it
/// now and then the choice of an expert: of 25 steps of Tiny-R1, whose tokens are random, the farthest was 1.9e-2 off.
constexpr double logitsBound = 1e-3, fp8CacheBound = 3e-2;
/// Rounding that goes the other way in one layer changes what the next ones quantize, and which experts they choose.
/// Where two references that are an f32's last bit apart at first end farther apart than the bound, so may the kernels.
constexpr double roundings = 4;
constexpr int64_t promptTokens = 13, decodeSteps = 2;

llvm::Error lastError() { return llvm::createStringError(elah_last_error()); }

/// Adds or takes the last bit of each f32 that the step's first launch writes.
class Disturbance {
public:
  llvm::Error operator()(const ReferenceProgram::Launch &launch) {
    if (llvm::Error error = launch.evaluate()) {
      return error;
    }
    const KernelOperand &output = launch.operands.back();
    if (std::exchange(isFirst, false) && output.type.getElementType().isF32()) {
      for (size_t at = 0; at + sizeof(uint32_t) <= output.bytes.size(); at += sizeof(uint32_t)) {
        uint32_t bits;
        std::memcpy(&bits, output.bytes.data() + at, sizeof(bits));
        bits ^= static_cast<uint32_t>(random() & 1);
        std::memcpy(output.bytes.data() + at, &bits, sizeof(bits));
      }
    }
    return llvm::Error::success();
  }
  bool isFirst = true;

private:
  std::mt19937 random{2};
};

double differenceOf(llvm::ArrayRef<float> expected, const float *found) {
  RelativeDifference difference;
  for (float value : expected) {
    difference.add(value, *found++);
  }
  return difference.value();
}

} // namespace

llvm::Error verifySteps(const ArtifactFile &artifact, const std::string &path, mlir::MLIRContext &context,
                        cuda::KernelRunner &runner, const VerifyStepsOptions &options,
                        llvm::function_ref<void(const KernelVerdict &)> onLaunch,
                        llvm::function_ref<void(const StepVerdict &)> onStep) {
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
  llvm::Expected<ReferenceProgram> reference = ReferenceProgram::create(artifact, context),
                                   disturbed = ReferenceProgram::create(artifact, context);
  if (!reference) {
    llvm::consumeError(disturbed.takeError());
    return reference.takeError();
  }
  if (!disturbed) {
    return disturbed.takeError();
  }
  const cuda::RunOrder eager = {.order = "eager", .check = options.check};
  std::vector<std::vector<float>> expected;
  std::vector<double> rounding;
  Disturbance disturbance;
  for (const std::vector<uint32_t> &tokens : steps) {
    llvm::Expected<std::vector<float>> logits =
        reference->step(tokens, [&](const ReferenceProgram::Launch &launch) -> llvm::Error {
          if (!options.launches) {
            return launch.evaluate();
          }
          llvm::Expected<KernelVerdict> verdict = verifyLaunch(artifact, runner, eager, *reference, launch);
          if (!verdict) {
            return verdict.takeError();
          }
          onLaunch(*verdict);
          return llvm::Error::success();
        });
    if (!logits) {
      return logits.takeError();
    }
    disturbance.isFirst = true;
    llvm::Expected<std::vector<float>> others = disturbed->step(tokens, std::ref(disturbance));
    if (!others) {
      return others.takeError();
    }
    rounding.push_back(differenceOf(*logits, others->data()));
    expected.push_back(std::move(*logits));
  }

  std::vector<cuda::RunOrder> orders = {eager};
  if (options.full) {
    orders.push_back({.order = "lazy", .check = options.check});
    orders.push_back({.order = "random", .seed = 1, .adversarial = true, .check = options.check});
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
    elah_session_options chosen = {};
    chosen.device = "emulator";
    elah_session *created;
    if (elah_session_create(opened, &chosen, &created)) {
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
      verdict.difference = differenceOf(expected[i], logits);
      verdict.rounding = rounding[i];
      verdict.bound = std::max(reference->quantizesCache() ? fp8CacheBound : logitsBound, roundings * verdict.rounding);
      verdict.reports = runner.takeReports();
      onStep(verdict);
      length += verdict.tokens;
    }
  }
  return llvm::Error::success();
}

} // namespace elah
