// Products of experts with their rows: tiles that end with an expert, experts without rows, each output and schedule.
#include "codegen/Cuda/GroupedGemm.h"
#include "tests/codegen/Cuda/GemmCase.h"
#include <gtest/gtest.h>

namespace elah::cuda {
namespace {

const CudaTarget &h800 = *findCudaTarget("h800");

void expectRight(const GroupedGemmShape &shape, int64_t tokens, int64_t bucket,
                 const std::vector<GemmSchedule> &schedules) {
  GemmCase gemm(shape.problem(), tokens, bucket);
  for (const GemmSchedule &schedule : schedules) {
    ASSERT_EQ(whyIllegal(shape.problem(), schedule, bucket * shape.rowsOfToken, h800), "") << schedule.describe();
    EXPECT_EQ(checkGemm(gemm, specializeGroupedGemm(shape, schedule), testOrders()), "");
  }
}

TEST(GroupedGemm, F8ToSwiglu) {
  GroupedGemmShape shape{.experts = 17, .columns = 64, .depth = 256, .output = GemmOutput::SwigluF8, .rowsOfToken = 5};
  expectRight(shape, 37, 64,
              {{.tileRows = 64, .tileColumns = 256, .mathWarpgroups = 1, .stages = 3, .blocks = 5},
               {.tileRows = 128, .tileColumns = 256, .mathWarpgroups = 2, .stages = 3, .clusterColumns = 2},
               chooseGemmSchedule(shape.problem(), 320, h800)});
  expectRight(shape, 1, 2, {chooseGemmSchedule(shape.problem(), 10, h800)});
}

TEST(GroupedGemm, F8ToBF16) {
  GroupedGemmShape shape{.experts = 5, .columns = 256, .depth = 640, .rowsOfToken = 2};
  expectRight(
      shape, 300, 300,
      {{.tileRows = 64, .tileColumns = 96, .mathWarpgroups = 1, .stages = 3, .blocks = 5},
       {.tileRows = 128, .tileColumns = 128, .mathWarpgroups = 2, .stages = 3, .clusterColumns = 2, .rowGroup = 2},
       chooseGemmSchedule(shape.problem(), 600, h800)});
}

TEST(GroupedGemm, ManyExperts) {
  GroupedGemmShape shape{.experts = 520, .columns = 32, .depth = 128, .rowsOfToken = 9};
  expectRight(shape, 40, 64, {chooseGemmSchedule(shape.problem(), 576, h800)});
}

TEST(GroupedGemm, BF16) {
  GroupedGemmShape down{.element = GemmElement::BF16, .experts = 6, .columns = 256, .depth = 72, .rowsOfToken = 2};
  expectRight(down, 150, 160,
              {{.tileRows = 128, .tileColumns = 256, .mathWarpgroups = 2, .stages = 2, .blocks = 7},
               chooseGemmSchedule(down.problem(), 320, h800)});
  GroupedGemmShape up{.element = GemmElement::BF16,
                      .experts = 6,
                      .columns = 72,
                      .depth = 256,
                      .output = GemmOutput::SwigluBF16,
                      .rowsOfToken = 2};
  expectRight(up, 150, 160,
              {{.tileRows = 64, .tileColumns = 64, .mathWarpgroups = 1, .stages = 2, .blocks = 7},
               chooseGemmSchedule(up.problem(), 320, h800)});
}

} // namespace
} // namespace elah::cuda
