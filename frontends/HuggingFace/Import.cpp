// From a Hugging Face folder to r1: embedding, the architecture's decoder layers, the final norm and the head. Only
// headers are read, so a model of any size imports in seconds.
#include "frontends/HuggingFace/Import.h"
#include "dialects/R1/R1.h"
#include "frontends/HuggingFace/DecoderLayers.h"
#include "frontends/HuggingFace/ModelFolder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace elah {
namespace {

// A checkpoint of another kind has thousands of tensors that nothing asks for.
constexpr size_t maxWarnings = 8;

r1::CacheType cacheType(MLIRContext *context, const ModelConfig &config, int64_t layers) {
  if (config.architecture == Architecture::DeepseekV3) {
    return r1::CacheType::get(context, r1::CacheKind::Latent, layers, config.latentRank + config.ropeDim, 0);
  }
  int64_t width = config.kvHeads * config.headDim;
  return r1::CacheType::get(context, r1::CacheKind::KeyValue, layers, width, width);
}

/// Whether a tensor that nothing asked for is expected to be there: transformers ignores these, too.
bool isIgnorable(const ModelConfig &config, StringRef name) {
  if (name.consume_front("model.layers.")) {
    // DeepSeek's multi-token prediction layers lie behind the model's own; not every config.json counts them.
    uint64_t layer, first = static_cast<uint64_t>(config.layers);
    uint64_t count = static_cast<uint64_t>(std::max<int64_t>(config.nextTokenLayers, 1));
    bool isBehind = !name.consumeInteger(10, layer) && layer >= first && layer < first + count;
    return (isBehind && config.architecture == Architecture::DeepseekV3) || name.ends_with(".rotary_emb.inv_freq");
  }
  return name == "lm_head.weight" && config.tiedEmbeddings;
}

void warnOfUnused(const ModelBuilder &model, Location location) {
  std::vector<std::string> names = model.unusedTensors();
  llvm::erase_if(names, [&](StringRef name) { return isIgnorable(model.config, name); });
  for (size_t i = 0; i < std::min(names.size(), maxWarnings); ++i) {
    emitWarning(location) << "tensor '" << names[i] << "' is not part of a " << model.config.architectureName
                          << " and is left out";
  }
  if (names.size() > maxWarnings) {
    emitWarning(location) << names.size() - maxWarnings << " more tensors are left out";
  }
}

void buildForward(ModelBuilder &model, func::FuncOp function) {
  const ModelConfig &config = model.config;
  OpBuilder &builder = model.builder;
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  Value tokens = body->getArgument(0), positions = body->getArgument(1), cache = body->getArgument(2);
  Value hidden = model.embedding(tokens, "model.embed_tokens");
  for (int64_t layer = 0; layer < config.layers && !model.failed(); ++layer) {
    hidden = config.architecture == Architecture::DeepseekV3 ? deepseekV3Layer(model, hidden, positions, cache, layer)
                                                             : denseLayer(model, hidden, positions, cache, layer);
  }
  hidden = model.norm(hidden, config.hidden, "model.norm", config.epsilon);
  Value head = model.weight(config.tiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                            {config.vocabulary, config.hidden});
  Value logits =
      r1::LinearOp::create(builder, model.locationOf("lm_head"), model.rows(config.vocabulary), hidden, head, Value());
  func::ReturnOp::create(builder, model.locationOf("model"), ValueRange{logits, cache});
}

void buildNextToken(ModelBuilder &model, func::FuncOp function) {
  OpBuilder &builder = model.builder;
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToEnd(body);
  Value cache = body->getArgument(3);
  Value logits = deepseekV3NextToken(model, body->getArgument(0), body->getArgument(1), body->getArgument(2), cache,
                                     model.config.layers);
  func::ReturnOp::create(builder, function.getLoc(), ValueRange{logits, cache});
}

/// The folder's other files go into the artifact as they are; no link and no pipe may stand in their places.
llvm::Error checkTextFiles(StringRef path) {
  llvm::Expected<ModelFolder> folder = ModelFolder::open(path);
  if (!folder) {
    return folder.takeError();
  }
  for (StringRef name : {"tokenizer.json", "tokenizer_config.json"}) {
    if (folder->has(name)) {
      if (llvm::Error error = folder->find(name, path).takeError()) {
        return error;
      }
    }
  }
  return llvm::Error::success();
}

} // namespace

OwningOpRef<ModuleOp> importHuggingFace(MLIRContext *context, StringRef folder, const ImportOptions &options) {
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
  bool hasNextToken = options.nextTokenLayers == NextTokenLayers::Import;
  if (hasNextToken && config->nextTokenLayers != 1) {
    emitError(folderLocation) << "config.json: 'num_nextn_predict_layers': expected 1 to import the layer, found "
                              << config->nextTokenLayers;
    return {};
  }
  if (llvm::Error error = checkTextFiles(folder)) {
    return reject(std::move(error));
  }
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(folder);
  if (!checkpoint) {
    return reject(checkpoint.takeError());
  }

  OpBuilder builder(context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(folderLocation);
  ModelBuilder model(builder, *config, *checkpoint, folder);
  auto indices = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  r1::CacheType cache = cacheType(context, *config, config->layers + (hasNextToken ? 1 : 0));
  RankedTensorType logits = model.rows(config->vocabulary);
  auto addFunction = [&](StringRef name, const Twine &source, ArrayRef<Type> inputs) {
    builder.setInsertionPointToEnd(module->getBody());
    return func::FuncOp::create(builder, model.locationOf(source), name,
                                builder.getFunctionType(inputs, {logits, cache}));
  };
  buildForward(model, addFunction("forward", "model", {indices, indices, cache}));
  uint64_t parameters = model.parameters();
  if (hasNextToken && !model.failed()) {
    buildNextToken(model, addFunction("next_token", "model.layers." + Twine(config->layers),
                                      {indices, indices, model.rows(config->hidden), cache}));
  }
  if (model.failed()) {
    return {};
  }
  warnOfUnused(model, folderLocation);

  Operation *op = module->getOperation();
  op->setAttr("r1.architecture", builder.getStringAttr(config->architectureName));
  op->setAttr("r1.vocabulary", builder.getI64IntegerAttr(config->vocabulary));
  op->setAttr("r1.max_context", builder.getI64IntegerAttr(config->maxPositions));
  op->setAttr("r1.bos_token", builder.getI64IntegerAttr(config->bosToken));
  op->setAttr("r1.eos_tokens", builder.getDenseI64ArrayAttr(config->eosTokens));
  op->setAttr("r1.parameters", builder.getI64IntegerAttr(static_cast<int64_t>(parameters)));
  return module;
}

} // namespace elah
