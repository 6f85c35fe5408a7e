// Bugs put into latent attention's kernels, one at a time: each must be reported by the emulator's checker, or show in
// the results where it is one of arithmetic.
#include "tests/codegen/Cuda/KernelMutation.h"
#include "tests/codegen/Cuda/LatentAttentionCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::Mutation;
using mutation::wrongResult;

constexpr LatentAttentionShape shape = {.heads = 16, .rank = 96, .ropeDim = 48, .scale = 0.12};
constexpr LatentAttentionSchedule schedule = {.parts = 4};

/// Tiles of which some rows are nobody's.
constexpr LatentAttentionShape sparseShape = {.heads = 24, .rank = 96, .ropeDim = 48, .scale = 0.12};

/// Decode steps and chunks, some of which cross a page's end; groups that parts share, parts with several groups.
LatentAttentionCase caseOf(const LatentAttentionShape &shape) {
  return LatentAttentionCase(shape, {{64, 1}, {420, 1}, {125, 5}, {0, 2}, {700, 1}, {191, 1}},
                             {.spread = 12, .growth = 60, .unusedTokens = 2});
}

class LatentAttentionMutations : public testing::TestWithParam<Mutation> {};

TEST_P(LatentAttentionMutations, AreReported) {
  static LatentAttentionCase full = caseOf(shape), sparse = caseOf(sparseShape);
  const Mutation &known = GetParam();
  const std::string program = known.program;
  const bool isSparse = program == "unused rows";
  EXPECT_EQ(whyNotReported(known, specializeLatentAttention(isSparse ? sparseShape : shape, schedule),
                           program == "combine",
                           [&](auto kernels, const RunOrder &order, RunOutcome &outcome) {
                             return (isSparse ? sparse : full).run(kernels, order, outcome);
                           }),
            "");
}

TEST(LatentAttentionToMutate, IsRight) {
  for (const LatentAttentionShape &known : {shape, sparseShape}) {
    LatentAttentionCase attention = caseOf(known);
    EXPECT_EQ(checkLatentAttention(attention, known, schedule, testOrders()), "");
  }
}

// Kernels that run before or behind their neighbours show it in some orders only: a fault stops the one that they read,
// or the neighbour is done anyway.
//
// One edit is none: without the block's last cp_async_bulk_wait_group<0> nothing changes, because who stores has waited
// before until its copies have read shared memory, and a grid ends with its writes.
std::vector<Mutation> mutations() {
  std::vector<Mutation> mutations = {
      // Copies, and who waits for them.
      {"PageIsNotWaitedFor",
       "attention",
       "      ptx::mbarrier_wait_parity(pageBarrier(page, tile), phase[page]);\n",
       "",
       {"shared-race", "uninitialised-memory"}},
      {"QueriesAreNotWaitedFor",
       "attention",
       "    ptx::mbarrier_wait_parity(queryBarrier(), queryPhase);\n",
       "",
       {"shared-race", "uninitialised-memory"}},
      {"BarriersAreNotFenced", "attention", "      ptx::fence_mbarrier_init();\n", "", {"missing-mbarrier-init-fence"}},
      {"PageIsOverwrittenInUse",
       "attention",
       "index, warpgroup * Config::halfTiles, (warpgroup + 1) * Config::halfTiles);\n      if (withRest)",
       "index, (1 - warpgroup) * Config::halfTiles, (2 - warpgroup) * Config::halfTiles);\n      if (withRest)",
       {"shared-race"}},
      {"QueriesAreOverwrittenInUse",
       "attention",
       "        ptx::bar_sync(allReady, Config::threads); // Nobody reads the queries' place any more.\n",
       "",
       {"shared-race", "source-in-use"}},
      {"StepIsNotWaitedFor",
       "attention",
       "    clearUnusedRows();\n    ptx::griddepcontrol_wait();\n",
       "    clearUnusedRows();\n",
       {"global-race", "uninitialised-memory"},
       "",
       0,
       {{"eager"}}},
      {"PageIsTheOneBefore",
       "attention",
       "step.dims->pagesPerSequence + index]",
       "step.dims->pagesPerSequence + max(index - 1, 0)]",
       {wrongResult}},
      // Products.
      {"ValuesAreNotWaitedFor",
       "attention",
       "  __device__ void waitValues() {\n    ptx::wgmma_wait_group<0>();\n",
       "  __device__ void waitValues() {\n",
       {"register-in-flight", "shared-race"}},
      {"ScoresAreNotWaitedFor",
       "attention",
       "    ptx::wgmma_wait_group<0>();\n    ptx::wgmma_hold_registers(scores);\n",
       "    ptx::wgmma_hold_registers(scores);\n",
       {"register-in-flight"}},
      {"ProductsAreNotFenced",
       "attention",
       "      ptx::wgmma_hold_registers(probabilities);\n    }\n    ptx::wgmma_fence();\n",
       "      ptx::wgmma_hold_registers(probabilities);\n    }\n",
       {"missing-wgmma-fence"}},
      {"ValuesOfOtherTokens",
       "attention",
       "(out, probabilities[k], values + 128 * k, 1)",
       "(out, probabilities[k], values + 64 * k, 1)",
       {wrongResult}},
      {"KeysOfOtherColumns",
       "attention",
       "rowsOf(pageTile(page, tile)) + 2 * k;",
       "rowsOf(pageTile(page, tile)) + 4 * k;",
       {wrongResult, "shared-race"}},
      {"ScoresStartAtNothing", "attention", "        hasScores = true;", "        hasScores = i > 0;", {wrongResult}},
      // The two warpgroups.
      {"ProbabilitiesAreNotFenced",
       "attention",
       "                       probabilities[k][3]);\n    }\n    ptx::fence_proxy_async_shared();\n",
       "                       probabilities[k][3]);\n    }\n",
       {"missing-proxy-fence"}},
      {"SumsAreNotAwaited",
       "attention",
       "    ptx::bar_sync(allReady, Config::threads);\n#pragma unroll\n",
       "#pragma unroll\n",
       {"shared-race"}},
      {"OtherReferenceIsNotAdopted", "attention", "          adopt(1);\n", "", {wrongResult}},
      {"OwnOutputIsNotRescaled",
       "attention",
       "        rescale(out, factor);\n        addValues(probabilities, 0);\n",
       "        addValues(probabilities, 0);\n",
       {wrongResult}},
      // Softmax and masks.
      {"SumIsNotRescaled", "attention", "    sum[row] *= factor;\n", "", {wrongResult}},
      {"ReferencesStay",
       "attention",
       "> slack ? largest : reference[row]",
       "> 1e30f ? largest : reference[row]",
       {wrongResult}},
      {"OneTokenTooMany", "attention", "token + column <= position[", "token + column - 1 <= position[", {wrongResult}},
      {"MissingTokensAreSeen", "attention", "column >= shift && ", "", {wrongResult}},
      {"MaskOnlyOfLastPages",
       "attention",
       "piece.position + 2 - (piece.tokenEnd - piece.token)",
       "piece.position + 1",
       {wrongResult}},
      // Results.
      {"OutputIsNotFenced",
       "attention",
       "    ptx::fence_proxy_async_shared();\n    ptx::bar_sync(warpgroupReady + warpgroup, 128);\n    const int32_t "
       "warp",
       "    ptx::bar_sync(warpgroupReady + warpgroup, 128);\n    const int32_t warp",
       {"missing-proxy-fence"}},
      {"OutputIsStoredTooSoon",
       "attention",
       "    ptx::bar_sync(warpgroupReady + warpgroup, 128);\n    const int32_t warp",
       "    const int32_t warp",
       {"shared-race"}},
      {"OutputIsOverwrittenInUse",
       "attention",
       "      ptx::cp_async_bulk_wait_group_read<0>();\n",
       "",
       {"source-in-use", "shared-race"}},
      {"OutputOfTokensOfOthers",
       "attention",
       "token < piece.tokenEnd; ++token) {\n        ptx::cp_async_bulk_tensor_3d_store",
       "token < piece.token + Config::tileTokens; ++token) {\n        ptx::cp_async_bulk_tensor_3d_store",
       {"global-race", wrongResult}},
      {"WeightIsTheReference", "attention", " + ptx::lg2_approx(softmax.sum[i])", "", {wrongResult}},
      // The plan.
      {"PartsMeetInAPage",
       "attention",
       "(part + 1) * payload - piece.start - overhead;",
       "(part + 1) * payload - piece.start - overhead + 1;",
       {wrongResult}},
      {"PartsShareASlot",
       "attention",
       "2 * part + (part == firstPart)",
       "2 * part",
       {wrongResult, "global-race", "uninitialised-memory"}},
      {"LastPartIsForgotten",
       "attention",
       "piece.lastPart - piece.firstPart + 1, 0",
       "piece.lastPart - piece.firstPart, 0",
       {wrongResult}},
      {"PlanIsReadTooSoon",
       "attention",
       "    __syncthreads();\n    if (hasMore) {\n",
       "    if (hasMore) {\n",
       {"shared-race", "uninitialised-memory"}},
      {"GroupsCrossSequences", "attention", "|| isSequenceStart(token + 1);", ";", {wrongResult}},
      // Arrivals and bytes that never come, or that nobody expects.
      {"FirstPagesAreNotLoaded",
       "attention",
       "piece.pageBegin + warpgroup < piece.pageEnd) {",
       "piece.pageBegin + warpgroup + 1 < piece.pageEnd) {",
       {"deadlock"}},
      {"FollowingPagesAreNotLoaded", "attention", "        loadFirstPages(following);\n", "", {"deadlock"}},
      {"FollowingQueriesAreNotLoaded", "attention", "        loadQueries(following);\n", "", {"deadlock"}},
      {"UnusedRowsAreExpected",
       "attention",
       "Config::queryTiles * Config::usedRows * 128);",
       "Config::queryTiles * Config::usedRows * 128 + 128);",
       {"deadlock"}},
      {"TileIsExpectedByHalf",
       "attention",
       "pageBarrier(page, tile), tileBytes);",
       "pageBarrier(page, tile), tileBytes / 2);",
       {"wrong-transaction-count", "shared-race", "uninitialised-memory"}},
      {"RestIsNotReloaded",
       "attention",
       "        reload(piece, 0, index + 2, true);",
       "        reload(piece, 0, index + 2, false);",
       {"deadlock"}},
      {"RestIsReloadedTwice",
       "attention",
       "        reload(piece, 0, index + 2, false);",
       "        reload(piece, 0, index + 2, true);",
       {"mbarrier-misuse", "shared-race"}},
      {"PhaseOfPagesStays",
       "attention",
       "    phase[page] ^= 1;\n",
       "",
       {"shared-race", "uninitialised-memory", "deadlock"}},
      {"PhaseOfQueriesStays",
       "attention",
       "    queryPhase ^= 1;\n",
       "",
       {"shared-race", "uninitialised-memory", "deadlock"}},
      {"FirstIsNotAnnounced", "attention", "        ptx::bar_arrive(firstReady, Config::threads);\n", "", {"deadlock"}},
      {"SecondIsNotAnnounced",
       "attention",
       "          ptx::bar_arrive(secondReady, Config::threads);\n",
       "",
       {"deadlock"}},
      {"FirstIsNotAwaited",
       "attention",
       "        ptx::bar_sync(firstReady, Config::threads);\n",
       "",
       {"shared-race", "deadlock", "uninitialised-memory"}},
      {"SecondIsNotAwaited",
       "attention",
       "          ptx::bar_sync(secondReady, Config::threads);\n",
       "",
       {"shared-race", "deadlock", "uninitialised-memory"}},
      {"WarpgroupsShareABarrier",
       "attention",
       "    ptx::bar_sync(warpgroupReady + warpgroup, 128);\n    const int32_t warp",
       "    ptx::bar_sync(warpgroupReady, 128);\n    const int32_t warp",
       {"shared-race", "deadlock"},
       "",
       0,
       {{"random", 1, true}}}, // In other orders the right threads happen to meet.
      {"BarrierOfTheWholeBlock",
       "attention",
       "    ptx::bar_sync(warpgroupReady + warpgroup, 128);\n    if (threadIdx.x % 128 == 0 && index < piece.pageEnd)",
       "    ptx::bar_sync(warpgroupReady + warpgroup, 256);\n    if (threadIdx.x % 128 == 0 && index < piece.pageEnd)",
       {"deadlock"}},
      {"ProductsAreNotCommitted",
       "attention",
       "values + 128 * k, 1);\n      }\n    }\n    ptx::wgmma_commit_group();\n",
       "values + 128 * k, 1);\n      }\n    }\n",
       {"register-in-flight", "shared-race"}},
      {"StoresAreNotCommitted",
       "attention",
       "      ptx::cp_async_bulk_commit_group();\n",
       "",
       {"source-in-use", "shared-race"}},
      {"SharesAreReadTooSoon", "combine", "    __syncwarp();\n\n    float total", "\n    float total", {"shared-race"}},
      {"TotalsAreReadTooSoon",
       "attention",
       "    __syncthreads();\n#pragma unroll\n    for (uint32_t other = 0;",
       "#pragma unroll\n    for (uint32_t other = 0;",
       {"shared-race", "uninitialised-memory"}},
      {"UnusedRowsAreNotFenced",
       "unused rows",
       "      ptx::fence_proxy_async_shared();\n    }\n  }\n\n  // Loads",
       "    }\n  }\n\n  // Loads",
       {"missing-proxy-fence"}},
      {"UnusedRowsAreNotCleared", "unused rows", "    clearUnusedRows();\n", "", {"uninitialised-memory"}},
      // The combination.
      {"ResultsAreNotWaitedFor",
       "combine",
       "    ptx::griddepcontrol_wait();\n    ptx::griddepcontrol_launch_dependents();\n",
       "    ptx::griddepcontrol_launch_dependents();\n",
       {"global-race", "uninitialised-memory"},
       "",
       0,
       {{"random", 2, true}}},
      {"SumIsOfOneLane", "combine", "      sum += __shfl_xor_sync(0xffffffffu, sum, distance);\n", "", {wrongResult}},
      {"SharesAreEqual", "combine", "ptx::ex2_approx(shares[warp][i] - largest)", "1", {wrongResult}},
  };
  // Eager ones, and more seeds, find the same.
  for (Mutation &known : mutations) {
    if (known.orders.size() > 1) {
      known.orders = {{"lazy"}, {"random", 1, true}};
    }
  }
  return mutations;
}

INSTANTIATE_TEST_SUITE_P(All, LatentAttentionMutations, testing::ValuesIn(mutations()),
                         [](const auto &info) { return mutation::nameOfMutation(info); });

} // namespace
} // namespace elah::cuda
