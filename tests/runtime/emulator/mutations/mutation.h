#ifndef TESTS_RUNTIME_EMULATOR_MUTATIONS_MUTATION_H
#define TESTS_RUNTIME_EMULATOR_MUTATIONS_MUTATION_H

// How good is a checker? Put a known bug into a kernel that is right and see whether, and as what, it is reported
// (mutation testing: DeMillo, Lipton and Sayward, 1978). A mutation is an edit of the source text; a table of them is
// a test, one case each. For any kernels that run on the emulator:
//
//   const Mutation mutations[] = {
//       {"StageIsNotWaitedFor", "fp8_gemm", "mbarrier_wait(&full[stage], phase);", "", {"shared-race"}},
//       {"TileIsOneTooWide", "fp8_gemm", "column < columns", "column <= columns", {"out-of-bounds"}}, ...};
//
//   class Fp8GemmMutations : public testing::TestWithParam<Mutation> {};
//   TEST_P(Fp8GemmMutations, AreReported) {
//     KernelSpec spec = specializeFp8Gemm(shape, schedule);
//     const std::string source = inlineIncludes(spec.source, headersOf(kernelSources()));
//     EXPECT_EQ(whyNotReported(GetParam(), source, [&](const std::string &mutated, const MutationOrder &order) {
//       spec.source = mutated;
//       ... run it in that order with the checker on ...
//       return Observation{.broken = compilerLog, .reports = outcome.reports, .wrong = whatIsWrong};
//     }), "");
//   }
//   INSTANTIATE_TEST_SUITE_P(All, Fp8GemmMutations, testing::ValuesIn(mutations), nameOfMutation);
//
// The library needs nothing of ours: link elah_mutation.

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mutation {

/// Stands in the place of a report's kind: the results are wrong, or the launch fails, and the checker has nothing to
/// say. Right for bugs of arithmetic and layout, which are no hazards; never for a hazard.
inline constexpr const char *wrongResult = "wrong-result";

/// When asynchronous work happens (runtime/emulator/README.md).
struct MutationOrder {
  const char *order = "eager"; ///< eager, lazy, random
  uint64_t seed = 0;
  bool adversarial = false;

  std::string describe() const;
};

/// Eager, lazy and two adversarial random ones: a bug is a bug in each of them, if it is not one of timing alone.
std::vector<MutationOrder> everyMutationOrder();

struct Mutation {
  const char *name;    ///< Says what is wrong: a C++ identifier.
  const char *program; ///< The kernel that is right: means something to the caller.
  const char *find;    ///< Must occur once in the source, or `occurrence` says which of several it is.
  const char *replacement;
  /// Kinds of report ("shared-race"), of which one must come in every order.
  std::vector<const char *> expected;
  /// Part of that report's text: a variable, an instruction, ...
  const char *mentions = "";
  unsigned occurrence = 0; ///< From 1; 0: there is but one.
  std::vector<MutationOrder> orders = everyMutationOrder();
};

/// What one run of a mutated kernel showed.
struct Observation {
  std::string broken;               ///< Why it did not run at all (it does not compile); empty otherwise.
  std::vector<std::string> reports; ///< The checker's, as text: the kind comes first.
  std::string wrong;                ///< What is wrong with the results, or the code of the call that failed.
};

using RunInOrder = std::function<Observation(const MutationOrder &order)>;
using RunMutated = std::function<Observation(const std::string &source, const MutationOrder &order)>;

/// Empty if the mutation of that source is reported as expected in each of its orders; else what happened instead.
std::string whyNotReported(const Mutation &mutation, const std::string &source, const RunMutated &run);
/// Likewise for those who edit by themselves, or have put another bug there than an edit of a kernel.
std::string whyNotReported(const Mutation &mutation, const RunInOrder &run);

/// The source with the edit. An edit that does not apply, or changes nothing, is an error.
std::optional<std::string> edited(const std::string &source, const Mutation &mutation, std::string &error);

/// The text of a header by the name that stands in #include "name"; nothing if it is not one of ours.
using FindHeader = std::function<std::optional<std::string>(const std::string &name)>;

/// `source` with each header in the place of its first inclusion, so that headers can be mutated as well.
std::string inlineIncludes(const std::string &source, const FindHeader &find);

/// Headers in any container of {name, text}, which is copied.
template <typename Sources> FindHeader headersOf(Sources sources) {
  return [sources](const std::string &name) -> std::optional<std::string> {
    for (const auto &source : sources) {
      if (name == source.name) {
        return std::string(source.text);
      }
    }
    return std::nullopt;
  };
}

/// How GoogleTest prints a parameter.
inline void PrintTo(const Mutation &mutation, std::ostream *out) { *out << mutation.name; }

/// The name of a parameterised test's case.
template <typename Info> std::string nameOfMutation(const Info &info) { return info.param.name; }

} // namespace mutation

#endif
