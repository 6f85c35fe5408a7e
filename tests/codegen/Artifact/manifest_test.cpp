// The manifest says what the exec module says, one to one.
#include "artifact_fixture.h"
#include "codegen/Artifact/Manifest.h"

using namespace elah;

namespace {

class ManifestTest : public ArtifactFixture {
protected:
  ManifestTest() {
    ArtifactContents all = contents();
    manifest = buildManifest(all.module, all.target, all.scratchBytes);
  }

  proto::Manifest manifest;
};

TEST_F(ManifestTest, DescribesTheModel) {
  EXPECT_EQ(manifest.architecture(), "TestForCausalLM");
  EXPECT_EQ(manifest.target(), "cpu");
  EXPECT_EQ(manifest.cpu(), "x86-64-v3");
  ASSERT_EQ(manifest.cpu_features_size(), 2);
  EXPECT_EQ(manifest.cpu_features(1), "fma");
  EXPECT_EQ(manifest.limits().max_context(), 64u);
  EXPECT_EQ(manifest.limits().max_sequences(), 4u);
  EXPECT_EQ(manifest.limits().max_tokens(), 16u);
  EXPECT_EQ(manifest.vocabulary(), 48u);
  EXPECT_EQ(manifest.cache().layers(), 2u);
  EXPECT_EQ(manifest.cache().page_tokens(), 32u);
  ASSERT_EQ(manifest.cache().pool_row_bytes_size(), 2);
  EXPECT_EQ(manifest.cache().pool_row_bytes(0), 256u);
  EXPECT_EQ(manifest.cache().pool_row_bytes(1), 128u);
  ASSERT_EQ(manifest.eos_tokens_size(), 2);
  EXPECT_EQ(manifest.eos_tokens(1), 5u);
  EXPECT_EQ(manifest.bos_token(), 7u);
  EXPECT_EQ(manifest.parameters(), 12'345u);
  EXPECT_EQ(manifest.active_weight_bytes(), 4'242u);
  EXPECT_EQ(manifest.flops_per_token(), 99u);
}

TEST_F(ManifestTest, PlacesWeightsInOrderOnPagesOr64Bytes) {
  const std::pair<const char *, uint64_t> expected[] = {
      {"tensor.0", 424}, {"tensor.2", 3'648}, {"tensor.3", 6'000},    {"tensor.4", 768},
      {"tensor.4", 16},  {"tensor.6", 512},   {"tensor.7", 6'400'000}};
  ASSERT_EQ(manifest.weights_size(), 7);
  uint64_t end = 0;
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(manifest.weights(i).name(), expected[i].first);
    EXPECT_EQ(manifest.weights(i).size(), expected[i].second);
    uint64_t alignment = manifest.weights(i).size() < 4096 ? 64 : 4096;
    EXPECT_EQ(manifest.weights(i).offset(), (end + alignment - 1) / alignment * alignment);
    end = manifest.weights(i).offset() + manifest.weights(i).size();
  }
  EXPECT_EQ(weightsSectionSize(manifest), (end + 63) / 64 * 64);
  EXPECT_EQ(weightsSectionSize(proto::Manifest()), 0u);
}

TEST_F(ManifestTest, DescribesRecipes) {
  ASSERT_EQ(manifest.shards_size(), 2);
  EXPECT_EQ(manifest.shards(0).name(), "model-0.safetensors");
  EXPECT_EQ(manifest.shards(1).name(), "model-1.safetensors");
  const proto::Recipe &experts = manifest.weights(3).recipe();
  EXPECT_EQ(experts.kind(), proto::RECIPE_KIND_PANELS);
  ASSERT_EQ(experts.sources_size(), 2);
  const proto::Source &gate = experts.sources(0);
  EXPECT_EQ(gate.format(), proto::ELEMENT_FORMAT_F8E4M3);
  ASSERT_EQ(gate.shape_size(), 2);
  EXPECT_EQ(gate.shape(0), 9u);
  EXPECT_EQ(gate.shape(1), 21u);
  EXPECT_EQ(gate.scales().rows(), 16u);
  EXPECT_EQ(gate.scales().columns(), 16u);
  EXPECT_NE(gate.shard(), gate.scales().shard());
  EXPECT_EQ(experts.packing().n(), 18u);
  EXPECT_EQ(experts.packing().k(), 21u);
  EXPECT_EQ(experts.packing().panel(), 16u);
  EXPECT_EQ(experts.packing().step(), 4u);
  EXPECT_EQ(experts.packing().batch(), 1u);
  EXPECT_TRUE(experts.packing().swiglu());
  const proto::Recipe &heads = manifest.weights(5).recipe();
  EXPECT_EQ(heads.kind(), proto::RECIPE_KIND_HEAD_PANELS);
  EXPECT_EQ(heads.head_stride(), 6u);
  EXPECT_EQ(heads.head_first(), 1u);
  EXPECT_FALSE(heads.transposed());
  EXPECT_EQ(manifest.weights(0).recipe().kind(), proto::RECIPE_KIND_VECTOR);
  EXPECT_EQ(manifest.weights(2).recipe().kind(), proto::RECIPE_KIND_TABLE);
  EXPECT_EQ(manifest.weights(4).recipe().kind(), proto::RECIPE_KIND_SCALES);
}

TEST_F(ManifestTest, DescribesTheProgram) {
  ASSERT_EQ(manifest.slots_size(), 2);
  ASSERT_EQ(manifest.slots(0).sizes_size(), 2);
  ASSERT_EQ(manifest.slots(0).sizes(0).coefficients_size(), 3);
  EXPECT_EQ(manifest.slots(0).sizes(0).coefficients(2), 74);
  EXPECT_EQ(manifest.slots(0).sizes(1).constant(), 64);
  ASSERT_EQ(manifest.kernels_size(), 1);
  EXPECT_EQ(manifest.kernels(0).symbol(), "hash_weight");
  EXPECT_EQ(manifest.kernels(0).family(), "gemm");
  EXPECT_EQ(manifest.kernels(0).scratch_bytes(), 4'096u);
  ASSERT_EQ(manifest.launches_size(), 2);
  const proto::Launch &launch = manifest.launches(0);
  EXPECT_EQ(launch.name(), "lm_head");
  EXPECT_EQ(manifest.launches(1).name(), "");
  EXPECT_EQ(launch.grid().outer(), 3u);
  EXPECT_EQ(launch.grid().rows().constant(), 1);
  EXPECT_EQ(launch.grid().row_tile(), 1u);
  ASSERT_EQ(launch.buffers_size(), 3);
  const proto::Buffer &input = manifest.buffers(static_cast<int>(launch.buffers(0)));
  const proto::Buffer &weight = manifest.buffers(static_cast<int>(launch.buffers(1)));
  const proto::Buffer &output = manifest.buffers(static_cast<int>(launch.buffers(2)));
  EXPECT_EQ(input.place_case(), proto::Buffer::kSlot);
  EXPECT_EQ(input.slot(), 0u);
  EXPECT_EQ(weight.weight(), 1u);
  EXPECT_EQ(output.slot(), 1u);
  EXPECT_EQ(manifest.logits(), launch.buffers(2));
  EXPECT_EQ(manifest.launches(1).buffers(1), launch.buffers(1)); // one buffer, two uses
}

} // namespace
