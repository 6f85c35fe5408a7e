// What a mixture of experts means. The experts' sum is written dense: every expert computes every token, and what was
// not chosen is left out of the sum. A lowering computes the chosen ones alone.
#include "dialects/R1/Decompose.h"
#include <limits>

using namespace mlir;
using namespace elah::r1;

namespace {

/// Whether each of 0 .. count - 1 is among the indices [T, k] of a row: i1 [T, k, count], for each index apart.
Value oneHot(const Composer &c, Value indices, int64_t count) {
  auto type = cast<RankedTensorType>(indices.getType());
  return c.make<CompareOp>(Comparison::Equal, c.reshape(indices, {-1, type.getDimSize(1), 1}),
                           c.iota(count, type.getElementTypeBitWidth()));
}

/// The scores of the experts in the best groups, -inf for the others.
Value limitToGroups(const Composer &c, Value scores, int64_t experts, RoutingAttr routing) {
  int64_t groups = routing.getGroups(), size = experts / groups;
  Value grouped = c.reshape(scores, {-1, groups, size}), groupScore;
  if (routing.getGroupScore() == GroupScore::Top2) {
    groupScore = c.sum(c.make<TopkOp>(grouped, std::min<int64_t>(2, size), 2, /*smallest=*/false).getValues(), 2);
  } else {
    groupScore = c.max(grouped, 2);
  }
  Value best = c.make<TopkOp>(groupScore, routing.getTopGroups(), 1, /*smallest=*/false).getIndices();
  Value isBest = c.reshape(c.max(oneHot(c, best, groups), 1), {-1, groups, 1});
  Value limited = c.make<SelectOp>(isBest, grouped, c.scalar(-std::numeric_limits<double>::infinity()));
  return c.reshape(limited, {-1, experts});
}

} // namespace

SmallVector<Value> RouteOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  RoutingAttr routing = getRouting();
  int64_t experts = cast<RankedTensorType>(getLogits().getType()).getDimSize(1);
  Value scores = routing.getScoring() == Scoring::Sigmoid ? c.make<SigmoidOp>(getLogits()).getResult()
                                                          : c.make<SoftmaxOp>(getLogits(), 1).getResult();
  Value biased = getBias() ? c.make<AddOp>(scores, c.widened(getBias())).getResult() : scores;
  if (routing.getTopGroups() < routing.getGroups()) {
    biased = limitToGroups(c, biased, experts, routing);
  }
  Value chosen = c.make<TopkOp>(biased, routing.getTopK(), 1, /*smallest=*/false).getIndices();
  Value weights = c.make<GatherElementsOp>(scores, chosen, 1);
  if (routing.getNormalize()) {
    weights = c.make<DivOp>(weights, c.make<AddOp>(c.sum(weights, 1, /*keepDims=*/true), c.scalar(1e-20)));
  }
  weights = c.make<MulOp>(weights, c.scalar(routing.getScale().getValueAsDouble()));
  return results(*this, {c.make<CastOp>(chosen, builder.getI32Type()), weights});
}

SmallVector<Value> ExpertsOp::decompose(OpBuilder &builder) {
  Composer c(builder, getLoc());
  auto gateType = cast<RankedTensorType>(getGate().getType());
  int64_t experts = gateType.getDimSize(0), chosen = cast<RankedTensorType>(getWeights().getType()).getDimSize(1);
  // [T, H] x [E, H, I] -> [E, T, I]; x [E, I, H] -> [E, T, H]
  auto project = [&](Value input, Value weight) -> Value {
    return c.make<MatmulOp>(input, c.transpose(c.widened(weight), {0, 2, 1}));
  };
  Value hidden = c.make<SwigluOp>(project(getInput(), getGate()), project(getInput(), getUp()));
  Value outputs = project(hidden, getDown());

  // [T, k, E], then [E, T, 1]
  Value isChosen = oneHot(c, getExperts(), experts);
  Value shares = c.make<SelectOp>(isChosen, c.reshape(getWeights(), {-1, chosen, 1}), c.scalar(0));
  auto byExpert = [&](Value perToken) { return c.reshape(c.transpose(perToken, {1, 0}), {experts, -1, 1}); };
  Value weighted = c.make<MulOp>(outputs, byExpert(c.sum(shares, 1)));
  Value counted = c.make<SelectOp>(byExpert(c.max(isChosen, 1)), weighted, c.scalar(0));
  return results(*this, c.sum(counted, 0));
}
