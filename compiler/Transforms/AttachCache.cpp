// A model that was exported without past keys and values computes all of a sequence at once. Its attention says what
// each position sees, so that a cache may hold what is behind: the same function, a step at a time.
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/Probe.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_ATTACHCACHEPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// Whether the value is 0, 1, 2, ... or the positions themselves.
bool arePositions(Value value, Value positions) {
  if (value == positions) {
    return true;
  }
  std::optional<SmallVector<HostTensor>> found = Probe(5, 0).evaluate(value);
  return found && found->front().shape == SmallVector<int64_t>{5} &&
         found->front().integers() == Integers{0, 1, 2, 3, 4};
}

struct AttachCachePass : impl::AttachCachePassBase<AttachCachePass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    bool isStep = function.getName() == "forward" && function.getNumArguments() == 2 && function.getNumResults() == 1 &&
                  llvm::all_of(function.getArguments(), holdsPositions);
    if (!isStep) {
      return;
    }
    Value positions = function.getArgument(1);
    SmallVector<Operation *> layers;
    r1::CacheKind kind = r1::CacheKind::KeyValue;
    int64_t keyWidth = 0, valueWidth = 0;
    bool isAlike = true;
    function.walk([&](Operation *op) {
      int64_t keys = 0, values = 0;
      auto attention = dyn_cast<r1::AttentionOp>(op);
      auto latent = dyn_cast<r1::LatentAttentionOp>(op);
      if (attention) {
        keys = static_cast<int64_t>(attention.getKvHeads() * attention.getHeadDim());
        values = static_cast<int64_t>(attention.getKvHeads() * attention.getValueDim());
        isAlike &= arePositions(attention.getPositions(), positions);
      } else if (latent) {
        keys = static_cast<int64_t>(latent.getRank() + latent.getRopeDim());
        kind = r1::CacheKind::Latent;
        isAlike &= arePositions(latent.getPositions(), positions);
      } else {
        // What else mixes rows would need to be kept, too.
        auto softmax = dyn_cast<r1::SoftmaxOp>(op);
        isAlike &= !softmax || softmax.getAxis() != 0;
        isAlike &=
            isa<r1::DecomposableOpInterface, r1::AddOp, r1::SubOp, r1::MulOp, r1::DivOp, r1::CastOp, r1::WeightOp,
                r1::ConstantOp, r1::DimOp, r1::ShapeOp, r1::RangeOp, func::FuncOp, func::ReturnOp>(op) ||
            op->hasTrait<OpTrait::Elementwise>();
        return;
      }
      isAlike &= layers.empty() || (keys == keyWidth && values == valueWidth);
      keyWidth = keys;
      valueWidth = values;
      layers.push_back(op);
    });
    if (layers.empty() || !isAlike) {
      return;
    }
    auto type = r1::CacheType::get(&getContext(), kind, static_cast<int64_t>(layers.size()), keyWidth, valueWidth);
    Value cache = function.front().addArgument(type, function.getLoc());
    for (auto [layer, op] : llvm::enumerate(layers)) {
      OpBuilder builder(op);
      if (auto attention = dyn_cast<r1::AttentionOp>(op)) {
        auto cached = r1::AttentionOp::create(
            builder, op->getLoc(), attention.getResult().getType(), type, attention.getQuery(), attention.getKey(),
            attention.getValue(), positions, cache, attention.getHeads(), attention.getKvHeads(),
            attention.getHeadDim(), attention.getValueDim(), attention.getScale(), layer, attention.getRopeAttr());
        attention.getResult().replaceAllUsesWith(cached.getResult());
        cache = cached.getNewCache();
      } else {
        auto latent = cast<r1::LatentAttentionOp>(op);
        auto cached = r1::LatentAttentionOp::create(
            builder, op->getLoc(), latent.getResult().getType(), type, latent.getQuery(), latent.getLatent(),
            latent.getNormWeight(), latent.getExpand(), positions, cache, latent.getHeads(), latent.getNopeDim(),
            latent.getRopeDim(), latent.getValueDim(), latent.getRank(), latent.getScale(), latent.getEpsilon(), layer,
            latent.getRope());
        latent.getResult().replaceAllUsesWith(cached.getResult());
        cache = cached.getNewCache();
      }
      op->erase();
    }
    Operation *terminator = function.front().getTerminator();
    terminator->insertOperands(1, cache);
    function.setType(
        FunctionType::get(&getContext(), function.front().getArgumentTypes(), terminator->getOperandTypes()));
  }
};

} // namespace
} // namespace elah
