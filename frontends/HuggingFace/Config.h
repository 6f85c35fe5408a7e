#ifndef FRONTENDS_HUGGINGFACE_CONFIG_H
#define FRONTENDS_HUGGINGFACE_CONFIG_H

#include "dialects/R1/R1.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elah {

enum class Architecture { DeepseekV3, Qwen2, Llama };

/// rope_scaling of config.json.
struct RopeScaling {
  enum class Kind { None, Linear, Yarn, Llama3 };
  Kind kind = Kind::None;
  double factor = 1;
  double originalMaxPositions = 0;
  double betaFast = 32, betaSlow = 1;                     // yarn
  std::optional<double> mscale, mscaleAllDim;             // yarn
  std::optional<double> attentionFactor;                  // yarn
  bool truncate = true;                                   // yarn: correction dims are rounded outwards
  double lowFrequencyFactor = 1, highFrequencyFactor = 4; // llama3
};

/// config.json, with the defaults that transformers has for keys that may be absent.
struct ModelConfig {
  Architecture architecture;
  std::string architectureName;
  int64_t hidden = 0, layers = 0, vocabulary = 0, maxPositions = 0, intermediate = 0;
  int64_t heads = 0, kvHeads = 0, headDim = 0;
  double epsilon = 1e-6, ropeTheta = 10000;
  RopeScaling ropeScaling;
  bool tiedEmbeddings = false;
  bool qkvBias = false, outputBias = false, mlpBias = false;
  int64_t bosToken = -1;
  std::vector<int64_t> eosTokens;
  // FP8 with one scale per block; 0 if weights have none.
  int64_t blockRows = 0, blockColumns = 0;

  // DeepSeek-V3.
  int64_t queryRank = 0; ///< 0: the query is projected directly.
  int64_t latentRank = 0, nopeDim = 0, ropeDim = 0, valueDim = 0;
  int64_t expertIntermediate = 0, experts = 0, sharedExperts = 0, moeLayerFrequency = 1;
  int64_t firstDenseLayers = 0; ///< All of them, or more, in a model without experts.
  int64_t nextTokenLayers = 0;
  int64_t topK = 0, groups = 1, topGroups = 1;
  bool normalizeWeights = true, ropeInterleaved = true;
  bool hasRoutingBias = true;
  double routedScale = 1;
  r1::Scoring scoring = r1::Scoring::Sigmoid;
  r1::GroupScore groupScore = r1::GroupScore::Top2;
};

/// Reads `folder`/config.json, and the end-of-sequence tokens of generation_config.json if it is there. Errors name the
/// file, the key, what was found and what was expected.
llvm::Expected<ModelConfig> readConfig(llvm::StringRef folder);

} // namespace elah

#endif
