// Bugs put into attention's kernels, one at a time: each must be reported by the emulator's checker, or show in the
// results where it is one of arithmetic.
#include "codegen/Cuda/Attention.h"
#include "tests/codegen/Cuda/AttentionCase.h"
#include "tests/codegen/Cuda/KernelMutation.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::Mutation;
using mutation::wrongResult;

constexpr AttentionShape shape = {.heads = 6, .kvHeads = 2, .headDim = 80, .valueDim = 72, .scale = 0.11};

/// Decode steps and chunks, one of which ends before a page does; groups that two parts share.
AttentionCase &attentionCase() {
  static AttentionCase attention({shape.heads, shape.kvHeads, shape.headDim, shape.valueDim, shape.scale, false},
                                 {{62, 30}, {200, 1}, {120, 50}, {0, 1}, {300, 30}},
                                 {.spread = 4, .growth = 300, .unusedTokens = 3});
  return attention;
}

/// Of tiles of 64 rows, of tiles of 128; the mutated kernel is the first, or the second of "Combine".
std::vector<KernelSpec> kernelsOf(const std::string &program) {
  AttentionSchedule schedule{.warpgroups = program == "TwoWarpgroups" ? 2 : 1, .stages = 2, .parts = 5};
  return specializeAttention(shape, schedule);
}

class AttentionMutations : public testing::TestWithParam<Mutation> {};

TEST_P(AttentionMutations, AreReported) {
  const Mutation &known = GetParam();
  EXPECT_EQ(whyNotReported(known, kernelsOf(known.program), known.program == std::string("Combine"),
                           [](auto kernels, const RunOrder &order, RunOutcome &outcome) {
                             return attentionCase().run(kernels, order, outcome);
                           }),
            "");
}

std::vector<Mutation> mutations() {
  std::vector<Mutation> mutations = {
      // Waits of those who read.
      {"ScoresAreNotWaitedFor", "TwoWarpgroups", "waitScores<1>", "waitScores<2>", {"register-in-flight"}},
      {"OutputIsNotWaitedFor",
       "OneWarpgroup",
       "    ptx::wgmma_wait_group<0>();\n    ptx::wgmma_hold_registers(tile.out);",
       "",
       {"register-in-flight"}},
      // Waits of those who write.
      {"KeysAreReleasedBeforeTheProduct",
       "OneWarpgroup",
       "    ptx::wgmma_wait_group<pending>();\n    ptx::wgmma_hold_registers(scores);\n    "
       "release(keyRing.empty(keys.stage));",
       "    release(keyRing.empty(keys.stage));\n    ptx::wgmma_wait_group<pending>();\n    "
       "ptx::wgmma_hold_registers(scores);",
       {"shared-race"}},
      {"ValuesAreReleasedBeforeTheProduct",
       "OneWarpgroup",
       "    ptx::wgmma_wait_group<0>();\n    ptx::wgmma_hold_registers(tile.out);\n    "
       "release(valueRing.empty(values.stage));",
       "    release(valueRing.empty(values.stage));\n    ptx::wgmma_wait_group<0>();\n    "
       "ptx::wgmma_hold_registers(tile.out);",
       {"shared-race"}},
      {"ProbabilitiesAreOverwritten",
       "OneWarpgroup",
       "      waitValues(tile, values);\n      // Not before: the product reads the probabilities.\n      "
       "ptx::wgmma_hold_registers(scores);\n      toFragments(scores, probabilities);",
       "      toFragments(scores, probabilities);\n      ptx::wgmma_hold_registers(probabilities);\n      "
       "waitValues(tile, values);",
       {"register-in-flight"}},
      {"StagedRowsAreOverwritten",
       "OneWarpgroup",
       "    ptx::cp_async_bulk_wait_group_read<0>();\n",
       "",
       {"source-in-use"}},
      {"StagedRowsAreStoredTooEarly",
       "TwoWarpgroups",
       "ptx::fence_proxy_async_shared();\n    ptx::bar_sync(warpgroupReady + tile.warpgroup, 128);\n    const int32_t "
       "row",
       "ptx::fence_proxy_async_shared();\n    const int32_t row",
       {"shared-race"}},
      {"BlockLeavesBeforeItsStores",
       "OneWarpgroup",
       "    ptx::cp_async_bulk_wait_group<0>();\n",
       "",
       {"source-in-use"}},
      // Order among the asynchronous parts.
      {"StagedRowsAreNotFenced",
       "OneWarpgroup",
       "ptx::fence_proxy_async_shared();\n    ptx::bar_sync(warpgroupReady + tile.warpgroup, 128);\n    const int32_t "
       "row",
       "ptx::bar_sync(warpgroupReady + tile.warpgroup, 128);\n    const int32_t row",
       {"missing-proxy-fence"}},
      {"RegistersAreNotFencedForScores",
       "OneWarpgroup",
       "ptx::wgmma_hold_registers(tile.queries);\n    ptx::wgmma_fence();",
       "ptx::wgmma_hold_registers(tile.queries);",
       {"missing-wgmma-fence"}},
      {"RegistersAreNotFencedForOutput",
       "OneWarpgroup",
       "ptx::wgmma_hold_registers(probabilities);\n    ptx::wgmma_fence();",
       "ptx::wgmma_hold_registers(probabilities);",
       {"missing-wgmma-fence"}},
      {"BarriersAreNotFenced",
       "OneWarpgroup",
       "      valueRing.init(mathWarps);\n      ptx::fence_mbarrier_init();",
       "      valueRing.init(mathWarps);",
       {"missing-mbarrier-init-fence"}},
      {"UnusedRowsAreNotCleared", "OneWarpgroup", "    clearUnusedRows();\n", "", {"uninitialised-memory"}},
      // Layouts and arithmetic.
      {"QueriesAreSwizzledWrongly",
       "OneWarpgroup",
       "((chunk ^ row % 8) << 4)",
       "((chunk ^ row % 4) << 4)",
       {wrongResult}},
      {"KeysAdvanceTooFar",
       "OneWarpgroup",
       "ptx::MatrixSwizzle::B128) + k % 4 * 2;",
       "ptx::MatrixSwizzle::B128) + k % 4 * 4;",
       {wrongResult}},
      {"ValuesAdvanceTooLittle", "OneWarpgroup", "rows + 128 * k", "rows + 64 * k", {wrongResult}},
      {"ScoresAreAddedTo",
       "OneWarpgroup",
       "(scores, tile.queries[k], columns, k > 0)",
       "(scores, tile.queries[k], columns, 1)",
       {"uninitialised-register"}},
      {"LastPageIsNotShifted", "OneWarpgroup", "first = -missing(piece, index);", "first = 0;", {wrongResult}},
      {"TokenDoesNotSeeItself",
       "OneWarpgroup",
       "token + column <= position",
       "token + column < position",
       {wrongResult}},
      {"TokenSeesTheNext",
       "TwoWarpgroups",
       "token + column <= position",
       "token + column <= 1 + position",
       {wrongResult}},
      {"FirstTokenIsNotMasked", "OneWarpgroup", "> firstPosition + 1) {", "> firstPosition + 2) {", {wrongResult}},
      {"OutputIsNotRescaled", "OneWarpgroup", "      rescale(tile.out, factor);\n", "", {wrongResult}},
      {"SumIsNotRescaled", "OneWarpgroup", "    sum[row] *= factor;\n", "", {wrongResult}},
      {"HeadsReadAnothersKeys",
       "OneWarpgroup",
       "kvHead = unit * Config::tileHeads / Config::group;",
       "kvHead = 0;",
       {wrongResult}},
      {"RowsOfOthersAreWritten",
       "OneWarpgroup",
       "return Rows::token(piece, row) < piece.tokenEnd;",
       "return row < Config::usedRows;",
       {"global-race", "out-of-bounds"}},
      {"SecondHalfIsStoredElsewhere",
       "TwoWarpgroups",
       "const int32_t row = 64 * tile.warpgroup + thread;",
       "const int32_t row = thread;",
       {"global-race"}},
      {"PartsShareAPlace", "OneWarpgroup", "2 * part + (part == firstPart)", "2 * part", {"uninitialised-memory"}},
      {"WeightForgetsTheReference",
       "OneWarpgroup",
       "tile.softmax.reference[i] * scale + ptx::lg2_approx",
       "ptx::lg2_approx",
       {wrongResult}},
      // Copies that nobody waits for, or that come too soon.
      {"KeysAreReadTooSoon",
       "OneWarpgroup",
       "    ptx::mbarrier_wait_parity(keyRing.full(keys.stage), keys.phase);\n    ptx::wgmma_hold_registers(scores);",
       "    ptx::wgmma_hold_registers(scores);",
       {"shared-race", "uninitialised-memory"}},
      {"ValuesAreReadTooSoon",
       "OneWarpgroup",
       "    ptx::mbarrier_wait_parity(valueRing.full(values.stage), values.phase);\n    const uint64_t rows",
       "    const uint64_t rows",
       {"shared-race", "uninitialised-memory"}},
      {"QueriesAreReadTooSoon",
       "OneWarpgroup",
       "    ptx::mbarrier_wait_parity(queryRing.full(0), queries.phase);\n",
       "",
       {"shared-race", "uninitialised-memory"}},
      {"QueriesAreReplacedTooSoon",
       "OneWarpgroup",
       "        ptx::mbarrier_wait_parity(queryRing.empty(0), queries.phase ^ 1);\n",
       "",
       {"shared-race", "mbarrier-misuse"}},
      {"KeysAreReplacedTooSoon",
       "OneWarpgroup",
       "          ptx::mbarrier_wait_parity(keyRing.empty(stage), position.phase ^ 1);\n",
       "",
       {"shared-race", "mbarrier-misuse"}},
      {"ValuesAreReplacedTooSoon",
       "TwoWarpgroups",
       "          ptx::mbarrier_wait_parity(valueRing.empty(stage), position.phase ^ 1);\n",
       "",
       {"shared-race", "mbarrier-misuse"}},
      {"WarpReleasesForItsFirstLane",
       "OneWarpgroup",
       "uint32_t empty) {\n    __syncwarp();\n",
       "uint32_t empty) {\n",
       {"shared-race"}},
      {"StepIsNotWaitedFor",
       "OneWarpgroup",
       "    ptx::griddepcontrol_wait();\n    typename Config::Plan",
       "    typename Config::Plan",
       {"global-race", "uninitialised-memory"}},
      {"StoresAreNotCommitted",
       "OneWarpgroup",
       "2 * shape.valueDim);\n      ptx::cp_async_bulk_commit_group();",
       "2 * shape.valueDim);",
       {"source-in-use"}},
      {"ScoresAreNotCommitted",
       "OneWarpgroup",
       "columns, k > 0);\n    }\n    ptx::wgmma_commit_group();",
       "columns, k > 0);\n    }",
       {"register-in-flight"}},
      // Arrivals and bytes that never come, or that nobody expects.
      {"KeysAreNotReleased",
       "OneWarpgroup",
       "    release(keyRing.empty(keys.stage));\n    keys.advance();\n  }\n\n  __device__ void waitValues",
       "    keys.advance();\n  }\n\n  __device__ void waitValues",
       {"deadlock"}},
      {"QueriesAreNotReleased", "OneWarpgroup", "    release(queryRing.empty(0));\n", "", {"deadlock"}},
      {"SkippedPagesAreNotReleased",
       "TwoWarpgroups",
       "      release(valueRing.empty(values.stage));\n      values.advance();\n    }",
       "      values.advance();\n    }",
       {"deadlock"}},
      {"UnusedRowsAreExpected",
       "OneWarpgroup",
       "Config::keyTiles * Config::usedRows * 128);",
       "Config::keyTiles * Config::tileRows * 128);",
       {"deadlock"}},
      {"OneTileTooFewIsExpected",
       "OneWarpgroup",
       "valueRing.full(stage), Config::valueTiles * Config::pageTileBytes",
       "valueRing.full(stage), Config::pageTileBytes",
       {"wrong-transaction-count", "shared-race"}},
      {"LastPageIsNotLoaded",
       "OneWarpgroup",
       "index < piece.pageEnd; ++index) {\n          const int32_t page",
       "index + 1 < piece.pageEnd; ++index) {\n          const int32_t page",
       {"deadlock"}},
      {"PhaseStays", "OneWarpgroup", "      phase ^= 1;\n", "", {"shared-race", "deadlock", "mbarrier-misuse"}},
      {"EveryLaneReleases",
       "OneWarpgroup",
       "    __syncwarp();\n    if (threadIdx.x % 32 == 0) {\n      ptx::mbarrier_arrive(empty);\n    }",
       "    ptx::mbarrier_arrive(empty);",
       {"mbarrier-misuse", "deadlock"}},
      {"OneWarpReleases",
       "TwoWarpgroups",
       "keyRing.init(mathWarps);",
       "keyRing.init(1);",
       {"shared-race", "mbarrier-misuse", "deadlock"}},
      {"OneWarpMoreReleases",
       "OneWarpgroup",
       "valueRing.init(mathWarps);",
       "valueRing.init(mathWarps + 1);",
       {"deadlock"}},
      {"WarpgroupsShareABarrier",
       "TwoWarpgroups",
       "    ptx::fence_proxy_async_shared();\n    ptx::bar_sync(warpgroupReady + tile.warpgroup, 128);",
       "    ptx::fence_proxy_async_shared();\n    ptx::bar_sync(warpgroupReady, 128);",
       {"shared-race", "source-in-use", "deadlock"}},
      {"BarrierOfTheWholeBlock",
       "OneWarpgroup",
       "    ptx::fence_proxy_async_shared();\n    ptx::bar_sync(warpgroupReady + tile.warpgroup, 128);",
       "    ptx::fence_proxy_async_shared();\n    ptx::bar_sync(warpgroupReady + tile.warpgroup, 256);",
       {"deadlock"}},
      // The plan.
      {"PlanIsReadTooSoon",
       "OneWarpgroup",
       "    __syncthreads();\n    if (hasMore) {\n",
       "    if (hasMore) {\n",
       {"shared-race", "uninitialised-memory"}},
      {"TotalsAreReadTooSoon",
       "OneWarpgroup",
       "    __syncthreads();\n#pragma unroll\n    for (uint32_t other = 0;",
       "#pragma unroll\n    for (uint32_t other = 0;",
       {"shared-race", "uninitialised-memory"}},
      {"GroupEndsBehindTheStep",
       "TwoWarpgroups",
       "other < min(tokens, token + tileTokens)",
       "other < token + tileTokens",
       {"uninitialised-memory", wrongResult}},
      {"SharesAreReadTooSoon", "Combine", "    __syncwarp();\n\n    float total", "\n    float total", {"shared-race"}},
      // What puts parts together.
      {"ResultsAreReadBeforeTheyAreThere",
       "Combine",
       "    ptx::griddepcontrol_wait();\n    ptx::griddepcontrol_launch_dependents();\n",
       "",
       {"uninitialised-memory", "global-race"}},
      {"OnePartIsLeftOut",
       "Combine",
       "for (int32_t i = 0; i < group.parts; ++i) {",
       "for (int32_t i = 1; i < group.parts; ++i) {",
       {wrongResult}},
      {"FirstPartIsReadElsewhere", "Combine", "(i == 0)", "(i != 0)", {"uninitialised-memory"}},
      {"TokensBehindTheGroupAreWritten",
       "Combine",
       "token >= group.tokenEnd",
       "token > group.tokenEnd",
       {"uninitialised-memory", "global-race"}},
  };
  // Eager ones, and more seeds, find the same.
  for (Mutation &known : mutations) {
    known.orders = {{"lazy"}, {"random", 1, true}};
  }
  return mutations;
}

INSTANTIATE_TEST_SUITE_P(All, AttentionMutations, testing::ValuesIn(mutations()),
                         [](const auto &info) { return mutation::nameOfMutation(info); });

} // namespace
} // namespace elah::cuda
