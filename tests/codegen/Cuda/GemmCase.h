#ifndef TESTS_CODEGEN_CUDA_GEMMCASE_H
#define TESTS_CODEGEN_CUDA_GEMMCASE_H

#include "codegen/Cuda/GemmSchedule.h"
#include "tests/codegen/Cuda/KernelRunner.h"

namespace elah::cuda {

/// A product with random operands, and what it is in f64. The input's rows behind the step's hold NaN, so that a kernel
/// that lets them into a result is found, as is one that writes a row, a column or a slice that is not its own.
class GemmCase {
public:
  /// `tokens` of a bucket of `bucketTokens`; experts share the rows unevenly, some have none.
  GemmCase(const GemmProblem &problem, int64_t tokens, int64_t bucketTokens, uint64_t seed = 1);

  /// Empty if the kernel is right, and clean in that order; else what is wrong.
  std::string run(const KernelSpec &spec, const RunOrder &order);

  struct Observed {
    RunOutcome outcome;
    std::string wrong; ///< With the results, if the run came to its end: empty if nothing.
  };
  Observed observe(const KernelSpec &spec, const RunOrder &order);

  /// The bytes that the last run wrote, and what the emulator counted.
  const std::vector<uint8_t> &output() const { return lastOutput; }
  const std::vector<std::string> &counters() const { return lastCounters; }

  int64_t rows() const { return stepRows; }

private:
  GemmProblem problem;
  std::array<int64_t, 5> dims, bucket;
  int64_t stepRows, bucketRows;
  std::vector<Operand> operands;
  size_t outputOperand;
  std::vector<double> expected; ///< [batch of heads][rows][columns]
  std::vector<uint8_t> lastOutput;
  std::vector<std::string> lastCounters;

  std::string compare(const std::vector<Operand> &ran) const;
};

/// Compiles within the gates, then runs in each of the orders. Empty if all is well.
std::string checkGemm(GemmCase &gemm, const KernelSpec &spec, const std::vector<RunOrder> &orders);

} // namespace elah::cuda

#endif
