// An exported language model is a function of token ids, masks and past keys and values, with a batch. What runs is a
// step: tokens of one sequence, their positions, and a cache. Names of inputs are what tells one from the other:
// exporters agree on them (optimum, torch.onnx of transformers' models, the ONNX Runtime GenAI builder, mobius).
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/Probe.h"
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

  int64_t heads() const { return cast<RankedTensorType>(argument.getType()).getDimSize(1); }
  int64_t width() const { return cast<RankedTensorType>(argument.getType()).getDimSize(3); }
};

/// The inputs of an exported language model.
struct Inputs {
  BlockArgument ids, positions, mask, cachePositions;
  SmallVector<Past> pasts;
};

std::optional<Past> pastOf(BlockArgument argument, StringRef name) {
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
  Past past{argument, 0, part == "key" ? r1::CachePart::Key : r1::CachePart::Value};
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  bool fits = type && type.getRank() == 4 && !type.isDynamicDim(1) && !type.isDynamicDim(3) &&
              type.getElementType().isF32() && !number.getAsInteger(10, past.layer);
  return fits ? std::optional(past) : std::nullopt;
}

/// The inputs, if the function is a language model and these are all of them.
std::optional<Inputs> inputsOf(func::FuncOp function) {
  Inputs inputs;
  for (BlockArgument argument : function.getArguments()) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "r1.name");
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!name || !type) {
      return {};
    }
    bool isPerToken = type.getRank() == 2 && type.getElementType().isSignlessInteger();
    if (name == "input_ids" && isPerToken) {
      inputs.ids = argument;
    } else if (name == "position_ids" && isPerToken) {
      inputs.positions = argument;
    } else if (name == "attention_mask" && type.getRank() == 2) {
      inputs.mask = argument;
    } else if (name == "cache_position" && type.getRank() == 1) {
      inputs.cachePositions = argument;
    } else if (std::optional<Past> past = pastOf(argument, name)) {
      inputs.pasts.push_back(*past);
    } else {
      return {};
    }
  }
  return inputs.ids ? std::optional(inputs) : std::nullopt;
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

/// The concatenation of a past and what a step adds to it, if that is the one use of the past's elements.
r1::ConcatOp presentOf(const Past &past) {
  r1::ConcatOp present;
  for (Operation *user : past.argument.getUsers()) {
    auto concat = dyn_cast<r1::ConcatOp>(user);
    if (concat && !present && concat.getAxis() == 2 && concat.getInputs().size() == 2 &&
        concat.getInputs()[0] == past.argument) {
      present = concat;
    } else if (!isa<r1::DimOp, r1::ShapeOp>(user)) {
      return {};
    }
  }
  return present;
}

/// Makes sizes static that are the same in steps of different sizes. Graphs compute shapes from the sizes of their
/// inputs, and with the batch gone most of what they compute are numbers.
void refineTypes(func::FuncOp function) {
  Probe probes[] = {Probe(3, 5), Probe(7, 2), Probe(11, 13)};
  for (Operation &op : function.front().without_terminator()) {
    for (Value value : op.getResults()) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type || type.hasStaticShape() || !isa<r1::R1Dialect>(op.getDialect())) {
        continue;
      }
      SmallVector<int64_t> shape(type.getShape());
      SmallVector<std::optional<RankedTensorType>> found;
      for (Probe &probe : probes) {
        found.push_back(probe.typeOf(value));
      }
      for (auto [axis, size] : llvm::enumerate(shape)) {
        bool isSame = ShapedType::isDynamic(size) && llvm::all_of(found, [&, axis = axis](auto &step) {
                        return step && step->getDimSize(axis) == found.front()->getDimSize(axis);
                      });
        size = isSame ? found.front()->getDimSize(axis) : size;
      }
      value.setType(type.clone(shape));
    }
  }
}

class Adoption {
public:
  Adoption(func::FuncOp function, Inputs inputs, r1::CacheType cacheType)
      : function(function), inputs(std::move(inputs)), cacheType(cacheType), builder(function.getContext()) {}

  void run(Value logits) {
    Block &body = function.front();
    Location location = function.getLoc();
    auto perToken = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
    unsigned old = body.getNumArguments();
    Value tokens = body.addArgument(perToken, location), positions = body.addArgument(perToken, location);
    Value cache = cacheType ? Value(body.addArgument(cacheType, location)) : Value();
    builder.setInsertionPointToStart(&body);

    replace(inputs.ids, tokens);
    replace(inputs.positions, positions);
    replace(inputs.cachePositions, positions);
    Value count = r1::DimOp::create(builder, location, tokens, 0);
    // Presents first, in the order of the graph: the pasts in front of them are reads of what the cache had.
    SmallVector<std::pair<r1::ConcatOp, Past>> presents;
    for (const Past &past : inputs.pasts) {
      presents.push_back({presentOf(past), past});
    }
    llvm::sort(presents, [](auto &lhs, auto &rhs) { return lhs.first->isBeforeInBlock(rhs.first); });
    Value read;
    for (const Past &past : inputs.pasts) {
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
    if (!inputs.mask) {
      return;
    }
    Location location = function.getLoc();
    Type element = typeOf(inputs.mask).getElementType();
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
    inputs.mask.replaceAllUsesWith(
        r1::BroadcastToOp::create(builder, location, type, ones, shape, DenseI64ArrayAttr()));
  }

  /// Rows of the cache as [1, heads, rows, width].
  Value split(Value rows, const Past &past) {
    Value heads =
        r1::ReshapeOp::create(builder, rows.getLoc(), rows, ArrayRef<int64_t>{1, -1, past.heads(), past.width()});
    return r1::TransposeOp::create(builder, rows.getLoc(), heads, ArrayRef<int64_t>{0, 2, 1, 3});
  }

  func::FuncOp function;
  Inputs inputs;
  r1::CacheType cacheType;
  OpBuilder builder;
};

struct AdoptLanguageModelPass : impl::AdoptLanguageModelPassBase<AdoptLanguageModelPass> {
  void runOnOperation() override {
    auto function = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!function || !function.getBody().hasOneBlock()) {
      return;
    }
    std::optional<Inputs> inputs = inputsOf(function);
    Value logits;
    for (unsigned index = 0; index < function.getNumResults(); ++index) {
      auto name = function.getResultAttrOfType<StringAttr>(index, "r1.name");
      if (name && name == "logits") {
        logits = function.front().getTerminator()->getOperand(index);
      }
    }
    auto type = logits ? dyn_cast<RankedTensorType>(logits.getType()) : RankedTensorType();
    if (!inputs || !type || type.getRank() != 3 || type.isDynamicDim(2) || !type.getElementType().isF32()) {
      return; // A plain graph.
    }
    r1::CacheType cacheType;
    if (!inputs->pasts.empty()) {
      cacheType = cacheTypeOf(inputs->pasts);
      if (!cacheType || !llvm::all_of(inputs->pasts, presentOf)) {
        return;
      }
    }
    Adoption(function, *inputs, cacheType).run(logits);
    refineTypes(function);
  }
};

} // namespace
} // namespace elah
