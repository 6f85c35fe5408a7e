// Attention of many rows of queries in f32: tokens times heads that read the same keys (FlashAttention, Dao et al.
// 2022). Queries lie in the lanes of vectors, so that a tile of scores is a product of keys, broadcast value by value
// from where they lie, with vectors of queries; of values, vectors of columns are multiplied with broadcast
// probabilities. Both are register tiles of `tileRows` by four vectors, as in a matrix product. A cache that is not in
// f32 is widened once for all rows.
#include "codegen/Cpu/OnlineSoftmax.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t tileKeys = 60; ///< A multiple of every target's register tile and of the softmax's step.
constexpr int64_t vectorsOfTile = 4;

int64_t roundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/// Rows that four vectors hold and register tiles divide.
int64_t wantedRows(const CpuTarget &target) {
  int64_t vectors = vectorsOfTile * target.lanes();
  return vectors / target.tileRows * target.tileRows;
}

/// Where things lie in a thread's scratch memory, in bytes, and how much there is of them at most.
struct Plan {
  int64_t rows, paddedRows, vectors;
  int64_t softmax = 0, queries, outputs, rowOffsets, keys, values, end;

  Plan(const CpuTarget &target, const HeadGroup &h) {
    int64_t lanes = target.lanes();
    rows = tileTokens(target, h) * h.group;
    paddedRows = roundUp(rows, target.tileRows);
    vectors = llvm::divideCeil(paddedRows, lanes);
    auto align = [](int64_t value) { return roundUp(value, 64); };
    bool isWidened = !h.element.isF32();
    queries = align(static_cast<int64_t>(OnlineSoftmax::scratchBytes(vectors * lanes, tileKeys)));
    outputs = align(queries + vectors * lanes * h.keyDim * 4);
    rowOffsets = align(outputs + paddedRows * h.valueDim * 4);
    keys = align(rowOffsets + tileKeys * 2 * 8);
    values = align(keys + (isWidened ? tileKeys * h.keyDim * 4 : 0));
    end = align(values + (isWidened && !h.valuesAreKeys ? tileKeys * h.valueDim * 4 : 0));
  }
};

class TileEmitter {
public:
  TileEmitter(KernelBuilder &k, const HeadGroup &heads, const TokenRun &run)
      : k(k), h(heads), run(run), plan(k.target, heads), softmax(k, plan.vectors * k.lanes(), tileKeys),
        f32(k.f32Type()), isWidened(!h.element.isF32()) {
    auto at = [&](int64_t offset) { return k.address(k.scratch, k.integer(offset), k.builder.getI8Type()); };
    softmax.place(at(plan.softmax));
    queries = at(plan.queries);
    outputs = at(plan.outputs);
    keyOffsets = at(plan.rowOffsets);
    valueOffsets = at(plan.rowOffsets + tileKeys * 8);
    // What products read: the cache, or a widened tile of it.
    keys = isWidened ? at(plan.keys) : h.keys;
    values = isWidened ? at(h.valuesAreKeys ? plan.keys : plan.values) : h.values;
  }

  void emit() {
    rows = k.mul(run.count, k.integer(h.group));
    paddedRows = roundedUp(rows, k.target.tileRows);
    vectors = k.div(roundedUp(paddedRows, k.lanes()), k.integer(k.lanes()));
    softmax.begin(run, h.group, vectors);
    arrangeQueries();
    k.loop(k.integer(0), k.mul(paddedRows, k.integer(h.valueDim)), k.integer(1),
           [&](Value i) { k.store(k.number(0), outputs, i, f32); });
    Value context = k.add(run.position, run.count);
    k.loop(k.integer(0), context, k.integer(tileKeys), [&](Value first) {
      Value count = k.min(k.integer(tileKeys), k.sub(context, first));
      findRows(first, count);
      emitScores(count);
      Value padded = roundedUp(count, OnlineSoftmax::keyStep);
      k.ifThen(k.greater(k.add(first, padded), k.add(run.position, k.integer(1))),
               [&] { softmax.mask(run, vectors, first, padded); });
      k.loop(k.integer(0), vectors, k.integer(1), [&](Value vector) {
        Value isRescaled = softmax.exponentiate(vector, padded);
        k.ifThen(isRescaled, [&] { rescale(vector); });
      });
      emitOutputs(count);
    });
    finish();
  }

private:
  using Values = KernelBuilder::Values;

  Value roundedUp(Value value, int64_t multiple) {
    return k.mul(k.div(k.add(value, k.integer(multiple - 1)), k.integer(multiple)), k.integer(multiple));
  }

  /// Where a row's query or output begins in the operand.
  Value token(Value row) { return k.add(run.first, k.div(row, k.integer(h.group))); }
  Value head(Value row) { return k.rem(row, k.integer(h.group)); }

  /// Queries as [vector, value, lane], times the factor of scores; rows that are not there repeat the last one.
  void arrangeQueries() {
    Value factor = k.number(OnlineSoftmax::factor(h.scale)), last = k.sub(rows, k.integer(1));
    int64_t lanes = k.lanes(), whole = h.keyDim / lanes * lanes;
    k.loop(k.integer(0), vectors, k.integer(1), [&](Value vector) {
      Values starts;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        Value row = k.min(k.add(k.mul(vector, k.integer(lanes)), k.integer(lane)), last);
        starts.push_back(h.queryIndex(k, token(row), head(row)));
      }
      Value target = k.mul(vector, k.integer(h.keyDim * lanes));
      k.loop(k.integer(0), k.integer(whole), k.integer(lanes), [&](Value i) {
        Values square;
        for (Value start : starts) {
          square.push_back(k.mul(k.load(h.query, k.add(start, i), f32, lanes), factor));
        }
        for (auto [column, values] : llvm::enumerate(k.transpose(square))) {
          Value place = k.add(i, k.integer(static_cast<int64_t>(column)));
          k.store(values, queries, k.add(target, k.mul(place, k.integer(lanes))), f32);
        }
      });
      k.loop(k.integer(whole), k.integer(h.keyDim), k.integer(1), [&](Value i) {
        for (auto [lane, start] : llvm::enumerate(starts)) {
          Value place = k.add(k.mul(i, k.integer(lanes)), k.integer(static_cast<int64_t>(lane)));
          k.store(k.mul(k.load(h.query, k.add(start, i), f32, 0), factor), queries, k.add(target, place), f32);
        }
      });
    });
  }

  /// Notes where each key and value of the tile begins, and widens them there.
  void findRows(Value first, Value count) {
    Type i64 = k.builder.getI64Type();
    k.loop(k.integer(0), count, k.integer(1), [&](Value key) {
      Value row = run.cacheRow(k, h, k.add(first, key));
      Value keyIndex = k.add(k.mul(row, k.integer(h.keyRow)), h.keyOffset);
      Value valueIndex = k.add(k.mul(row, k.integer(h.valueRow)), h.valueOffset);
      if (isWidened) {
        keyIndex = widen(h.keys, keyIndex, keys, key, h.keyDim);
        valueIndex = h.valuesAreKeys ? keyIndex : widen(h.values, valueIndex, values, key, h.valueDim);
      }
      k.storeRaw(keyIndex, keyOffsets, key, i64);
      k.storeRaw(valueIndex, valueOffsets, key, i64);
    });
  }

  Value widen(Value pool, Value index, Value target, Value key, int64_t width) {
    Value place = k.mul(key, k.integer(width));
    k.forEachPiece(width, [&](Value i, int64_t lanes) {
      k.store(k.load(pool, k.add(index, i), h.element, lanes), target, k.add(place, i), f32);
    });
    return place;
  }

  Value offsetOf(Value table, Value key) {
    return k.loadRaw(k.builder.getI64Type(), table, key, k.builder.getI64Type());
  }

  /// scores = keys * queries, for register tiles of keys; what lies beyond the last one repeats it and is masked.
  void emitScores(Value count) {
    int64_t tileRows = k.target.tileRows, lanes = k.lanes();
    Value last = k.sub(count, k.integer(1));
    k.loop(k.integer(0), count, k.integer(tileRows), [&](Value key) {
      Values rowAddresses;
      for (int64_t r = 0; r < tileRows; ++r) {
        rowAddresses.push_back(k.address(keys, offsetOf(keyOffsets, k.min(k.add(key, k.integer(r)), last)), f32));
      }
      auto tile = [&](Value vector, int64_t width) {
        Values sums = k.loop(k.integer(0), k.integer(h.keyDim), k.integer(1),
                             Values(tileRows * width, k.splat(0, lanes)), [&](Value i, ArrayRef<Value> so) {
                               Values next, columns;
                               for (int64_t v = 0; v < width; ++v) {
                                 Value place = k.add(k.mul(k.add(vector, k.integer(v)), k.integer(h.keyDim)), i);
                                 columns.push_back(k.load(queries, k.mul(place, k.integer(lanes)), f32, lanes));
                               }
                               for (int64_t r = 0; r < tileRows; ++r) {
                                 Value x = k.broadcast(k.load(rowAddresses[r], i, f32, 0), lanes);
                                 for (int64_t v = 0; v < width; ++v) {
                                   next.push_back(k.fma(x, columns[v], so[r * width + v]));
                                 }
                               }
                               return next;
                             });
        for (int64_t r = 0; r < tileRows; ++r) {
          for (int64_t v = 0; v < width; ++v) {
            Value place = softmax.index(k.add(vector, k.integer(v)), k.add(key, k.integer(r)));
            k.store(sums[r * width + v], softmax.scores, place, f32);
          }
        }
      };
      inSteps(vectors, vectorsOfTile, tile);
    });
  }

  /// Calls `body(index, most)` for whole steps of `most`, and `body(index, 1)` for each that is left.
  void inSteps(Value count, int64_t most, function_ref<void(Value, int64_t)> body) {
    Value whole = k.mul(k.div(count, k.integer(most)), k.integer(most));
    k.loop(k.integer(0), whole, k.integer(most), [&](Value index) { body(index, most); });
    k.loop(whole, count, k.integer(1), [&](Value index) { body(index, 1); });
  }

  /// Multiplies the outputs of a vector's rows with their corrections.
  void rescale(Value vector) {
    Value begin = k.mul(vector, k.integer(k.lanes()));
    Value end = k.min(k.add(begin, k.integer(k.lanes())), paddedRows);
    k.loop(begin, end, k.integer(1), [&](Value row) {
      Value correction = k.load(softmax.corrections, row, f32, 0), place = k.mul(row, k.integer(h.valueDim));
      k.forEachPiece(h.valueDim, [&](Value i, int64_t lanes) {
        Value output = k.load(outputs, k.add(place, i), f32, lanes);
        k.store(k.mul(output, correction), outputs, k.add(place, i), f32);
      });
    });
  }

  /// outputs += probabilities * values
  void emitOutputs(Value count) {
    int64_t lanes = k.lanes(), block = vectorsOfTile * lanes, whole = h.valueDim / block * block;
    k.loop(k.integer(0), k.integer(whole), k.integer(block),
           [&](Value column) { emitColumns(column, SmallVector<int64_t>(vectorsOfTile, lanes), count); });
    if (int64_t rest = h.valueDim - whole) {
      SmallVector<int64_t> widths(rest / lanes, lanes);
      if (rest % lanes != 0) {
        widths.push_back(rest % lanes);
      }
      emitColumns(k.integer(whole), widths, count);
    }
  }

  void emitColumns(Value column, ArrayRef<int64_t> widths, Value count) {
    int64_t tileRows = k.target.tileRows;
    k.loop(k.integer(0), paddedRows, k.integer(tileRows), [&](Value row) {
      Values probabilities, places, initial;
      for (int64_t r = 0; r < tileRows; ++r) {
        Value index = k.add(row, k.integer(r)), lane = k.rem(index, k.integer(k.lanes()));
        Value first = softmax.index(k.div(index, k.integer(k.lanes())), k.integer(0));
        probabilities.push_back(k.address(softmax.scores, k.add(first, lane), f32));
        Value place = k.add(k.mul(index, k.integer(h.valueDim)), column);
        for (auto [v, width] : llvm::enumerate(widths)) {
          places.push_back(k.add(place, k.integer(static_cast<int64_t>(v) * k.lanes())));
          initial.push_back(k.load(outputs, places.back(), f32, width));
        }
      }
      Values sums = k.loop(k.integer(0), count, k.integer(1), initial, [&](Value key, ArrayRef<Value> so) {
        Values next, vectors;
        Value index = k.add(offsetOf(valueOffsets, key), column), step = k.mul(key, k.integer(k.lanes()));
        for (auto [v, width] : llvm::enumerate(widths)) {
          vectors.push_back(k.load(values, k.add(index, k.integer(static_cast<int64_t>(v) * k.lanes())), f32, width));
        }
        for (Value row : probabilities) {
          Value p = k.load(row, step, f32, 0);
          for (Value vector : vectors) {
            next.push_back(k.fma(p, vector, so[next.size()]));
          }
        }
        return next;
      });
      for (auto [place, sum] : llvm::zip_equal(places, sums)) {
        k.store(sum, outputs, place, f32);
      }
    });
  }

  void finish() {
    k.loop(k.integer(0), rows, k.integer(1), [&](Value row) {
      Value factor = k.div(k.number(1), k.load(softmax.sums, row, f32, 0));
      Value source = k.mul(row, k.integer(h.valueDim)), target = h.outputIndex(k, token(row), head(row));
      k.forEachPiece(h.valueDim, [&](Value i, int64_t lanes) {
        Value value = k.mul(k.load(outputs, k.add(source, i), f32, lanes), factor);
        k.store(value, h.output, k.add(target, i), h.outputElement);
      });
    });
  }

  KernelBuilder &k;
  const HeadGroup &h;
  const TokenRun &run;
  Plan plan;
  OnlineSoftmax softmax;
  Type f32;
  bool isWidened;
  Value queries, outputs, keyOffsets, valueOffsets, keys, values;
  Value rows, paddedRows, vectors; ///< Of this run.
};

} // namespace

int64_t tileTokens(const CpuTarget &target, const HeadGroup &heads) {
  return std::max<int64_t>(1, wantedRows(target) / heads.group);
}

void emitTileAttention(KernelBuilder &k, const HeadGroup &heads, const TokenRun &run) {
  TileEmitter(k, heads, run).emit();
}

uint64_t tileAttentionScratch(const CpuTarget &target, const HeadGroup &heads) {
  return static_cast<uint64_t>(Plan(target, heads).end);
}

} // namespace elah
