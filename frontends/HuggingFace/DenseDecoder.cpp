// The decoder layer of R1's distills: Qwen2 (biases on query, key and value) and Llama.
#include "frontends/HuggingFace/DecoderLayers.h"
#include "frontends/HuggingFace/RotaryFrequencies.h"

using namespace mlir;

namespace elah {

Value denseLayer(ModelBuilder &model, Value hidden, Value positions, Value &cache, int64_t layer) {
  const ModelConfig &config = model.config;
  std::string name = ("model.layers." + Twine(layer)).str();
  Value normed = model.norm(hidden, config.hidden, name + ".input_layernorm", config.epsilon);

  std::string attention = name + ".self_attn";
  int64_t headDim = config.headDim;
  Value query = model.linear(normed, config.heads * headDim, attention + ".q_proj", config.qkvBias);
  Value key = model.linear(normed, config.kvHeads * headDim, attention + ".k_proj", config.qkvBias);
  Value value = model.linear(normed, config.kvHeads * headDim, attention + ".v_proj", config.qkvBias);
  auto op = r1::AttentionOp::create(model.builder, model.locationOf(attention), query.getType(), cache.getType(), query,
                                    key, value, positions, cache, config.heads, config.kvHeads, headDim, headDim,
                                    APFloat(softmaxScale(config, headDim)), layer, model.rope(headDim));
  cache = op.getNewCache();
  Value projected = model.linear(op.getResult(), config.hidden, attention + ".o_proj", config.outputBias);
  hidden = model.add(hidden, projected, name);

  normed = model.norm(hidden, config.hidden, name + ".post_attention_layernorm", config.epsilon);
  return model.add(hidden, model.swigluMlp(normed, config.intermediate, name + ".mlp", config.mlpBias), name);
}

} // namespace elah
