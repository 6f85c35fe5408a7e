// Attention of one token with an online softmax (Milakov and Gimelshein 2018): keys are taken in tiles of 64; each
// tile's scores rescale what was summed before by the change of the running maximum, so nothing grows with the context.
// A key or value row is loaded once for the whole group of heads.
#include "codegen/Cpu/HeadGroup.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t tileKeys = 64;

/// Where things lie in a thread's scratch memory, in units of four bytes.
struct Scratch {
  int64_t scores = 0, maxima, sums, outputs, rows, end;
  explicit Scratch(int64_t group, int64_t valueDim) {
    auto align = [](int64_t value) { return (value + 15) / 16 * 16; };
    maxima = align(group * tileKeys);
    sums = align(maxima + group);
    outputs = align(sums + group);
    rows = align(outputs + group * valueDim);
    end = rows + 2 * tileKeys;
  }
};

void emitToken(KernelBuilder &k, const HeadGroup &h, const TokenRun &run, Value token) {
  Scratch place(h.group, h.valueDim);
  Type f32 = k.f32Type(), i64 = k.builder.getI64Type();
  auto at = [&](int64_t offset) { return k.address(k.scratch, k.integer(offset), f32); };
  Value scores = at(place.scores), maxima = at(place.maxima), sums = at(place.sums), outputs = at(place.outputs),
        rows = at(place.rows);
  Value one = k.integer(1), tile = k.integer(tileKeys);
  Value context = k.add(k.add(run.position, k.sub(token, run.first)), one);
  for (int64_t g = 0; g < h.group; ++g) {
    k.store(k.number(-INFINITY), maxima, k.integer(g), f32);
    k.store(k.number(0), sums, k.integer(g), f32);
  }
  k.loop(k.integer(0), k.integer(h.group), one, [&](Value g) {
    Value base = k.mul(g, k.integer(h.valueDim));
    k.forEachPiece(h.valueDim,
                   [&](Value i, int64_t lanes) { k.store(k.splat(0, lanes), outputs, k.add(base, i), f32); });
  });

  k.loop(k.integer(0), context, tile, [&](Value first) {
    Value count = k.min(tile, k.sub(context, first));
    // Scores of the tile; what lies beyond the context is -inf.
    k.loop(k.integer(0), count, one, [&](Value j) {
      Value row = run.cacheRow(k, h, k.add(first, j));
      k.storeRaw(row, rows, j, i64);
      Value keyIndex = k.add(k.mul(row, k.integer(h.keyRow)), h.keyOffset);
      int64_t whole = h.keyDim / k.lanes() * k.lanes();
      // Eight heads at a time: their partial sums stay in registers.
      for (int64_t g0 = 0; g0 < h.group; g0 += 8) {
        int64_t heads = std::min<int64_t>(8, h.group - g0);
        auto queryAt = [&](int64_t g, Value i) { return k.add(h.queryIndex(k, token, k.integer(g0 + g)), i); };
        KernelBuilder::Values dots;
        if (whole > 0) {
          KernelBuilder::Values zero(heads, k.splat(0, k.lanes()));
          KernelBuilder::Values partial =
              k.loop(k.integer(0), k.integer(whole), k.integer(k.lanes()), zero, [&](Value i, ArrayRef<Value> so) {
                Value x = k.load(h.keys, k.add(keyIndex, i), h.element, k.lanes());
                KernelBuilder::Values next;
                for (int64_t g = 0; g < heads; ++g) {
                  next.push_back(k.fma(k.load(h.query, queryAt(g, i), f32, k.lanes()), x, so[g]));
                }
                return next;
              });
          for (Value vector : partial) {
            dots.push_back(k.sum(vector));
          }
        }
        if (int64_t rest = h.keyDim - whole) {
          Value x = k.load(h.keys, k.add(keyIndex, k.integer(whole)), h.element, rest);
          for (int64_t g = 0; g < heads; ++g) {
            Value dot = k.sum(k.mul(k.load(h.query, queryAt(g, k.integer(whole)), f32, rest), x));
            if (whole > 0) {
              dots[g] = k.add(dots[g], dot);
            } else {
              dots.push_back(dot);
            }
          }
        }
        for (int64_t g = 0; g < heads; ++g) {
          k.store(k.mul(dots[g], k.number(h.scale)), scores, k.add(k.integer((g0 + g) * tileKeys), j), f32);
        }
      }
    });
    k.loop(count, tile, one, [&](Value j) {
      for (int64_t g = 0; g < h.group; ++g) {
        k.store(k.number(-INFINITY), scores, k.add(k.integer(g * tileKeys), j), f32);
      }
    });
    // Probabilities, and the rescaling of what came before.
    k.loop(k.integer(0), k.integer(h.group), one, [&](Value g) {
      Value base = k.mul(g, tile);
      Value before = k.load(maxima, g, f32, 0);
      Value now = k.max(before, k.largestOfPieces(tileKeys, [&](Value i, int64_t lanes) {
        return k.load(scores, k.add(base, i), f32, lanes);
      }));
      Value correction = k.exp(k.sub(before, now));
      Value total = k.sumOfPieces(tileKeys, [&](Value i, int64_t lanes) {
        Value p = k.exp(k.sub(k.load(scores, k.add(base, i), f32, lanes), now));
        k.store(p, scores, k.add(base, i), f32);
        return p;
      });
      k.store(now, maxima, g, f32);
      k.store(k.fma(k.load(sums, g, f32, 0), correction, total), sums, g, f32);
      Value outputBase = k.mul(g, k.integer(h.valueDim));
      k.forEachPiece(h.valueDim, [&](Value i, int64_t lanes) {
        Value o = k.load(outputs, k.add(outputBase, i), f32, lanes);
        k.store(k.mul(o, correction), outputs, k.add(outputBase, i), f32);
      });
    });
    // Weighted values: a piece of the row for eight heads at a time, over all keys of the tile.
    for (int64_t g0 = 0; g0 < h.group; g0 += 8) {
      int64_t heads = std::min<int64_t>(8, h.group - g0);
      k.forEachPiece(h.valueDim, [&](Value i, int64_t lanes) {
        auto outputAt = [&](int64_t g) { return k.add(i, k.integer((g0 + g) * h.valueDim)); };
        KernelBuilder::Values initial;
        for (int64_t g = 0; g < heads; ++g) {
          initial.push_back(k.load(outputs, outputAt(g), f32, lanes));
        }
        KernelBuilder::Values sumsOfValues =
            k.loop(k.integer(0), count, one, initial, [&](Value j, ArrayRef<Value> so) {
              Value row = k.loadRaw(i64, rows, j, i64);
              Value index = k.add(k.add(k.mul(row, k.integer(h.valueRow)), h.valueOffset), i);
              Value v = k.load(h.values, index, h.element, lanes);
              KernelBuilder::Values next;
              for (int64_t g = 0; g < heads; ++g) {
                Value p = k.load(scores, k.add(k.integer((g0 + g) * tileKeys), j), f32, 0);
                next.push_back(k.fma(p, v, so[g]));
              }
              return next;
            });
        for (int64_t g = 0; g < heads; ++g) {
          k.store(sumsOfValues[g], outputs, outputAt(g), f32);
        }
      });
    }
  });

  k.loop(k.integer(0), k.integer(h.group), one, [&](Value g) {
    Value factor = k.div(k.number(1), k.load(sums, g, f32, 0));
    Value base = k.mul(g, k.integer(h.valueDim));
    k.forEachPiece(h.valueDim, [&](Value i, int64_t lanes) {
      Value o = k.mul(k.load(outputs, k.add(base, i), f32, lanes), factor);
      k.store(o, h.output, k.add(h.outputIndex(k, token, g), i), h.outputElement);
    });
  });
}

} // namespace

void emitTokenAttention(KernelBuilder &k, const HeadGroup &heads, const TokenRun &run) {
  k.loop(run.first, k.add(run.first, run.count), k.integer(1), [&](Value token) { emitToken(k, heads, run, token); });
}

uint64_t tokenAttentionScratch(const HeadGroup &heads) {
  return static_cast<uint64_t>(Scratch(heads.group, heads.valueDim).end) * 4;
}

} // namespace elah
