// Bugs on the host's side: kernels that are right, launched wrongly, or with wrong tensor maps.

#include "tests/runtime/emulator/mutations/program_observation.h"

namespace mutation {
namespace {

using emulator::cuda::LaunchShape;
using emulator::cuda::ProgramEdits;
using emulator::cuda::ProgramRun;

struct LaunchMutation {
  const char *name, *program;
  std::function<void(ProgramEdits::MatrixMap &)> map;
  std::function<void(LaunchShape &)> launch;
  std::vector<const char *> expected;
};

std::vector<LaunchMutation> mutations() {
  using Map = ProgramEdits::MatrixMap;
  return {
      {"BoxOfOneRowMore",
       "WarpSpecialised",
       [](Map &map) { map.boxRows += map.boxRows == 64; },
       nullptr,
       {"wrong-transaction-count", "shared-race", "deadlock"}},
      {"BoxOfOneRowFewer",
       "WarpSpecialised",
       [](Map &map) { map.boxRows -= map.boxRows == 64; },
       nullptr,
       {"wrong-transaction-count", "deadlock"}},
      {"BoxBehindSharedMemory",
       "TensorCopiesStoreAndAdd",
       [](Map &map) { ++map.boxRows; },
       nullptr,
       {"out-of-bounds", "wrong-transaction-count", "mbarrier-overwritten"}},
      {"MatrixOfOneRowMore", "TensorCopiesStoreAndAdd", [](Map &map) { ++map.rows; }, nullptr, {"out-of-bounds"}},
      {"SwizzleOfTheMapIsWrong",
       "Wgmma_bf16_Swizzle64",
       [](Map &map) { map.swizzle = emulator::cuda::CU_TENSOR_MAP_SWIZZLE_128B; },
       nullptr,
       {"shared-race", "uninitialised-memory"}},
      {"MapWithoutSwizzle",
       "WgmmaFromRegisters",
       [](Map &map) { map.swizzle = emulator::cuda::CU_TENSOR_MAP_SWIZZLE_NONE; },
       nullptr,
       {wrongResult}},
      {"SharedMemoryIsTooSmall",
       "ReductionByTheLastCta",
       nullptr,
       [](LaunchShape &shape) { shape.shared -= 4; },
       {"out-of-bounds"}},
      {"OneStageTooFew",
       "StagesOfCpAsync",
       nullptr,
       [](LaunchShape &shape) { shape.shared -= shape.shared / 3; },
       {"out-of-bounds"}},
      {"OneRowOfCtasTooFew",
       "MmaSync",
       nullptr,
       [](LaunchShape &shape) { --shape.grid.y; },
       {"uninitialised-memory", wrongResult}},
      {"OneLineTooMany", "BulkCopiesOfLines", nullptr, [](LaunchShape &shape) { ++shape.grid.x; }, {"out-of-bounds"}},
      {"ClusterIsNotGiven",
       "MulticastInClusters",
       nullptr,
       [](LaunchShape &shape) { shape.cluster = {1, 1, 2}; },
       {wrongResult}},
  };
}

class LaunchMutations : public testing::TestWithParam<LaunchMutation> {};

TEST_P(LaunchMutations, AreReported) {
  if (const std::string why = ProgramRun::whyUnavailable(); !why.empty()) {
    GTEST_SKIP() << why;
  }
  const LaunchMutation &wrong = GetParam();
  ProgramEdits edits;
  edits.map = wrong.map;
  edits.launch = wrong.launch;
  const Mutation mutation{
      .name = wrong.name, .program = wrong.program, .find = "", .replacement = "", .expected = wrong.expected};
  EXPECT_EQ(whyNotReported(mutation, [&](const MutationOrder &order) { return observe(wrong.program, order, edits); }),
            "");
}

INSTANTIATE_TEST_SUITE_P(All, LaunchMutations, testing::ValuesIn(mutations()),
                         nameOfMutation<testing::TestParamInfo<LaunchMutation>>);

} // namespace
} // namespace mutation
