// Work that our latent attention does, beside that of FlashMLA's dense decode for the same step, counted by the
// emulator in one run: no more on the tensor cores, by TMA and in shared memory, and at most a tenth more of other
// instructions. FlashMLA's kernels are not here: ELAH_HARDWARE_PROVEN_PTX names a folder that holds them.
#include "codegen/Cuda/LatentAttention.h"
#include "dialects/Kernel/LatentRow.h"
#include "tests/codegen/Cuda/KernelWork.h"
#include "tests/codegen/Cuda/Values.h"
#include "tests/runtime/emulator/hardware_proven/flashmla.h"
#include <gtest/gtest.h>
#include <numeric>

namespace elah::cuda {
namespace {

using emulator::DeviceBuffer;
using emulator::FlashMla;

/// A step of `lengths.size()` sequences, whose last `queries` tokens it holds, of `heads` heads, on `parts` blocks for
/// each 64 rows.
void compare(const std::string &name, std::vector<int32_t> lengths, int heads, int queries, int parts) {
  FlashMla theirs(FlashMla::fastMathFile); // As the project builds it.
  if (!theirs.isThere()) {
    GTEST_SKIP() << "ELAH_HARDWARE_PROVEN_PTX names no folder with FlashMLA's kernels";
  }
  FlashMla::Step step;
  step.batch = static_cast<int>(lengths.size()), step.queries = queries, step.heads = heads, step.causal = queries > 1;
  step.tablePitch = (*std::max_element(lengths.begin(), lengths.end()) + 63) / 64;
  step.pages = step.batch * step.tablePitch;
  std::vector<int32_t> table(static_cast<size_t>(step.pages)), positions, sequences;
  for (int32_t page = 0; page < step.pages; ++page) {
    table[static_cast<size_t>(page)] = page;
  }
  double cached = 0;
  for (int32_t sequence = 0; sequence < step.batch; ++sequence) {
    const int32_t length = lengths[static_cast<size_t>(sequence)];
    cached += length;
    for (int32_t position = length - queries; position < length; ++position) {
      positions.push_back(position);
      sequences.push_back(sequence);
    }
  }
  const size_t rows = positions.size() * static_cast<size_t>(heads);
  DeviceBuffer query(bf16Of(normalValues(rows * FlashMla::headK, 1))),
      cache(bf16Of(normalValues(static_cast<size_t>(step.pages) * FlashMla::page * FlashMla::headK, 2))),
      tableBuffer(table), positionBuffer(positions), sequenceBuffer(sequences), lengthBuffer(lengths),
      output(rows * FlashMla::headV * 2), logSums(rows * 4);

  const LatentAttentionShape shape{.heads = heads, .rank = 512, .ropeDim = 64, .scale = step.scale};
  const std::vector<KernelSpec> kernels = specializeLatentAttention(shape, {.parts = parts});
  const std::array<int64_t, 5> dims = {static_cast<int64_t>(positions.size()), step.batch, 1,
                                       static_cast<int64_t>(step.pages) * 64, step.tablePitch};
  DeviceBuffer scratch(65536 + static_cast<size_t>(kernels[0].scratchBytes.evaluate(dims)));
  Work mine;
  for (const KernelSpec &spec : kernels) {
    mine += workOf(countKernel(spec,
                               {query.address(), cache.address(), positionBuffer.address(), sequenceBuffer.address(),
                                tableBuffer.address(), output.address()},
                               dims, scratch.address()));
  }

  emulator::CountingObserver counting; // Of all three kernels.
  emulator::RunOptions options = emulator::RunOptions::fromEnvironment();
  options.order = emulator::Order::Eager;
  std::optional<emulator::Fault> fault = theirs.run(step,
                                                    {query.address(), cache.address(), tableBuffer.address(),
                                                     lengthBuffer.address(), output.address(), logSums.address()},
                                                    parts, false, options, &counting);
  ASSERT_FALSE(fault) << fault->text;
  expectNoMoreWork(name + ", per cached token and 64 rows", cached * step.rowBlocks(), mine, "FlashMLA",
                   workOf(counting.counters(*theirs.attending)));
}

/// What attention to one sequence of 2048 tokens, of 128 heads, is for blocks of 4 parts.
Work workOfOneSequence(bool isFp8) {
  const LatentAttentionShape shape{.heads = 128, .rank = 512, .ropeDim = 64, .scale = 0.1, .isFp8 = isFp8};
  const std::array<int64_t, 5> dims = {1, 1, 1, 2048, 32};
  std::vector<int32_t> table(32);
  std::iota(table.begin(), table.end(), 0);
  DeviceBuffer query(bf16Of(normalValues(128 * 576, 1))), pages(table), position(std::vector<int32_t>{2047}),
      sequence(std::vector<int32_t>{0}), output(128 * 512 * 2),
      cache(std::vector<uint8_t>(static_cast<size_t>(2048 * (isFp8 ? kernel::Fp8LatentRow{512, 64}.bytes() : 1152))));
  const std::vector<KernelSpec> kernels = specializeLatentAttention(shape, {.parts = 4});
  DeviceBuffer scratch(65536 + static_cast<size_t>(kernels[0].scratchBytes.evaluate(dims)));
  return workOf(countKernel(
      kernels[0],
      {query.address(), cache.address(), position.address(), sequence.address(), pages.address(), output.address()},
      dims, scratch.address()));
}

// What an FP8 cache costs: the same products, and beside them the instructions that dequantize, which are another
// warpgroup's. Loads count what L1 is asked for: half of the rows' pieces lie across one more sector than they fill.
TEST(LatentAttentionCounters, Fp8Cache) {
  const Work bf16 = workOfOneSequence(false), fp8 = workOfOneSequence(true);
  const double tokens = 2 * 2048; // For each 64 heads.
  auto print = [&](const char *name, const Work &work) {
    std::printf(
        "%s, per cached token and 64 heads: %.0f bytes by TMA, %.0f by loads, %.1f passes of shared memory, %.2f "
        "other instructions of warps\n",
        name, double(work.copied) / tokens, double(work.sectors) * 32 / tokens, double(work.sharedWavefronts) / tokens,
        double(work.others) / tokens);
  };
  print("bf16", bf16);
  print("FP8", fp8);
  EXPECT_EQ(fp8.tensorFlops, bf16.tensorFlops);
  // Four warps issue an instruction a cycle; tensor cores take 34 of a token (2176 of a page, FlashMLA's deep dive).
  EXPECT_LT(static_cast<double>(fp8.others) / tokens / 4, 34);
}

TEST(LatentAttentionCounters, OneSequence) { compare("1 x 2048 tokens, 128 heads, 4 parts", {2048}, 128, 1, 4); }

TEST(LatentAttentionCounters, SplitSequences) {
  compare("5 sequences of 100 to 4000 tokens, 128 heads, 6 parts", {100, 4000, 1500, 640, 2100}, 128, 1, 6);
}

TEST(LatentAttentionCounters, TwoTokensOfASequence) {
  compare("4 x 1024 tokens, 128 heads, 2 new tokens, 4 parts", {1024, 1024, 1024, 1024}, 128, 2, 4);
}

TEST(LatentAttentionCounters, ManySequences) {
  compare("32 x 512 tokens, 64 heads, 16 parts", std::vector<int32_t>(32, 512), 64, 1, 16);
}

} // namespace
} // namespace elah::cuda
