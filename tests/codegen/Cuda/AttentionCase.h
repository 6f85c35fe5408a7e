#ifndef TESTS_CODEGEN_CUDA_ATTENTIONCASE_H
#define TESTS_CODEGEN_CUDA_ATTENTIONCASE_H

#include "tests/codegen/Cuda/KernelRunner.h"

namespace elah::cuda {

/// What attention attends to.
struct AttentionProblem {
  int64_t heads, kvHeads, keyDim, valueDim;
  double scale;         ///< Of scores.
  bool valuesAreInKeys; ///< A value is the first of its key: there is one cache.
  bool isFp8 = false;   ///< That cache, of latents.
};

/// Of a step: tokens of a sequence that come behind those that are in the cache.
struct SequenceStep {
  int64_t cached, queried;
};

struct AttentionData {
  uint64_t seed = 1;
  double spread = 2;        ///< Standard deviation of scores.
  double growth = 0;        ///< How much larger scores are at the end of a sequence of a thousand tokens.
  int64_t unusedTokens = 0; ///< Of the bucket, behind the step's.
};

/// Attention of a step's tokens to random keys and values, and what it is in f64. What no token may see holds NaN: rows
/// of the caches behind a sequence's end, pages of nobody, queries behind the step's; the page table's tails lead
/// nowhere.
class AttentionCase {
public:
  AttentionCase(const AttentionProblem &problem, const std::vector<SequenceStep> &sequences,
                const AttentionData &data = {});

  /// Empty if the kernels are right, and clean in that order; else what is wrong.
  std::string run(std::span<const KernelSpec> kernels, const RunOrder &order);
  /// Reports of the checker apart, in `outcome`: what is wrong with the results, or why there are none.
  std::string run(std::span<const KernelSpec> kernels, const RunOrder &order, RunOutcome &outcome);
  /// The same, of kernels that are compiled.
  std::string runCompiled(KernelRunner &runner, std::span<const RunnableKernel> kernels, const RunOrder &order,
                          RunOutcome &outcome);
  /// Compiles within the gates, then runs in each of the orders. Empty if all is well.
  std::string check(std::span<const KernelSpec> kernels, const std::vector<RunOrder> &orders);

  /// The bytes that the last run wrote, and what the emulator counted.
  const std::vector<uint8_t> &output() const { return lastOutput; }
  const std::vector<std::string> &counters() const { return lastCounters; }

private:
  AttentionProblem problem;
  std::array<int64_t, 5> dims, bucket;
  std::vector<Operand> operands;
  std::vector<double> expected; ///< [tokens][heads][valueDim]
  std::vector<double> bound;    ///< Of errors.
  std::vector<uint8_t> lastOutput;
  std::vector<std::string> lastCounters;

  std::string compare(const std::vector<Operand> &ran) const;
};

} // namespace elah::cuda

#endif
