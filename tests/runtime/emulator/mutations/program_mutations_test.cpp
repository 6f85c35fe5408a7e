// The checker's score: bugs in programs that are right, each reported as what it is, in every order.

#include "tests/runtime/emulator/mutations/program_mutations.h"
#include "tests/runtime/emulator/mutations/program_observation.h"

namespace mutation {
namespace {

using emulator::cuda::ProgramEdits;
using emulator::cuda::ProgramRun;

class ProgramMutations : public testing::TestWithParam<Mutation> {};

TEST_P(ProgramMutations, AreReported) {
  if (const std::string why = ProgramRun::whyUnavailable(); !why.empty()) {
    GTEST_SKIP() << why;
  }
  const Mutation &mutation = GetParam();
  EXPECT_EQ(whyNotReported(mutation,
                           [&](const MutationOrder &order) {
                             std::string error;
                             ProgramEdits edits;
                             edits.source = [&](const std::string &source) {
                               return edited(source, mutation, error).value_or(source);
                             };
                             Observation seen = observe(mutation.program, order, edits);
                             seen.broken += error;
                             return seen;
                           }),
            "");
}

INSTANTIATE_TEST_SUITE_P(Scalar, ProgramMutations, testing::ValuesIn(scalarMutations()),
                         nameOfMutation<testing::TestParamInfo<Mutation>>);
INSTANTIATE_TEST_SUITE_P(Asynchronous, ProgramMutations, testing::ValuesIn(asynchronousMutations()),
                         nameOfMutation<testing::TestParamInfo<Mutation>>);
INSTANTIATE_TEST_SUITE_P(Matrix, ProgramMutations, testing::ValuesIn(matrixMutations()),
                         nameOfMutation<testing::TestParamInfo<Mutation>>);

} // namespace
} // namespace mutation
