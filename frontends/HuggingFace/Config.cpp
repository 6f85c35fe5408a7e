// config.json in all the spellings that transformers has written over time (type and rope_type, rope_scaling and
// rope_parameters, whole numbers as 40.0): every key that changes the mathematics is read, and a value that Elah does
// not know is an error, never ignored.
#include "frontends/HuggingFace/Config.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#define JSON_NOEXCEPTION
#include <cmath>
#include <nlohmann/json.hpp>

using llvm::formatv;
using nlohmann::json;

namespace elah {
namespace {

llvm::Error configError(const std::string &message) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s", message.c_str());
}

llvm::Expected<json> readObject(const std::string &file) {
  auto buffer = llvm::MemoryBuffer::getFile(file);
  if (!buffer) {
    return configError(formatv("{0}: cannot read: {1}", file, buffer.getError().message()).str());
  }
  llvm::StringRef text = (*buffer)->getBuffer();
  json value = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return configError(formatv("{0}: not valid JSON", file).str());
  }
  if (!value.is_object()) {
    return configError(formatv("{0}: expected a JSON object, found {1}", file, value.type_name()).str());
  }
  return value;
}

/// The members of one JSON object. The first error stays; later reads give defaults, so that a reader is a plain list.
class Members {
public:
  Members(const json &object, std::string where) : object(object), where(std::move(where)) {}

  bool has(const char *key) const {
    auto member = object.find(key);
    return member != object.end() && !member->is_null();
  }

  int64_t integer(const char *key, std::optional<int64_t> fallback = {}, int64_t least = 1) {
    const json *member = find(key, fallback.has_value());
    if (!member) {
      return fallback.value_or(least);
    }
    int64_t value = 0;
    if (member->is_number_integer() && (!member->is_number_unsigned() || member->get<uint64_t>() <= INT64_MAX)) {
      value = member->get<int64_t>();
    } else if (member->is_number_float() && std::trunc(member->get<double>()) == member->get<double>() &&
               std::fabs(member->get<double>()) < 9e15) {
      value = static_cast<int64_t>(member->get<double>());
    } else {
      fail(key, "a whole number", member->dump());
      return least;
    }
    // Shapes are products of these: a bound keeps every product in 64 bits.
    if (value < least || value > (int64_t(1) << 30)) {
      fail(key, formatv("a number in {0}..{1}", least, int64_t(1) << 30).str(), member->dump());
      return least;
    }
    return value;
  }

  double number(const char *key, std::optional<double> fallback = {}) {
    const json *member = find(key, fallback.has_value());
    if (!member) {
      return fallback.value_or(1);
    }
    if (!member->is_number() || !std::isfinite(member->get<double>())) {
      fail(key, "a number", member->dump());
      return 1;
    }
    return member->get<double>();
  }

  double positive(const char *key, std::optional<double> fallback = {}) {
    double value = number(key, fallback);
    if (!(value > 0)) {
      fail(key, "a positive number", formatv("{0}", value).str());
      return 1;
    }
    return value;
  }

  bool boolean(const char *key, bool fallback) {
    const json *member = find(key, true);
    if (!member) {
      return fallback;
    }
    if (!member->is_boolean()) {
      fail(key, "true or false", member->dump());
      return fallback;
    }
    return member->get<bool>();
  }

  std::string string(const char *key, std::optional<std::string> fallback = {}) {
    const json *member = find(key, fallback.has_value());
    if (!member) {
      return fallback.value_or("");
    }
    if (!member->is_string()) {
      fail(key, "a string", member->dump());
      return "";
    }
    return member->get<std::string>();
  }

  /// One number or a list of numbers.
  std::vector<int64_t> integers(const char *key, int64_t least) {
    std::vector<int64_t> values;
    const json *member = find(key, true);
    if (!member) {
      return values;
    }
    json list = member->is_array() ? *member : json::array({*member});
    for (const json &value : list) {
      if (!value.is_number_integer() || value.get<int64_t>() < least || value.get<int64_t>() > (int64_t(1) << 30)) {
        fail(key, formatv("numbers in {0}..{1}", least, int64_t(1) << 30).str(), member->dump());
        return {};
      }
      values.push_back(value.get<int64_t>());
    }
    return values;
  }

  void expect(const char *key, bool holds, const std::string &expected, const std::string &found) {
    if (!holds) {
      fail(key, expected, found);
    }
  }

  llvm::Error takeError() { return message.empty() ? llvm::Error::success() : configError(message); }

  const json &object;

private:
  const json *find(const char *key, bool optional) {
    auto member = object.find(key);
    if (member != object.end() && !member->is_null()) {
      return &*member;
    }
    if (!optional && message.empty()) {
      message = formatv("{0}: the key '{1}' is missing", where, key);
    }
    return nullptr;
  }

  void fail(const char *key, const std::string &expected, std::string found) {
    if (found.size() > 60) {
      found = found.substr(0, 57) + "...";
    }
    if (message.empty()) {
      message = formatv("{0}: '{1}': expected {2}, found {3}", where, key, expected, found);
    }
  }

  std::string where;
  std::string message;
};

llvm::Error readRope(Members &config, const std::string &file, ModelConfig &result) {
  // transformers v5 keeps theta and scaling together in rope_parameters.
  const char *key = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!config.has(key)) {
    result.ropeTheta = config.positive("rope_theta", 10000);
    return llvm::Error::success();
  }
  const json &object = config.object[key];
  if (!object.is_object()) {
    return configError(formatv("{0}: '{1}': expected an object, found {2}", file, key, object.dump()).str());
  }
  Members scaling(object, file + ": " + key);
  result.ropeTheta = scaling.has("rope_theta") ? scaling.positive("rope_theta") : config.positive("rope_theta", 10000);
  std::string type = scaling.has("rope_type") ? scaling.string("rope_type") : scaling.string("type", "default");
  RopeScaling &rope = result.ropeScaling;
  rope.kind = llvm::StringSwitch<RopeScaling::Kind>(type)
                  .Case("linear", RopeScaling::Kind::Linear)
                  .Case("yarn", RopeScaling::Kind::Yarn)
                  .Case("llama3", RopeScaling::Kind::Llama3)
                  .Default(RopeScaling::Kind::None);
  scaling.expect("rope_type", rope.kind != RopeScaling::Kind::None || type == "default",
                 "default, linear, yarn or llama3", type);
  if (rope.kind != RopeScaling::Kind::None) {
    rope.factor = scaling.positive("factor");
  }
  if (rope.kind == RopeScaling::Kind::Yarn || rope.kind == RopeScaling::Kind::Llama3) {
    rope.originalMaxPositions =
        scaling.positive("original_max_position_embeddings", static_cast<double>(result.maxPositions));
  }
  if (rope.kind == RopeScaling::Kind::Yarn) {
    rope.betaFast = scaling.positive("beta_fast", 32);
    rope.betaSlow = scaling.positive("beta_slow", 1);
    rope.truncate = scaling.boolean("truncate", true);
    for (auto [name, place] : {std::pair("mscale", &rope.mscale), std::pair("mscale_all_dim", &rope.mscaleAllDim),
                               std::pair("attention_factor", &rope.attentionFactor)}) {
      if (scaling.has(name)) {
        *place = scaling.number(name);
      }
    }
  }
  if (rope.kind == RopeScaling::Kind::Llama3) {
    rope.lowFrequencyFactor = scaling.positive("low_freq_factor");
    rope.highFrequencyFactor = scaling.positive("high_freq_factor");
    scaling.expect("high_freq_factor", rope.highFrequencyFactor > rope.lowFrequencyFactor, "more than low_freq_factor",
                   formatv("{0}", rope.highFrequencyFactor).str());
  }
  return scaling.takeError();
}

llvm::Error readQuantization(Members &config, const std::string &file, ModelConfig &result) {
  if (!config.has("quantization_config")) {
    return llvm::Error::success();
  }
  const json &object = config.object["quantization_config"];
  if (!object.is_object()) {
    return configError(formatv("{0}: 'quantization_config': expected an object, found {1}", file, object.dump()).str());
  }
  Members quantization(object, file + ": quantization_config");
  std::string method = quantization.string("quant_method");
  quantization.expect("quant_method", method == "fp8", "fp8", method);
  std::string format = quantization.string("fmt", "e4m3");
  quantization.expect("fmt", format == "e4m3", "e4m3", format);
  std::vector<int64_t> block = quantization.integers("weight_block_size", 1);
  quantization.expect("weight_block_size", block.size() == 2, "two numbers",
                      formatv("{0} numbers", block.size()).str());
  if (block.size() == 2) {
    result.blockRows = block[0];
    result.blockColumns = block[1];
  }
  return quantization.takeError();
}

void readDeepseekV3(Members &config, ModelConfig &result) {
  result.queryRank = config.has("q_lora_rank") ? config.integer("q_lora_rank", {}, 0) : 0;
  result.latentRank = config.integer("kv_lora_rank");
  result.nopeDim = config.integer("qk_nope_head_dim");
  result.ropeDim = config.integer("qk_rope_head_dim");
  result.valueDim = config.integer("v_head_dim");
  result.expertIntermediate = config.integer("moe_intermediate_size");
  result.experts = config.integer("n_routed_experts", 256);
  result.sharedExperts = config.integer("n_shared_experts", 1, 0);
  result.firstDenseLayers = config.integer("first_k_dense_replace", 3, 0);
  result.moeLayerFrequency = config.integer("moe_layer_freq", 1);
  result.nextTokenLayers = config.integer("num_nextn_predict_layers", 0, 0);
  result.topK = config.integer("num_experts_per_tok", 8);
  result.groups = config.integer("n_group", 8);
  result.topGroups = config.integer("topk_group", 4);
  result.normalizeWeights = config.boolean("norm_topk_prob", true);
  result.ropeInterleaved = config.boolean("rope_interleave", true);
  result.routedScale = config.number("routed_scaling_factor", 2.5);
  std::string scoring = config.string("scoring_func", "sigmoid");
  config.expect("scoring_func", scoring == "sigmoid" || scoring == "softmax", "sigmoid or softmax", scoring);
  result.scoring = scoring == "softmax" ? r1::Scoring::Softmax : r1::Scoring::Sigmoid;
  std::string method = config.string("topk_method", "noaux_tc");
  config.expect("topk_method", method == "noaux_tc" || method == "greedy" || method == "group_limited_greedy",
                "noaux_tc, greedy or group_limited_greedy", method);
  result.hasRoutingBias = method == "noaux_tc";
  result.groupScore = method == "noaux_tc" ? r1::GroupScore::Top2 : r1::GroupScore::Max;
  if (method == "greedy") {
    result.groups = result.topGroups = 1;
  }
  config.expect("n_group", result.experts % result.groups == 0,
                formatv("a divisor of n_routed_experts = {0}", result.experts).str(),
                formatv("{0}", result.groups).str());
  config.expect("topk_group", result.topGroups >= 1 && result.topGroups <= result.groups, "a number in 1..n_group",
                formatv("{0}", result.topGroups).str());
  config.expect("num_experts_per_tok", result.topK <= result.experts / result.groups * result.topGroups,
                formatv("at most the {0} experts of {1} groups", result.experts / result.groups * result.topGroups,
                        result.topGroups)
                    .str(),
                formatv("{0}", result.topK).str());
  config.expect("qk_rope_head_dim", result.ropeDim % 2 == 0, "an even number", formatv("{0}", result.ropeDim).str());
}

void readDense(Members &config, ModelConfig &result) {
  result.kvHeads = config.integer("num_key_value_heads", result.heads);
  config.expect("num_key_value_heads", result.heads % result.kvHeads == 0,
                formatv("a divisor of num_attention_heads = {0}", result.heads).str(),
                formatv("{0}", result.kvHeads).str());
  if (config.has("head_dim")) {
    result.headDim = config.integer("head_dim", {}, 2);
  } else {
    config.expect("hidden_size", result.hidden % result.heads == 0,
                  formatv("a multiple of num_attention_heads = {0}", result.heads).str(),
                  formatv("{0}", result.hidden).str());
    result.headDim = std::max<int64_t>(result.hidden / result.heads, 2);
  }
  config.expect("head_dim", result.headDim % 2 == 0, "an even number", formatv("{0}", result.headDim).str());
  result.ropeInterleaved = false;
  if (result.architecture == Architecture::Qwen2) {
    result.qkvBias = true;
    bool sliding = config.boolean("use_sliding_window", false);
    config.expect("use_sliding_window", !sliding, "false", "true");
  } else {
    result.qkvBias = result.outputBias = config.boolean("attention_bias", false);
    result.mlpBias = config.boolean("mlp_bias", false);
  }
}

} // namespace

llvm::Expected<ModelConfig> readConfig(llvm::StringRef folder) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, "config.json");
  std::string file = path.str().str();
  llvm::Expected<json> object = readObject(file);
  if (!object) {
    return object.takeError();
  }
  Members config(*object, file);
  ModelConfig result;

  if (!config.has("architectures") || !(*object)["architectures"].is_array() || (*object)["architectures"].empty() ||
      !(*object)["architectures"][0].is_string()) {
    return configError(formatv("{0}: 'architectures': expected a list with one name", file).str());
  }
  result.architectureName = (*object)["architectures"][0].get<std::string>();
  auto architecture = llvm::StringSwitch<std::optional<Architecture>>(result.architectureName)
                          .Case("DeepseekV3ForCausalLM", Architecture::DeepseekV3)
                          .Case("Qwen2ForCausalLM", Architecture::Qwen2)
                          .Case("LlamaForCausalLM", Architecture::Llama)
                          .Default(std::nullopt);
  if (!architecture) {
    return configError(formatv("{0}: 'architectures': expected DeepseekV3ForCausalLM, Qwen2ForCausalLM or "
                               "LlamaForCausalLM, found {1}",
                               file, result.architectureName)
                           .str());
  }
  result.architecture = *architecture;

  result.hidden = config.integer("hidden_size");
  result.layers = config.integer("num_hidden_layers");
  result.vocabulary = config.integer("vocab_size");
  result.maxPositions = config.integer("max_position_embeddings");
  result.intermediate = config.integer("intermediate_size");
  result.heads = config.integer("num_attention_heads");
  result.epsilon = config.positive("rms_norm_eps", 1e-6);
  result.tiedEmbeddings = config.boolean("tie_word_embeddings", false);
  std::string activation = config.string("hidden_act", "silu");
  config.expect("hidden_act", activation == "silu", "silu", activation);
  if (config.has("bos_token_id")) {
    std::vector<int64_t> bos = config.integers("bos_token_id", 0);
    result.bosToken = bos.empty() ? -1 : bos.front();
  }
  result.eosTokens = config.integers("eos_token_id", 0);
  if (llvm::Error error = readRope(config, file, result)) {
    return std::move(error);
  }
  if (llvm::Error error = readQuantization(config, file, result)) {
    return std::move(error);
  }
  if (result.architecture == Architecture::DeepseekV3) {
    result.qkvBias = config.boolean("attention_bias", false);
    config.expect("attention_bias", !result.qkvBias, "false (no released model of the family has one)", "true");
    readDeepseekV3(config, result);
  } else {
    readDense(config, result);
  }
  if (llvm::Error error = config.takeError()) {
    return std::move(error);
  }

  llvm::SmallString<256> generation(folder);
  llvm::sys::path::append(generation, "generation_config.json");
  if (llvm::MemoryBuffer::getFile(generation)) {
    llvm::Expected<json> defaults = readObject(generation.str().str());
    if (!defaults) {
      return defaults.takeError();
    }
    Members members(*defaults, generation.str().str());
    std::vector<int64_t> eos = members.integers("eos_token_id", 0);
    if (llvm::Error error = members.takeError()) {
      return std::move(error);
    }
    if (!eos.empty()) {
      result.eosTokens = eos;
    }
  }
  return result;
}

} // namespace elah
