// Attention over the paged cache with an online softmax (Milakov and Gimelshein 2018): keys are taken in tiles of 64;
// each tile's scores rescale what was summed before by the change of the running maximum, so nothing grows with the
// context. A block is one token and one group of query heads that read the same keys: a key or value row is loaded once
// for the whole group. Grouped-query attention and absorbed latent attention differ only in what a row is.
#include "codegen/Cpu/Families.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t tileKeys = 64;

/// Attention of `group` heads of one token.
struct HeadGroup {
  int64_t group;            ///< Heads.
  int64_t keyDim, valueDim; ///< Values of a key and of a value that count.
  Value query, queryIndex;  ///< Head g's query begins at queryIndex + g * queryStride.
  int64_t queryStride;
  Value keys, values;           ///< Cache pools.
  int64_t keyRow, valueRow;     ///< Elements of a row in each pool.
  Value keyOffset, valueOffset; ///< Where this group's key and value begin in a row.
  Type element;                 ///< Of the cache.
  double scale;
  Value output, outputIndex; ///< Head g's output begins at outputIndex + g * valueDim.
  Type outputElement;
};

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

void emitHeadGroup(KernelBuilder &k, const HeadGroup &h, Value position, Value pageRow, Value pageTable,
                   int64_t pageTokens) {
  Scratch place(h.group, h.valueDim);
  Type f32 = k.f32Type(), i64 = k.builder.getI64Type();
  auto at = [&](int64_t offset) { return k.address(k.scratch, k.integer(offset), f32); };
  Value scores = at(place.scores), maxima = at(place.maxima), sums = at(place.sums), outputs = at(place.outputs),
        rows = at(place.rows);
  Value one = k.integer(1), tile = k.integer(tileKeys), context = k.add(position, one);
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
      Value key = k.add(first, j);
      Value page = k.loadInteger(pageTable, k.add(pageRow, k.div(key, k.integer(pageTokens))));
      Value row = k.add(k.mul(page, k.integer(pageTokens)), k.rem(key, k.integer(pageTokens)));
      k.storeRaw(row, rows, j, i64);
      Value keyIndex = k.add(k.mul(row, k.integer(h.keyRow)), h.keyOffset);
      int64_t whole = h.keyDim / k.lanes() * k.lanes();
      // Eight heads at a time: their partial sums stay in registers.
      for (int64_t g0 = 0; g0 < h.group; g0 += 8) {
        int64_t heads = std::min<int64_t>(8, h.group - g0);
        auto queryAt = [&](int64_t g, Value i) {
          return k.add(h.queryIndex, k.add(i, k.integer((g0 + g) * h.queryStride)));
        };
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
      k.store(o, h.output, k.add(h.outputIndex, k.add(base, i)), h.outputElement);
    });
  });
}

} // namespace

uint64_t emitAttention(kernel::AttentionOp op, KernelBuilder &k) {
  Value query = k.buffer(0), keys = k.buffer(1), values = k.buffer(2), positions = k.buffer(3),
        tokenSequence = k.buffer(4), pageTable = k.buffer(5), output = k.buffer(6);
  int64_t kvHeads = op.getKvHeads(), group = op.getHeads() / kvHeads, headDim = op.getHeadDim(),
          valueDim = op.getValueDim();
  Value pagesPerSequence = k.dim(4);
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value block) {
    Value token = k.div(block, k.integer(kvHeads)), kvHead = k.rem(block, k.integer(kvHeads));
    HeadGroup heads;
    heads.group = group;
    heads.keyDim = headDim;
    heads.valueDim = valueDim;
    heads.query = query;
    heads.queryIndex =
        k.add(k.mul(token, k.integer(rowStride(op.getQuery()))), k.mul(kvHead, k.integer(group * headDim)));
    heads.queryStride = headDim;
    heads.keys = keys;
    heads.values = values;
    heads.keyRow = kvHeads * headDim;
    heads.valueRow = kvHeads * valueDim;
    heads.keyOffset = k.mul(kvHead, k.integer(headDim));
    heads.valueOffset = k.mul(kvHead, k.integer(valueDim));
    heads.element = elementOf(op.getKeyCache());
    heads.scale = op.getScale().convertToDouble();
    heads.output = output;
    heads.outputIndex =
        k.add(k.mul(token, k.integer(rowStride(op.getOutput()))), k.mul(kvHead, k.integer(group * valueDim)));
    heads.outputElement = elementOf(op.getOutput());
    Value pageRow = k.mul(k.loadInteger(tokenSequence, token), pagesPerSequence);
    emitHeadGroup(k, heads, k.loadInteger(positions, token), pageRow, pageTable, op.getPageTokens());
  });
  return static_cast<uint64_t>(Scratch(group, valueDim).end) * 4;
}

uint64_t emitLatentAttention(kernel::LatentAttentionOp op, KernelBuilder &k) {
  Value query = k.buffer(0), cache = k.buffer(1), positions = k.buffer(2), tokenSequence = k.buffer(3),
        pageTable = k.buffer(4), output = k.buffer(5);
  int64_t groups = op.getHeadGroups(), group = op.getHeads() / groups, rank = op.getRank();
  int64_t row = rank + op.getRopeDim();
  Value pagesPerSequence = k.dim(4);
  k.loop(k.blockBegin, k.blockEnd, k.integer(1), [&](Value block) {
    Value token = k.div(block, k.integer(groups)), part = k.rem(block, k.integer(groups));
    HeadGroup heads;
    heads.group = group;
    heads.keyDim = row;
    heads.valueDim = rank;
    heads.query = query;
    heads.queryIndex = k.add(k.mul(token, k.integer(rowStride(op.getQuery()))), k.mul(part, k.integer(group * row)));
    heads.queryStride = row;
    heads.keys = heads.values = cache;
    heads.keyRow = heads.valueRow = row;
    heads.keyOffset = heads.valueOffset = k.integer(0);
    heads.element = elementOf(op.getCache());
    heads.scale = op.getScale().convertToDouble();
    heads.output = output;
    heads.outputIndex = k.add(k.mul(token, k.integer(rowStride(op.getOutput()))), k.mul(part, k.integer(group * rank)));
    heads.outputElement = elementOf(op.getOutput());
    Value pageRow = k.mul(k.loadInteger(tokenSequence, token), pagesPerSequence);
    emitHeadGroup(k, heads, k.loadInteger(positions, token), pageRow, pageTable, op.getPageTokens());
  });
  return static_cast<uint64_t>(Scratch(group, rank).end) * 4;
}

} // namespace elah
