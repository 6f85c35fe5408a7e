// The activation between an MLP's projections: gate * sigmoid(gate) * up (arXiv 2002.05202), multiplied in any order;
// gate / (1 + exp(-gate)) is the same.
#include "compiler/Transforms/Fusion.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"

using namespace mlir;

namespace elah {

#define GEN_PASS_DEF_FUSESWIGLUPASS
#include "compiler/Transforms/Passes.h.inc"

namespace {

/// x, if the value is 1 + exp(-x).
Value onePlusPower(Value value) {
  Value input;
  if (auto add = value.getDefiningOp<r1::AddOp>()) {
    matchEither(add, [&](Value one, Value power) {
      auto exp = power.getDefiningOp<r1::ExpOp>();
      auto neg = exp ? exp.getInput().getDefiningOp<r1::NegOp>() : r1::NegOp();
      if (neg && numberOf(one) == 1.0) {
        input = neg.getInput();
      }
      return static_cast<bool>(input);
    });
  }
  return input;
}

struct FuseSwigluPass : impl::FuseSwigluPassBase<FuseSwigluPass> {
  void runOnOperation() override {
    Fusion fusion(getOperation(), r1::SwigluOp::getOperationName());
    fusion.forEach<r1::MulOp>([&](r1::MulOp root) { std::ignore = fuse(fusion, root); });
  }

private:
  static LogicalResult fuse(Fusion &fusion, r1::MulOp root) {
    Value gate, gated;
    auto isGate = [&](Value part) { return withoutFloatCasts(part) == gate; };
    auto findGate = [&](Value part, bool divides) {
      part = withoutFloatCasts(part);
      auto sigmoid = part.getDefiningOp<r1::SigmoidOp>();
      Value found = divides ? onePlusPower(part) : sigmoid ? sigmoid.getInput() : Value();
      if (found) {
        gate = withoutFloatCasts(found);
        gated = part;
      }
      return static_cast<bool>(found);
    };
    Product product = productOf(root, [](Value) { return false; });
    bool divides = false;
    if (!llvm::any_of(product.factors, [&](Value part) { return findGate(part, false); })) {
      divides = llvm::any_of(product.divisors, [&](Value part) { return findGate(part, true); });
      if (!divides) {
        return failure();
      }
    }
    // The gate may be a product itself.
    product = productOf(root, isGate);
    auto *sigmoids = divides ? &product.divisors : &product.factors;
    auto *sigmoid = llvm::find_if(*sigmoids, [&](Value part) { return withoutFloatCasts(part) == gated; });
    if (sigmoid == sigmoids->end()) {
      return failure();
    }
    sigmoids->erase(sigmoid);
    auto *own = llvm::find_if(product.factors, isGate);
    if (own == product.factors.end()) {
      return failure(); // Another gate: sigmoid(a) * b.
    }
    product.factors.erase(own);
    if (product.factors.size() != 1 || !product.divisors.empty()) {
      return failure(); // The activation alone, or a larger product.
    }
    Value up = product.factors.front();
    auto type = cast<RankedTensorType>(root.getType());
    if (up.getType() != gate.getType() || gate.getType() != root.getType() || type.getRank() == 0) {
      return fusion.miss(root, "gate and up do not have one shape and type", "give both projections the same outputs");
    }
    if (!type.getElementType().isF32()) {
      return fusion.miss(root, "the activation is not computed in f32", "export the model in f32");
    }
    OpBuilder builder(root);
    fusion.replace(root.getResult(), r1::SwigluOp::create(builder, root.getLoc(), type, gate, up));
    return success();
  }
};

} // namespace
} // namespace elah
