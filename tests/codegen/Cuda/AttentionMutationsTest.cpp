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

// None of them makes threads wait for what never comes: how such a run ends depends on who was first.
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
  // Eager ones, and more seeds, would find the same.
  for (Mutation &known : mutations) {
    known.orders = {{"lazy"}, {"random", 1, true}};
  }
  return mutations;
}

INSTANTIATE_TEST_SUITE_P(All, AttentionMutations, testing::ValuesIn(mutations()),
                         [](const auto &info) { return mutation::nameOfMutation(info); });

} // namespace
} // namespace elah::cuda
