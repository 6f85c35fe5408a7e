#ifndef FRONTENDS_HUGGINGFACE_DECODERLAYERS_H
#define FRONTENDS_HUGGINGFACE_DECODERLAYERS_H

#include "frontends/HuggingFace/ModelBuilder.h"

namespace elah {

/// One decoder layer of DeepSeek-V3: latent attention, then a dense or a routed MLP. `cache` is replaced by its
/// successor.
mlir::Value deepseekV3Layer(ModelBuilder &model, mlir::Value hidden, mlir::Value positions, mlir::Value &cache,
                            int64_t layer);

/// DeepSeek-V3's multi-token prediction layer, which is `layer` in the checkpoint and in the cache: from the model's
/// last hidden state (behind its final norm) at each position and the token behind that position to the logits of the
/// token after it.
mlir::Value deepseekV3NextToken(ModelBuilder &model, mlir::Value tokens, mlir::Value positions, mlir::Value hidden,
                                mlir::Value &cache, int64_t layer);

/// One decoder layer of Qwen2 or Llama: grouped-query attention, then a SwiGLU MLP.
mlir::Value denseLayer(ModelBuilder &model, mlir::Value hidden, mlir::Value positions, mlir::Value &cache,
                       int64_t layer);

} // namespace elah

#endif
