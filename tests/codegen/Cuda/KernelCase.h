#ifndef TESTS_CODEGEN_CUDA_KERNELCASE_H
#define TESTS_CODEGEN_CUDA_KERNELCASE_H

#include "tests/codegen/Cuda/KernelMutation.h"
#include "tests/codegen/Cuda/Values.h"
#include <functional>

namespace elah::cuda {

enum class Memory { F32, BF16, I32 };

/// How far a value may be off: expected * relative + absolute.
struct Bound {
  double relative = 0, absolute = 0;

  /// Rounded once, of a result in f32 that is off by a few of its last places.
  static Bound bf16() { return {1.002 / 256, 1e-7}; }
  static Bound f32() { return {1e-6, 1e-7}; }
};

/// In the place of an expected value: memory that stays what it was.
inline const double untouched = std::nan("");

/// A kernel that reads some operands, and what it must write: operands come in the order of their declaration.
class KernelCase {
public:
  KernelCase(int64_t tokens, int64_t bucketTokens, int64_t logitRows = 1, int64_t bucketLogitRows = 1)
      : bucket{bucketTokens, 1, bucketLogitRows, 64, 1}, dims{tokens, 1, logitRows, 64, 1} {}

  /// There before the step begins.
  template <typename T> KernelCase &weight(const std::vector<T> &values) { return add(Operand::weight(values)); }
  template <typename T> KernelCase &input(const std::vector<T> &values) { return add(Operand::input(values)); }

  /// All elements of an operand. Before the run it holds `before`, in f32, or what no kernel writes.
  KernelCase &output(Memory memory, std::vector<double> expected, Bound bound = {},
                     const std::vector<float> &before = {});
  /// Two operands, e4m3 and scales, for `expected` of `width` columns, whose own error may be `error` of their size.
  KernelCase &quantizedOutput(const std::vector<double> &expected, int64_t width, int64_t bucketRows, double error = 0);

  /// An operand of another format, of so many bytes: says what is wrong with what it holds, given that and what it held
  /// before the run.
  using Check = std::function<std::string(std::span<const uint8_t> before, std::span<const uint8_t> after)>;
  KernelCase &checkedOutput(size_t bytes, Check check);

  /// Compiles within the gates, then runs in each of the orders. Empty if all is well.
  std::string check(const KernelSpec &spec, const std::vector<RunOrder> &orders) const;
  std::string check(const KernelSpec &spec) const;

  /// Memory bounds these kernels: empty if one run moves at most a tenth more sectors of global memory than `bytes`
  /// fill.
  std::string checkTraffic(const KernelSpec &spec, int64_t bytes) const;

  /// Puts each of the bugs into the kernel, or into a header of it. Empty if each is reported as the table expects, in
  /// lazy and in random order.
  std::string checkMutations(const KernelSpec &spec, const std::vector<mutation::Mutation> &mutations) const;

  /// One run, without the gates: reports of the checker apart from what is wrong with the results.
  RunOutcome run(const KernelSpec &spec, const RunOrder &order, std::string &wrong) const;

private:
  struct Expectation {
    size_t operand;
    Memory memory;
    std::vector<double> values;
    Bound bound;
  };
  struct Quantized {
    size_t operand;
    std::vector<double> values;
    int64_t width;
    double error;
  };
  std::array<int64_t, 5> bucket, dims;
  std::vector<Operand> operands;
  std::vector<Expectation> expectations;
  std::vector<Quantized> quantized;
  std::vector<std::pair<size_t, Check>> checks; ///< Of operands.

  KernelCase &add(Operand operand) {
    operands.push_back(std::move(operand));
    return *this;
  }
  std::string compare(const std::vector<Operand> &ran, const Expectation &expected) const;
  std::string compare(const std::vector<Operand> &ran, const Quantized &expected) const;
};

/// Rows of `width` values and then `untouched` ones, as many as fill the rows of a bucket.
std::vector<double> rowsOfBucket(std::vector<double> values, int64_t width, int64_t bucketRows);

} // namespace elah::cuda

#endif
