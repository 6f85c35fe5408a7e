// e4m3 products with block scales: each output, ragged rows, columns and depths, each kind of schedule, in adverse
// orders.
#include "codegen/Cuda/Fp8Gemm.h"
#include "tests/codegen/Cuda/GemmCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

const CudaTarget &h800 = *findCudaTarget("h800");

void expectRight(const Fp8GemmShape &shape, int64_t tokens, int64_t bucket,
                 const std::vector<GemmSchedule> &schedules) {
  GemmCase gemm(shape.problem(), tokens, bucket);
  for (const GemmSchedule &schedule : schedules) {
    ASSERT_EQ(whyIllegal(shape.problem(), schedule, bucket, h800), "") << schedule.describe();
    EXPECT_EQ(checkGemm(gemm, specializeFp8Gemm(shape, schedule), testOrders()), "");
  }
}

const GemmSchedule small{
    .tileRows = 64, .tileColumns = 96, .mathWarpgroups = 1, .stages = 2, .rowGroup = 2, .blocks = 3};
const GemmSchedule large{.tileRows = 128, .tileColumns = 128, .mathWarpgroups = 2, .stages = 3, .blocks = 2};

TEST(Fp8Gemm, WritesBF16) {
  Fp8GemmShape shape{.columns = 320, .depth = 256, .output = GemmOutput::BF16};
  GemmSchedule tall{.tileRows = 128, .tileColumns = 128, .mathWarpgroups = 1, .stages = 2};
  GemmSchedule wide{.tileRows = 128, .tileColumns = 256, .mathWarpgroups = 2, .stages = 2};
  GemmSchedule narrow{.tileRows = 64, .tileColumns = 16, .mathWarpgroups = 1, .stages = 4};
  expectRight(shape, 150, 192, {chooseGemmSchedule(shape.problem(), 192, h800), large, small, tall, wide, narrow});
}

TEST(Fp8Gemm, TakesColumnsOfTwoWeightBlocks) {
  Fp8GemmShape shape{.columns = 640, .depth = 640, .output = GemmOutput::BF16};
  GemmSchedule schedule = large;
  schedule.tileColumns = 160;
  GemmSchedule wider = large;
  wider.tileColumns = 192;
  expectRight(shape, 70, 128, {schedule, wider, small});
}

TEST(Fp8Gemm, PairsOfBlocksShareLoads) {
  Fp8GemmShape shape{.columns = 576, .depth = 1152, .output = GemmOutput::BF16};
  GemmSchedule rows = large, columns = large;
  rows.clusterRows = 2;
  columns.clusterColumns = 2; // Of five tiles of columns: the last pair has one.
  rows.blocks = columns.blocks = 4;
  expectRight(shape, 300, 320, {rows, columns});
}

TEST(Fp8Gemm, AddsPartsOfDepthInTheirOrder) {
  Fp8GemmShape shape{.columns = 256, .depth = 1664, .output = GemmOutput::BF16};
  GemmSchedule schedule = large, other = small;
  schedule.splits = 4; // Of 13 blocks: 4, 4, 4 and 1.
  other.splits = 2;
  other.blocks = 132;
  expectRight(shape, 90, 128, {schedule, other});
}

TEST(Fp8Gemm, ResultsDoNotDependOnTheOrderOfBlocks) {
  Fp8GemmShape shape{.columns = 256, .depth = 1664, .output = GemmOutput::F32};
  GemmCase gemm(shape.problem(), 50, 64);
  GemmSchedule schedule = small;
  schedule.splits = 4;
  schedule.blocks = 132;
  KernelSpec spec = specializeFp8Gemm(shape, schedule);
  std::vector<uint8_t> first;
  for (const RunOrder &order : testOrders(6)) {
    ASSERT_EQ(gemm.run(spec, order), "");
    first = first.empty() ? gemm.output() : first;
    EXPECT_EQ(gemm.output(), first) << order.describe();
  }
}

TEST(Fp8Gemm, WritesF32) {
  Fp8GemmShape shape{.columns = 112, .depth = 160, .output = GemmOutput::F32, .hasBias = true};
  expectRight(shape, 65, 80, {chooseGemmSchedule(shape.problem(), 80, h800), large, small});
}

TEST(Fp8Gemm, AddsToF32) {
  Fp8GemmShape shape{.columns = 256, .depth = 96, .output = GemmOutput::F32Add};
  GemmSchedule pair = large;
  pair.clusterRows = 2;
  pair.blocks = 132;
  expectRight(shape, 140, 140, {chooseGemmSchedule(shape.problem(), 140, h800), large, pair});
}

TEST(Fp8Gemm, AppliesSwigluAndQuantizes) {
  GemmSchedule wide{.tileRows = 128, .tileColumns = 256, .mathWarpgroups = 2, .stages = 3, .blocks = 3};
  GemmSchedule low{.tileRows = 64, .tileColumns = 256, .mathWarpgroups = 1, .stages = 3, .splits = 2};
  Fp8GemmShape shape{.columns = 640, .depth = 896, .output = GemmOutput::SwigluF8};
  expectRight(shape, 130, 256, {wide, low, chooseGemmSchedule(shape.problem(), 256, h800)});
  Fp8GemmShape biased{.columns = 80, .depth = 256, .output = GemmOutput::SwigluF8, .hasBias = true};
  expectRight(biased, 3, 4, {wide});
}

TEST(Fp8Gemm, WritesRowsOfAWiderMatrix) {
  Fp8GemmShape shape{.columns = 96, .depth = 256, .output = GemmOutput::BF16, .outputPitch = 272};
  expectRight(shape, 77, 128, {chooseGemmSchedule(shape.problem(), 128, h800), small});
}

TEST(Fp8Gemm, RunsTheShapesOfTinyR1) {
  for (auto [columns, depth, output] :
       {std::tuple(160, 256, GemmOutput::BF16), std::tuple(384, 160, GemmOutput::BF16),
        std::tuple(112, 256, GemmOutput::BF16), std::tuple(256, 256, GemmOutput::F32Add),
        std::tuple(640, 256, GemmOutput::SwigluF8), std::tuple(256, 640, GemmOutput::F32Add),
        std::tuple(256, 64, GemmOutput::F32Add), std::tuple(320, 256, GemmOutput::F32)}) {
    Fp8GemmShape shape{.columns = columns, .depth = depth, .output = output};
    SCOPED_TRACE(std::to_string(columns) + " x " + std::to_string(depth));
    expectRight(shape, 5, 8, {chooseGemmSchedule(shape.problem(), 8, h800)});
  }
}

} // namespace
} // namespace elah::cuda
