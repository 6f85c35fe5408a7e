#ifndef CODEGEN_CUDA_KERNELRUNNER_H
#define CODEGEN_CUDA_KERNELRUNNER_H

#include "codegen/Cuda/KernelSpec.h"
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
  /// How many of an output's bytes the kernel is to write, from the first on, and are copied back; all by default.
  std::optional<size_t> writtenBytes;
  /// Instead of `bytes`: memory that stays where it is and is only read, as weights of many gigabytes; aligned to 256.
  std::span<const uint8_t> inPlace = {};

  template <typename T> static Operand weight(const std::vector<T> &values) { return holding(Kind::Weight, values); }
  /// Also for what a kernel adds to, or writes into rows of.
  template <typename T> static Operand input(const std::vector<T> &values) { return holding(Kind::Input, values); }
  /// Of `count` elements, of which the kernel is to write all that it should: reading them back before is a report.
  template <typename T> static Operand output(size_t count) {
    return {Kind::Output, std::vector<uint8_t>(count * sizeof(T)), std::nullopt, 0, std::nullopt, {}};
  }
  static Operand view(unsigned of, size_t byteOffset) { return {Kind::Input, {}, of, byteOffset, std::nullopt, {}}; }

  template <typename T> std::vector<T> as() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }

private:
  template <typename T> static Operand holding(Kind kind, const std::vector<T> &values) {
    Operand operand{kind, std::vector<uint8_t>(values.size() * sizeof(T)), std::nullopt, 0, std::nullopt, {}};
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
  unsigned threads = 0;      ///< Of the host; 0: all.
  uint64_t patience = 10000; ///< Milliseconds of waiting, with nothing else able to go on, that are a deadlock.

  std::string describe() const;
};

struct RunOutcome {
  std::string error;                 ///< Empty if the kernels were loaded and ran to their end.
  std::vector<std::string> reports;  ///< Of the checker, and of semaphores that were not left zero.
  std::vector<std::string> counters; ///< Of each launch, as JSON, with RunOrder::count.

  bool clean() const { return error.empty() && reports.empty(); }
  std::string describe() const;
};

/// A compiled kernel.
struct RunnableKernel {
  const KernelSpec *spec = nullptr;
  std::string_view ptx;
};

/// Runs kernels outside of a program, on operands that it is given: on Elah's emulator, whose checker watches.
class KernelRunner {
public:
  /// Opens the emulator's libcuda. On failure there is none, and `error` says why.
  static std::unique_ptr<KernelRunner> open(const std::string &library, std::string &error);
  /// The same, with the library that belongs to this program.
  static std::unique_ptr<KernelRunner> open(std::string &error);
  ~KernelRunner();

  /// Runs the kernels one after the other on the same operands. Grids, tensor maps and scratch memory are those of
  /// `bucket`; `dims` are what a step holds. The operands have their values of after the run.
  RunOutcome run(std::span<const RunnableKernel> kernels, std::vector<Operand> &operands,
                 const std::array<int64_t, 5> &bucket, const std::array<int64_t, 5> &dims, const RunOrder &order);

  /// What the emulator does from now on, in this process: also for programs that a session runs there. Empty, or what
  /// is wrong with the order.
  std::string setOrder(const RunOrder &order);
  /// Reports since the last call, or the last run.
  std::vector<std::string> takeReports();

private:
  struct Emulator;
  explicit KernelRunner(std::unique_ptr<Emulator> emulator);
  std::unique_ptr<Emulator> emulator;
};

} // namespace elah::cuda

#endif
