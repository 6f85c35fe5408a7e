// Bugs put into what is latent attention's own where the cache is in FP8: the warpgroup that dequantizes its pages, and
// what the others tell it. The rest of the kernel is in LatentAttentionMutationsTest.cpp.
#include "tests/codegen/Cuda/KernelMutation.h"
#include "tests/codegen/Cuda/LatentAttentionCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

using mutation::Mutation;
using mutation::wrongResult;

constexpr LatentAttentionShape shape = {.heads = 16, .rank = 160, .ropeDim = 48, .scale = 0.12, .isFp8 = true};
constexpr LatentAttentionSchedule schedule = {.parts = 3};

LatentAttentionCase &attentionCase() {
  static LatentAttentionCase attention(shape, {{64, 1}, {420, 1}, {125, 5}, {0, 2}, {191, 1}},
                                       {.spread = 12, .growth = 60, .unusedTokens = 2});
  return attention;
}

class LatentDequantizeMutations : public testing::TestWithParam<Mutation> {};

TEST_P(LatentDequantizeMutations, AreReported) {
  EXPECT_EQ(whyNotReported(GetParam(), specializeLatentAttention(shape, schedule), 0,
                           [](auto kernels, const RunOrder &order, RunOutcome &outcome) {
                             return attentionCase().run(kernels, order, outcome);
                           }),
            "");
}

TEST(LatentDequantizeToMutate, IsRight) {
  EXPECT_EQ(checkLatentAttention(attentionCase(), shape, schedule, testOrders()), "");
}

const Mutation mutations[] = {
    // Who waits for whom.
    {"PageIsNotWaitedFor",
     "attention",
     "        ptx::mbarrier_wait_parity(pageBarrier(page, tile), phase[page]);\n",
     "",
     {"shared-race", "uninitialised-memory"}},
    {"PageIsOverwrittenInUse",
     "attention",
     "    ptx::mbarrier_wait_parity(Config::emptyBarrier(shared, slot, half), phases >> slot & 1);\n",
     "",
     {"shared-race"}},
    {"KeysOverwriteProbabilities",
     "attention",
     "      ptx::mbarrier_wait_parity(Config::emptyBarrier(shared, slot, 1), phases >> slot & 1);\n",
     "",
     {"shared-race"}},
    {"PageIsReleasedInUse",
     "attention",
     "        waitValues();\n        reload(piece, 0, index + 2, true);\n",
     "        reload(piece, 0, index + 2, true);\n        waitValues();\n",
     {"shared-race"}},
    {"ParityStays", "attention", "      phases ^= 1u << slot;\n", "", {"shared-race", "mbarrier-misuse"}},
    // Proxies, and bytes that barriers expect.
    {"ValuesAreNotFenced",
     "attention",
     "    ptx::fence_proxy_async_shared();\n    __syncwarp();\n",
     "    __syncwarp();\n",
     {"missing-proxy-fence"}},
    {"HalfOfTheKeysIsExpected",
     "attention",
     "(Config::fullBarrier(shared, slot, 2), Config::tileBytes);",
     "(Config::fullBarrier(shared, slot, 2), Config::tileBytes / 2);",
     {"wrong-transaction-count", "shared-race", "uninitialised-memory"}},
    // Which rows, and where to.
    {"RowsOfThePageBefore", "attention", "row - piece.missing(index);", "row;", {wrongResult}},
    {"RowsBeforeThePage",
     "attention",
     "first + i * rowStep >= 0;",
     "true;",
     {wrongResult, "out-of-bounds", "uninitialised-memory"}},
    {"KeysOfOtherRows", "attention", "ropeMap, 0, -piece.missing(index),", "ropeMap, 0, 0,", {wrongResult}},
    {"NextPageIsThisOne", "attention", "ahead < latentTiles ? rows : next,", "rows,", {wrongResult}},
    {"ColumnsAreNotSwizzled",
     "attention",
     "((2 * (threadIdx.x % 4) ^ row % 8) << 4)",
     "(2 * (threadIdx.x % 4) << 4)",
     {wrongResult}},
    {"ChunksAreSwapped", "attention", "to ^ 16, second", "to, second", {wrongResult, "uninitialised-memory"}},
    {"QueriesOfTheKeysAreTheLatents",
     "attention",
     "shape.isFp8 && tile == Config::latentTiles ? shape.rank : tile * 64",
     "tile * 64",
     {wrongResult}},
    // Values.
    {"ScaleIsOfAnotherBlock", "attention", "+ begin / 128);", "+ begin / 256);", {wrongResult}},
    {"ScaleIsHalf", "attention", "scale * 0x1p120f", "scale * 0x1p119f", {wrongResult}},
    {"SignIsLost", "attention", "(bytes & 0x80008000u)", "(bytes & 0x80000000u)", {wrongResult}},
    {"MantissaIsCut", "attention", "0x07f007f0u", "0x07e007e0u", {wrongResult}},
    {"PairsAreSwapped", "attention", "e4m3.z, 0, 0x1404", "e4m3.z, 0, 0x0414", {wrongResult}},
    {"StepIsNotWaitedFor",
     "attention",
     "    clearUnusedRows();\n    ptx::griddepcontrol_wait();\n",
     "    clearUnusedRows();\n",
     {"global-race", "uninitialised-memory"},
     "",
     0,
     {{"eager"}}},
};

INSTANTIATE_TEST_SUITE_P(All, LatentDequantizeMutations, testing::ValuesIn(mutations),
                         [](const auto &info) { return mutation::nameOfMutation(info); });

} // namespace
} // namespace elah::cuda
