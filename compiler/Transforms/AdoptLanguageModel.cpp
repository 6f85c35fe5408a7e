// An exported language model is a function of token ids, masks and past keys and values, with a batch. What runs is a
// step: tokens of one sequence, their positions, and a cache. Names of inputs are what tells one from the other:
// exporters agree on them (optimum, torch.onnx of transformers' models, the ONNX Runtime GenAI builder, mobius).
#include "compiler/Transforms/AdoptLanguageModel.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "llvm/Support/Regex.h"
#include <map>

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_ADOPTLANGUAGEMODELPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// A layer's past keys or values: [batch, heads, past, width].
struct Past {
  BlockArgument argument;
  int64_t layer = 0;
  r1::CachePart part = r1::CachePart::Key;
  r1::ConcatOp present; ///< The past, and what a step puts behind it.

  // An input's own type may leave open what the keys and values behind it settle.
  int64_t heads() const { return presentType().getDimSize(1); }
  int64_t width() const { return presentType().getDimSize(3); }
  bool isSettled() const { return !presentType().isDynamicDim(1) && !presentType().isDynamicDim(3); }

private:
  RankedTensorType presentType() const { return cast<RankedTensorType>(Value(r1::ConcatOp(present)).getType()); }
};

/// An exported language model: its inputs, and what a step needs of its results.
struct LanguageModel {
  BlockArgument ids, positions, mask, cachePositions;
  SmallVector<Past> pasts;
  r1::CacheType cacheType; ///< Null without pasts.
  Value logits;
};

/// An input's layer and part, if its name is one of those that exporters give pasts.
std::optional<std::pair<int64_t, r1::CachePart>> pastNamed(StringRef name) {
  static const llvm::Regex pattern("^past.*[._]([0-9]+)[._](key|value)s?$"), other("^past_(key|value)s?[._]([0-9]+)$");
  SmallVector<StringRef> groups;
  StringRef number, part;
  if (pattern.match(name, &groups)) {
    number = groups[1];
    part = groups[2];
  } else if (other.match(name, &groups)) {
    number = groups[2];
    part = groups[1];
  } else {
    return {};
  }
  int64_t layer = 0;
  return number.getAsInteger(10, layer)
             ? std::nullopt
             : std::optional(std::pair(layer, part == "key" ? r1::CachePart::Key : r1::CachePart::Value));
}

/// The concatenation of a past and what a step adds to it, if that is the one use of the past's elements.
r1::ConcatOp presentOf(BlockArgument past) {
  r1::ConcatOp present;
  for (Operation *user : past.getUsers()) {
    auto concat = dyn_cast<r1::ConcatOp>(user);
    if (concat && !present && concat.getAxis() == 2 && concat.getInputs().size() == 2 &&
        concat.getInputs()[0] == past) {
      present = concat;
    } else if (!isa<r1::DimOp, r1::ShapeOp>(user)) {
      return {};
    }
  }
  return present;
}

/// The type of a cache for these pasts; null if layers differ or are missing.
r1::CacheType cacheTypeOf(ArrayRef<Past> pasts) {
  std::map<std::pair<int64_t, r1::CachePart>, int64_t> widths;
  for (const Past &past : pasts) {
    widths[{past.layer, past.part}] = past.heads() * past.width();
  }
  int64_t layers = static_cast<int64_t>(pasts.size() / 2);
  int64_t keys = widths[{0, r1::CachePart::Key}], values = widths[{0, r1::CachePart::Value}];
  for (int64_t layer = 0; layer < layers; ++layer) {
    if (widths[{layer, r1::CachePart::Key}] != keys || widths[{layer, r1::CachePart::Value}] != values) {
      return {};
    }
  }
  bool isComplete = layers > 0 && keys > 0 && values > 0 && widths.size() == pasts.size() &&
                    static_cast<int64_t>(pasts.size()) == 2 * layers;
  return isComplete
             ? r1::CacheType::get(pasts.front().argument.getContext(), r1::CacheKind::KeyValue, layers, keys, values)
             : r1::CacheType();
}

/// Reads the function as a language model; says what is in the way if it is none.
class Reader {
public:
  explicit Reader(func::FuncOp function) : function(function) {}

  std::optional<LanguageModel> read() {
    // Token ids and logits first: they tell a language model from other graphs.
    for (BlockArgument argument : function.getArguments()) {
      if (nameOf(argument) == "input_ids") {
        model.ids = argument;
      }
    }
    for (unsigned index = 0; index < function.getNumResults(); ++index) {
      auto name = function.getResultAttrOfType<StringAttr>(index, "r1.name");
      if (name && name == "logits") {
        model.logits = function.front().getTerminator()->getOperand(index);
      }
    }
    if (!model.ids || !model.logits) {
      return fail("a language model's step has an input 'input_ids' and an output 'logits', found none " +
                  Twine(model.ids ? "of the latter" : "of the former"));
    }
    isLikely = true;
    if (auto type = dyn_cast<RankedTensorType>(model.ids.getType());
        !type || type.getRank() != 2 || !type.getElementType().isSignlessInteger()) {
      return fail("input_ids: expected integers [batch, sequence], found " + text(model.ids.getType()));
    }
    if (auto type = dyn_cast<RankedTensorType>(model.logits.getType());
        !type || type.getRank() != 3 || type.isDynamicDim(2) || !type.getElementType().isF32()) {
      return fail("logits: expected f32 [batch, sequence, vocabulary], found " + text(model.logits.getType()));
    }
    for (BlockArgument argument : function.getArguments()) {
      if (argument != model.ids && !takeInput(argument, nameOf(argument))) {
        return {};
      }
    }
    for (Past &past : model.pasts) {
      std::string name = nameOf(past.argument);
      past.present = presentOf(past.argument);
      if (!past.present) {
        return fail(name + ": expected that keys and values are put behind it and nothing else reads it; a buffer of "
                           "fixed length that is written into is not supported");
      }
      if (!past.isSettled()) {
        return fail(name + ": the number of heads or their width is not known: " + text(past.present.getType()));
      }
    }
    if (!model.pasts.empty()) {
      model.cacheType = cacheTypeOf(model.pasts);
      if (!model.cacheType) {
        return fail("the past keys and values of some layer are missing, or not as wide as those of the others");
      }
    }
    return model;
  }

  bool isLikely = false;
  std::string problem;

private:
  std::nullopt_t fail(const Twine &what) {
    problem = what.str();
    return std::nullopt;
  }

  static std::string text(Type type) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return text;
  }

  std::string nameOf(BlockArgument argument) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "r1.name");
    return name ? name.str() : "";
  }

  bool takeInput(BlockArgument argument, StringRef name) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    auto expect = [&](bool isTrue, const char *what) {
      if (!isTrue) {
        fail(name + ": expected " + what + ", found " + text(argument.getType()));
      }
      return isTrue;
    };
    if (name == "position_ids") {
      model.positions = argument;
      return expect(type && type.getRank() == 2 && type.getElementType().isSignlessInteger(),
                    "integers [batch, sequence]");
    }
    if (name == "attention_mask") {
      model.mask = argument;
      return expect(type && type.getRank() == 2, "one number for each token, [batch, past + sequence]");
    }
    if (name == "cache_position") {
      model.cachePositions = argument;
      return expect(type && type.getRank() == 1, "integers [sequence]");
    }
    if (std::optional<std::pair<int64_t, r1::CachePart>> named = pastNamed(name)) {
      model.pasts.push_back({argument, named->first, named->second, {}});
      return expect(type && type.getRank() == 4 && type.getElementType().isF32(), "f32 [batch, heads, past, width]");
    }
    fail("input '" + name +
         "' is none that a step has: input_ids, attention_mask, position_ids, cache_position, and past keys and values "
         "such as past_key_values.0.key");
    return false;
  }

  func::FuncOp function;
  LanguageModel model;
};

class Adoption {
public:
  Adoption(func::FuncOp function, LanguageModel model)
      : function(function), model(std::move(model)), builder(function.getContext()) {}

  void run() {
    r1::CacheType cacheType = model.cacheType;
    Value logits = model.logits;
    Block &body = function.front();
    Location location = function.getLoc();
    auto perToken = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
    unsigned old = body.getNumArguments();
    Value tokens = body.addArgument(perToken, location), positions = body.addArgument(perToken, location);
    Value cache = cacheType ? Value(body.addArgument(cacheType, location)) : Value();
    builder.setInsertionPointToStart(&body);

    replace(model.ids, tokens);
    replace(model.positions, positions);
    replace(model.cachePositions, positions);
    Value count = r1::DimOp::create(builder, location, tokens, 0);
    // Presents first, in the order of the graph: the pasts in front of them are reads of what the cache had.
    SmallVector<std::pair<r1::ConcatOp, Past>> presents;
    for (const Past &past : model.pasts) {
      presents.push_back({past.present, past});
    }
    llvm::sort(presents, [](auto &lhs, auto &rhs) { return lhs.first->isBeforeInBlock(rhs.first); });
    Value read;
    for (const Past &past : model.pasts) {
      read = r1::CacheReadOp::create(builder, location, cache, static_cast<uint64_t>(past.layer), past.part);
      replaceSizes(past, read);
    }
    if (read) {
      count = r1::AddOp::create(builder, location, count, r1::DimOp::create(builder, location, read, 0));
    }
    replaceMask(count);
    for (auto &[concat, past] : presents) {
      builder.setInsertionPoint(concat);
      Value heads =
          r1::TransposeOp::create(builder, concat.getLoc(), concat.getInputs()[1], ArrayRef<int64_t>{0, 2, 1, 3});
      Value rows =
          r1::ReshapeOp::create(builder, concat.getLoc(), heads, ArrayRef<int64_t>{-1, past.heads() * past.width()});
      cache = r1::CacheAppendOp::create(builder, concat.getLoc(), cache, rows, static_cast<uint64_t>(past.layer),
                                        past.part);
      Value all =
          r1::CacheReadOp::create(builder, concat.getLoc(), cache, static_cast<uint64_t>(past.layer), past.part);
      concat.getResult().replaceAllUsesWith(split(all, past));
      concat.erase();
    }

    Operation *terminator = body.getTerminator();
    builder.setInsertionPoint(terminator);
    Value rows = r1::ReshapeOp::create(builder, location, logits, ArrayRef<int64_t>{-1, typeOf(logits).getDimSize(2)});
    terminator->setOperands(cache ? ValueRange{rows, cache} : ValueRange{rows});
    for (unsigned index = 0; index < old; ++index) {
      body.eraseArgument(0);
    }
    function.setType(builder.getFunctionType(body.getArgumentTypes(), terminator->getOperandTypes()));
    function.removeArgAttrsAttr();
    function.removeResAttrsAttr();
    function.setName("forward");
  }

private:
  /// One integer for each token, in the shape and type that the graph has it in.
  void replace(BlockArgument argument, Value perToken) {
    if (!argument) {
      return;
    }
    Value value = perToken;
    if (typeOf(argument).getElementType() != typeOf(value).getElementType()) {
      value = r1::CastOp::create(builder, function.getLoc(), value, typeOf(argument).getElementType());
    }
    if (typeOf(argument).getRank() == 2) {
      value = r1::ReshapeOp::create(builder, function.getLoc(), value, ArrayRef<int64_t>{1, -1});
    }
    argument.replaceAllUsesWith(value);
  }

  /// The sizes of a past are known but for the number of rows that the cache has.
  void replaceSizes(const Past &past, Value read) {
    Location location = function.getLoc();
    auto sizes = [&](Type type, ArrayRef<int64_t> values) -> Value {
      auto elements = DenseElementsAttr::get(cast<RankedTensorType>(type), values);
      return r1::ConstantOp::create(builder, location, cast<ElementsAttr>(elements));
    };
    auto scalar = RankedTensorType::get({}, builder.getI64Type()),
         one = RankedTensorType::get({1}, builder.getI64Type());
    Value rows = r1::DimOp::create(builder, location, read, 0);
    for (Operation *user : llvm::make_early_inc_range(past.argument.getUsers())) {
      if (auto dim = dyn_cast<r1::DimOp>(user)) {
        int64_t known[] = {1, past.heads(), 0, past.width()};
        int64_t axis = static_cast<int64_t>(dim.getAxis());
        dim.getResult().replaceAllUsesWith(axis == 2 ? rows : sizes(scalar, known[axis]));
        dim.erase();
      } else if (auto shape = dyn_cast<r1::ShapeOp>(user)) {
        Value parts[] = {sizes(one, 1), sizes(one, past.heads()),
                         r1::ReshapeOp::create(builder, location, rows, ArrayRef<int64_t>{1}),
                         sizes(one, past.width())};
        shape.getResult().replaceAllUsesWith(r1::ConcatOp::create(builder, location, ValueRange(parts), 0));
        shape.erase();
      }
    }
  }

  /// Nothing of a sequence is padding: the mask is ones, for `count` tokens.
  void replaceMask(Value count) {
    if (!model.mask) {
      return;
    }
    Location location = function.getLoc();
    Type element = typeOf(model.mask).getElementType();
    auto one = RankedTensorType::get({1}, builder.getI64Type());
    Value ones = r1::ConstantOp::create(
        builder, location,
        cast<ElementsAttr>(DenseElementsAttr::get(RankedTensorType::get({1, 1}, builder.getI64Type()), int64_t(1))));
    Value batch =
        r1::ConstantOp::create(builder, location, cast<ElementsAttr>(DenseElementsAttr::get(one, int64_t(1))));
    Value length = r1::ReshapeOp::create(builder, location, count, ArrayRef<int64_t>{1});
    Value shape = r1::ConcatOp::create(builder, location, ValueRange{batch, length}, 0);
    if (!element.isInteger(64)) {
      ones = r1::CastOp::create(builder, location, ones, element);
    }
    auto type = RankedTensorType::get({1, ShapedType::kDynamic}, element);
    model.mask.replaceAllUsesWith(r1::BroadcastToOp::create(builder, location, type, ones, shape, DenseI64ArrayAttr()));
  }

  /// Rows of the cache as [1, heads, rows, width].
  Value split(Value rows, const Past &past) {
    Value heads =
        r1::ReshapeOp::create(builder, rows.getLoc(), rows, ArrayRef<int64_t>{1, -1, past.heads(), past.width()});
    return r1::TransposeOp::create(builder, rows.getLoc(), heads, ArrayRef<int64_t>{0, 2, 1, 3});
  }

  func::FuncOp function;
  LanguageModel model;
  OpBuilder builder;
};

/// The function that a graph is imported as; null if there is none.
func::FuncOp graphOf(ModuleOp module) {
  auto function = module.lookupSymbol<func::FuncOp>("main");
  return function && function.getBody().hasOneBlock() ? function : func::FuncOp();
}

struct AdoptLanguageModelPass : impl::AdoptLanguageModelPassBase<AdoptLanguageModelPass> {
  void runOnOperation() override {
    func::FuncOp function = graphOf(getOperation());
    std::optional<LanguageModel> model = function ? Reader(function).read() : std::nullopt;
    if (!model) {
      return; // A plain graph.
    }
    Adoption(function, *model).run();
  }
};

} // namespace

LanguageModelForm languageModelFormOf(ModuleOp module) {
  func::FuncOp function = graphOf(module);
  if (!function) {
    return {false, "the model is no graph", 0};
  }
  Reader reader(function);
  std::optional<LanguageModel> model = reader.read();
  return {reader.isLikely, reader.problem, model ? typeOf(model->logits).getDimSize(2) : 0};
}

} // namespace elah
