// From a Hugging Face folder to r1: embedding, the architecture's decoder layers, the final norm and the head. Only
// headers are read, so a model of any size imports in seconds.
#include "frontends/HuggingFace/Import.h"
#include "dialects/R1/R1.h"
#include "frontends/HuggingFace/DecoderLayers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace elah {
namespace {

r1::CacheType cacheType(MLIRContext *context, const ModelConfig &config) {
  if (config.architecture == Architecture::DeepseekV3) {
    return r1::CacheType::get(context, r1::CacheKind::Latent, config.layers, config.latentRank + config.ropeDim, 0);
  }
  int64_t width = config.kvHeads * config.headDim;
  return r1::CacheType::get(context, r1::CacheKind::KeyValue, config.layers, width, width);
}

/// Whether a tensor that nothing asked for is expected to be there: transformers ignores these, too.
bool isIgnorable(const ModelConfig &config, StringRef name) {
  if (name.consume_front("model.layers.")) {
    uint64_t layer;
    // DeepSeek's multi-token prediction layers lie behind the model's own.
    bool isBehind = !name.consumeInteger(10, layer) && layer >= static_cast<uint64_t>(config.layers);
    return (isBehind && config.architecture == Architecture::DeepseekV3) || name.ends_with(".rotary_emb.inv_freq");
  }
  return name == "lm_head.weight" && config.tiedEmbeddings;
}

} // namespace

OwningOpRef<ModuleOp> importHuggingFace(MLIRContext *context, StringRef folder) {
  context->loadDialect<r1::R1Dialect, func::FuncDialect>();
  Location folderLocation = FileLineColLoc::get(StringAttr::get(context, folder), 0, 0);
  auto reject = [&](llvm::Error error) -> OwningOpRef<ModuleOp> {
    emitError(folderLocation) << llvm::toString(std::move(error));
    return {};
  };
  llvm::Expected<ModelConfig> config = readConfig(folder);
  if (!config) {
    return reject(config.takeError());
  }
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(folder);
  if (!checkpoint) {
    return reject(checkpoint.takeError());
  }

  OpBuilder builder(context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(folderLocation);
  builder.setInsertionPointToEnd(module->getBody());
  ModelBuilder model(builder, *config, *checkpoint, folder);
  auto indices = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  r1::CacheType cache = cacheType(context, *config);
  auto logitsType = model.rows(config->vocabulary);
  auto function = func::FuncOp::create(builder, model.locationOf("model"), "forward",
                                       builder.getFunctionType({indices, indices, cache}, {logitsType, cache}));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  Value tokens = body->getArgument(0), positions = body->getArgument(1), state = body->getArgument(2);

  Value hidden = model.embedding(tokens, "model.embed_tokens");
  for (int64_t layer = 0; layer < config->layers && !model.failed(); ++layer) {
    hidden = config->architecture == Architecture::DeepseekV3 ? deepseekV3Layer(model, hidden, positions, state, layer)
                                                              : denseLayer(model, hidden, positions, state, layer);
  }
  hidden = model.norm(hidden, config->hidden, "model.norm", config->epsilon);
  Value head = model.weight(config->tiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                            {config->vocabulary, config->hidden});
  Value logits = r1::LinearOp::create(builder, model.locationOf("lm_head"), logitsType, hidden, head, Value());
  func::ReturnOp::create(builder, model.locationOf("model"), ValueRange{logits, state});
  if (model.failed()) {
    return {};
  }
  for (const std::string &name : model.unusedTensors()) {
    if (!isIgnorable(*config, name)) {
      emitWarning(folderLocation) << "tensor '" << name << "' is not part of a " << config->architectureName
                                  << " and is left out";
    }
  }

  Operation *op = module->getOperation();
  op->setAttr("r1.architecture", builder.getStringAttr(config->architectureName));
  op->setAttr("r1.vocabulary", builder.getI64IntegerAttr(config->vocabulary));
  op->setAttr("r1.max_context", builder.getI64IntegerAttr(config->maxPositions));
  op->setAttr("r1.bos_token", builder.getI64IntegerAttr(config->bosToken));
  op->setAttr("r1.eos_tokens", builder.getDenseI64ArrayAttr(config->eosTokens));
  op->setAttr("r1.parameters", builder.getI64IntegerAttr(static_cast<int64_t>(model.parameters())));
  return module;
}

} // namespace elah
