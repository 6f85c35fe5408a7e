// config.json in all the spellings that transformers has written over time (type and rope_type, rope_scaling and
// rope_parameters, whole numbers as 40.0): every key that changes the mathematics is read, and a value that Elah does
// not know is an error, never ignored.
#include "frontends/HuggingFace/Config.h"
#include "frontends/HuggingFace/JsonFile.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using llvm::formatv;
using nlohmann::json;

namespace elah {
namespace {

// Shapes are products of such numbers: a bound on each keeps every product in 64 bits.
constexpr int64_t maxWidth = int64_t(1) << 30;
constexpr int64_t maxCount = int64_t(1) << 16; // layers, heads, experts, and what is multiplied by them

llvm::Error configError(const std::string &message) {
  return llvm::createStringError(std::make_error_code(std::errc::invalid_argument), "%s", message.c_str());
}

/// A whole number, however it is spelled: 40 or 40.0.
std::optional<int64_t> wholeNumber(const json &value) {
  if (value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX)) {
    return value.get<int64_t>();
  }
  if (value.is_number_float()) {
    double number = value.get<double>();
    if (std::trunc(number) == number && std::fabs(number) < 9e15) {
      return static_cast<int64_t>(number);
    }
  }
  return std::nullopt;
}

/// A value as a message shows it.
std::string shown(const json &value) {
  if (value.is_array() && value.size() > 8) {
    return formatv("a list of {0}", value.size()).str();
  }
  if (value.is_object()) {
    return "an object";
  }
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

/// The members of one JSON object. The first error stays; later reads give defaults, so that a reader is a plain list.
class Members {
public:
  Members(const json &object, std::string where) : object(object), where(std::move(where)) {}

  bool has(const char *key) const {
    auto member = object.find(key);
    return member != object.end() && !member->is_null();
  }
  bool isNull(const char *key) const {
    auto member = object.find(key);
    return member != object.end() && member->is_null();
  }

  int64_t integer(const char *key, std::optional<int64_t> fallback = {}, int64_t least = 1, int64_t most = maxWidth) {
    const json *member = find(key, fallback.has_value());
    if (!member) {
      return fallback.value_or(least);
    }
    std::optional<int64_t> value = wholeNumber(*member);
    if (!value || *value < least || *value > most) {
      fail(key, formatv("a whole number in {0}..{1}", least, most).str(), shown(*member));
      return least;
    }
    return *value;
  }
  int64_t count(const char *key, std::optional<int64_t> fallback = {}, int64_t least = 1) {
    return integer(key, fallback, least, maxCount);
  }

  double number(const char *key, std::optional<double> fallback = {}) {
    const json *member = find(key, fallback.has_value());
    if (!member) {
      return fallback.value_or(1);
    }
    if (!member->is_number() || !std::isfinite(member->get<double>())) {
      fail(key, "a number", shown(*member));
      return 1;
    }
    return member->get<double>();
  }

  double positive(const char *key, std::optional<double> fallback = {}) {
    double value = number(key, fallback);
    if (!(value > 0)) {
      fail(key, "a positive number", shown(object[key]));
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
      fail(key, "true or false", shown(*member));
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
      fail(key, "a string", shown(*member));
      return "";
    }
    return member->get<std::string>();
  }

  /// One number or a list of numbers.
  std::vector<int64_t> integers(const char *key, int64_t least, int64_t most) {
    std::vector<int64_t> values;
    const json *member = find(key, true);
    if (!member) {
      return values;
    }
    auto take = [&](const json &element) {
      std::optional<int64_t> value = wholeNumber(element);
      if (!value || *value < least || *value > most) {
        fail(key, formatv("whole numbers in {0}..{1}", least, most).str(), shown(*member));
        return;
      }
      values.push_back(*value);
    };
    if (member->is_array()) {
      llvm::for_each(*member, take);
    } else {
      take(*member);
    }
    return values;
  }

  void expect(const char *key, bool holds, const std::string &expected, const json &found) {
    if (!holds) {
      fail(key, expected, shown(found));
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
      message = formatv("{0}: the key '{1}' is {2}", where, key, member == object.end() ? "missing" : "null");
    }
    return nullptr;
  }

  void fail(const char *key, const std::string &expected, const std::string &found) {
    if (message.empty()) {
      message = formatv("{0}: '{1}': expected {2}, found {3}", where, key, expected, found);
    }
  }

  std::string where;
  std::string message;
};

/// Whether `key` holds an object with members, as transformers asks before it believes one of its two spellings.
bool isFilled(const Members &config, const char *key) {
  return config.has(key) && !(config.object[key].is_object() && config.object[key].empty());
}

llvm::Error readRope(Members &config, const std::string &file, ModelConfig &result) {
  config.expect("partial_rotary_factor", config.number("partial_rotary_factor", 1) == 1, "1",
                config.has("partial_rotary_factor") ? config.object["partial_rotary_factor"] : json());
  // transformers v5 keeps theta and scaling together in rope_parameters.
  const char *key = isFilled(config, "rope_scaling") ? "rope_scaling" : "rope_parameters";
  result.ropeTheta = config.positive("rope_theta", 10000);
  if (llvm::Error error = config.takeError()) {
    return error;
  }
  if (!config.has(key)) {
    return llvm::Error::success();
  }
  const json &object = config.object[key];
  if (!object.is_object()) {
    return configError(formatv("{0}: '{1}': expected an object, found {2}", file, key, shown(object)).str());
  }
  Members scaling(object, file + ": " + key);
  for (const auto &[name, value] : object.items()) {
    scaling.expect(name.c_str(), !value.is_object(), "one set of parameters for all layers", value);
  }
  result.ropeTheta = scaling.positive("rope_theta", result.ropeTheta);
  const char *typeKey = scaling.has("rope_type") ? "rope_type" : "type";
  std::string type = scaling.string(typeKey, "default");
  RopeScaling &rope = result.ropeScaling;
  rope.kind = llvm::StringSwitch<RopeScaling::Kind>(type)
                  .Case("linear", RopeScaling::Kind::Linear)
                  .Case("yarn", RopeScaling::Kind::Yarn)
                  .Case("llama3", RopeScaling::Kind::Llama3)
                  .Default(RopeScaling::Kind::None);
  scaling.expect(typeKey, rope.kind != RopeScaling::Kind::None || type == "default", "default, linear, yarn or llama3",
                 type);
  scaling.expect("mrope_section", !scaling.has("mrope_section"), "none (positions of text are one number)",
                 scaling.has("mrope_section") ? object["mrope_section"] : json());
  scaling.expect("partial_rotary_factor", scaling.number("partial_rotary_factor", 1) == 1, "1",
                 scaling.has("partial_rotary_factor") ? object["partial_rotary_factor"] : json());
  if (rope.kind == RopeScaling::Kind::None) {
    return scaling.takeError();
  }
  rope.factor = scaling.positive("factor");
  if (scaling.has("mscale_all_dim")) {
    rope.mscaleAllDim = scaling.number("mscale_all_dim");
  }
  if (rope.kind == RopeScaling::Kind::Yarn || rope.kind == RopeScaling::Kind::Llama3) {
    const char *original = "original_max_position_embeddings";
    rope.originalMaxPositions = config.has(original)
                                    ? config.positive(original)
                                    : scaling.positive(original, static_cast<double>(result.maxPositions));
  }
  if (rope.kind == RopeScaling::Kind::Yarn) {
    scaling.expect("rope_theta", result.ropeTheta > 1, "a number above 1", result.ropeTheta);
    rope.betaFast = scaling.positive("beta_fast", 32);
    rope.betaSlow = scaling.positive("beta_slow", 1);
    scaling.expect("beta_fast", rope.betaFast >= rope.betaSlow,
                   formatv("at least beta_slow = {0}", rope.betaSlow).str(), rope.betaFast);
    rope.truncate = scaling.boolean("truncate", true);
    if (scaling.has("mscale")) {
      rope.mscale = scaling.number("mscale");
    }
    if (scaling.has("attention_factor")) {
      rope.attentionFactor = scaling.positive("attention_factor");
    }
  }
  if (rope.kind == RopeScaling::Kind::Llama3) {
    rope.lowFrequencyFactor = scaling.positive("low_freq_factor");
    rope.highFrequencyFactor = scaling.positive("high_freq_factor");
    scaling.expect("high_freq_factor", rope.highFrequencyFactor > rope.lowFrequencyFactor,
                   formatv("more than low_freq_factor = {0}", rope.lowFrequencyFactor).str(), rope.highFrequencyFactor);
  }
  return scaling.takeError();
}

llvm::Error readQuantization(Members &config, const std::string &file, ModelConfig &result) {
  if (!config.has("quantization_config")) {
    return llvm::Error::success();
  }
  const json &object = config.object["quantization_config"];
  if (!object.is_object()) {
    return configError(formatv("{0}: 'quantization_config': expected an object, found {1}", file, shown(object)).str());
  }
  Members quantization(object, file + ": quantization_config");
  std::string method = quantization.string("quant_method");
  quantization.expect("quant_method", method == "fp8", "fp8", method);
  std::string format = quantization.string("fmt", "e4m3");
  quantization.expect("fmt", format == "e4m3", "e4m3", format);
  // A static scheme stores scales of activations, which would be left out silently.
  std::string scheme = quantization.string("activation_scheme", "dynamic");
  quantization.expect("activation_scheme", scheme == "dynamic", "dynamic", scheme);
  // ue8m0 says that scales are powers of two; they are stored as f32 all the same.
  std::string scaleFormat = quantization.string("scale_fmt", "float");
  quantization.expect("scale_fmt", scaleFormat == "float" || scaleFormat == "ue8m0", "float or ue8m0", scaleFormat);
  std::vector<int64_t> block = quantization.integers("weight_block_size", 1, maxWidth);
  quantization.expect("weight_block_size", block.size() == 2, "two numbers",
                      quantization.has("weight_block_size") ? object["weight_block_size"] : json());
  if (block.size() == 2) {
    result.blockRows = block[0];
    result.blockColumns = block[1];
  }
  return quantization.takeError();
}

void readRouting(Members &config, ModelConfig &result) {
  // null is how DeepSeek's configuration class spells "none".
  if (config.isNull("n_routed_experts")) {
    result.firstDenseLayers = maxWidth;
    return;
  }
  result.experts = config.count("n_routed_experts", 256, 2);
  result.sharedExperts = config.isNull("n_shared_experts") ? 0 : config.count("n_shared_experts", 1, 0);
  result.expertIntermediate = config.integer("moe_intermediate_size");
  result.firstDenseLayers = config.integer("first_k_dense_replace", 3, 0);
  result.moeLayerFrequency = config.integer("moe_layer_freq", 1);
  result.topK = config.count("num_experts_per_tok", 8);
  result.normalizeWeights = config.boolean("norm_topk_prob", true);
  result.routedScale = config.positive("routed_scaling_factor", 2.5);
  std::string scoring = config.string("scoring_func", "sigmoid");
  config.expect("scoring_func", scoring == "sigmoid" || scoring == "softmax", "sigmoid or softmax", scoring);
  result.scoring = scoring == "softmax" ? r1::Scoring::Softmax : r1::Scoring::Sigmoid;
  std::string method = config.string("topk_method", "noaux_tc");
  config.expect("topk_method", method == "noaux_tc" || method == "greedy" || method == "group_limited_greedy",
                "noaux_tc, greedy or group_limited_greedy", method);
  result.hasRoutingBias = method == "noaux_tc";
  result.groupScore = method == "noaux_tc" ? r1::GroupScore::Top2 : r1::GroupScore::Max;
  if (method != "greedy") {
    result.groups = config.isNull("n_group") ? 1 : config.count("n_group", 8);
    result.topGroups = config.count("topk_group", std::min<int64_t>(4, result.groups));
  }
  int64_t inGroup = result.experts / result.groups;
  config.expect("n_group", result.experts % result.groups == 0,
                formatv("a divisor of n_routed_experts = {0}", result.experts).str(), result.groups);
  config.expect("n_group", result.groups == 1 || result.groupScore == r1::GroupScore::Max || inGroup >= 2,
                "groups of at least two experts for topk_method noaux_tc", result.groups);
  config.expect("topk_group", result.topGroups <= result.groups, formatv("at most n_group = {0}", result.groups).str(),
                result.topGroups);
  config.expect("num_experts_per_tok", result.topK <= inGroup * result.topGroups,
                formatv("at most the {0} experts of {1} groups", inGroup * result.topGroups, result.topGroups).str(),
                result.topK);
}

void readDeepseekV3(Members &config, ModelConfig &result) {
  result.queryRank = config.isNull("q_lora_rank") ? 0 : config.integer("q_lora_rank", {}, 0);
  result.latentRank = config.integer("kv_lora_rank");
  result.nopeDim = config.count("qk_nope_head_dim");
  result.ropeDim = config.count("qk_rope_head_dim");
  result.valueDim = config.count("v_head_dim");
  result.ropeInterleaved = config.boolean("rope_interleave", true);
  // A key of the transformers class and a key of DeepSeek's own.
  const char *nextTokenKey = config.has("num_mtp_layers") ? "num_mtp_layers" : "num_nextn_predict_layers";
  result.nextTokenLayers = config.count(nextTokenKey, 0, 0);
  result.qkvBias = result.outputBias = config.boolean("attention_bias", false);
  config.expect("qk_rope_head_dim", result.ropeDim % 2 == 0, "an even number", result.ropeDim);
  readRouting(config, result);
}

/// Whether a window of Qwen2's cuts off any token that a full attention would see.
bool slidingWindowBinds(Members &config, const ModelConfig &result) {
  if (!config.boolean("use_sliding_window", false) || config.isNull("sliding_window") ||
      config.integer("sliding_window", 4096) >= result.maxPositions) {
    return false;
  }
  if (config.has("layer_types") && config.object["layer_types"].is_array()) {
    return llvm::any_of(config.object["layer_types"],
                        [](const json &type) { return type == json("sliding_attention"); });
  }
  return config.integer("max_window_layers", 28, 0) < result.layers;
}

void readDense(Members &config, ModelConfig &result) {
  result.kvHeads = config.count("num_key_value_heads", result.heads);
  config.expect("num_key_value_heads", result.heads % result.kvHeads == 0,
                formatv("a divisor of num_attention_heads = {0}", result.heads).str(), result.kvHeads);
  if (config.has("head_dim")) {
    result.headDim = config.count("head_dim", {}, 2);
  } else {
    config.expect("hidden_size", result.hidden % result.heads == 0 && result.hidden / result.heads <= maxCount,
                  formatv("a multiple of num_attention_heads = {0}", result.heads).str(), result.hidden);
    result.headDim = std::clamp<int64_t>(result.hidden / result.heads, 2, maxCount);
  }
  config.expect("head_dim", result.headDim % 2 == 0, "an even number", result.headDim);
  result.ropeInterleaved = false;
  if (result.architecture == Architecture::Qwen2) {
    result.qkvBias = true;
    config.expect("use_mrope", !config.boolean("use_mrope", false), "false", true);
    config.expect("use_sliding_window", !slidingWindowBinds(config, result),
                  "false, or a sliding_window of max_position_embeddings or more", true);
  } else {
    result.qkvBias = result.outputBias = config.boolean("attention_bias", false);
    result.mlpBias = config.boolean("mlp_bias", false);
  }
}

} // namespace

llvm::Expected<ModelConfig> readConfig(llvm::StringRef path) {
  constexpr llvm::StringLiteral configName = "config.json", generationName = "generation_config.json";
  llvm::Expected<ModelFolder> folder = ModelFolder::open(path);
  if (!folder) {
    return folder.takeError();
  }
  std::string file = folder->pathOf(configName);
  llvm::Expected<json> object = readJsonObject(*folder, configName);
  if (!object) {
    return object.takeError();
  }
  Members config(*object, file);
  ModelConfig result;

  auto names = object->find("architectures");
  if (names == object->end() || !names->is_array() || names->size() != 1 || !(*names)[0].is_string()) {
    return configError(formatv("{0}: 'architectures': expected a list with one name, found {1}", file,
                               names == object->end() ? "none" : shown(*names))
                           .str());
  }
  result.architectureName = (*names)[0].get<std::string>();
  auto architecture = llvm::StringSwitch<std::optional<Architecture>>(result.architectureName)
                          .Case("DeepseekV3ForCausalLM", Architecture::DeepseekV3)
                          .Case("Qwen2ForCausalLM", Architecture::Qwen2)
                          .Case("LlamaForCausalLM", Architecture::Llama)
                          .Default(std::nullopt);
  if (!architecture) {
    return configError(formatv("{0}: 'architectures': expected DeepseekV3ForCausalLM, Qwen2ForCausalLM or "
                               "LlamaForCausalLM, found {1}",
                               file, shown((*names)[0]))
                           .str());
  }
  result.architecture = *architecture;

  result.hidden = config.integer("hidden_size");
  result.layers = config.count("num_hidden_layers");
  result.vocabulary = config.integer("vocab_size");
  result.maxPositions = config.integer("max_position_embeddings");
  result.intermediate = config.integer("intermediate_size");
  result.heads = config.count("num_attention_heads");
  result.epsilon = config.positive("rms_norm_eps", 1e-6);
  result.tiedEmbeddings = config.boolean("tie_word_embeddings", false);
  std::string activation = config.string("hidden_act", "silu");
  config.expect("hidden_act", activation == "silu" || activation == "swish", "silu", activation);
  std::vector<int64_t> bos = config.integers("bos_token_id", 0, result.vocabulary - 1);
  result.bosToken = bos.empty() ? -1 : bos.front();
  result.eosTokens = config.integers("eos_token_id", 0, result.vocabulary - 1);
  if (llvm::Error error = readRope(config, file, result)) {
    return std::move(error);
  }
  if (llvm::Error error = readQuantization(config, file, result)) {
    return std::move(error);
  }
  if (result.architecture == Architecture::DeepseekV3) {
    readDeepseekV3(config, result);
  } else {
    readDense(config, result);
  }
  if (llvm::Error error = config.takeError()) {
    return std::move(error);
  }

  if (folder->has(generationName)) {
    llvm::Expected<json> defaults = readJsonObject(*folder, generationName);
    if (!defaults) {
      return defaults.takeError();
    }
    Members members(*defaults, folder->pathOf(generationName));
    std::vector<int64_t> eos = members.integers("eos_token_id", 0, result.vocabulary - 1);
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
