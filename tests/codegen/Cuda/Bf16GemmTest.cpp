// bf16 products, dense and by head: each output, ragged rows, columns and depths, each kind of schedule, in adverse
// orders.
#include "codegen/Cuda/Bf16Gemm.h"
#include "tests/codegen/Cuda/GemmCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

const CudaTarget &h800 = *findCudaTarget("h800");

void expectRight(const Bf16GemmShape &shape, int64_t tokens, int64_t bucket,
                 const std::vector<GemmSchedule> &schedules) {
  GemmCase gemm(shape.problem(), tokens, bucket);
  for (const GemmSchedule &schedule : schedules) {
    ASSERT_EQ(whyIllegal(shape.problem(), schedule, bucket, h800), "") << schedule.describe();
    EXPECT_EQ(checkGemm(gemm, specializeBf16Gemm(shape, schedule), testOrders()), "");
  }
}

void expectRight(const HeadGemmShape &shape, int64_t tokens, int64_t bucket,
                 const std::vector<GemmSchedule> &schedules) {
  GemmCase gemm(shape.problem(), tokens, bucket);
  for (const GemmSchedule &schedule : schedules) {
    ASSERT_EQ(whyIllegal(shape.problem(), schedule, bucket, h800), "") << schedule.describe();
    EXPECT_EQ(checkGemm(gemm, specializeHeadGemm(shape, schedule), testOrders()), "");
  }
}

const GemmSchedule small{
    .tileRows = 64, .tileColumns = 96, .mathWarpgroups = 1, .stages = 2, .rowGroup = 2, .blocks = 3};
const GemmSchedule large{.tileRows = 128, .tileColumns = 128, .mathWarpgroups = 2, .stages = 3, .blocks = 2};

TEST(Bf16Gemm, WritesBF16) {
  Bf16GemmShape shape{.columns = 320, .depth = 256, .output = GemmOutput::BF16, .hasBias = true};
  GemmSchedule tall{.tileRows = 256, .tileColumns = 64, .mathWarpgroups = 2, .stages = 2};
  GemmSchedule wide{.tileRows = 128, .tileColumns = 256, .mathWarpgroups = 2, .stages = 2};
  GemmSchedule narrow{.tileRows = 64, .tileColumns = 16, .mathWarpgroups = 1, .stages = 4};
  expectRight(shape, 150, 192, {chooseGemmSchedule(shape.problem(), 192, h800), large, small, tall, wide, narrow});
}

TEST(Bf16Gemm, PairsOfBlocksShareLoads) {
  Bf16GemmShape shape{.columns = 576, .depth = 520, .output = GemmOutput::BF16};
  GemmSchedule rows = large, columns = large;
  rows.clusterRows = 2;
  columns.clusterColumns = 2;
  rows.blocks = columns.blocks = 4;
  expectRight(shape, 300, 320, {rows, columns});
}

TEST(Bf16Gemm, AddsPartsOfDepthInTheirOrder) {
  Bf16GemmShape shape{.columns = 256, .depth = 840, .output = GemmOutput::F32};
  GemmSchedule schedule = large, other = small;
  schedule.tileColumns = 64;
  schedule.splits = 4;
  other.splits = 7;
  other.blocks = 132;
  expectRight(shape, 90, 128, {schedule, other});
}

TEST(Bf16Gemm, AddsToF32) {
  Bf16GemmShape shape{.columns = 256, .depth = 200, .output = GemmOutput::F32Add, .inputPitch = 304};
  expectRight(shape, 140, 140, {chooseGemmSchedule(shape.problem(), 140, h800), large});
}

TEST(Bf16Gemm, AppliesSwiglu) {
  Bf16GemmShape shape{.columns = 136, .depth = 256, .output = GemmOutput::SwigluBF16, .hasBias = true};
  expectRight(shape, 70, 100, {chooseGemmSchedule(shape.problem(), 100, h800), small, large});
}

TEST(Bf16Gemm, TakesLogitRows) {
  Bf16GemmShape shape{.columns = 320, .depth = 256, .output = GemmOutput::F32, .rows = GemmRows::LogitRows};
  expectRight(shape, 3, 8, {chooseGemmSchedule(shape.problem(), 8, h800)});
}

TEST(HeadGemm, MultipliesSlices) {
  // Tiny-R1's absorbed queries and outputs; then heads of 128 columns that fill whole tiles.
  HeadGemmShape query{.heads = 8, .columns = 96, .depth = 32, .inputStride = 48, .outputStride = 112};
  expectRight(query, 70, 80, {chooseGemmSchedule(query.problem(), 80, h800), small});
  HeadGemmShape output{.heads = 8, .columns = 32, .depth = 96, .inputStride = 96, .outputStride = 32};
  expectRight(output, 130, 192, {chooseGemmSchedule(output.problem(), 192, h800), large});
  HeadGemmShape offset{.heads = 3,
                       .columns = 256,
                       .depth = 128,
                       .inputStride = 192,
                       .inputOffset = 64,
                       .outputStride = 328,
                       .outputOffset = 72};
  GemmSchedule pair = large;
  pair.clusterColumns = 2;
  pair.blocks = 6;
  expectRight(offset, 130, 192, {large, pair});
}

} // namespace
} // namespace elah::cuda
