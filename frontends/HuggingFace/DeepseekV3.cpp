// DeepSeek-V3's decoder layer (DeepSeek-V3 technical report, section 2.1; the same tensors carry R1 and V3.1).
#include "frontends/HuggingFace/DecoderLayers.h"
#include "frontends/HuggingFace/RotaryFrequencies.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace elah {
namespace {

// The norms inside of the attention have transformers' default epsilon, whatever rms_norm_eps says.
constexpr double lowRankNormEpsilon = 1e-6;

Value attention(ModelBuilder &model, Value input, Value positions, Value &cache, int64_t layer, const Twine &module) {
  const ModelConfig &config = model.config;
  std::string name = module.str();
  int64_t headDim = config.nopeDim + config.ropeDim;
  Value query;
  if (config.queryRank == 0) {
    query = model.linear(input, config.heads * headDim, name + ".q_proj");
  } else {
    Value low = model.linear(input, config.queryRank, name + ".q_a_proj", config.qkvBias);
    low = model.norm(low, config.queryRank, name + ".q_a_layernorm", lowRankNormEpsilon);
    query = model.linear(low, config.heads * headDim, name + ".q_b_proj");
  }
  Value latent = model.linear(input, config.latentRank + config.ropeDim, name + ".kv_a_proj_with_mqa", config.qkvBias);
  Value normWeight = model.weight(name + ".kv_a_layernorm.weight", {config.latentRank});
  Value expand =
      model.weight(name + ".kv_b_proj.weight", {config.heads * (config.nopeDim + config.valueDim), config.latentRank});
  OpBuilder &builder = model.builder;
  auto op = r1::LatentAttentionOp::create(builder, model.locationOf(name), model.rows(config.heads * config.valueDim),
                                          cache.getType(), query, latent, normWeight, expand, positions, cache,
                                          config.heads, config.nopeDim, config.ropeDim, config.valueDim,
                                          config.latentRank, APFloat(softmaxScale(config, headDim)),
                                          APFloat(lowRankNormEpsilon), layer, model.rope(config.ropeDim));
  cache = op.getNewCache();
  return model.linear(op.getResult(), config.hidden, name + ".o_proj", config.outputBias);
}

/// The experts' matrices: one tensor each, or fused by a newer transformers as gate_up_proj [E, 2I, H], down_proj [E,
/// H, I].
struct ExpertWeights {
  Value gate, up, down;
};

ExpertWeights expertWeights(ModelBuilder &model, const Twine &module) {
  const ModelConfig &config = model.config;
  int64_t experts = config.experts, inner = config.expertIntermediate, hidden = config.hidden;
  std::string name = module.str();
  if (model.hasTensor(name + ".gate_up_proj")) {
    r1::WeightAttr gateUp = model.source(name + ".gate_up_proj", {experts, 2 * inner, hidden});
    r1::WeightAttr down = model.source(name + ".down_proj", {experts, hidden, inner});
    SmallVector<Attribute> gates, ups, downs;
    for (int64_t expert = 0; expert < experts; ++expert) {
      gates.push_back(model.slice(gateUp, expert, 0, inner));
      ups.push_back(model.slice(gateUp, expert, inner, inner));
      downs.push_back(model.slice(down, expert, 0, hidden));
    }
    return {model.weightOf(gates, name + ".gate_proj"), model.weightOf(ups, name + ".up_proj"),
            model.weightOf(downs, name + ".down_proj")};
  }
  auto stacked = [&](StringRef projection, int64_t rows, int64_t columns) {
    auto nameOf = [&](int64_t expert) { return (name + "." + Twine(expert) + "." + projection + ".weight").str(); };
    return model.stackedWeight(experts, nameOf, {rows, columns}, name + "." + projection);
  };
  return {stacked("gate_proj", inner, hidden), stacked("up_proj", inner, hidden), stacked("down_proj", hidden, inner)};
}

Value routedMlp(ModelBuilder &model, Value input, const Twine &module) {
  const ModelConfig &config = model.config;
  std::string name = module.str();
  OpBuilder &builder = model.builder;
  Value logits = model.linear(input, config.experts, name + ".gate");
  Value bias;
  if (config.hasRoutingBias) {
    bias = model.weight(name + ".gate.e_score_correction_bias", {config.experts});
  }
  auto chosen = RankedTensorType::get({ShapedType::kDynamic, config.topK}, builder.getI32Type());
  auto routing =
      r1::RoutingAttr::get(builder.getContext(), config.scoring, config.topK, config.groups, config.topGroups,
                           config.groupScore, config.normalizeWeights, builder.getF64FloatAttr(config.routedScale));
  auto route = r1::RouteOp::create(builder, model.locationOf(name + ".gate"), chosen, model.rows(config.topK), logits,
                                   bias, routing);
  ExpertWeights weights = expertWeights(model, name + ".experts");
  Value routed = r1::ExpertsOp::create(builder, model.locationOf(name + ".experts"), input.getType(), input,
                                       route.getExperts(), route.getWeights(), weights.gate, weights.up, weights.down);
  if (config.sharedExperts == 0) {
    return routed;
  }
  Value shared = model.swigluMlp(input, config.expertIntermediate * config.sharedExperts, name + ".shared_experts");
  return model.add(routed, shared, name);
}

} // namespace

Value deepseekV3Layer(ModelBuilder &model, Value hidden, Value positions, Value &cache, int64_t layer) {
  const ModelConfig &config = model.config;
  std::string name = ("model.layers." + Twine(layer)).str();
  Value normed = model.norm(hidden, config.hidden, name + ".input_layernorm", config.epsilon);
  hidden = model.add(hidden, attention(model, normed, positions, cache, layer, name + ".self_attn"), name);
  normed = model.norm(hidden, config.hidden, name + ".post_attention_layernorm", config.epsilon);
  bool dense = layer < config.firstDenseLayers || layer % config.moeLayerFrequency != 0;
  Value mlp =
      dense ? model.swigluMlp(normed, config.intermediate, name + ".mlp") : routedMlp(model, normed, name + ".mlp");
  return model.add(hidden, mlp, name);
}

Value deepseekV3NextToken(ModelBuilder &model, Value tokens, Value positions, Value hidden, Value &cache,
                          int64_t layer) {
  const ModelConfig &config = model.config;
  std::string name = ("model.layers." + Twine(layer)).str();
  // The files of R1 hold copies of the model's embedding and head; newer ones leave them out.
  auto ownOr = [&](const Twine &own, StringRef shared) {
    return model.hasTensor(own + ".weight") ? own.str() : shared.str();
  };
  Value embedded = model.embedding(tokens, ownOr(name + ".embed_tokens", "model.embed_tokens"));
  Value hiddenNorm = model.weight(name + ".hnorm.weight", {config.hidden});
  Value embeddingNorm = model.weight(name + ".enorm.weight", {config.hidden});
  Value projection = model.weight(name + ".eh_proj.weight", {config.hidden, 2 * config.hidden});
  hidden =
      r1::NextTokenBlockOp::create(model.builder, model.locationOf(name + ".eh_proj"), hidden.getType(), hidden,
                                   embedded, positions, hiddenNorm, embeddingNorm, projection, APFloat(config.epsilon));
  hidden = deepseekV3Layer(model, hidden, positions, cache, layer);
  hidden = model.norm(hidden, config.hidden, name + ".shared_head.norm", config.epsilon);
  return model.linear(hidden, config.vocabulary,
                      ownOr(name + ".shared_head.head", config.tiedEmbeddings ? "model.embed_tokens" : "lm_head"));
}

} // namespace elah
