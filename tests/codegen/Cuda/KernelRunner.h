#ifndef TESTS_CODEGEN_CUDA_KERNELRUNNER_H
#define TESTS_CODEGEN_CUDA_KERNELRUNNER_H

#include "codegen/Cuda/CompiledKernel.h"
#include "codegen/Cuda/KernelSpec.h"
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace elah::cuda {

/// An operand of kernels: bytes on the host, copied to the device before a run and back after it.
struct Operand {
  enum class Kind {
    Weight, ///< There before the step begins: a kernel may read it before griddepcontrol.wait.
    Input,  ///< Written, in the run, by a kernel that ran just before.
    Output, ///< Memory that nobody has written.
  };
  Kind kind = Kind::Input;
  std::vector<uint8_t> bytes;
  /// The operand is not memory of its own, but lies in that operand's, `byteOffset` behind its beginning.
  std::optional<unsigned> within;
  size_t byteOffset = 0;

  template <typename T> static Operand weight(const std::vector<T> &values) { return holding(Kind::Weight, values); }
  /// Also for what a kernel adds to, or writes into rows of.
  template <typename T> static Operand input(const std::vector<T> &values) { return holding(Kind::Input, values); }
  /// Of `count` elements, of which the kernel is to write all that it should: reading them back before is a report.
  template <typename T> static Operand output(size_t count) {
    return {Kind::Output, std::vector<uint8_t>(count * sizeof(T)), std::nullopt, 0};
  }
  static Operand view(unsigned of, size_t byteOffset) { return {Kind::Input, {}, of, byteOffset}; }

  template <typename T> std::vector<T> as() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }

private:
  template <typename T> static Operand holding(Kind kind, const std::vector<T> &values) {
    Operand operand{kind, std::vector<uint8_t>(values.size() * sizeof(T)), std::nullopt, 0};
    std::memcpy(operand.bytes.data(), values.data(), operand.bytes.size());
    return operand;
  }
};

/// When asynchronous work happens: see runtime/emulator/README.md.
struct RunOrder {
  const char *order = "eager"; ///< eager, lazy, random
  uint64_t seed = 1;           ///< Of random.
  bool adversarial = false;
  bool check = true;
  bool count = false;
  unsigned threads = 0; ///< Of the host; 0: all.

  std::string describe() const;
};

/// Lazy, and random with some seeds, adversarial: what a kernel must survive.
std::vector<RunOrder> testOrders(unsigned randomSeeds = 2);

struct RunOutcome {
  std::string error;                 ///< Empty if the kernels were compiled and ran to their end.
  std::vector<std::string> reports;  ///< Of the checker, and of semaphores that were not left zero.
  std::vector<std::string> counters; ///< Of each launch, as JSON, with RunOrder::count.

  bool clean() const { return error.empty() && reports.empty(); }
  std::string describe() const;
};

/// Compiles with NVRTC, or finds the kernel in the build folder's cache. The error holds the compiler's log.
std::optional<CompiledKernel> compileForTest(const KernelSpec &spec, std::string &error);

/// What the gates of a compilation would refuse: spills, the assembler's remarks, registers beyond the schedule's.
/// Empty if nothing.
std::string complaintsOf(const KernelSpec &spec, const CompiledKernel &kernel);

/// Runs the kernels one after the other on the emulator, on the same operands. Grids, tensor maps and scratch memory
/// are those of `bucket`; `dims` are what a step holds. The operands have their values of after the run.
RunOutcome runKernels(std::span<const KernelSpec> kernels, std::vector<Operand> &operands,
                      const std::array<int64_t, 5> &bucket, const std::array<int64_t, 5> &dims, const RunOrder &order);

/// 1 - 2<x,y>/(|x|^2+|y|^2): 0 for equal vectors.
double relativeDifference(std::span<const double> x, std::span<const double> y);

} // namespace elah::cuda

#endif
