// Rounding that goes the other way early in a step is in everything after it. So a whole step says little of how right
// each of its kernels is: here each gets the operands that the step hands it, and only its own error counts.
#include "compiler/Verify/VerifyLaunches.h"
#include "codegen/Reference/KernelRows.h"
#include "compiler/Verify/CompareOperands.h"
#include "compiler/Verify/ManifestOperations.h"
#include "compiler/Verify/RandomOperands.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace elah {
namespace {

/// The bytes of so many rows: memory behind them is others'.
size_t bytesOf(Value value, const KernelOperand &operand, const std::array<int64_t, 5> &dims) {
  Rows pitched(operand);
  return std::min(operand.bytes.size(),
                  static_cast<size_t>(exec::rowsOf(value).evaluate(dims) * pitched.stride * pitched.read.bytes()));
}

} // namespace

llvm::Expected<KernelVerdict> verifyLaunch(const ArtifactFile &artifact, cuda::KernelRunner &runner,
                                           const cuda::RunOrder &order, const ReferenceProgram &program,
                                           const ReferenceProgram::Launch &step) {
  const proto::Manifest &manifest = artifact.manifest;
  llvm::StringRef modules = artifact.section(ELAH_SECTION_CUDA_MODULES);
  KernelVerdict verdict;
  exec::KernelOp kernelOp = step.kernel;
  Operation *op = kernelOp.getKernel();
  const unsigned inputs = cast<kernel::KernelOpInterface>(op).getInputCount();
  verdict.operation = op->getName().getStringRef().str();
  verdict.launch = step.launch.name();
  verdict.tokens = {step.dims[0]};
  const proto::Variant &variant = *llvm::find_if(
      step.launch.variants(), [&](const proto::Variant &candidate) { return candidate.max_tokens() >= step.dims[0]; });
  const VariantKernels kernels(manifest, modules, variant, static_cast<unsigned>(step.operands.size()));
  verdict.kernels = kernels.symbols();

  auto operandsNow = [&] {
    std::vector<cuda::Operand> operands;
    for (auto [operand, memory] : llvm::zip_equal(op->getOpOperands(), step.operands)) {
      cuda::Operand &made = operands.emplace_back();
      if (program.isWeight(step.launch, operand.getOperandNumber())) {
        made.kind = cuda::Operand::Kind::Weight;
        made.inPlace = memory.bytes;
        continue;
      }
      std::span<uint8_t> rows = memory.bytes.first(bytesOf(operand.get(), memory, step.bucket));
      made.bytes.assign(rows.begin(), rows.end());
      if (operand.getOperandNumber() >= inputs && !keepsContents(operand)) {
        made.kind = cuda::Operand::Kind::Output;
        made.writtenBytes = bytesOf(operand.get(), memory, step.dims);
      }
    }
    return operands;
  };
  std::vector<cuda::Operand> initial = operandsNow(), actual = initial;
  if (llvm::Error error = step.evaluate()) {
    return std::move(error);
  }
  std::vector<cuda::Operand> expected = operandsNow();
  const std::string where = llvm::formatv("{0} tokens of {1}, {2}", step.dims[0], step.bucket[0], order.describe());
  cuda::RunOutcome outcome = runner.run(kernels.runnable(), actual, step.bucket, step.dims, order);
  if (!outcome.error.empty()) {
    verdict.errors.push_back(where + ": " + outcome.error);
    return verdict;
  }
  for (const std::string &report : outcome.reports) {
    verdict.reports.push_back(where + ": " + report);
  }
  compareOperands(kernelOp, {}, {initial, expected, actual}, where, verdict);
  return verdict;
}

} // namespace elah
