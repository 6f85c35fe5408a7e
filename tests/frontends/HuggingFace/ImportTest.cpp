// Whole imports of small folders: every architecture and weight format, and what happens to tensors that are missing,
// too many, or not what config.json promises.
#include "frontends/HuggingFace/Import.h"
#include "TemporaryFolder.h"
#include "TestCheckpoint.h"
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <functional>
#define JSON_NOEXCEPTION
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace elah {
namespace {

using namespace mlir;
using nlohmann::json;

/// A folder to import: what its config.json says, and its tensors.
struct Model {
  json config;
  std::vector<TestTensor> tensors;

  TestTensor &tensor(const std::string &name) {
    auto place = std::find_if(tensors.begin(), tensors.end(), [&](const TestTensor &t) { return t.name == name; });
    EXPECT_NE(place, tensors.end()) << name;
    return *place;
  }
  void remove(const std::string &name) { tensors.erase(tensors.begin() + (&tensor(name) - tensors.data())); }
  void linear(const std::string &module, int64_t outputs, int64_t inputs, bool bias = false) {
    tensors.push_back({module + ".weight", "BF16", {outputs, inputs}});
    if (bias) {
      tensors.push_back({module + ".bias", "BF16", {outputs}});
    }
  }
  void norm(const std::string &module, int64_t width) { tensors.push_back({module + ".weight", "BF16", {width}}); }
  void mlp(const std::string &module, int64_t inner, int64_t hidden, bool bias = false) {
    linear(module + ".gate_proj", inner, hidden, bias);
    linear(module + ".up_proj", inner, hidden, bias);
    linear(module + ".down_proj", hidden, inner, bias);
  }
  /// Stores all matrices of linear layers, or those that `which` picks, as FP8 with block scales.
  void toFp8(const std::function<bool(const std::string &)> &which = [](const std::string &) { return true; }) {
    config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}};
    std::vector<TestTensor> scales;
    for (TestTensor &tensor : tensors) {
      if (tensor.shape.size() < 2 || tensor.name.find("embed") != std::string::npos ||
          tensor.name.find("gate.weight") != std::string::npos || !which(tensor.name)) {
        continue;
      }
      tensor.dtype = "F8_E4M3";
      std::vector<int64_t> shape = tensor.shape;
      shape[shape.size() - 2] = (shape[shape.size() - 2] + 127) / 128;
      shape.back() = (shape.back() + 127) / 128;
      scales.push_back({tensor.name + "_scale_inv", "F32", shape});
    }
    tensors.insert(tensors.end(), scales.begin(), scales.end());
  }
};

constexpr int64_t hidden = 192, vocabulary = 256, layers = 2; // 1.5 blocks of 128 wide

void addDeepseekLayer(Model &model, int64_t layer, bool isDense) {
  std::string name = "model.layers." + std::to_string(layer), attention = name + ".self_attn";
  model.norm(name + ".input_layernorm", hidden);
  model.linear(attention + ".q_a_proj", 96, hidden);
  model.norm(attention + ".q_a_layernorm", 96);
  model.linear(attention + ".q_b_proj", 2 * 48, 96);
  model.linear(attention + ".kv_a_proj_with_mqa", 64 + 16, hidden);
  model.norm(attention + ".kv_a_layernorm", 64);
  model.linear(attention + ".kv_b_proj", 2 * 64, 64);
  model.linear(attention + ".o_proj", hidden, 2 * 32);
  model.norm(name + ".post_attention_layernorm", hidden);
  if (isDense) {
    model.mlp(name + ".mlp", 320, hidden);
    return;
  }
  model.linear(name + ".mlp.gate", 4, hidden);
  model.tensors.push_back({name + ".mlp.gate.e_score_correction_bias", "F32", {4}});
  for (int expert = 0; expert < 4; ++expert) {
    model.mlp(name + ".mlp.experts." + std::to_string(expert), 128, hidden);
  }
  model.mlp(name + ".mlp.shared_experts", 128, hidden);
}

Model deepseek() {
  Model model;
  model.config = json::parse(R"({
      "architectures": ["DeepseekV3ForCausalLM"], "bos_token_id": 0, "eos_token_id": 1, "first_k_dense_replace": 1,
      "hidden_size": 192, "intermediate_size": 320, "kv_lora_rank": 64, "max_position_embeddings": 512,
      "moe_intermediate_size": 128, "n_group": 2, "n_routed_experts": 4, "n_shared_experts": 1,
      "num_attention_heads": 2, "num_experts_per_tok": 2, "num_hidden_layers": 2, "q_lora_rank": 96,
      "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "rms_norm_eps": 1e-5, "topk_group": 1, "v_head_dim": 32,
      "vocab_size": 256})");
  model.linear("model.embed_tokens", vocabulary, hidden);
  addDeepseekLayer(model, 0, /*isDense=*/true);
  addDeepseekLayer(model, 1, /*isDense=*/false);
  model.norm("model.norm", hidden);
  model.linear("lm_head", vocabulary, hidden);
  return model;
}

/// Adds the tensors of the multi-token prediction layer.
void addNextToken(Model &model) {
  model.config["num_nextn_predict_layers"] = 1;
  addDeepseekLayer(model, layers, /*isDense=*/false);
  std::string name = "model.layers.2";
  model.norm(name + ".enorm", hidden);
  model.norm(name + ".hnorm", hidden);
  model.linear(name + ".eh_proj", hidden, 2 * hidden);
  model.linear(name + ".embed_tokens", vocabulary, hidden);
  model.norm(name + ".shared_head.norm", hidden);
  model.linear(name + ".shared_head.head", vocabulary, hidden);
}

Model dense(const std::string &architecture, bool qkvBias, bool otherBias) {
  Model model;
  model.config = json::parse(R"({
      "bos_token_id": 0, "eos_token_id": [1, 2], "hidden_size": 192, "intermediate_size": 320,
      "max_position_embeddings": 512, "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
      "rms_norm_eps": 1e-5, "vocab_size": 256})");
  model.config["architectures"] = {architecture};
  model.config["attention_bias"] = otherBias;
  model.config["mlp_bias"] = otherBias;
  model.linear("model.embed_tokens", vocabulary, hidden);
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::string name = "model.layers." + std::to_string(layer), attention = name + ".self_attn";
    model.norm(name + ".input_layernorm", hidden);
    model.linear(attention + ".q_proj", hidden, hidden, qkvBias);
    model.linear(attention + ".k_proj", hidden / 2, hidden, qkvBias);
    model.linear(attention + ".v_proj", hidden / 2, hidden, qkvBias);
    model.linear(attention + ".o_proj", hidden, hidden, otherBias);
    model.norm(name + ".post_attention_layernorm", hidden);
    model.mlp(name + ".mlp", 320, hidden, otherBias);
  }
  model.norm("model.norm", hidden);
  model.linear("lm_head", vocabulary, hidden);
  return model;
}

/// An import of a model, with what it said.
struct Imported {
  explicit Imported(const Model &model, const ImportOptions &options = {}, size_t shards = 1) {
    folder.write("config.json", model.config.dump());
    if (shards == 1) {
      folder.write("model.safetensors", safetensorsFile(model.tensors));
    } else {
      std::vector<std::vector<TestTensor>> parts(shards);
      std::vector<std::pair<std::string, std::string>> places;
      auto nameOf = [](size_t shard) { return "model-" + std::to_string(shard) + ".safetensors"; };
      for (size_t i = 0; i < model.tensors.size(); ++i) {
        parts[i % shards].push_back(model.tensors[i]);
        places.emplace_back(model.tensors[i].name, nameOf(i % shards));
      }
      for (size_t shard = 0; shard < shards; ++shard) {
        folder.write(nameOf(shard), safetensorsFile(parts[shard]));
      }
      folder.write("model.safetensors.index.json", indexFile(places));
    }
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      (diagnostic.getSeverity() == DiagnosticSeverity::Error ? errors : warnings).push_back(diagnostic.str());
    });
    module = importHuggingFace(&context, folder.path, options);
    EXPECT_EQ(static_cast<bool>(module), errors.empty());
    isValid = module && succeeded(verify(*module));
  }

  template <typename OpTy> std::vector<OpTy> all(StringRef function = "forward") {
    std::vector<OpTy> ops;
    module->lookupSymbol<func::FuncOp>(function).walk([&](OpTy op) { ops.push_back(op); });
    return ops;
  }
  /// The source of the weight whose first part is the tensor `name`.
  r1::WeightAttr weight(StringRef name, StringRef function = "forward") {
    for (r1::WeightOp op : all<r1::WeightOp>(function)) {
      auto part = cast<r1::WeightAttr>(op.getParts()[0]);
      if (part.getName().getValue() == name) {
        return part;
      }
    }
    ADD_FAILURE() << "no weight " << name.str();
    return {};
  }
  int64_t integer(StringRef name) { return module->getOperation()->getAttrOfType<IntegerAttr>(name).getInt(); }

  TemporaryFolder folder;
  MLIRContext context;
  std::vector<std::string> errors, warnings;
  OwningOpRef<ModuleOp> module;
  bool isValid = false;
};

int64_t elements(const Model &model, const std::function<bool(const std::string &)> &which) {
  int64_t total = 0;
  for (const TestTensor &tensor : model.tensors) {
    int64_t size = 1;
    for (int64_t dimension : tensor.shape) {
      size *= dimension;
    }
    total += which(tensor.name) ? size : 0;
  }
  return total;
}

std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

TEST(Import, Deepseek) {
  Imported imported(deepseek());
  ASSERT_TRUE(imported.isValid) << testing::PrintToString(imported.errors);
  EXPECT_EQ(imported.warnings, std::vector<std::string>());
  auto attentions = imported.all<r1::LatentAttentionOp>();
  ASSERT_EQ(attentions.size(), 2u);
  EXPECT_EQ(attentions[0].getLayer(), 0u);
  EXPECT_EQ(attentions[1].getLayer(), 1u);
  // The cache goes through the layers, one after the other.
  EXPECT_EQ(attentions[1].getCache(), attentions[0].getNewCache());
  EXPECT_EQ(print(attentions[0].getCache().getType()),
            "!r1.cache<latent, layers = 2, key_width = 80, value_width = 0>");
  EXPECT_EQ(attentions[0].getEpsilon().convertToDouble(), 1e-6);
  EXPECT_EQ(imported.all<r1::RmsNormOp>().back().getEpsilon().convertToDouble(), 1e-5);
  EXPECT_EQ(imported.all<r1::SwigluOp>().size(), 2u); // the dense layer and the shared expert
  ASSERT_EQ(imported.all<r1::RouteOp>().size(), 1u);
  EXPECT_TRUE(imported.all<r1::RouteOp>()[0].getBias());
  auto experts = imported.all<r1::ExpertsOp>();
  ASSERT_EQ(experts.size(), 1u);
  EXPECT_EQ(print(experts[0].getGate().getType()), "tensor<4x128x192xbf16>");
  EXPECT_EQ(print(experts[0].getDown().getType()), "tensor<4x192x128xbf16>");
  EXPECT_EQ(imported.integer("r1.vocabulary"), 256);
  EXPECT_EQ(imported.integer("r1.max_context"), 512);
  EXPECT_EQ(imported.integer("r1.bos_token"), 0);
  EXPECT_EQ(imported.integer("r1.parameters"), elements(deepseek(), [](const std::string &) { return true; }));
}

TEST(Import, OperationsAreNamedAfterTheirModules) {
  Imported imported(deepseek());
  ASSERT_TRUE(imported.isValid);
  auto location = dyn_cast<NameLoc>(imported.all<r1::LatentAttentionOp>()[1].getLoc());
  ASSERT_TRUE(location);
  EXPECT_EQ(location.getName().getValue(), "model.layers.1.self_attn");
}

TEST(Import, WeightsSayWhereTheirBytesAre) {
  Model model = deepseek();
  Imported imported(model);
  ASSERT_TRUE(imported.isValid);
  r1::WeightAttr head = imported.weight("lm_head.weight");
  EXPECT_EQ(head.getFile().getValue(), "model.safetensors");
  EXPECT_EQ(head.getSize(), 256u * 192 * 2);
  EXPECT_EQ(head.getOffset() + head.getSize(), std::filesystem::file_size(imported.folder.path + "/model.safetensors"));
}

TEST(Import, DeepseekVariants) {
  Model direct = deepseek();
  direct.config["q_lora_rank"] = nullptr;
  for (int layer = 0; layer < 2; ++layer) {
    std::string attention = "model.layers." + std::to_string(layer) + ".self_attn";
    direct.remove(attention + ".q_a_proj.weight");
    direct.remove(attention + ".q_a_layernorm.weight");
    direct.remove(attention + ".q_b_proj.weight");
    direct.linear(attention + ".q_proj", 2 * 48, hidden);
  }
  EXPECT_TRUE(Imported(direct).isValid);

  Model allDense = deepseek();
  allDense.config["first_k_dense_replace"] = 2;
  allDense.mlp("model.layers.1.mlp", 320, hidden);
  Imported importedDense(allDense);
  ASSERT_TRUE(importedDense.isValid);
  EXPECT_TRUE(importedDense.all<r1::RouteOp>().empty());
  EXPECT_EQ(importedDense.warnings.size(), 9u); // eight of the experts' tensors by name, and how many more

  Model greedy = deepseek();
  greedy.config["topk_method"] = "greedy";
  greedy.config["scoring_func"] = "softmax";
  greedy.remove("model.layers.1.mlp.gate.e_score_correction_bias");
  Imported importedGreedy(greedy);
  ASSERT_TRUE(importedGreedy.isValid);
  EXPECT_FALSE(importedGreedy.all<r1::RouteOp>()[0].getBias());
  EXPECT_EQ(importedGreedy.all<r1::RouteOp>()[0].getRouting().getGroups(), 1);

  Model unshared = deepseek();
  unshared.config["n_shared_experts"] = nullptr;
  for (const char *matrix : {"gate", "up", "down"}) {
    unshared.remove(std::string("model.layers.1.mlp.shared_experts.") + matrix + "_proj.weight");
  }
  Imported importedUnshared(unshared);
  ASSERT_TRUE(importedUnshared.isValid);
  EXPECT_EQ(importedUnshared.all<r1::SwigluOp>().size(), 1u);

  Model biased = deepseek();
  biased.config["attention_bias"] = true;
  for (int layer = 0; layer < 2; ++layer) {
    std::string attention = "model.layers." + std::to_string(layer) + ".self_attn";
    biased.tensors.push_back({attention + ".q_a_proj.bias", "BF16", {96}});
    biased.tensors.push_back({attention + ".kv_a_proj_with_mqa.bias", "BF16", {80}});
    biased.tensors.push_back({attention + ".o_proj.bias", "BF16", {hidden}});
  }
  Imported importedBiased(biased);
  ASSERT_TRUE(importedBiased.isValid);
  EXPECT_EQ(importedBiased.warnings, std::vector<std::string>());
}

TEST(Import, DenseArchitectures) {
  Imported qwen(dense("Qwen2ForCausalLM", true, false));
  ASSERT_TRUE(qwen.isValid) << testing::PrintToString(qwen.errors);
  EXPECT_EQ(qwen.warnings, std::vector<std::string>());
  auto attentions = qwen.all<r1::AttentionOp>();
  ASSERT_EQ(attentions.size(), 2u);
  EXPECT_EQ(attentions[1].getKvHeads(), 2u);
  EXPECT_EQ(attentions[1].getHeadDim(), 48u);
  EXPECT_EQ(attentions[1].getRope()->getLayout(), r1::RopeLayout::Half);
  EXPECT_EQ(print(attentions[0].getCache().getType()), "!r1.cache<kv, layers = 2, key_width = 96, value_width = 96>");
  auto biases = llvm::count_if(qwen.all<r1::LinearOp>(), [](r1::LinearOp op) { return !!op.getBias(); });
  EXPECT_EQ(biases, 2 * 3);

  Imported llama(dense("LlamaForCausalLM", false, false));
  ASSERT_TRUE(llama.isValid) << testing::PrintToString(llama.errors);
  EXPECT_EQ(llama.warnings, std::vector<std::string>());

  Imported biased(dense("LlamaForCausalLM", true, true));
  ASSERT_TRUE(biased.isValid) << testing::PrintToString(biased.errors);
  biases = llvm::count_if(biased.all<r1::LinearOp>(), [](r1::LinearOp op) { return !!op.getBias(); });
  EXPECT_EQ(biases, 2 * 7);
}

TEST(Import, TiedEmbeddings) {
  for (bool hasHead : {false, true}) {
    Model model = dense("Qwen2ForCausalLM", true, false);
    model.config["tie_word_embeddings"] = true;
    if (!hasHead) {
      model.remove("lm_head.weight");
    }
    Imported imported(model);
    ASSERT_TRUE(imported.isValid) << testing::PrintToString(imported.errors);
    EXPECT_EQ(imported.warnings, std::vector<std::string>());
    EXPECT_EQ(imported.integer("r1.parameters"),
              elements(model, [](const std::string &name) { return name != "lm_head.weight"; }));
  }
}

TEST(Import, EveryWeightFormat) {
  for (const char *dtype : {"F32", "F16", "BF16"}) {
    Model model = deepseek();
    for (TestTensor &tensor : model.tensors) {
      tensor.dtype = dtype;
    }
    EXPECT_TRUE(Imported(model).isValid) << dtype;
  }
}

TEST(Import, BlockScales) {
  Model model = deepseek();
  model.toFp8();
  for (size_t shards : {1, 3}) { // in three shards, a weight and its scales are apart
    Imported imported(model, {}, shards);
    ASSERT_TRUE(imported.isValid) << testing::PrintToString(imported.errors);
    EXPECT_EQ(imported.warnings, std::vector<std::string>());
    // Neither 192 columns nor 80 rows are whole blocks.
    r1::WeightAttr latent = imported.weight("model.layers.0.self_attn.kv_a_proj_with_mqa.weight");
    EXPECT_EQ(print(latent.getType()), "tensor<80x192xf8E4M3FN, #r1.blocks<128, 128>>");
    ASSERT_TRUE(latent.getScales());
    EXPECT_EQ(latent.getScales().getName().getValue(), "model.layers.0.self_attn.kv_a_proj_with_mqa.weight_scale_inv");
    EXPECT_EQ(print(latent.getScales().getType()), "tensor<1x2xf32>");
    EXPECT_EQ(latent.getScales().getSize(), 8u);
    // Scales are no parameters of their own.
    EXPECT_EQ(imported.integer("r1.parameters"),
              elements(model, [](const std::string &name) { return name.find("_scale_inv") == std::string::npos; }));
  }
  Imported apart(model, {}, 3);
  bool areApart = llvm::any_of(apart.all<r1::WeightOp>(), [](r1::WeightOp op) {
    auto part = cast<r1::WeightAttr>(op.getParts()[0]);
    return part.getScales() && part.getScales().getFile() != part.getFile();
  });
  EXPECT_TRUE(areApart);
}

/// Replaces the experts' matrices by the two tensors that a newer transformers writes.
void fuseExperts(Model &model) {
  std::string experts = "model.layers.1.mlp.experts";
  for (int expert = 0; expert < 4; ++expert) {
    for (const char *matrix : {"gate", "up", "down"}) {
      model.remove(experts + "." + std::to_string(expert) + "." + matrix + "_proj.weight");
    }
  }
  model.tensors.push_back({experts + ".gate_up_proj", "BF16", {4, 256, hidden}});
  model.tensors.push_back({experts + ".down_proj", "BF16", {4, hidden, 128}});
}

TEST(Import, FusedExperts) {
  Model model = deepseek();
  fuseExperts(model);
  Imported imported(model);
  ASSERT_TRUE(imported.isValid) << testing::PrintToString(imported.errors);
  EXPECT_EQ(imported.integer("r1.parameters"), elements(model, [](const std::string &) { return true; }));
  r1::ExpertsOp experts = imported.all<r1::ExpertsOp>()[0];
  EXPECT_EQ(print(experts.getUp().getType()), "tensor<4x128x192xbf16>");
  auto gates = experts.getGate().getDefiningOp<r1::WeightOp>(), ups = experts.getUp().getDefiningOp<r1::WeightOp>();
  uint64_t begin = cast<r1::WeightAttr>(gates.getParts()[0]).getOffset(), matrix = 128 * hidden * 2;
  for (uint64_t expert = 0; expert < 4; ++expert) {
    EXPECT_EQ(cast<r1::WeightAttr>(gates.getParts()[expert]).getOffset(), begin + 2 * expert * matrix);
    EXPECT_EQ(cast<r1::WeightAttr>(ups.getParts()[expert]).getOffset(), begin + (2 * expert + 1) * matrix);
    EXPECT_EQ(cast<r1::WeightAttr>(ups.getParts()[expert]).getSize(), matrix);
  }
}

TEST(Import, FusedExpertsWithBlockScales) {
  Model model = deepseek();
  fuseExperts(model);
  model.toFp8();
  Imported imported(model);
  ASSERT_TRUE(imported.isValid) << testing::PrintToString(imported.errors);
  auto ups = imported.all<r1::ExpertsOp>()[0].getUp().getDefiningOp<r1::WeightOp>();
  auto first = cast<r1::WeightAttr>(ups.getParts()[0]), last = cast<r1::WeightAttr>(ups.getParts()[3]);
  EXPECT_EQ(print(last.getScales().getType()), "tensor<1x2xf32>");
  EXPECT_EQ(last.getScales().getOffset() - first.getScales().getOffset(), 3u * 2 * 2 * 4);

  // The up half would begin within a block.
  Model cut = deepseek();
  fuseExperts(cut);
  cut.config["moe_intermediate_size"] = 96;
  cut.tensor("model.layers.1.mlp.experts.gate_up_proj").shape = {4, 192, hidden};
  cut.tensor("model.layers.1.mlp.experts.down_proj").shape = {4, hidden, 96};
  for (const char *projection : {"gate", "up"}) {
    cut.tensor(std::string("model.layers.1.mlp.shared_experts.") + projection + "_proj.weight").shape = {96, hidden};
  }
  cut.tensor("model.layers.1.mlp.shared_experts.down_proj.weight").shape = {hidden, 96};
  EXPECT_TRUE(Imported(cut).isValid);
  cut.toFp8();
  EXPECT_EQ(Imported(cut).errors,
            std::vector<std::string>{"tensor 'model.layers.1.mlp.experts.gate_up_proj': its parts "
                                     "must begin at a block of 128 rows"});
}

TEST(Import, NextTokenLayer) {
  Model model = deepseek();
  int64_t ownParameters = elements(model, [](const std::string &) { return true; });
  addNextToken(model);
  Imported skipped(model);
  ASSERT_TRUE(skipped.isValid) << testing::PrintToString(skipped.errors);
  EXPECT_EQ(skipped.warnings, std::vector<std::string>());
  EXPECT_FALSE(skipped.module->lookupSymbol("next_token"));
  EXPECT_EQ(skipped.integer("r1.parameters"), ownParameters);

  ImportOptions options{NextTokenLayers::Import};
  Imported imported(model, options);
  ASSERT_TRUE(imported.isValid) << testing::PrintToString(imported.errors);
  EXPECT_EQ(imported.warnings, std::vector<std::string>());
  EXPECT_EQ(imported.integer("r1.parameters"), ownParameters);
  auto function = imported.module->lookupSymbol<func::FuncOp>("next_token");
  ASSERT_TRUE(function);
  std::string cache = "!r1.cache<latent, layers = 3, key_width = 80, value_width = 0>";
  EXPECT_EQ(print(function.getFunctionType()),
            "(tensor<?xi32>, tensor<?xi32>, tensor<?x192xf32>, " + cache + ") -> (tensor<?x256xf32>, " + cache + ")");
  EXPECT_EQ(print(imported.module->lookupSymbol<func::FuncOp>("forward").getFunctionType().getInput(2)), cache);
  auto blocks = imported.all<r1::NextTokenBlockOp>("next_token");
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(blocks[0].getHidden(), function.getArgument(2));
  EXPECT_EQ(blocks[0].getPositions(), function.getArgument(1));
  auto nameOf = [](Value weight) {
    return cast<r1::WeightAttr>(weight.getDefiningOp<r1::WeightOp>().getParts()[0]).getName().getValue();
  };
  EXPECT_EQ(nameOf(blocks[0].getHiddenNorm()), "model.layers.2.hnorm.weight");
  EXPECT_EQ(nameOf(blocks[0].getEmbeddingNorm()), "model.layers.2.enorm.weight");
  EXPECT_EQ(nameOf(blocks[0].getProjection()), "model.layers.2.eh_proj.weight");
  EXPECT_EQ(nameOf(blocks[0].getEmbedded().getDefiningOp<r1::EmbeddingOp>().getTable()),
            "model.layers.2.embed_tokens.weight");
  ASSERT_EQ(imported.all<r1::LatentAttentionOp>("next_token").size(), 1u);
  EXPECT_EQ(imported.all<r1::LatentAttentionOp>("next_token")[0].getLayer(), 2u);
  EXPECT_EQ(imported.all<r1::ExpertsOp>("next_token").size(), 1u);
  EXPECT_EQ(nameOf(imported.all<r1::LinearOp>("next_token").back().getWeight()),
            "model.layers.2.shared_head.head.weight");
}

TEST(Import, NextTokenLayerSharesEmbeddingAndHead) {
  Model model = deepseek();
  addNextToken(model);
  model.remove("model.layers.2.embed_tokens.weight");
  model.remove("model.layers.2.shared_head.head.weight");
  Imported imported(model, {NextTokenLayers::Import});
  ASSERT_TRUE(imported.isValid) << testing::PrintToString(imported.errors);
  imported.weight("model.embed_tokens.weight", "next_token");
  imported.weight("lm_head.weight", "next_token");
}

TEST(Import, NextTokenLayerIsHeldToTheCheckpoint) {
  Model none = deepseek();
  EXPECT_EQ(
      Imported(none, {NextTokenLayers::Import}).errors,
      std::vector<std::string>{"config.json: 'num_nextn_predict_layers': expected 1 to import the layer, found 0"});
  EXPECT_EQ(Imported(dense("LlamaForCausalLM", false, false), {NextTokenLayers::Import}).errors.size(), 1u);

  Model missing = deepseek();
  addNextToken(missing);
  missing.remove("model.layers.2.eh_proj.weight");
  EXPECT_EQ(
      Imported(missing, {NextTokenLayers::Import}).errors,
      std::vector<std::string>{"tensor 'model.layers.2.eh_proj.weight' is missing from the checkpoint, config.json "
                               "asks for one of shape [192, 384]"});
  EXPECT_TRUE(Imported(missing).isValid);

  Model wrong = deepseek();
  addNextToken(wrong);
  wrong.tensor("model.layers.2.enorm.weight").shape = {hidden + 1};
  EXPECT_EQ(Imported(wrong, {NextTokenLayers::Import}).errors,
            std::vector<std::string>{"model.safetensors: tensor 'model.layers.2.enorm.weight': expected shape [192] by "
                                     "config.json, found [193]"});
}

// Every tensor that a model needs, taken away: the error names it, and nothing else is said.
TEST(Import, MissingTensors) {
  Model models[] = {deepseek(), dense("Qwen2ForCausalLM", true, false), dense("LlamaForCausalLM", true, true)};
  models[0].toFp8([](const std::string &name) { return name.find("experts.") != std::string::npos; });
  for (const Model &model : models) {
    for (const TestTensor &tensor : model.tensors) {
      Model incomplete = model;
      incomplete.remove(tensor.name);
      Imported imported(incomplete);
      ASSERT_EQ(imported.errors.size(), 1u) << tensor.name;
      EXPECT_NE(imported.errors[0].find("'" + tensor.name + "'"), std::string::npos) << imported.errors[0];
      EXPECT_NE(imported.errors[0].find("missing"), std::string::npos) << imported.errors[0];
    }
  }
}

// Every tensor of another shape: the error names file, tensor, expected and found.
TEST(Import, WrongShapes) {
  Model model = deepseek();
  model.toFp8([](const std::string &name) { return name.find("q_a_proj") != std::string::npos; });
  for (const TestTensor &tensor : model.tensors) {
    for (int change = 0; change < 3; ++change) {
      Model changed = model;
      std::vector<int64_t> &shape = changed.tensor(tensor.name).shape;
      switch (change) {
      case 0:
        ++shape[0];
        break;
      case 1:
        shape.push_back(1);
        break;
      case 2:
        shape.pop_back();
        break;
      }
      Imported imported(changed);
      ASSERT_EQ(imported.errors.size(), 1u) << tensor.name;
      EXPECT_TRUE(
          StringRef(imported.errors[0]).starts_with("model.safetensors: tensor '" + tensor.name + "': expected"))
          << imported.errors[0];
    }
  }
  Model transposed = deepseek();
  transposed.tensor("model.layers.0.mlp.down_proj.weight").shape = {320, 192};
  EXPECT_EQ(Imported(transposed).errors,
            std::vector<std::string>{"model.safetensors: tensor 'model.layers.0.mlp.down_proj.weight': expected shape "
                                     "[192, 320] by config.json, found [320, 192]"});
}

TEST(Import, WrongTypes) {
  Model integers = deepseek();
  integers.tensor("model.norm.weight").dtype = "I8";
  EXPECT_EQ(Imported(integers).errors,
            std::vector<std::string>{
                "model.safetensors: tensor 'model.norm.weight': expected F32, BF16, F16 or F8_E4M3, found I8"});

  Model vector = deepseek();
  vector.toFp8();
  vector.tensor("model.norm.weight").dtype = "F8_E4M3";
  EXPECT_EQ(Imported(vector).errors,
            std::vector<std::string>{"model.safetensors: tensor 'model.norm.weight': expected F32, BF16 or F16, found "
                                     "F8_E4M3, which is for matrices only"});

  Model table = deepseek();
  table.toFp8();
  table.tensor("model.embed_tokens.weight").dtype = "F8_E4M3";
  table.tensors.push_back({"model.embed_tokens.weight_scale_inv", "F32", {2, 2}});
  EXPECT_EQ(Imported(table).errors,
            std::vector<std::string>{"tensor 'model.embed_tokens.weight': expected F32, BF16 or F16 for an embedding"});

  Model mixed = deepseek();
  mixed.tensor("model.layers.1.mlp.experts.2.up_proj.weight").dtype = "F32";
  EXPECT_EQ(
      Imported(mixed).errors,
      std::vector<std::string>{"model.safetensors: tensor 'model.layers.1.mlp.experts.2.up_proj.weight': expected "
                               "tensor<128x192xbf16>, as 'model.layers.1.mlp.experts.0.up_proj.weight' has, found "
                               "tensor<128x192xf32>"});
}

TEST(Import, WrongScales) {
  std::string name = "model.layers.0.self_attn.o_proj.weight";
  Model unannounced = deepseek();
  unannounced.toFp8();
  unannounced.config.erase("quantization_config");
  EXPECT_EQ(Imported(unannounced).errors.size(), 1u);

  Model missing = deepseek();
  missing.toFp8();
  missing.remove(name + "_scale_inv");
  EXPECT_EQ(Imported(missing).errors,
            std::vector<std::string>{"model.safetensors: tensor '" + name + "' is FP8, its scales '" + name +
                                     "_scale_inv' are missing"});

  Model shape = deepseek();
  shape.toFp8();
  shape.tensor(name + "_scale_inv").shape = {1, 1};
  EXPECT_EQ(Imported(shape).errors,
            std::vector<std::string>{"model.safetensors: tensor '" + name +
                                     "_scale_inv': expected F32 of shape [2, 1], found F32 of [1, 1]"});

  Model type = deepseek();
  type.toFp8();
  type.tensor(name + "_scale_inv").dtype = "BF16";
  EXPECT_EQ(Imported(type).errors,
            std::vector<std::string>{"model.safetensors: tensor '" + name +
                                     "_scale_inv': expected F32 of shape [2, 1], found BF16 of [2, 1]"});
}

TEST(Import, ExtraTensorsAreLeftOut) {
  Model model = dense("LlamaForCausalLM", false, false);
  model.tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {24}}); // old checkpoints have it
  model.tensors.push_back({"model.layers.0.self_attn.q_norm.weight", "BF16", {48}});
  Imported imported(model);
  ASSERT_TRUE(imported.isValid);
  EXPECT_EQ(imported.warnings,
            std::vector<std::string>{"tensor 'model.layers.0.self_attn.q_norm.weight' is not part of a "
                                     "LlamaForCausalLM and is left out"});

  // Layers behind the model's own are expected of DeepSeek-V3 only, and only as many as there may be.
  Model deep = deepseek();
  addDeepseekLayer(deep, 2, true);
  deep.norm("model.layers.3.input_layernorm", hidden);
  EXPECT_EQ(Imported(deep).warnings, std::vector<std::string>{"tensor 'model.layers.3.input_layernorm.weight' is not "
                                                              "part of a DeepseekV3ForCausalLM and is left out"});
}

// Counts in config.json that no checkpoint fulfils must cost neither time nor memory.
TEST(Import, HugeCountsFailAtOnce) {
  Model model = deepseek();
  model.config["n_routed_experts"] = 65536;
  model.config["n_group"] = 1;
  model.config["topk_group"] = 1;
  model.config["num_hidden_layers"] = 65536;
  model.config["intermediate_size"] = 1 << 30;
  model.config["first_k_dense_replace"] = 0;
  Imported imported(model);
  ASSERT_EQ(imported.errors.size(), 1u);
}

TEST(Import, ErrorsOfConfigAndFilesAreDiagnostics) {
  Model model = deepseek();
  model.config["hidden_size"] = "192";
  Imported imported(model);
  EXPECT_EQ(imported.errors,
            std::vector<std::string>{imported.folder.path +
                                     "/config.json: 'hidden_size': expected a whole number in 1..1073741824, found "
                                     "\"192\""});
  MLIRContext context;
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { message = diagnostic.str(); });
  EXPECT_FALSE(importHuggingFace(&context, "/none/at/all"));
  EXPECT_EQ(message, "/none/at/all: cannot open the model's folder: No such file or directory");
}

// The tokenizer is not read here, but what stands in its place would get into the artifact.
TEST(Import, TokenizerIsAFileOfTheFolder) {
  Model model = deepseek();
  Imported plain(model);
  ASSERT_TRUE(plain.isValid);
  std::string message;
  ScopedDiagnosticHandler handler(&plain.context, [&](Diagnostic &diagnostic) { message = diagnostic.str(); });
  for (const char *name : {"tokenizer.json", "tokenizer_config.json"}) {
    std::string file = plain.folder.path + "/" + name;
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    EXPECT_FALSE(importHuggingFace(&plain.context, plain.folder.path));
    EXPECT_EQ(message, file + ": expected a regular file");
    std::filesystem::remove(file);
    std::filesystem::create_symlink("/etc/passwd", file);
    EXPECT_FALSE(importHuggingFace(&plain.context, plain.folder.path));
    EXPECT_EQ(message, file + ": links to /etc/passwd, outside of the model's folder " + plain.folder.path);
    std::filesystem::remove(file);
    plain.folder.write(name, "{}");
    EXPECT_TRUE(importHuggingFace(&plain.context, plain.folder.path));
  }
}

// Folders that transformers wrote.
TEST(Import, Goldens) {
  int imported = 0;
  for (const auto &entry : std::filesystem::directory_iterator(ELAH_SOURCE_DIR "/tests/integration/goldens")) {
    if (!std::filesystem::exists(entry.path() / "config.json")) {
      continue;
    }
    MLIRContext context;
    std::string messages;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { messages += diagnostic.str() + "\n"; });
    OwningOpRef<ModuleOp> module = importHuggingFace(&context, entry.path().string());
    EXPECT_TRUE(module && succeeded(verify(*module))) << entry.path();
    EXPECT_EQ(messages, "") << entry.path();
    ++imported;
  }
  EXPECT_GE(imported, 12);
}

} // namespace
} // namespace elah
