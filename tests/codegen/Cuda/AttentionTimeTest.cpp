// The model of attention's time: near what others have published, and in the right order where nobody has measured.
#include "codegen/Cuda/AttentionTime.h"
#include <gtest/gtest.h>

using namespace elah;
using namespace elah::cuda;

namespace {

double decode(const char *name, int64_t heads, const AttendedStep &step) {
  const CudaTarget &target = *findCudaTarget(name);
  LatentAttentionShape shape{.heads = heads};
  auto schedule = chooseLatentAttentionSchedule(shape, step.sequences * step.tokens, step.context, target);
  return predictLatentAttentionSeconds(shape, schedule, step, target).whole() * 1e6;
}

TEST(AttentionTime, IsNearPublishedTimes) {
  // FlashMLA's README: 660 TFLOPS, 3000 GB/s; users' figures of its first version for fewer heads.
  EXPECT_NEAR(decode("h800", 128, {128, 1, 4096}), 221.5, 30);
  EXPECT_NEAR(decode("h800", 128, {128, 1, 32768}), 1772, 90);
  EXPECT_NEAR(decode("h100", 64, {128, 1, 4096}), 223, 25);
  EXPECT_NEAR(decode("h100", 16, {128, 1, 4096}), 215, 25);
}

TEST(AttentionTime, GrowsWithTheStep) {
  double before = 0;
  for (int64_t context : {64, 1000, 4096, 16384}) {
    double now = decode("h800", 128, {8, 1, context});
    EXPECT_GT(now, before);
    before = now;
  }
  EXPECT_GT(decode("h800", 128, {64, 1, 4096}), decode("h800", 128, {8, 1, 4096}));
}

TEST(AttentionTime, KnowsWhatADeviceIsShortOf) {
  // H20 has a sixth of the products a second, H200 the H800's and more bandwidth: few heads wait for the cache.
  EXPECT_GT(decode("h20", 128, {128, 1, 4096}), decode("h800", 128, {128, 1, 4096}));
  EXPECT_LT(decode("h200", 16, {128, 1, 4096}), decode("h800", 16, {128, 1, 4096}));
}

} // namespace
