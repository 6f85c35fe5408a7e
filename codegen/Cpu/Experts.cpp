// Dispatch and combine of a mixture of experts: (token, expert) pairs are sorted by expert with a counting sort, so
// that each expert's rows are one product; then every token sums its experts' rows.
#include "codegen/Cpu/Families.h"

using namespace mlir;

namespace elah {

uint64_t emitExpertPlan(kernel::ExpertPlanOp op, KernelBuilder &k) {
  Value experts = k.buffer(0), offsets = k.buffer(1), gather = k.buffer(2), slots = k.buffer(3);
  int64_t topK = rowWidth(op.getExperts());
  int64_t count = cast<MemRefType>(op.getOffsets().getType()).getDimSize(0) - 1;
  Value one = k.integer(1), pairs = k.mul(k.rows(op.getExperts()), k.integer(topK));
  Type i64 = k.builder.getI64Type();
  k.loop(k.blockBegin, k.blockEnd, one, [&](Value) {
    k.loop(k.integer(0), k.integer(count), one, [&](Value e) { k.storeRaw(k.integer(0), k.scratch, e, i64); });
    k.loop(k.integer(0), pairs, one, [&](Value pair) {
      Value e = k.loadInteger(experts, pair);
      k.storeRaw(k.add(k.loadRaw(i64, k.scratch, e, i64), one), k.scratch, e, i64);
    });
    // From counts to where each expert's next row goes.
    KernelBuilder::Values total =
        k.loop(k.integer(0), k.integer(count), one, {k.integer(0)}, [&](Value e, ArrayRef<Value> so) {
          Value rows = k.loadRaw(i64, k.scratch, e, i64);
          k.storeInteger(so[0], offsets, e);
          k.storeRaw(so[0], k.scratch, e, i64);
          return KernelBuilder::Values{k.add(so[0], rows)};
        });
    k.storeInteger(total[0], offsets, k.integer(count));
    k.loop(k.integer(0), pairs, one, [&](Value pair) {
      Value e = k.loadInteger(experts, pair);
      Value row = k.loadRaw(i64, k.scratch, e, i64);
      k.storeRaw(k.add(row, one), k.scratch, e, i64);
      k.storeInteger(k.div(pair, k.integer(topK)), gather, row);
      k.storeInteger(row, slots, pair);
    });
  });
  return static_cast<uint64_t>(count) * 8;
}

uint64_t emitCombine(kernel::CombineOp op, KernelBuilder &k) {
  Value rows = k.buffer(0), weights = k.buffer(1), slots = k.buffer(2), output = k.buffer(3);
  int64_t topK = rowWidth(op.getWeights()), width = rowWidth(op.getOutput());
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value token) {
    Value first = k.mul(token, k.integer(topK));
    KernelBuilder::Values factors, sources;
    for (int64_t i = 0; i < topK; ++i) {
      Value place = k.add(first, k.integer(i));
      factors.push_back(k.load(weights, place, k.f32Type(), 0));
      sources.push_back(k.mul(k.loadInteger(slots, place), k.integer(rowStride(op.getRows()))));
    }
    Value target = k.mul(token, k.integer(rowStride(op.getOutput())));
    k.forEachPiece(width, [&](Value i, int64_t lanes) {
      Value sum = k.load(output, k.add(target, i), k.f32Type(), lanes);
      for (int64_t part = 0; part < topK; ++part) {
        sum = k.fma(factors[part], k.load(rows, k.add(sources[part], i), k.f32Type(), lanes), sum);
      }
      k.store(sum, output, k.add(target, i), k.f32Type());
    });
  });
  return 0;
}

} // namespace elah
