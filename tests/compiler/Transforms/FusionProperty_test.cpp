// Fusion is the inverse of decomposition: each composite, in a few hundred configurations of all its attributes, is
// decomposed and fused and must come back with the same operands and attributes; and of some of them, the original and
// what came back compute the same numbers.
#include "codegen/Reference/Interpreter.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace mlir;

namespace elah {
namespace {

constexpr int configurations = 300;
constexpr int computedConfigurations = 12;

MLIRContext &context() {
  static DialectRegistry registry = [] {
    DialectRegistry all;
    all.insert<func::FuncDialect, r1::R1Dialect>();
    return all;
  }();
  static MLIRContext shared(registry, MLIRContext::Threading::DISABLED);
  return shared;
}

/// One function @f whose arguments are what a composite reads, all of random shapes and attributes.
class Case {
public:
  explicit Case(unsigned seed) : engine(seed), builder(&context()) {
    context().loadAllAvailableDialects();
    module = ModuleOp::create(builder.getUnknownLoc());
    builder.setInsertionPointToEnd(module->getBody());
    function = func::FuncOp::create(builder, builder.getUnknownLoc(), "f", builder.getFunctionType({}, {}));
    function.addEntryBlock();
    builder.setInsertionPointToEnd(&function.front());
  }

  int64_t size(int64_t from, int64_t to) { return std::uniform_int_distribution<int64_t>(from, to)(engine); }
  bool coin() { return size(0, 1) == 1; }
  /// A number that f32 has.
  double number(double from, double to) {
    return static_cast<double>(static_cast<float>(std::uniform_real_distribution<double>(from, to)(engine)));
  }
  Type floatType() {
    return coin() ? Type(builder.getF32Type()) : coin() ? Type(builder.getBF16Type()) : builder.getF16Type();
  }

  Value argument(ArrayRef<int64_t> shape, Type element) {
    return function.front().addArgument(RankedTensorType::get(shape, element), builder.getUnknownLoc());
  }
  Value rows(int64_t width) { return argument({ShapedType::kDynamic, width}, builder.getF32Type()); }
  Value weight(ArrayRef<int64_t> shape) { return argument(shape, floatType()); }
  /// A matrix may be in blocks, too.
  Value matrix(int64_t outputs, int64_t inputs) { return weight({outputs, inputs}); }
  Value positions() { return argument({ShapedType::kDynamic}, builder.getI32Type()); }
  Value cache(r1::CacheKind kind, int64_t layers, int64_t keys, int64_t values) {
    return function.front().addArgument(r1::CacheType::get(&context(), kind, layers, keys, values),
                                        builder.getUnknownLoc());
  }
  r1::RopeAttr rope(int64_t pairs) {
    SmallVector<double> frequencies;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      frequencies.push_back(number(1e-5, 1));
    }
    // With one pair both layouts are the same.
    auto layout = pairs > 1 && coin() ? r1::RopeLayout::Interleaved : r1::RopeLayout::Half;
    return r1::RopeAttr::get(&context(), layout, builder.getDenseF64ArrayAttr(frequencies),
                             builder.getF64FloatAttr(coin() ? 1 : number(0.5, 2)));
  }

  template <typename Op, typename... Args> Op make(Args &&...args) {
    return Op::create(builder, builder.getUnknownLoc(), std::forward<Args>(args)...);
  }
  void finish(ValueRange results) {
    func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
    function.setType(builder.getFunctionType(function.front().getArgumentTypes(), results.getTypes()));
    ASSERT_TRUE(succeeded(verify(*module)));
  }

  std::mt19937 engine;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
};

/// Attributes that say the same once numbers are f32, as graphs keep them.
bool isSame(Attribute lhs, Attribute rhs) {
  auto narrow = [](double value) { return static_cast<float>(value); };
  if (auto left = dyn_cast<FloatAttr>(lhs), right = dyn_cast<FloatAttr>(rhs); left && right) {
    return narrow(left.getValueAsDouble()) == narrow(right.getValueAsDouble());
  }
  if (auto left = dyn_cast<r1::RopeAttr>(lhs), right = dyn_cast<r1::RopeAttr>(rhs); left && right) {
    return left.getLayout() == right.getLayout() && isSame(left.getScale(), right.getScale()) &&
           llvm::equal(left.getFrequencies().asArrayRef(), right.getFrequencies().asArrayRef(),
                       [&](double a, double b) { return narrow(a) == narrow(b); });
  }
  if (auto left = dyn_cast<r1::RoutingAttr>(lhs), right = dyn_cast<r1::RoutingAttr>(rhs); left && right) {
    // Without a choice among groups nothing tells how they are made and ranked.
    bool limits = left.getTopGroups() < left.getGroups();
    bool isLimitedAlike = limits
                              ? left.getGroups() == right.getGroups() && left.getTopGroups() == right.getTopGroups() &&
                                    left.getGroupScore() == right.getGroupScore()
                              : right.getTopGroups() == right.getGroups();
    return left.getScoring() == right.getScoring() && left.getTopK() == right.getTopK() && isLimitedAlike &&
           left.getNormalize() == right.getNormalize() && isSame(left.getScale(), right.getScale());
  }
  return lhs == rhs;
}

std::string textOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  op->print(stream);
  return text;
}

/// The operations of a module that compute something, by name.
SmallVector<Operation *> operationsOf(ModuleOp module) {
  SmallVector<Operation *> ops;
  module.walk([&](Operation *op) {
    if (isa_and_nonnull<r1::R1Dialect>(op->getDialect())) {
      ops.push_back(op);
    }
  });
  return ops;
}

void run(ModuleOp module, bool fuses, bool canonicalizes) {
  PassManager passes(&context());
  passes.addPass(createDecomposeCompositesPass());
  if (canonicalizes) {
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createCSEPass());
  }
  if (fuses) {
    buildFusionPipeline(passes);
  }
  ASSERT_TRUE(succeeded(passes.run(module)));
}

/// The results for random inputs and an empty cache, where all dynamic sizes are 5 and positions rise.
SmallVector<HostTensor> compute(ModuleOp module) {
  std::mt19937 engine(7);
  std::normal_distribution<double> normal;
  SmallVector<HostValue> inputs;
  for (Type type : module.lookupSymbol<func::FuncOp>("f").getArgumentTypes()) {
    if (auto cacheType = dyn_cast<r1::CacheType>(type)) {
      inputs.push_back(emptyCache(cacheType));
      continue;
    }
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<int64_t> shape(tensor.getShape());
    llvm::replace(shape, ShapedType::kDynamic, int64_t(5));
    if (tensor.getElementType().isInteger(32)) {
      inputs.push_back(hostValue(HostTensor(shape, Integers{0, 1, 2, 3, 4})));
      continue;
    }
    Floats values(elementCount(shape));
    for (double &value : values) {
      value = std::round(normal(engine) * 16) / 16; // In every format.
    }
    inputs.push_back(hostValue(HostTensor(shape, values)));
  }
  FailureOr<SmallVector<HostValue>> results = interpret(module, "f", inputs);
  EXPECT_TRUE(succeeded(results));
  SmallVector<HostTensor> tensors;
  if (succeeded(results)) {
    for (const HostValue &value : *results) {
      if (std::holds_alternative<std::shared_ptr<const HostTensor>>(value)) {
        tensors.push_back(tensorOf(value));
      }
    }
  }
  return tensors;
}

/// Decomposes and fuses what `build` made, and expects the same operations back.
void check(function_ref<void(Case &)> build) {
  for (int seed = 0; seed < configurations && !::testing::Test::HasFailure(); ++seed) {
    Case original(seed);
    build(original);
    if (::testing::Test::HasFatalFailure()) {
      return;
    }
    std::string text = textOf(*original.module);
    OwningOpRef<ModuleOp> fused = original.module->clone();
    run(*fused, /*fuses=*/true, /*canonicalizes=*/seed % 2 == 0);
    SmallVector<Operation *> expected = operationsOf(*original.module), found = operationsOf(*fused);
    SCOPED_TRACE(text + "\nfused:\n" + textOf(*fused));
    ASSERT_EQ(found.size(), expected.size()) << "seed " << seed;
    for (auto [was, is] : llvm::zip_equal(expected, found)) {
      ASSERT_EQ(was->getName(), is->getName());
      auto place = [](Value operand) -> std::pair<int64_t, int64_t> {
        auto argument = dyn_cast<BlockArgument>(operand);
        return argument ? std::pair<int64_t, int64_t>(-1, argument.getArgNumber())
                        : std::pair<int64_t, int64_t>(std::distance(operand.getDefiningOp()->getBlock()->begin(),
                                                                    operand.getDefiningOp()->getIterator()),
                                                      cast<OpResult>(operand).getResultNumber());
      };
      ASSERT_TRUE(llvm::equal(was->getOperands(), is->getOperands(),
                              [&](Value lhs, Value rhs) { return place(lhs) == place(rhs); }))
          << textOf(was) << "\n"
          << textOf(is);
      ASSERT_EQ(was->getResultTypes(), is->getResultTypes());
      for (NamedAttribute attribute : was->getAttrDictionary()) {
        Attribute other = is->getAttrDictionary().get(attribute.getName());
        ASSERT_TRUE(other && isSame(attribute.getValue(), other)) << textOf(was) << "\n" << textOf(is);
      }
    }
    if (seed < computedConfigurations) {
      run(*original.module, /*fuses=*/false, /*canonicalizes=*/false);
      run(*fused, /*fuses=*/false, /*canonicalizes=*/false);
      SmallVector<HostTensor> wanted = compute(*original.module), got = compute(*fused);
      ASSERT_EQ(wanted.size(), got.size());
      for (auto [lhs, rhs] : llvm::zip_equal(wanted, got)) {
        ASSERT_EQ(lhs.shape, rhs.shape);
        for (int64_t index = 0; index < lhs.size(); ++index) {
          double left = lhs.isFloat() ? lhs.floats()[index] : static_cast<double>(lhs.integers()[index]);
          double right = rhs.isFloat() ? rhs.floats()[index] : static_cast<double>(rhs.integers()[index]);
          ASSERT_NEAR(left, right, 1e-6 * std::max(1.0, std::abs(left)));
        }
      }
    }
  }
}

TEST(FusionProperty, Embedding) {
  check([](Case &c) {
    int64_t width = c.size(1, 9);
    Value tokens = c.positions(), table = c.weight({c.size(5, 20), width});
    c.finish(c.make<r1::EmbeddingOp>(RankedTensorType::get({ShapedType::kDynamic, width}, c.builder.getF32Type()),
                                     tokens, table)
                 .getResult());
  });
}

TEST(FusionProperty, Linear) {
  check([](Case &c) {
    int64_t in = c.size(1, 9), out = c.size(1, 9);
    Value input = c.rows(in), weight = c.matrix(out, in), bias = c.coin() ? c.weight({out}) : Value();
    auto type = RankedTensorType::get({ShapedType::kDynamic, out}, c.builder.getF32Type());
    c.finish(c.make<r1::LinearOp>(type, input, weight, bias).getResult());
  });
}

TEST(FusionProperty, RmsNorm) {
  check([](Case &c) {
    int64_t width = c.size(2, 9);
    SmallVector<int64_t> shape = {ShapedType::kDynamic};
    for (int64_t extra = c.size(0, 2); extra > 0; --extra) {
      shape.push_back(c.size(1, 4));
    }
    shape.push_back(width);
    Value input = c.argument(shape, c.builder.getF32Type());
    Value weight = c.weight({width});
    c.finish(c.make<r1::RmsNormOp>(input.getType(), input, weight, c.builder.getF64FloatAttr(c.number(1e-8, 1e-2)))
                 .getResult());
  });
}

TEST(FusionProperty, Softmax) {
  check([](Case &c) {
    SmallVector<int64_t> shape = {ShapedType::kDynamic, c.size(1, 5), c.size(1, 5)};
    Value input = c.argument(shape, c.builder.getF32Type());
    c.finish(c.make<r1::SoftmaxOp>(input.getType(), input, static_cast<uint64_t>(c.size(0, 2))).getResult());
  });
}

TEST(FusionProperty, Swiglu) {
  check([](Case &c) {
    int64_t width = c.size(1, 9);
    Value gate = c.rows(width), up = c.rows(width);
    c.finish(c.make<r1::SwigluOp>(gate.getType(), gate, up).getResult());
  });
}

TEST(FusionProperty, Rope) {
  check([](Case &c) {
    int64_t heads = c.size(1, 4), pairs = c.size(1, 4), width = 2 * pairs + c.size(0, 3);
    Value input = c.rows(heads * width), positions = c.positions();
    c.finish(
        c.make<r1::RopeOp>(input.getType(), input, positions, static_cast<uint64_t>(heads), c.rope(pairs)).getResult());
  });
}

TEST(FusionProperty, Attention) {
  check([](Case &c) {
    int64_t kvHeads = c.size(1, 3), heads = kvHeads * c.size(1, 4), headDim = c.size(2, 9), valueDim = c.size(1, 9);
    Value query = c.rows(heads * headDim), key = c.rows(kvHeads * headDim), value = c.rows(kvHeads * valueDim);
    Value positions = c.positions();
    int64_t layers = c.size(1, 3);
    Value cache = c.coin() ? c.cache(r1::CacheKind::KeyValue, layers, kvHeads * headDim, kvHeads * valueDim) : Value();
    int64_t layer = cache ? c.size(0, layers - 1) : 0;
    r1::RopeAttr rope = c.coin() ? c.rope(c.size(1, headDim / 2)) : r1::RopeAttr();
    auto type = RankedTensorType::get({ShapedType::kDynamic, heads * valueDim}, c.builder.getF32Type());
    auto op = c.make<r1::AttentionOp>(
        type, cache ? cache.getType() : Type(), query, key, value, positions, cache, static_cast<uint64_t>(heads),
        static_cast<uint64_t>(kvHeads), static_cast<uint64_t>(headDim), static_cast<uint64_t>(valueDim),
        APFloat(c.coin() ? 1 / std::sqrt(static_cast<double>(headDim)) : c.number(0.1, 2)),
        static_cast<uint64_t>(layer), rope);
    c.finish(op->getResults());
  });
}

TEST(FusionProperty, LatentAttention) {
  check([](Case &c) {
    int64_t heads = c.size(1, 4), nope = c.size(1, 6), pairs = c.size(1, 4), rank = c.size(2, 12);
    int64_t valueDim = c.size(1, 6), ropeDim = 2 * pairs;
    Value query = c.rows(heads * (nope + ropeDim)), latent = c.rows(rank + ropeDim), norm = c.weight({rank});
    Value expand = c.matrix(heads * (nope + valueDim), rank), positions = c.positions();
    int64_t layers = c.size(1, 3);
    Value cache = c.coin() ? c.cache(r1::CacheKind::Latent, layers, rank + ropeDim, 0) : Value();
    int64_t layer = cache ? c.size(0, layers - 1) : 0;
    auto type = RankedTensorType::get({ShapedType::kDynamic, heads * valueDim}, c.builder.getF32Type());
    auto op = c.make<r1::LatentAttentionOp>(type, cache ? cache.getType() : Type(), query, latent, norm, expand,
                                            positions, cache, static_cast<uint64_t>(heads), static_cast<uint64_t>(nope),
                                            static_cast<uint64_t>(ropeDim), static_cast<uint64_t>(valueDim),
                                            static_cast<uint64_t>(rank), APFloat(c.number(0.1, 2)),
                                            APFloat(c.number(1e-8, 1e-2)), static_cast<uint64_t>(layer), c.rope(pairs));
    c.finish(op->getResults());
  });
}

/// A router of random shape.
r1::RouteOp makeRoute(Case &c, int64_t experts, int64_t groups) {
  int64_t topGroups = c.size(1, groups), topK = c.size(1, experts / groups * topGroups);
  Value logits = c.rows(experts), bias = c.coin() ? c.weight({experts}) : Value();
  auto scoring = c.coin() ? r1::Scoring::Sigmoid : r1::Scoring::Softmax;
  // The shares of all experts have a sum of 1 as they are.
  bool normalize = c.coin() && (scoring == r1::Scoring::Sigmoid || topK < experts);
  auto routing = r1::RoutingAttr::get(&context(), scoring, topK, groups, topGroups,
                                      c.coin() ? r1::GroupScore::Top2 : r1::GroupScore::Max, normalize,
                                      c.builder.getF64FloatAttr(c.coin() ? 1 : c.number(0.5, 4)));
  auto type = RankedTensorType::get({ShapedType::kDynamic, topK}, c.builder.getF32Type());
  return c.make<r1::RouteOp>(type.clone(c.builder.getI32Type()), type, logits, bias, routing);
}

TEST(FusionProperty, Route) {
  check([](Case &c) {
    int64_t groups = c.size(1, 4), size = c.size(1, 4);
    c.finish(makeRoute(c, groups * size, groups)->getResults());
  });
}

TEST(FusionProperty, Experts) {
  check([](Case &c) {
    int64_t groups = c.size(1, 3), experts = groups * c.size(1, 4), hidden = c.size(1, 9), inner = c.size(1, 9);
    Value input = c.rows(hidden);
    auto route = makeRoute(c, experts, groups);
    Type element = c.floatType();
    Value gate = c.argument({experts, inner, hidden}, element), up = c.argument({experts, inner, hidden}, element);
    Value down = c.argument({experts, hidden, inner}, element);
    c.finish(c.make<r1::ExpertsOp>(input.getType(), input, route.getExperts(), route.getWeights(), gate, up, down)
                 .getResult());
  });
}

TEST(FusionProperty, NextTokenBlock) {
  check([](Case &c) {
    int64_t width = c.size(2, 9);
    Value hidden = c.rows(width), embedded = c.rows(width), positions = c.positions();
    Value hiddenNorm = c.weight({width}), embeddingNorm = c.weight({width}), projection = c.matrix(width, 2 * width);
    c.finish(c.make<r1::NextTokenBlockOp>(hidden.getType(), hidden, embedded, positions, hiddenNorm, embeddingNorm,
                                          projection, APFloat(c.number(1e-8, 1e-2)))
                 .getResult());
  });
}

} // namespace
} // namespace elah
