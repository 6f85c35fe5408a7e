// Attention of one token with an online softmax (Milakov and Gimelshein 2018): keys are taken in tiles of 64; each
// tile's scores rescale what was summed before by the change of the running maximum, so nothing grows with the context.
// What is loaded of a query is used for several keys, what is loaded of a key or value for several heads.
#include "codegen/Cpu/HeadGroup.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t tileKeys = 64;
/// Keys whose products with the same queries are formed together, and pieces of a value that are summed together: a
/// register tile of as many vectors by some heads, as in products with panels.
constexpr int64_t atOnce = 4;

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
  // Even parts of the group.
  int64_t headsAtOnce = llvm::divideCeil(h.group, llvm::divideCeil(h.group, k.target.tileRows));
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
    // Scores of the tile, of some keys and heads at a time; what lies beyond the context is -inf.
    k.loop(k.integer(0), count, k.integer(atOnce), [&](Value j) {
      KernelBuilder::Values keys;
      for (int64_t i = 0; i < atOnce; ++i) {
        // Beyond the context the last key stands in.
        Value row = run.cacheRow(k, h, k.min(k.add(first, k.add(j, k.integer(i))), k.sub(context, one)));
        k.storeRaw(row, rows, k.add(j, k.integer(i)), i64);
        keys.push_back(k.add(k.mul(row, k.integer(h.keyRow)), h.keyOffset));
      }
      for (int64_t g0 = 0; g0 < h.group; g0 += headsAtOnce) {
        int64_t heads = std::min(headsAtOnce, h.group - g0);
        // All keys of a head, then those of the next one.
        auto addProducts = [&](Value i, int64_t lanes, ArrayRef<Value> so) {
          KernelBuilder::Values vectors, next;
          for (Value key : keys) {
            vectors.push_back(k.load(h.keys, k.add(key, i), h.element, lanes));
            // The same part of a key of the next turn, or something that need not be one.
            Value next = k.address(h.keys, k.add(k.add(key, i), k.integer(atOnce * h.keyRow)), h.element);
            LLVM::Prefetch::create(k.builder, k.location, next, /*rw=*/0, /*hint=*/3, /*cache=*/1);
          }
          for (int64_t g = 0; g < heads; ++g) {
            Value query = k.load(h.query, k.add(h.queryIndex(k, token, k.integer(g0 + g)), i), f32, lanes);
            for (auto [index, vector] : llvm::enumerate(vectors)) {
              next.push_back(k.fma(query, vector, so[g * atOnce + static_cast<int64_t>(index)]));
            }
          }
          return next;
        };
        auto zeros = [&](int64_t lanes) { return KernelBuilder::Values(heads * atOnce, k.splat(0, lanes)); };
        int64_t whole = h.keyDim / k.lanes() * k.lanes(), rest = h.keyDim - whole;
        KernelBuilder::Values dots(heads * atOnce);
        auto addSums = [&](ArrayRef<Value> vectors) {
          for (auto [dot, vector] : llvm::zip_equal(dots, vectors)) {
            dot = dot ? k.add(dot, k.sum(vector)) : k.sum(vector);
          }
        };
        if (whole > 0) {
          addSums(k.loop(k.integer(0), k.integer(whole), k.integer(k.lanes()), zeros(k.lanes()),
                         [&](Value i, ArrayRef<Value> so) { return addProducts(i, k.lanes(), so); }));
        }
        if (rest > 0) {
          addSums(addProducts(k.integer(whole), rest, zeros(rest)));
        }
        for (int64_t g = 0; g < heads; ++g) {
          for (int64_t i = 0; i < atOnce; ++i) {
            Value place = k.add(k.integer((g0 + g) * tileKeys + i), j);
            k.store(k.mul(dots[g * atOnce + i], k.number(h.scale)), scores, place, f32);
          }
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
    // Weighted values: some pieces of the row and heads at a time, over all keys of the tile.
    for (int64_t g0 = 0; g0 < h.group; g0 += headsAtOnce) {
      int64_t heads = std::min(headsAtOnce, h.group - g0);
      // `pieces` of `lanes` values, from value `i` on.
      auto addValues = [&](Value i, int64_t pieces, int64_t lanes) {
        auto forEach = [&](llvm::function_ref<void(int64_t, Value)> body) {
          for (int64_t g = 0; g < heads; ++g) {
            for (int64_t piece = 0; piece < pieces; ++piece) {
              body(g * pieces + piece, k.add(i, k.integer((g0 + g) * h.valueDim + piece * lanes)));
            }
          }
        };
        KernelBuilder::Values initial;
        forEach([&](int64_t, Value place) { initial.push_back(k.load(outputs, place, f32, lanes)); });
        KernelBuilder::Values sumsOfValues =
            k.loop(k.integer(0), count, one, initial, [&](Value j, ArrayRef<Value> so) {
              Value row = k.loadRaw(i64, rows, j, i64);
              Value index = k.add(k.add(k.mul(row, k.integer(h.valueRow)), h.valueOffset), i);
              KernelBuilder::Values vectors, next;
              for (int64_t piece = 0; piece < pieces; ++piece) {
                vectors.push_back(k.load(h.values, k.add(index, k.integer(piece * lanes)), h.element, lanes));
              }
              for (int64_t g = 0; g < heads; ++g) {
                Value p = k.load(scores, k.add(k.integer((g0 + g) * tileKeys), j), f32, 0);
                for (auto [piece, vector] : llvm::enumerate(vectors)) {
                  next.push_back(k.fma(p, vector, so[g * pieces + static_cast<int64_t>(piece)]));
                }
              }
              return next;
            });
        forEach([&](int64_t sum, Value place) { k.store(sumsOfValues[sum], outputs, place, f32); });
      };
      int64_t step = atOnce * k.lanes(), whole = h.valueDim / step * step;
      k.loop(k.integer(0), k.integer(whole), k.integer(step), [&](Value i) { addValues(i, atOnce, k.lanes()); });
      k.forEachPiece(h.valueDim - whole,
                     [&](Value i, int64_t lanes) { addValues(k.add(i, k.integer(whole)), 1, lanes); });
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
