// The router's choice of experts (DeepSeek-V3, section 2.1.2), one token a block: scores, group scores, the best
// groups, the best experts in them. Choices are repeated argmax with a strict comparison, so equal scores go to the
// lower index and a NaN is never larger: whatever the logits, indices stay in range.
#include "codegen/Cpu/Families.h"

using namespace mlir;

namespace elah {
namespace {

/// The index of the largest of values[begin .. begin + count), and that value.
std::pair<Value, Value> emitArgmax(KernelBuilder &k, Value values, Value begin, Value count) {
  KernelBuilder::Values best =
      k.loop(k.integer(0), count, k.integer(1), {k.number(-INFINITY), begin}, [&](Value i, ArrayRef<Value> so) {
        Value index = k.add(begin, i);
        Value value = k.load(values, index, k.f32Type(), 0);
        Value isLarger = k.greater(value, so[0]);
        return KernelBuilder::Values{k.select(isLarger, value, so[0]), k.select(isLarger, index, so[1])};
      });
  return {best[1], best[0]};
}

} // namespace

uint64_t emitRoute(kernel::RouteOp op, KernelBuilder &k) {
  unsigned next = 0;
  Value logits = k.buffer(next++);
  Value bias = op.getBias() ? k.buffer(next++) : Value();
  Value chosen = k.buffer(next++), weights = k.buffer(next++);
  r1::RoutingAttr routing = op.getRouting();
  int64_t experts = rowWidth(op.getLogits()), groups = routing.getGroups(), size = experts / groups;
  int64_t topK = routing.getTopK(), shared = op.getShared();
  Type f32 = k.f32Type();
  int64_t padded = (experts + 15) / 16 * 16;
  Value scores = k.scratch, biased = k.address(k.scratch, k.integer(padded), f32),
        ranks = k.address(k.scratch, k.integer(2 * padded), f32);
  Value one = k.integer(1), lowest = k.number(-INFINITY);

  k.loop(k.blockBegin, k.blockEnd, one, [&](Value token) {
    Value row = k.mul(token, k.integer(rowStride(op.getLogits())));
    if (routing.getScoring() == r1::Scoring::Sigmoid) {
      k.forEachPiece(experts, [&](Value i, int64_t lanes) {
        k.store(k.sigmoid(k.load(logits, k.add(row, i), f32, lanes)), scores, i, f32);
      });
    } else {
      Value largest =
          k.largestOfPieces(experts, [&](Value i, int64_t lanes) { return k.load(logits, k.add(row, i), f32, lanes); });
      Value total = k.sumOfPieces(experts, [&](Value i, int64_t lanes) {
        Value power = k.exp(k.sub(k.load(logits, k.add(row, i), f32, lanes), largest));
        k.store(power, scores, i, f32);
        return power;
      });
      k.forEachPiece(experts, [&](Value i, int64_t lanes) {
        k.store(k.div(k.load(scores, i, f32, lanes), total), scores, i, f32);
      });
    }
    k.forEachPiece(experts, [&](Value i, int64_t lanes) {
      Value score = k.load(scores, i, f32, lanes);
      k.store(bias ? k.add(score, k.load(bias, i, f32, lanes)) : score, biased, i, f32);
    });

    if (groups > 1) {
      k.loop(k.integer(0), k.integer(groups), one, [&](Value group) {
        Value begin = k.mul(group, k.integer(size));
        auto [index, best] = emitArgmax(k, biased, begin, k.integer(size));
        Value rank = best;
        if (routing.getGroupScore() == r1::GroupScore::Top2 && size > 1) {
          k.store(lowest, biased, index, f32);
          rank = k.add(best, emitArgmax(k, biased, begin, k.integer(size)).second);
          k.store(best, biased, index, f32);
        }
        k.store(rank, ranks, group, f32);
      });
      // The best groups get the rank +inf; the experts of the others drop out.
      k.loop(k.integer(0), k.integer(routing.getTopGroups()), one, [&](Value) {
        KernelBuilder::Values best =
            k.loop(k.integer(0), k.integer(groups), one, {lowest, k.integer(0)}, [&](Value group, ArrayRef<Value> so) {
              Value rank = k.load(ranks, group, f32, 0);
              Value isLarger = k.greater(rank, so[0]);
              Value isFree = k.less(rank, k.number(INFINITY));
              Value takes = k.select(isLarger, isFree, isLarger);
              return KernelBuilder::Values{k.select(takes, rank, so[0]), k.select(takes, group, so[1])};
            });
        k.store(k.number(INFINITY), ranks, best[1], f32);
      });
      k.loop(k.integer(0), k.integer(experts), one, [&](Value expert) {
        Value rank = k.load(ranks, k.div(expert, k.integer(size)), f32, 0);
        k.ifThen(k.less(rank, k.number(INFINITY)), [&] { k.store(lowest, biased, expert, f32); });
      });
    }

    Value output = k.mul(token, k.integer(topK + shared));
    KernelBuilder::Values total =
        k.loop(k.integer(0), k.integer(topK), one, {k.number(0)}, [&](Value i, ArrayRef<Value> so) {
          Value expert = emitArgmax(k, biased, k.integer(0), k.integer(experts)).first;
          k.store(lowest, biased, expert, f32);
          k.storeInteger(expert, chosen, k.add(output, i));
          Value score = k.load(scores, expert, f32, 0);
          k.store(score, weights, k.add(output, i), f32);
          return KernelBuilder::Values{k.add(so[0], score)};
        });
    Value factor = k.number(routing.getScale().getValueAsDouble());
    if (routing.getNormalize()) {
      factor = k.div(factor, k.add(total[0], k.number(1e-20)));
    }
    k.loop(k.integer(0), k.integer(topK), one, [&](Value i) {
      Value place = k.add(output, i);
      k.store(k.mul(k.load(weights, place, f32, 0), factor), weights, place, f32);
    });
    for (int64_t i = 0; i < shared; ++i) {
      Value place = k.add(output, k.integer(topK + i));
      k.storeInteger(k.integer(experts + i), chosen, place);
      k.store(k.number(1), weights, place, f32);
    }
  });
  return static_cast<uint64_t>(2 * padded + (groups + 15) / 16 * 16) * 4;
}

} // namespace elah
