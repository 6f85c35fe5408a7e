// Attention of many rows of queries in AMX's registers (FlashAttention, Dao et al. 2022). Nothing of the cache is
// transposed: keys are the left factor as they lie, so that a tile of scores has a key in each row and a query in each
// column, and the softmax runs down the rows. Queries are brought into the order of a right factor (pairs of values
// interleaved) once for all keys; values (pairs of keys interleaved) and probabilities (as a left factor) once for a
// tile of keys.
//
// Computing in bf16x2, a number is the sum of two parts in bf16, and a product of two numbers that of their parts,
// without the product of the second ones. A cache in bf16 has one part.
#include "codegen/Cpu/AmxTiles.h"
#include "codegen/Cpu/OnlineSoftmax.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t wantedRows = 256; ///< Of queries that share a tile of keys.
constexpr int64_t tileKeys = 128;
constexpr int64_t stepsAhead = 2; ///< Of what is fetched while something else is multiplied.
constexpr int64_t pairRows = 2 * AmxTiles::rows;
constexpr int64_t stepValues = 2 * AmxTiles::pairs; ///< What one product of registers sums up.
constexpr int64_t tileBytes = AmxTiles::rows * AmxTiles::rowBytes;
constexpr int64_t lanes = 16; ///< f32 in a row of a register, and in a vector.
constexpr int64_t keySteps = tileKeys / stepValues;

int64_t roundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/// Whether keys can be multiplied where they lie: 16 of them in one page, in whole steps.
bool areKeysInPlace(const HeadGroup &h) {
  return h.element.isBF16() && h.pageTokens % AmxTiles::rows == 0 && h.keyDim % stepValues == 0;
}

/// Parts of a query or a probability, and of what comes from the cache.
int64_t partsOf(const HeadGroup &h) { return h.compute == kernel::Compute::BF16X2 ? 2 : 1; }
int64_t cachePartsOf(const HeadGroup &h) { return h.element.isBF16() ? 1 : partsOf(h); }

/// Where things lie in a thread's scratch memory, in bytes, and how much there is of them at most.
struct Plan {
  int64_t rows, vectors, querySteps, valuePairs, copiedKeysBytes;
  int64_t config = 0, softmax = AmxTiles::configBytes, queries, probabilities, values, outputs, staging, zeros, keys,
          end;

  explicit Plan(const HeadGroup &h) {
    rows = roundUp(amxTileTokens(h) * h.group, pairRows);
    vectors = rows / lanes;
    querySteps = llvm::divideCeil(h.keyDim, stepValues);
    valuePairs = llvm::divideCeil(h.valueDim, stepValues);
    queries = roundUp(softmax + static_cast<int64_t>(OnlineSoftmax::scratchBytes(rows, tileKeys)), 64);
    probabilities = queries + partsOf(h) * vectors * querySteps * tileBytes;
    values = probabilities + partsOf(h) * vectors * keySteps * tileBytes;
    copiedKeysBytes = tileKeys * querySteps * AmxTiles::rowBytes;
    // Scores are known before values are arranged.
    keys = values;
    int64_t valueBytes = cachePartsOf(h) * keySteps * valuePairs * 2 * tileBytes;
    outputs = values + std::max(valueBytes, areKeysInPlace(h) ? 0 : cachePartsOf(h) * copiedKeysBytes);
    staging = outputs + vectors * valuePairs * 2 * tileBytes;
    zeros = staging + partsOf(h) * AmxTiles::rows * querySteps * AmxTiles::rowBytes;
    end = zeros + valuePairs * stepValues * 4;
  }
};

class AmxEmitter {
public:
  AmxEmitter(KernelBuilder &k, const HeadGroup &heads, const TokenRun &run)
      : k(k), h(heads), run(run), plan(heads), parts(partsOf(heads)), cacheParts(cachePartsOf(heads)),
        softmax(k, plan.rows, tileKeys), amx(k), f32(k.f32Type()), bytes(k.builder.getI8Type()),
        i32(k.builder.getI32Type()), i16(k.builder.getI16Type()), rowBytes(k.integer(AmxTiles::rowBytes)) {
    softmax.place(at(k.scratch, plan.softmax));
    queries = at(k.scratch, plan.queries);
    probabilities = at(k.scratch, plan.probabilities);
    values = at(k.scratch, plan.values);
    outputs = at(k.scratch, plan.outputs);
    staging = at(k.scratch, plan.staging);
    zeros = at(k.scratch, plan.zeros);
    keyCopies = at(k.scratch, plan.keys);
  }

  void emit() {
    amx.configure(at(k.scratch, plan.config));
    rows = k.mul(run.count, k.integer(h.group));
    rowPairs = k.div(k.add(rows, k.integer(pairRows - 1)), k.integer(pairRows));
    vectors = k.mul(rowPairs, k.integer(2));
    softmax.begin(run, h.group, vectors);
    arrangeQueries();
    clear(outputs, k.mul(vectors, k.integer(plan.valuePairs * 2 * tileBytes)));
    clear(zeros, k.integer(plan.valuePairs * stepValues * 4));
    Value context = k.add(run.position, run.count);
    k.loop(k.integer(0), context, k.integer(tileKeys), [&](Value first) {
      Value count = k.min(k.integer(tileKeys), k.sub(context, first));
      Value steps = k.div(k.add(count, k.integer(stepValues - 1)), k.integer(stepValues));
      Value padded = k.mul(steps, k.integer(stepValues));
      if (!areKeysInPlace(h)) {
        copyKeys(first, count, padded);
      }
      emitScores(first, count, steps);
      k.ifThen(k.greater(k.add(first, padded), k.add(run.position, k.integer(1))),
               [&] { softmax.mask(run, vectors, first, padded); });
      k.loop(k.integer(0), vectors, k.integer(1), [&](Value vector) {
        Value isRescaled = softmax.exponentiate(vector, padded);
        k.ifThen(isRescaled, [&] { rescale(vector); });
        arrangeProbabilities(vector, steps);
      });
      arrangeValues(first, count, padded);
      emitOutputs(steps);
    });
    finish();
    amx.release();
  }

private:
  using Values = KernelBuilder::Values;

  Value at(Value base, int64_t offset) { return k.address(base, k.integer(offset), bytes); }
  Value at(Value base, Value offset) { return k.address(base, offset, bytes); }
  Type pairs() { return k.vectorType(lanes, i32); }
  Value constant(int32_t value) {
    return arith::ConstantOp::create(k.builder, k.location, DenseElementsAttr::get(cast<VectorType>(pairs()), value));
  }
  Value bitAnd(Value a, Value b) { return arith::AndIOp::create(k.builder, k.location, a, b); }
  Value bitOr(Value a, Value b) { return arith::OrIOp::create(k.builder, k.location, a, b); }
  Value shiftRight(Value a) { return arith::ShRUIOp::create(k.builder, k.location, a, constant(16)); }
  Value shiftLeft(Value a) { return arith::ShLIOp::create(k.builder, k.location, a, constant(16)); }
  Value bitsOf(Value numbers) { return arith::BitcastOp::create(k.builder, k.location, pairs(), numbers); }

  void clear(Value memory, Value size) {
    k.loop(k.integer(0), k.div(size, k.integer(4)), k.integer(lanes),
           [&](Value index) { k.store(k.splat(0, lanes), memory, index, f32); });
  }

  Value token(Value row) { return k.add(run.first, k.div(row, k.integer(h.group))); }
  Value head(Value row) { return k.rem(row, k.integer(h.group)); }

  /// Where a register's part of a factor lies: [pair of registers, step, part, which of them]. What a product takes in
  /// turn is one stream.
  Value tileAt(Value base, Value index, int64_t mostSteps, Value step, int64_t partCount, int64_t part) {
    Value pair = k.div(index, k.integer(2)), which = k.rem(index, k.integer(2));
    Value place = k.add(k.mul(k.add(k.mul(pair, k.integer(mostSteps)), step), k.integer(partCount)), k.integer(part));
    return at(base, k.mul(k.add(k.mul(place, k.integer(2)), which), k.integer(tileBytes)));
  }
  Value queryTile(Value vector, Value step, int64_t part) {
    return tileAt(queries, vector, plan.querySteps, step, parts, part);
  }
  Value probabilityTile(Value vector, Value step, int64_t part) {
    return tileAt(probabilities, vector, keySteps, step, parts, part);
  }
  Value valueTile(Value columns, Value step, int64_t part) {
    return tileAt(values, columns, keySteps, step, cacheParts, part);
  }
  /// Asks for what a product will take next.
  void fetch(Value address, int64_t size) {
    for (int64_t line = 0; line < size; line += 64) {
      LLVM::Prefetch::create(k.builder, k.location, at(address, line), /*rw=*/0, /*hint=*/3, /*cache=*/1);
    }
  }
  /// [vector, pair of column tiles, which of them]
  Value outputTile(Value vector, Value pair, int64_t half) {
    Value index = k.add(k.mul(k.add(k.mul(vector, k.integer(plan.valuePairs)), pair), k.integer(2)), k.integer(half));
    return at(outputs, k.mul(index, k.integer(tileBytes)));
  }

  /// Queries as a right factor, times the factor of scores; rows that are not there are zero.
  void arrangeQueries() {
    Value factor = k.number(OnlineSoftmax::factor(h.scale));
    int64_t rowValues = plan.querySteps * stepValues, partBytes = AmxTiles::rows * rowValues * 2;
    k.loop(k.integer(0), vectors, k.integer(1), [&](Value vector) {
      clear(staging, k.integer(parts * partBytes));
      Value firstRow = k.mul(vector, k.integer(lanes));
      Value count = k.max(k.integer(0), k.min(k.integer(lanes), k.sub(rows, firstRow)));
      k.loop(k.integer(0), count, k.integer(1), [&](Value i) {
        Value row = k.add(firstRow, i), source = h.queryIndex(k, token(row), head(row));
        Value target = k.mul(i, k.integer(rowValues));
        k.forEachPiece(h.keyDim, [&](Value column, int64_t width) {
          Value numbers = k.mul(k.load(h.query, k.add(source, column), f32, width), factor);
          storeParts(numbers, staging, k.add(target, column), parts, partBytes);
        });
      });
      for (int64_t part = 0; part < parts; ++part) {
        k.loop(k.integer(0), k.integer(plan.querySteps), k.integer(1), [&](Value step) {
          Values square;
          for (int64_t row = 0; row < lanes; ++row) {
            Value place = k.add(k.mul(step, k.integer(AmxTiles::pairs)), k.integer(row * rowValues / 2));
            square.push_back(k.loadRaw(pairs(), at(staging, part * partBytes), place, i32));
          }
          storeTile(k.transpose(square), queryTile(vector, step, part));
        });
      }
    });
  }

  /// Stores numbers as `count` parts in bf16, `partBytes` apart.
  void storeParts(Value numbers, Value memory, Value index, int64_t count, int64_t partBytes) {
    Type bf16 = k.builder.getBF16Type();
    int64_t width = cast<VectorType>(numbers.getType()).getNumElements();
    for (int64_t part = 0; part < count; ++part) {
      Value target = at(memory, part * partBytes);
      k.store(numbers, target, index, bf16);
      if (part + 1 < count) {
        numbers = k.sub(numbers, k.load(target, index, bf16, width));
      }
    }
  }

  void storeTile(ArrayRef<Value> tileRows, Value tile) {
    for (auto [row, value] : llvm::enumerate(tileRows)) {
      k.storeRaw(value, tile, k.integer(static_cast<int64_t>(row) * lanes), i32);
    }
  }

  /// Bytes from one of the rows of keys to the next.
  int64_t keyStride() { return areKeysInPlace(h) ? h.keyRow * 2 : plan.querySteps * AmxTiles::rowBytes; }

  /// Where the tile's rows of keys begin, 16 from `key` on. Keys that are not there are others of the tile: their
  /// scores are masked.
  Value keyRows(Value first, Value count, Value key) {
    if (!areKeysInPlace(h)) {
      return at(keyCopies, k.mul(key, k.integer(keyStride())));
    }
    Value exists = k.less(key, count);
    Value row = run.cacheRow(k, h, k.add(first, k.select(exists, key, k.integer(0))));
    return k.address(h.keys, k.add(k.mul(row, k.integer(h.keyRow)), h.keyOffset), h.element);
  }

  /// Keys as rows of whole steps, with zeros behind them; those beyond the last one repeat it.
  void copyKeys(Value first, Value count, Value padded) {
    int64_t rowValues = plan.querySteps * stepValues;
    Value last = k.sub(count, k.integer(1));
    k.loop(k.integer(0), padded, k.integer(1), [&](Value key) {
      Value row = run.cacheRow(k, h, k.add(first, k.min(key, last)));
      Value source = k.add(k.mul(row, k.integer(h.keyRow)), h.keyOffset), target = k.mul(key, k.integer(rowValues));
      for (int64_t column = 0; column < h.keyDim; column += stepValues) {
        Value index = k.add(source, k.integer(column)), place = k.add(target, k.integer(column));
        int64_t width = std::min(stepValues, h.keyDim - column);
        if (h.element.isBF16()) {
          Value numbers = k.loadRaw(k.vectorType(width, i16), h.keys, index, i16);
          k.storeRaw(filled(numbers, stepValues), keyCopies, place, i16);
        } else {
          Value numbers = k.load(h.keys, index, f32, width);
          storeParts(filled(numbers, stepValues), keyCopies, place, cacheParts, plan.copiedKeysBytes);
        }
      }
    });
  }

  /// A vector with zeros behind its elements, as many as make it `width` wide.
  Value filled(Value vector, int64_t width) {
    auto type = cast<VectorType>(vector.getType());
    if (type.getNumElements() == width) {
      return vector;
    }
    auto wide = VectorType::get({width}, type.getElementType());
    Value zero = arith::ConstantOp::create(k.builder, k.location, k.builder.getZeroAttr(wide));
    return vector::InsertStridedSliceOp::create(k.builder, k.location, vector, zero, ArrayRef<int64_t>{0},
                                                ArrayRef<int64_t>{1});
  }

  /// scores = keys * queries, 32 by 32 at a time.
  void emitScores(Value first, Value count, Value steps) {
    k.loop(k.integer(0), steps, k.integer(1), [&](Value keyPair) {
      Value key = k.mul(keyPair, k.integer(pairRows)), second = k.add(key, k.integer(AmxTiles::rows));
      Value upper = keyRows(first, count, key), lower = keyRows(first, count, second), stride = k.integer(keyStride());
      k.loop(k.integer(0), rowPairs, k.integer(1), [&](Value rowPair) {
        Value left = k.mul(rowPair, k.integer(2)), right = k.add(left, k.integer(1));
        for (int i = 0; i < 4; ++i) {
          amx.zero(i);
        }
        k.loop(k.integer(0), k.integer(plan.querySteps), k.integer(1), [&](Value step) {
          fetch(queryTile(left, k.add(step, k.integer(stepsAhead)), 0), 2 * parts * tileBytes);
          for (int64_t keyPart = 0; keyPart < cacheParts; ++keyPart) {
            Value offset = k.add(k.mul(step, rowBytes), k.integer(keyPart * plan.copiedKeysBytes));
            amx.load(4, at(upper, offset), stride);
            amx.load(5, at(lower, offset), stride);
            for (int64_t part = 0; part + keyPart < parts; ++part) {
              amx.load(6, queryTile(left, step, part), rowBytes);
              amx.load(7, queryTile(right, step, part), rowBytes);
              multiplySquare();
            }
          }
        });
        for (int i = 0; i < 4; ++i) {
          Value index = softmax.index(i % 2 == 0 ? left : right, i / 2 == 0 ? key : second);
          amx.store(i, k.address(softmax.scores, index, f32), rowBytes);
        }
      });
    });
  }

  /// 32 by 32 sums += 32 by 32 products.
  void multiplySquare() {
    amx.multiply(0, 4, 6);
    amx.multiply(1, 4, 7);
    amx.multiply(2, 5, 6);
    amx.multiply(3, 5, 7);
  }

  /// The upper halves of the numbers of two vectors as pairs. What they leave, exactly, takes the numbers' place; or
  /// the halves are rounded, if this is the last part.
  Value takePart(Value &a, Value &b, bool isLast) {
    Value high = constant(static_cast<int32_t>(0xffff0000)), half = constant(0x8000);
    Value bits[2] = {bitsOf(a), bitsOf(b)};
    for (auto [numbers, bitsOfNumbers] : {std::pair<Value &, Value &>(a, bits[0]), {b, bits[1]}}) {
      if (isLast) {
        bitsOfNumbers = k.add(bitsOfNumbers, half);
      } else {
        Value upper = bitAnd(bitsOfNumbers, high);
        numbers = k.sub(numbers, arith::BitcastOp::create(k.builder, k.location, numbers.getType(), upper));
      }
    }
    return bitOr(shiftRight(bits[0]), bitAnd(bits[1], high));
  }

  /// Probabilities as a left factor: pairs of keys for each row, transposed.
  void arrangeProbabilities(Value vector, Value steps) {
    k.loop(k.integer(0), steps, k.integer(1), [&](Value step) {
      Value firstKey = k.mul(step, k.integer(stepValues));
      for (int64_t part = 0; part < parts; ++part) {
        bool isLast = part + 1 == parts;
        Values square;
        for (int64_t pair = 0; pair < AmxTiles::pairs; ++pair) {
          Value index = softmax.index(vector, k.add(firstKey, k.integer(2 * pair)));
          Value next = k.add(index, k.integer(lanes));
          Value a = k.load(softmax.scores, index, f32, lanes), b = k.load(softmax.scores, next, f32, lanes);
          square.push_back(takePart(a, b, isLast));
          if (!isLast) {
            k.store(a, softmax.scores, index, f32);
            k.store(b, softmax.scores, next, f32);
          }
        }
        storeTile(k.transpose(square), probabilityTile(vector, step, part));
      }
    });
  }

  /// Values as a right factor: of 32 columns of two keys, two tiles take a row of pairs each.
  void arrangeValues(Value first, Value count, Value padded) {
    k.loop(k.integer(0), padded, k.integer(2), [&](Value key) {
      Value sources[2];
      for (int64_t i = 0; i < 2; ++i) {
        Value index = k.add(key, k.integer(i)), exists = k.less(index, count);
        // What no token has written yet may be anything, even not a number.
        Value row = run.cacheRow(k, h, k.add(first, k.select(exists, index, k.integer(0))));
        Value address = k.address(h.values, k.add(k.mul(row, k.integer(h.valueRow)), h.valueOffset), h.element);
        sources[i] = arith::SelectOp::create(k.builder, k.location, exists, address, zeros);
      }
      Value step = k.div(key, k.integer(stepValues));
      Value offset = k.mul(k.div(k.rem(key, k.integer(stepValues)), k.integer(2)), rowBytes);
      auto arrange = [&](Value pair, int64_t width) {
        auto store = [&](Value pairs, int64_t part, int64_t half) {
          k.storeRaw(pairs, at(valueTile(k.add(k.mul(pair, k.integer(2)), k.integer(half)), step, part), offset),
                     k.integer(0), i32);
        };
        if (h.element.isBF16()) {
          arrangeBF16(sources, k.mul(pair, k.integer(stepValues)), width, store);
        } else {
          arrangeF32(sources, k.mul(pair, k.integer(stepValues)), width, store);
        }
      };
      int64_t whole = h.valueDim / stepValues;
      k.loop(k.integer(0), k.integer(whole), k.integer(1), [&](Value pair) { arrange(pair, stepValues); });
      if (h.valueDim % stepValues != 0) {
        arrange(k.integer(whole), h.valueDim % stepValues);
      }
    });
  }

  /// Without moving anything from lane to lane, one tile gets the even columns and the other one the odd ones.
  void arrangeBF16(ArrayRef<Value> sources, Value column, int64_t width,
                   function_ref<void(Value, int64_t, int64_t)> store) {
    Value high = constant(static_cast<int32_t>(0xffff0000)), low = constant(0xffff);
    auto load = [&](Value source) -> Value {
      Value numbers = filled(k.loadRaw(k.vectorType(width, i16), source, column, i16), stepValues);
      return vector::BitCastOp::create(k.builder, k.location, cast<VectorType>(pairs()), numbers);
    };
    Value a = load(sources[0]), b = load(sources[1]);
    store(bitOr(bitAnd(a, low), shiftLeft(b)), 0, 0);
    store(bitOr(shiftRight(a), bitAnd(b, high)), 0, 1);
  }

  void arrangeF32(ArrayRef<Value> sources, Value column, int64_t width,
                  function_ref<void(Value, int64_t, int64_t)> store) {
    for (int64_t half = 0; half < 2; ++half) {
      int64_t ofHalf = std::clamp<int64_t>(width - half * lanes, 0, lanes);
      Value a = k.splat(0, lanes), b = a;
      if (ofHalf > 0) {
        Value index = k.add(column, k.integer(half * lanes));
        a = filled(k.load(sources[0], index, f32, ofHalf), lanes);
        b = filled(k.load(sources[1], index, f32, ofHalf), lanes);
      }
      for (int64_t part = 0; part < cacheParts; ++part) {
        store(takePart(a, b, part + 1 == cacheParts), part, half);
      }
    }
  }

  /// Multiplies the outputs of a vector's rows with their corrections.
  void rescale(Value vector) {
    Values factors;
    for (int64_t i = 0; i < lanes; ++i) {
      Value row = k.add(k.mul(vector, k.integer(lanes)), k.integer(i));
      factors.push_back(k.broadcast(k.load(softmax.corrections, row, f32, 0), lanes));
    }
    k.loop(k.integer(0), k.integer(2 * plan.valuePairs), k.integer(1), [&](Value tile) {
      Value memory = k.address(outputTile(vector, k.integer(0), 0), k.mul(tile, k.integer(tileBytes)), bytes);
      for (auto [row, factor] : llvm::enumerate(factors)) {
        Value index = k.integer(static_cast<int64_t>(row) * lanes);
        k.store(k.mul(k.load(memory, index, f32, lanes), factor), memory, index, f32);
      }
    });
  }

  /// outputs += probabilities * values, 32 rows by 32 columns at a time.
  void emitOutputs(Value steps) {
    k.loop(k.integer(0), rowPairs, k.integer(1), [&](Value rowPair) {
      k.loop(k.integer(0), k.integer(plan.valuePairs), k.integer(1), [&](Value pair) {
        Value upper = k.mul(rowPair, k.integer(2)), lower = k.add(upper, k.integer(1));
        Value left = k.mul(pair, k.integer(2)), right = k.add(left, k.integer(1));
        auto place = [&](int i) { return outputTile(i / 2 == 0 ? upper : lower, pair, i % 2); };
        for (int i = 0; i < 4; ++i) {
          amx.load(i, place(i), rowBytes);
        }
        k.loop(k.integer(0), steps, k.integer(1), [&](Value step) {
          fetch(valueTile(left, k.add(step, k.integer(stepsAhead)), 0), 2 * cacheParts * tileBytes);
          for (int64_t valuePart = 0; valuePart < cacheParts; ++valuePart) {
            amx.load(6, valueTile(left, step, valuePart), rowBytes);
            amx.load(7, valueTile(right, step, valuePart), rowBytes);
            for (int64_t part = 0; part + valuePart < parts; ++part) {
              amx.load(4, probabilityTile(upper, step, part), rowBytes);
              amx.load(5, probabilityTile(lower, step, part), rowBytes);
              multiplySquare();
            }
          }
        });
        for (int i = 0; i < 4; ++i) {
          amx.store(i, place(i), rowBytes);
        }
      });
    });
  }

  /// Divides by the sums, and brings columns back into their order.
  void finish() {
    k.loop(k.integer(0), rows, k.integer(1), [&](Value row) {
      Value vector = k.div(row, k.integer(lanes)), lane = k.mul(k.rem(row, k.integer(lanes)), k.integer(lanes));
      Value factor = k.div(k.number(1), k.load(softmax.sums, row, f32, 0));
      Value target = h.outputIndex(k, token(row), head(row));
      auto store = [&](Value pair, int64_t width) {
        Value column = k.add(target, k.mul(pair, k.integer(stepValues)));
        Value halves[2];
        for (int64_t half = 0; half < 2; ++half) {
          halves[half] = k.mul(k.load(outputTile(vector, pair, half), lane, f32, lanes), factor);
        }
        auto [low, high] = h.element.isBF16() ? k.interleave(halves[0], halves[1]) : std::pair(halves[0], halves[1]);
        storeFirst(low, column, std::min(width, lanes));
        if (width > lanes) {
          storeFirst(high, k.add(column, k.integer(lanes)), width - lanes);
        }
      };
      int64_t whole = h.valueDim / stepValues;
      k.loop(k.integer(0), k.integer(whole), k.integer(1), [&](Value pair) { store(pair, stepValues); });
      if (h.valueDim % stepValues != 0) {
        store(k.integer(whole), h.valueDim % stepValues);
      }
    });
  }

  /// Stores the first `width` numbers of a vector.
  void storeFirst(Value vector, Value index, int64_t width) {
    if (width < lanes) {
      vector = vector::ExtractStridedSliceOp::create(k.builder, k.location, vector, ArrayRef<int64_t>{0},
                                                     ArrayRef<int64_t>{width}, ArrayRef<int64_t>{1});
    }
    k.store(vector, h.output, index, h.outputElement);
  }

  KernelBuilder &k;
  const HeadGroup &h;
  const TokenRun &run;
  Plan plan;
  int64_t parts, cacheParts;
  OnlineSoftmax softmax;
  AmxTiles amx;
  Type f32, bytes, i32, i16;
  Value rowBytes;
  Value queries, probabilities, values, outputs, staging, zeros, keyCopies;
  Value rows, rowPairs, vectors; ///< Of this run: rows, and how many pairs of registers and vectors hold them.
};

} // namespace

bool canUseAmxAttention(const CpuTarget &target, const HeadGroup &heads) {
  return target.hasAmxBF16 && heads.compute != kernel::Compute::F32 &&
         (heads.element.isBF16() || heads.element.isF32());
}

int64_t amxTileTokens(const HeadGroup &heads) { return std::max<int64_t>(1, wantedRows / heads.group); }

void emitAmxAttention(KernelBuilder &k, const HeadGroup &heads, const TokenRun &run) {
  AmxEmitter(k, heads, run).emit();
}

uint64_t amxAttentionScratch(const HeadGroup &heads) { return static_cast<uint64_t>(Plan(heads).end); }

} // namespace elah
