// With a row in each lane, the largest score and the sum of probabilities need no reduction across lanes.
#include "codegen/Cpu/OnlineSoftmax.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

using namespace mlir;

namespace elah {

OnlineSoftmax::OnlineSoftmax(KernelBuilder &kernel, int64_t mostRows, int64_t mostKeys)
    : k(kernel), mostRows(mostRows), mostKeys(mostKeys) {
  assert(mostRows % k.lanes() == 0 && mostKeys % keyStep == 0 && "whole vectors and steps");
}

double OnlineSoftmax::factor(double scale) { return scale * 1.4426950408889634; }

uint64_t OnlineSoftmax::scratchBytes(int64_t mostRows, int64_t mostKeys) {
  return static_cast<uint64_t>(4 * mostRows * (mostKeys + 4));
}

Value OnlineSoftmax::at(Value scratch, int64_t offset) { return k.address(scratch, k.integer(offset), k.f32Type()); }

void OnlineSoftmax::place(Value scratch) {
  scores = scratch;
  maxima = at(scratch, mostRows * mostKeys);
  sums = at(maxima, mostRows);
  corrections = at(sums, mostRows);
  positions = at(corrections, mostRows);
}

Value OnlineSoftmax::index(Value vector, Value key) {
  return k.mul(k.add(k.mul(vector, k.integer(mostKeys)), key), k.integer(k.lanes()));
}

void OnlineSoftmax::begin(const TokenRun &run, int64_t group, Value vectors) {
  Value rows = k.mul(vectors, k.integer(k.lanes())), last = k.sub(run.count, k.integer(1));
  k.loop(k.integer(0), rows, k.integer(k.lanes()), [&](Value row) {
    k.store(k.splat(-INFINITY, k.lanes()), maxima, row, k.f32Type());
    k.store(k.splat(0, k.lanes()), sums, row, k.f32Type());
  });
  k.loop(k.integer(0), rows, k.integer(1), [&](Value row) {
    Value token = k.min(k.div(row, k.integer(group)), last);
    k.storeInteger(k.add(run.position, token), positions, row);
  });
}

void OnlineSoftmax::mask(const TokenRun &run, Value vectors, Value firstKey, Value keys) {
  Type i32 = k.builder.getI32Type();
  Value firstHidden = k.max(k.integer(0), k.sub(k.add(run.position, k.integer(1)), firstKey));
  k.loop(k.integer(0), vectors, k.integer(1), [&](Value vector) {
    Value seen = k.loadRaw(k.vectorType(k.lanes(), i32), positions, k.mul(vector, k.integer(k.lanes())), i32);
    k.loop(firstHidden, keys, k.integer(1), [&](Value key) {
      Value position = arith::TruncIOp::create(k.builder, k.location, i32, k.add(firstKey, key));
      Value score = k.load(scores, index(vector, key), k.f32Type(), k.lanes());
      Value hidden = k.less(seen, position);
      k.store(k.select(hidden, k.splat(-INFINITY, k.lanes()), score), scores, index(vector, key), k.f32Type());
    });
  });
}

Value OnlineSoftmax::exponentiate(Value vector, Value keys) {
  Type f32 = k.f32Type();
  int64_t lanes = k.lanes();
  Value first = index(vector, k.integer(0)), step = k.integer(keyStep * lanes);
  Value end = k.mul(keys, k.integer(lanes)), row = k.mul(vector, k.integer(lanes));
  auto scoreAt = [&](Value offset, int64_t i) { return k.add(k.add(first, offset), k.integer(i * lanes)); };
  // As one instruction has it; numbers only matter where there is no NaN.
  auto larger = [&](Value a, Value b) { return k.select(k.greater(a, b), a, b); };
  // Chains of their own hide the latency.
  auto combined = [&](KernelBuilder::Values parts, function_ref<Value(Value, Value)> combine) {
    while (parts.size() > 1) {
      KernelBuilder::Values half;
      for (size_t i = 0; i < parts.size(); i += 2) {
        half.push_back(combine(parts[i], parts[i + 1]));
      }
      parts = half;
    }
    return parts[0];
  };
  KernelBuilder::Values lowest(keyStep, k.splat(-INFINITY, lanes)), zeros(keyStep, k.splat(0, lanes));
  Value largest = combined(k.loop(k.integer(0), end, step, lowest,
                                  [&](Value offset, ArrayRef<Value> so) {
                                    KernelBuilder::Values next;
                                    for (int64_t i = 0; i < keyStep; ++i) {
                                      next.push_back(larger(k.load(scores, scoreAt(offset, i), f32, lanes), so[i]));
                                    }
                                    return next;
                                  }),
                           larger);
  Value before = k.load(maxima, row, f32, lanes), now = larger(largest, before);
  Value sum = combined(k.loop(k.integer(0), end, step, zeros,
                              [&](Value offset, ArrayRef<Value> so) {
                                KernelBuilder::Values next;
                                for (int64_t i = 0; i < keyStep; ++i) {
                                  Value score = k.load(scores, scoreAt(offset, i), f32, lanes);
                                  Value probability = k.exp2(k.sub(score, now));
                                  k.store(probability, scores, scoreAt(offset, i), f32);
                                  next.push_back(k.add(so[i], probability));
                                }
                                return next;
                              }),
                       [&](Value a, Value b) { return k.add(a, b); });
  Value correction = k.exp2(k.sub(before, now));
  k.store(now, maxima, row, f32);
  k.store(correction, corrections, row, f32);
  k.store(k.fma(k.load(sums, row, f32, lanes), correction, sum), sums, row, f32);
  return k.greater(k.largest(k.sub(now, before)), k.number(0));
}

} // namespace elah
