// config.json: the released ones as they are, every spelling that transformers has written, and every key that counts
// with a value that makes no sense.
#include "frontends/HuggingFace/Config.h"
#include "ReleasedConfigs.h"
#include "TemporaryFolder.h"
#include "llvm/ADT/StringRef.h"
#include "gtest/gtest.h"
#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace elah {
namespace {

using nlohmann::json;

/// `base` with the members of `changes`; "<none>" takes a key out.
std::string edited(const char *base, const std::string &changes) {
  json config = json::parse(base);
  json edits = json::parse(changes);
  for (const auto &[key, value] : edits.items()) {
    if (value == "<none>") {
      config.erase(key);
    } else {
      config[key] = value;
    }
  }
  return config.dump();
}

ModelConfig valid(const char *base, const std::string &changes = "{}") {
  TemporaryFolder folder;
  folder.write("config.json", edited(base, changes));
  llvm::Expected<ModelConfig> config = readConfig(folder.path);
  if (!config) {
    ADD_FAILURE() << changes << ": " << llvm::toString(config.takeError());
    return ModelConfig();
  }
  return *config;
}

/// What reading the folder complains about; "" if it does not.
std::string folderComplaint(const std::string &path) {
  llvm::Expected<ModelConfig> config = readConfig(path);
  return config ? "" : llvm::toString(config.takeError());
}

/// What reading `text` complains about, behind the file's name.
std::string complaint(const std::string &text) {
  TemporaryFolder folder;
  std::string file = folder.write("config.json", text);
  std::string message = folderComplaint(folder.path);
  EXPECT_TRUE(message.empty() || llvm::StringRef(message).starts_with(file + ": ")) << message;
  return message.substr(std::min(message.size(), file.size() + 2));
}

TEST(Config, R1) {
  ModelConfig config = valid(r1Config);
  EXPECT_EQ(config.architecture, Architecture::DeepseekV3);
  EXPECT_EQ(config.hidden, 7168);
  EXPECT_EQ(config.layers, 61);
  EXPECT_EQ(config.vocabulary, 129280);
  EXPECT_EQ(config.maxPositions, 163840);
  EXPECT_EQ(config.intermediate, 18432);
  EXPECT_EQ(config.heads, 128);
  EXPECT_EQ(config.epsilon, 1e-6);
  EXPECT_EQ(config.bosToken, 0);
  EXPECT_EQ(config.eosTokens, std::vector<int64_t>{1});
  EXPECT_EQ(config.blockRows, 128);
  EXPECT_EQ(config.blockColumns, 128);
  EXPECT_EQ(config.queryRank, 1536);
  EXPECT_EQ(config.latentRank, 512);
  EXPECT_EQ(config.nopeDim, 128);
  EXPECT_EQ(config.ropeDim, 64);
  EXPECT_EQ(config.valueDim, 128);
  EXPECT_EQ(config.experts, 256);
  EXPECT_EQ(config.expertIntermediate, 2048);
  EXPECT_EQ(config.sharedExperts, 1);
  EXPECT_EQ(config.firstDenseLayers, 3);
  EXPECT_EQ(config.nextTokenLayers, 1);
  EXPECT_EQ(config.topK, 8);
  EXPECT_EQ(config.groups, 8);
  EXPECT_EQ(config.topGroups, 4);
  EXPECT_TRUE(config.normalizeWeights);
  EXPECT_TRUE(config.ropeInterleaved);
  EXPECT_TRUE(config.hasRoutingBias);
  EXPECT_FALSE(config.qkvBias);
  EXPECT_EQ(config.routedScale, 2.5);
  EXPECT_EQ(config.scoring, r1::Scoring::Sigmoid);
  EXPECT_EQ(config.groupScore, r1::GroupScore::Top2);
  EXPECT_EQ(config.ropeScaling.kind, RopeScaling::Kind::Yarn);
  EXPECT_EQ(config.ropeScaling.factor, 40);
  EXPECT_EQ(config.ropeScaling.originalMaxPositions, 4096);
  EXPECT_EQ(config.ropeScaling.mscaleAllDim, 1.0);
}

TEST(Config, QwenDistill) {
  ModelConfig config = valid(qwenConfig);
  EXPECT_EQ(config.architecture, Architecture::Qwen2);
  EXPECT_EQ(config.heads, 12);
  EXPECT_EQ(config.kvHeads, 2);
  EXPECT_EQ(config.headDim, 128);
  EXPECT_TRUE(config.qkvBias);
  EXPECT_FALSE(config.outputBias);
  EXPECT_FALSE(config.ropeInterleaved);
  EXPECT_EQ(config.ropeScaling.kind, RopeScaling::Kind::None);
  EXPECT_EQ(config.blockRows, 0);
}

TEST(Config, LlamaDistill) {
  ModelConfig config = valid(llamaConfig);
  EXPECT_EQ(config.architecture, Architecture::Llama);
  EXPECT_EQ(config.kvHeads, 8);
  EXPECT_EQ(config.headDim, 128);
  EXPECT_FALSE(config.qkvBias);
  EXPECT_EQ(config.epsilon, 1e-5);
  EXPECT_EQ(config.ropeTheta, 500000);
  EXPECT_EQ(config.ropeScaling.kind, RopeScaling::Kind::Llama3);
  EXPECT_EQ(config.ropeScaling.lowFrequencyFactor, 1);
  EXPECT_EQ(config.ropeScaling.highFrequencyFactor, 4);
  EXPECT_EQ(config.eosTokens, (std::vector<int64_t>{128001, 128008, 128009}));
}

TEST(Config, SpellingsOfTransformers5) {
  ModelConfig config = valid(r1Config, R"({
      "rope_scaling": "<none>", "rope_theta": "<none>", "torch_dtype": "<none>", "dtype": "bfloat16",
      "rope_parameters": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096, "rope_type": "yarn", "type": "yarn", "rope_theta": 20000.0},
      "head_dim": 64, "qk_head_dim": 192, "rope_interleave": true, "aux_loss_alpha": 0.001, "seq_aux": true,
      "num_nextn_predict_layers": "<none>", "num_mtp_layers": 1})");
  EXPECT_EQ(config.ropeTheta, 20000);
  EXPECT_EQ(config.ropeScaling.kind, RopeScaling::Kind::Yarn);
  EXPECT_EQ(config.ropeScaling.factor, 40);
  EXPECT_EQ(config.nextTokenLayers, 1);
  EXPECT_EQ(valid(qwenConfig, R"({"rope_theta": "<none>", "layer_types": ["full_attention"],
      "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}})")
                .ropeTheta,
            1000000);
}

TEST(Config, WholeNumbersMayBeFloats) {
  ModelConfig config = valid(r1Config, R"({"hidden_size": 7168.0, "num_hidden_layers": 61.0, "eos_token_id": [1.0]})");
  EXPECT_EQ(config.hidden, 7168);
  EXPECT_EQ(config.layers, 61);
  EXPECT_EQ(config.eosTokens, std::vector<int64_t>{1});
}

TEST(Config, RopeScalingWinsOverRopeParameters) {
  const char *both = R"({"rope_scaling": {"type": "linear", "factor": 2},
                         "rope_parameters": {"rope_type": "linear", "factor": 4}})";
  const char *empty = R"({"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 4}})";
  EXPECT_EQ(valid(qwenConfig, both).ropeScaling.factor, 2);
  EXPECT_EQ(valid(qwenConfig, empty).ropeScaling.factor, 4);
  EXPECT_EQ(valid(qwenConfig, R"({"rope_scaling": null})").ropeScaling.kind, RopeScaling::Kind::None);
}

TEST(Config, OriginalMaxPositions) {
  const char *absent = R"({"rope_scaling": {"type": "yarn", "factor": 4}})";
  const char *outside = R"({"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 9},
                            "original_max_position_embeddings": 8})";
  EXPECT_EQ(valid(qwenConfig, absent).ropeScaling.originalMaxPositions, 131072);
  EXPECT_EQ(valid(qwenConfig, outside).ropeScaling.originalMaxPositions, 8);
}

TEST(Config, DeepseekVariants) {
  EXPECT_EQ(valid(r1Config, R"({"q_lora_rank": null})").queryRank, 0);
  EXPECT_EQ(valid(r1Config, R"({"q_lora_rank": 0})").queryRank, 0);

  ModelConfig greedy = valid(r1Config, R"({"topk_method": "greedy", "scoring_func": "softmax", "n_group": 8})");
  EXPECT_EQ(greedy.scoring, r1::Scoring::Softmax);
  EXPECT_EQ(greedy.groups, 1);
  EXPECT_EQ(greedy.topGroups, 1);
  EXPECT_FALSE(greedy.hasRoutingBias);

  ModelConfig limited = valid(r1Config, R"({"topk_method": "group_limited_greedy", "topk_group": 3})");
  EXPECT_EQ(limited.groups, 8);
  EXPECT_EQ(limited.topGroups, 3);
  EXPECT_EQ(limited.groupScore, r1::GroupScore::Max);
  EXPECT_FALSE(limited.hasRoutingBias);

  ModelConfig defaults = valid(r1Config, R"({"topk_method": "<none>", "scoring_func": "<none>", "n_group": "<none>",
      "topk_group": "<none>", "norm_topk_prob": "<none>", "routed_scaling_factor": "<none>",
      "n_shared_experts": "<none>"})");
  EXPECT_TRUE(defaults.hasRoutingBias);
  EXPECT_EQ(defaults.groups, 8);
  EXPECT_EQ(defaults.topGroups, 4);
  EXPECT_TRUE(defaults.normalizeWeights);
  EXPECT_EQ(defaults.routedScale, 2.5);
  EXPECT_EQ(defaults.sharedExperts, 1);

  ModelConfig ungrouped = valid(r1Config, R"({"n_group": 1, "topk_group": "<none>", "norm_topk_prob": false})");
  EXPECT_EQ(ungrouped.groups, 1);
  EXPECT_EQ(ungrouped.topGroups, 1);
  EXPECT_FALSE(ungrouped.normalizeWeights);
  EXPECT_EQ(valid(r1Config, R"({"n_group": null, "topk_group": null})").groups, 1);

  EXPECT_EQ(valid(r1Config, R"({"n_shared_experts": null})").sharedExperts, 0);
  EXPECT_EQ(valid(r1Config, R"({"first_k_dense_replace": 0})").firstDenseLayers, 0);
  EXPECT_EQ(valid(r1Config, R"({"first_k_dense_replace": 61})").firstDenseLayers, 61);
  EXPECT_GE(valid(r1Config, R"({"n_routed_experts": null})").firstDenseLayers, 61);
  EXPECT_FALSE(valid(r1Config, R"({"rope_interleave": false})").ropeInterleaved);
  EXPECT_TRUE(valid(r1Config, R"({"attention_bias": true})").qkvBias);
  EXPECT_TRUE(valid(r1Config, R"({"tie_word_embeddings": true})").tiedEmbeddings);
  EXPECT_EQ(valid(r1Config, R"({"quantization_config": "<none>"})").blockRows, 0);
  const char *otherBlocks =
      R"({"quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 256], "scale_fmt": "ue8m0"}})";
  EXPECT_EQ(valid(r1Config, otherBlocks).blockRows, 64);
  EXPECT_EQ(valid(r1Config, otherBlocks).blockColumns, 256);
}

TEST(Config, DenseVariants) {
  ModelConfig biased = valid(llamaConfig, R"({"attention_bias": true, "mlp_bias": true})");
  EXPECT_TRUE(biased.qkvBias && biased.outputBias && biased.mlpBias);
  EXPECT_EQ(valid(llamaConfig, R"({"head_dim": "<none>"})").headDim, 128);
  EXPECT_EQ(valid(llamaConfig, R"({"head_dim": null})").headDim, 128);
  EXPECT_EQ(valid(llamaConfig, R"({"head_dim": 64})").headDim, 64);
  EXPECT_EQ(valid(llamaConfig, R"({"num_key_value_heads": "<none>"})").kvHeads, 32);
  EXPECT_EQ(valid(llamaConfig, R"({"bos_token_id": null, "eos_token_id": null})").bosToken, -1);
}

TEST(Config, SlidingWindowsThatNeverBind) {
  for (const char *changes : {
           R"({"use_sliding_window": false, "sliding_window": 16})",
           R"({"use_sliding_window": true, "sliding_window": null})",
           R"({"use_sliding_window": true, "sliding_window": 131072})",
           R"({"use_sliding_window": true, "max_window_layers": 28})",
           R"({"use_sliding_window": true, "max_window_layers": 0, "layer_types": ["full_attention"]})",
       }) {
    valid(qwenConfig, changes);
  }
}

struct Broken {
  const char *name;
  const char *base;
  std::string changes;
  std::string message;
};

std::ostream &operator<<(std::ostream &stream, const Broken &broken) { return stream << broken.name; }

class BrokenConfig : public testing::TestWithParam<Broken> {};

TEST_P(BrokenConfig, IsRefused) {
  const Broken &broken = GetParam();
  EXPECT_EQ(complaint(edited(broken.base, broken.changes)), broken.message);
}

const Broken brokenConfigs[] = {
    {"NoArchitectures", r1Config, R"({"architectures": "<none>"})",
     "'architectures': expected a list with one name, found none"},
    {"ArchitecturesNull", r1Config, R"({"architectures": null})",
     "'architectures': expected a list with one name, found null"},
    {"ArchitecturesString", r1Config, R"({"architectures": "LlamaForCausalLM"})",
     "'architectures': expected a list with one name, found \"LlamaForCausalLM\""},
    {"ArchitecturesEmpty", r1Config, R"({"architectures": []})",
     "'architectures': expected a list with one name, found []"},
    {"ArchitecturesNumber", r1Config, R"({"architectures": [1]})",
     "'architectures': expected a list with one name, found [1]"},
    {"UnknownArchitecture", r1Config, R"({"architectures": ["GPT2LMHeadModel"]})",
     "'architectures': expected DeepseekV3ForCausalLM, Qwen2ForCausalLM or LlamaForCausalLM, found "
     "\"GPT2LMHeadModel\""},
    {"HiddenString", r1Config, R"({"hidden_size": "7168"})",
     "'hidden_size': expected a whole number in 1..1073741824, found \"7168\""},
    {"HiddenFraction", r1Config, R"({"hidden_size": 7168.5})",
     "'hidden_size': expected a whole number in 1..1073741824, found 7168.5"},
    {"HiddenList", r1Config, R"({"hidden_size": [7168]})",
     "'hidden_size': expected a whole number in 1..1073741824, found [7168]"},
    {"HiddenNegative", r1Config, R"({"hidden_size": -7168})",
     "'hidden_size': expected a whole number in 1..1073741824, found -7168"},
    {"HiddenHuge", r1Config, R"({"hidden_size": 18446744073709551615})",
     "'hidden_size': expected a whole number in 1..1073741824, found 18446744073709551615"},
    {"HiddenBoolean", r1Config, R"({"hidden_size": true})",
     "'hidden_size': expected a whole number in 1..1073741824, found true"},
    {"HiddenObject", r1Config, R"({"hidden_size": {"a": 1}})",
     "'hidden_size': expected a whole number in 1..1073741824, found an object"},
    {"HiddenNull", r1Config, R"({"hidden_size": null})", "the key 'hidden_size' is null"},
    {"LayersZero", r1Config, R"({"num_hidden_layers": 0})",
     "'num_hidden_layers': expected a whole number in 1..65536, found 0"},
    {"LayersMany", r1Config, R"({"num_hidden_layers": 1000000000})",
     "'num_hidden_layers': expected a whole number in 1..65536, found 1000000000"},
    {"HeadsZero", llamaConfig, R"({"num_attention_heads": 0})",
     "'num_attention_heads': expected a whole number in 1..65536, found 0"},
    {"VocabularyFloat", r1Config, R"({"vocab_size": 1e99})",
     "'vocab_size': expected a whole number in 1..1073741824, found 1e+99"},
    {"EpsilonZero", r1Config, R"({"rms_norm_eps": 0})", "'rms_norm_eps': expected a positive number, found 0"},
    {"EpsilonString", r1Config, R"({"rms_norm_eps": "1e-6"})", "'rms_norm_eps': expected a number, found \"1e-6\""},
    {"Activation", r1Config, R"({"hidden_act": "gelu"})", "'hidden_act': expected silu, found \"gelu\""},
    {"ActivationNumber", r1Config, R"({"hidden_act": 1})", "'hidden_act': expected a string, found 1"},
    {"TiedString", r1Config, R"({"tie_word_embeddings": "no"})",
     "'tie_word_embeddings': expected true or false, found \"no\""},
    {"BosString", r1Config, R"({"bos_token_id": "<s>"})",
     "'bos_token_id': expected whole numbers in 0..129279, found \"<s>\""},
    {"EosBehindVocabulary", r1Config, R"({"eos_token_id": 129280})",
     "'eos_token_id': expected whole numbers in 0..129279, found 129280"},
    {"EosNegative", r1Config, R"({"eos_token_id": [1, -1]})",
     "'eos_token_id': expected whole numbers in 0..129279, found [1,-1]"},
    {"EosNested", r1Config, R"({"eos_token_id": [[1]]})",
     "'eos_token_id': expected whole numbers in 0..129279, found [[1]]"},
    // Rotary embeddings.
    {"ThetaZero", r1Config, R"({"rope_theta": 0})", "'rope_theta': expected a positive number, found 0"},
    {"ThetaOneWithYarn", r1Config, R"({"rope_theta": 1})",
     "rope_scaling: 'rope_theta': expected a number above 1, found 1.0"},
    {"RopeString", r1Config, R"({"rope_scaling": "yarn"})", "'rope_scaling': expected an object, found \"yarn\""},
    {"RopeDynamic", qwenConfig, R"({"rope_scaling": {"type": "dynamic", "factor": 2}})",
     "rope_scaling: 'type': expected default, linear, yarn or llama3, found \"dynamic\""},
    {"RopeLong", qwenConfig, R"({"rope_scaling": {"rope_type": "longrope", "factor": 2}})",
     "rope_scaling: 'rope_type': expected default, linear, yarn or llama3, found \"longrope\""},
    {"RopeMrope", qwenConfig, R"({"rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}})",
     "rope_scaling: 'type': expected default, linear, yarn or llama3, found \"mrope\""},
    {"RopeMropeAsDefault", qwenConfig, R"({"rope_scaling": {"type": "default", "mrope_section": [16, 24, 24]}})",
     "rope_scaling: 'mrope_section': expected none (positions of text are one number), found [16,24,24]"},
    {"RopeTypeNumber", qwenConfig, R"({"rope_scaling": {"type": 1}})",
     "rope_scaling: 'type': expected a string, found 1"},
    {"RopePerLayerType", qwenConfig, R"({"rope_parameters": {"full_attention": {"rope_type": "default"}}})",
     "rope_parameters: 'full_attention': expected one set of parameters for all layers, found an object"},
    {"RopePartial", llamaConfig, R"({"partial_rotary_factor": 0.5})", "'partial_rotary_factor': expected 1, found 0.5"},
    {"RopePartialInside", llamaConfig,
     R"({"rope_scaling": {"type": "linear", "factor": 2, "partial_rotary_factor": 0.5}})",
     "rope_scaling: 'partial_rotary_factor': expected 1, found 0.5"},
    {"LinearWithoutFactor", qwenConfig, R"({"rope_scaling": {"type": "linear"}})",
     "rope_scaling: the key 'factor' is missing"},
    {"YarnFactorNegative", qwenConfig, R"({"rope_scaling": {"type": "yarn", "factor": -4}})",
     "rope_scaling: 'factor': expected a positive number, found -4"},
    {"YarnFactorNull", qwenConfig, R"({"rope_scaling": {"type": "yarn", "factor": null}})",
     "rope_scaling: the key 'factor' is null"},
    {"YarnBetas", qwenConfig, R"({"rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": 1, "beta_slow": 32}})",
     "rope_scaling: 'beta_fast': expected at least beta_slow = 32.00, found 1.0"},
    {"YarnMscaleString", qwenConfig, R"({"rope_scaling": {"type": "yarn", "factor": 4, "mscale": "1"}})",
     "rope_scaling: 'mscale': expected a number, found \"1\""},
    {"YarnOriginalZero", qwenConfig,
     R"({"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 0}})",
     "rope_scaling: 'original_max_position_embeddings': expected a positive number, found 0"},
    {"YarnTruncateNumber", qwenConfig, R"({"rope_scaling": {"type": "yarn", "factor": 4, "truncate": 1}})",
     "rope_scaling: 'truncate': expected true or false, found 1"},
    {"Llama3WithoutLow", llamaConfig,
     R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "high_freq_factor": 4}})",
     "rope_scaling: the key 'low_freq_factor' is missing"},
    {"Llama3WithoutHigh", llamaConfig,
     R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1}})",
     "rope_scaling: the key 'high_freq_factor' is missing"},
    {"Llama3Equal", llamaConfig,
     R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}})",
     "rope_scaling: 'high_freq_factor': expected more than low_freq_factor = 4.00, found 4.0"},
    // Quantization.
    {"QuantizationString", r1Config, R"({"quantization_config": "fp8"})",
     "'quantization_config': expected an object, found \"fp8\""},
    {"QuantizationGptq", r1Config, R"({"quantization_config": {"quant_method": "gptq", "bits": 4}})",
     "quantization_config: 'quant_method': expected fp8, found \"gptq\""},
    {"QuantizationWithoutMethod", r1Config, R"({"quantization_config": {"weight_block_size": [128, 128]}})",
     "quantization_config: the key 'quant_method' is missing"},
    {"QuantizationE5m2", r1Config,
     R"({"quantization_config": {"quant_method": "fp8", "fmt": "e5m2", "weight_block_size": [128, 128]}})",
     "quantization_config: 'fmt': expected e4m3, found \"e5m2\""},
    {"QuantizationStatic", r1Config,
     R"({"quantization_config": {"quant_method": "fp8", "activation_scheme": "static",
                                 "weight_block_size": [128, 128]}})",
     "quantization_config: 'activation_scheme': expected dynamic, found \"static\""},
    {"QuantizationScaleFormat", r1Config,
     R"({"quantization_config": {"quant_method": "fp8", "scale_fmt": "e4m3", "weight_block_size": [128, 128]}})",
     "quantization_config: 'scale_fmt': expected float or ue8m0, found \"e4m3\""},
    {"QuantizationWithoutBlocks", r1Config, R"({"quantization_config": {"quant_method": "fp8"}})",
     "quantization_config: 'weight_block_size': expected two numbers, found null"},
    {"QuantizationOneBlock", r1Config,
     R"({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128]}})",
     "quantization_config: 'weight_block_size': expected two numbers, found [128]"},
    {"QuantizationZeroBlock", r1Config,
     R"({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 0]}})",
     "quantization_config: 'weight_block_size': expected whole numbers in 1..1073741824, found [128,0]"},
    // DeepSeek-V3.
    {"QueryRankMissing", r1Config, R"({"q_lora_rank": "<none>"})", "the key 'q_lora_rank' is missing"},
    {"QueryRankNegative", r1Config, R"({"q_lora_rank": -1})",
     "'q_lora_rank': expected a whole number in 0..1073741824, found -1"},
    {"RopeDimOdd", r1Config, R"({"qk_rope_head_dim": 63})", "'qk_rope_head_dim': expected an even number, found 63"},
    {"RopeDimZero", r1Config, R"({"qk_rope_head_dim": 0})",
     "'qk_rope_head_dim': expected a whole number in 1..65536, found 0"},
    {"ExpertsOne", r1Config, R"({"n_routed_experts": 1})",
     "'n_routed_experts': expected a whole number in 2..65536, found 1"},
    {"ExpertsMany", r1Config, R"({"n_routed_experts": 1000000000})",
     "'n_routed_experts': expected a whole number in 2..65536, found 1000000000"},
    {"GroupsDoNotDivide", r1Config, R"({"n_group": 7})",
     "'n_group': expected a divisor of n_routed_experts = 256, found 7"},
    {"GroupsOfOne", r1Config, R"({"n_routed_experts": 8, "n_group": 8, "num_experts_per_tok": 2})",
     "'n_group': expected groups of at least two experts for topk_method noaux_tc, found 8"},
    {"TopGroupsMany", r1Config, R"({"topk_group": 9})", "'topk_group': expected at most n_group = 8, found 9"},
    {"TopGroupsZero", r1Config, R"({"topk_group": 0})", "'topk_group': expected a whole number in 1..65536, found 0"},
    {"TopKMany", r1Config, R"({"num_experts_per_tok": 129})",
     "'num_experts_per_tok': expected at most the 128 experts of 4 groups, found 129"},
    {"TopKZero", r1Config, R"({"num_experts_per_tok": 0})",
     "'num_experts_per_tok': expected a whole number in 1..65536, found 0"},
    {"Scoring", r1Config, R"({"scoring_func": "tanh"})", "'scoring_func': expected sigmoid or softmax, found \"tanh\""},
    {"Method", r1Config, R"({"topk_method": "random"})",
     "'topk_method': expected noaux_tc, greedy or group_limited_greedy, found \"random\""},
    {"RoutedScaleNegative", r1Config, R"({"routed_scaling_factor": -1.0})",
     "'routed_scaling_factor': expected a positive number, found -1.0"},
    {"NormalizeNumber", r1Config, R"({"norm_topk_prob": 1})", "'norm_topk_prob': expected true or false, found 1"},
    {"NextTokenNegative", r1Config, R"({"num_nextn_predict_layers": -1})",
     "'num_nextn_predict_layers': expected a whole number in 0..65536, found -1"},
    {"MoeFrequencyZero", r1Config, R"({"moe_layer_freq": 0})",
     "'moe_layer_freq': expected a whole number in 1..1073741824, found 0"},
    {"FirstDenseString", r1Config, R"({"first_k_dense_replace": "3"})",
     "'first_k_dense_replace': expected a whole number in 0..1073741824, found \"3\""},
    // Qwen2 and Llama.
    {"KvHeadsDoNotDivide", llamaConfig, R"({"num_key_value_heads": 5})",
     "'num_key_value_heads': expected a divisor of num_attention_heads = 32, found 5"},
    {"HiddenDoesNotDivide", qwenConfig, R"({"hidden_size": 1537})",
     "'hidden_size': expected a multiple of num_attention_heads = 12, found 1537"},
    {"HeadDimOdd", llamaConfig, R"({"head_dim": 127})", "'head_dim': expected an even number, found 127"},
    {"HeadDimHuge", llamaConfig, R"({"head_dim": 1000000})",
     "'head_dim': expected a whole number in 2..65536, found 1000000"},
    {"AttentionBiasNumber", llamaConfig, R"({"attention_bias": 0})",
     "'attention_bias': expected true or false, found 0"},
    {"MropeUsed", qwenConfig, R"({"use_mrope": true})", "'use_mrope': expected false, found true"},
    {"SlidingWindow", qwenConfig, R"({"use_sliding_window": true})",
     "'use_sliding_window': expected false, or a sliding_window of max_position_embeddings or more, found true"},
    {"SlidingLayers", qwenConfig,
     R"({"use_sliding_window": true, "max_window_layers": 99, "layer_types": ["full_attention", "sliding_attention"]})",
     "'use_sliding_window': expected false, or a sliding_window of max_position_embeddings or more, found true"},
};

INSTANTIATE_TEST_SUITE_P(Keys, BrokenConfig, testing::ValuesIn(brokenConfigs),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(Config, KeysThatMustBeThere) {
  const std::pair<const char *, std::vector<const char *>> needed[] = {
      {r1Config,
       {"hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings", "intermediate_size",
        "num_attention_heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
        "moe_intermediate_size"}},
      {qwenConfig,
       {"hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings", "intermediate_size",
        "num_attention_heads"}},
  };
  for (const auto &[base, keys] : needed) {
    for (const char *key : keys) {
      EXPECT_EQ(complaint(edited(base, std::string("{\"") + key + "\": \"<none>\"}")),
                std::string("the key '") + key + "' is missing");
    }
  }
}

// Whatever stands at whichever key, the reader says so or reads it; it never dies.
TEST(Config, AnyValueAtAnyKey) {
  const char *values[] = {"null",  "true",    "-1",  "0",    "1",     "1e300", "0.5",     "\"x\"",
                          "[]",    "[[[1]]]", "{}",  "1e18", "-1e18", "[-1]",  "[null]",  "{\"a\":{\"type\":1}}",
                          "65536", "65537.0", "2.0", "\"\"", "[0,0]", "[1,1]", "[1e300]", "18446744073709551615"};
  TemporaryFolder folder;
  auto read = [&](const json &config) {
    folder.write("config.json", config.dump());
    folderComplaint(folder.path);
  };
  for (const char *base : {r1Config, qwenConfig, llamaConfig}) {
    json config = json::parse(base);
    for (const char *extra : {"head_dim", "rope_parameters", "layer_types", "use_sliding_window", "sliding_window"}) {
      config.emplace(extra, nullptr);
    }
    for (const auto &[key, old] : config.items()) {
      for (const char *value : values) {
        json changed = config;
        changed[key] = json::parse(value);
        read(changed);
      }
    }
    for (const char *part : {"rope_scaling", "quantization_config"}) {
      json members = config.contains(part) ? config[part] : json::object();
      for (const auto &[key, old] : members.items()) {
        for (const char *value : values) {
          json changed = config;
          changed[part][key] = json::parse(value);
          read(changed);
        }
      }
    }
  }
}

TEST(Config, FilesThatAreNoConfig) {
  EXPECT_EQ(complaint(""), "not valid JSON at byte 1");
  EXPECT_EQ(complaint("{\"a\": 1,}"), "not valid JSON at byte 9");
  EXPECT_EQ(complaint("[1]"), "expected a JSON object, found array");
  EXPECT_EQ(complaint("{\"a\": \"\xFF\"}"), "not valid JSON at byte 8");
  EXPECT_EQ(complaint(std::string("{}\0{", 4)), "not valid JSON: a zero byte");
  EXPECT_EQ(complaint("{\"a\": 1, \"\\u0061\": 2}"), "the key \"a\" stands twice");
  EXPECT_EQ(complaint("{\"x\": {\"a\": 1, \"a\": 2}}"), "the key \"a\" stands twice");
  std::string deep(1000000, '[');
  EXPECT_EQ(complaint("{\"hidden_size\": " + deep + std::string(deep.size(), ']') + "}"),
            "expected at most 64 levels of nesting");
  std::string nested;
  for (int i = 0; i < 100000; ++i) {
    nested += "{\"a\":";
  }
  EXPECT_EQ(complaint(nested + "1" + std::string(100000, '}')), "expected at most 64 levels of nesting");
}

TEST(Config, OnlyRegularFilesAreRead) {
  TemporaryFolder folder;
  std::string file = folder.path + "/config.json";
  EXPECT_EQ(folderComplaint(folder.path + "/none"),
            folder.path + "/none: cannot open the model's folder: No such file or directory");
  EXPECT_EQ(folderComplaint(folder.path),
            file + ": cannot open (named by " + folder.path + "): No such file or directory");
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_EQ(folderComplaint(folder.path), file + ": expected a regular file");
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_EQ(folderComplaint(folder.path), file + ": expected a regular file");
  std::filesystem::remove(file);
  std::filesystem::create_symlink("/dev/zero", file);
  EXPECT_EQ(folderComplaint(folder.path), file + ": links to /dev/zero, outside of the model's folder " + folder.path);
  std::filesystem::remove(file);
  folder.write("config.json", "{}");
  std::filesystem::resize_file(file, (64 << 20) + 1);
  EXPECT_EQ(folderComplaint(folder.path), file + ": expected at most 67108864 bytes, found 67108865");
  std::string plain = folder.write("file", "x");
  EXPECT_EQ(folderComplaint(plain), plain + ": expected the folder of a model, found a file");
}

TEST(Config, GenerationConfig) {
  TemporaryFolder folder;
  folder.write("config.json", qwenConfig);
  std::string file =
      folder.write("generation_config.json", R"({"eos_token_id": [151643, 151645], "temperature": 0.6})");
  llvm::Expected<ModelConfig> config = readConfig(folder.path);
  ASSERT_TRUE(static_cast<bool>(config)) << llvm::toString(config.takeError());
  EXPECT_EQ(config->eosTokens, (std::vector<int64_t>{151643, 151645}));
  folder.write("generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_EQ(folderComplaint(folder.path), file + ": 'eos_token_id': expected whole numbers in 0..151935, found \"x\"");
  folder.write("generation_config.json", "{");
  EXPECT_EQ(folderComplaint(folder.path), file + ": not valid JSON at byte 2");
}

} // namespace
} // namespace elah
