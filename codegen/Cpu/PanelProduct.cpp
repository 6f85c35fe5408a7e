// Rows times panels of a packed weight, the inner part of all matrix families. A register tile is up to `tileRows` rows
// by four vectors of columns; a step of k multiplies four vectors of weights with a value (bf16: a pair of values) of
// each row, broadcast from where it lies.
//
// Decode and prefill take different ways through the same bytes. Rows that fit one register tile read a panel once, as
// one stream from memory: weights are converted in registers and sums stay there. Of more rows, a chunk of up to
// `chunkRows` at a time takes a few panels in blocks of k: the rows' part of a block stays in the second-level cache
// for all these panels, a panel's part in the first or second for all tiles of the chunk (it is converted once, into
// scratch memory), and sums wait in scratch memory between blocks.
//
// With AMX the second way multiplies tiles of 16 x 16 instead (TileBlock.cpp), and so does the first for up to 16 rows
// of weights that need no conversion (TileStream.cpp).
//
// Block scales (fp8) multiply the sums of a block of k, not the weights: e4m3 is exact in bf16, its
// product with a scale is not. Computing in f32, blocks that are converted once are scaled then.
#include "codegen/Cpu/PanelProduct.h"
#include "codegen/Cpu/AmxTiles.h"
#include "codegen/Cpu/TileBlock.h"
#include "codegen/Cpu/TileStream.h"
#include "codegen/Cpu/WeightVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t vectorsPerPanel = 4;
/// Steps of k that are taken at a time where nothing else says: a panel's block then takes 128 KiB
/// at 512 bits.
constexpr int64_t mostBlockSteps = 512;
/// The same with AMX: half a panel's block, 16 KiB, and 32 rows of it then fit the first-level cache together.
constexpr int64_t mostTileSteps = 128;
constexpr int64_t mostStreamedTileRows = 2; ///< More rows of weights that need conversion are for AMX.

/// Rows of a chunk, and panels that share its rows in a block: what waits in the second-level cache are the rows' part
/// of a block and the sums of all these panels.
int64_t chunkRows(const CpuTarget &target, kernel::Compute compute) {
  if (!target.hasAmxBF16) {
    return 192 / target.tileRows * target.tileRows;
  }
  return compute == kernel::Compute::BF16 ? 512 : 256;
}
int64_t groupPanels(const CpuTarget &target, kernel::Compute compute) {
  return chunkRows(target, compute) > 256 ? 4 : 8;
}

/// Values of k in a row of an AMX register.
constexpr int64_t tileValues = 2 * AmxTiles::pairs;

/// The steps of a scale's block of k, or an even part of them.
int64_t scaledSteps(kernel::PackingAttr packing) {
  int64_t steps =
      std::min(packing.getBlockK(), packing.getK() + packing.getK() % packing.getStep()) / packing.getStep();
  while (steps > mostBlockSteps && steps % 2 == 0) {
    steps /= 2;
  }
  return steps;
}

/// Whether many rows are multiplied with AMX.
bool usesTiles(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute) {
  return target.hasAmxBF16 && compute != kernel::Compute::F32 &&
         (!packing.isScaled() || scaledSteps(packing) % AmxTiles::pairs == 0);
}

/// The steps of a block of k: one scale's, or as many as caches like.
int64_t blockSteps(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute) {
  if (packing.isScaled()) {
    return scaledSteps(packing);
  }
  bool hasTiles = usesTiles(target, packing, compute);
  int64_t unit = hasTiles ? AmxTiles::pairs : 1, most = hasTiles ? mostTileSteps : mostBlockSteps;
  int64_t units = std::max<int64_t>(1, packing.getK() / packing.getStep() / unit);
  return llvm::divideCeil(units, llvm::divideCeil(units, most / unit)) * unit;
}

/// Where things lie in a thread's scratch memory: sums first.
struct ScratchPlan {
  int64_t panelSums, unpacked, tiles, end;

  ScratchPlan(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute) {
    int64_t steps = blockSteps(target, packing, compute), stepBytes = packing.getPanel() * 4;
    bool hasTiles = usesTiles(target, packing, compute);
    panelSums = chunkRows(target, compute) * packing.getPanel() * 4;
    unpacked = groupPanels(target, compute) * panelSums;
    bool isConverted = WeightVectors::isConverted(packing.getFormat(), compute);
    // Values of k in a step are converted to steps of their own in f32.
    int64_t partsOfStep = compute == kernel::Compute::F32 ? packing.getStep() : 1;
    tiles = unpacked + (isConverted ? steps * partsOfStep : hasTiles ? AmxTiles::pairs : 0) * stepBytes;
    int64_t parts = compute == kernel::Compute::BF16X2 ? 2 : 1;
    end = tiles +
          (hasTiles ? static_cast<int64_t>(tileBlockScratch(chunkRows(target, compute), steps / AmxTiles::pairs, parts))
                    : 0);
    if (TileStream::supports(target, packing, compute)) {
      end = std::max(end, tiles + static_cast<int64_t>(TileStream::scratchBytes(packing, compute)));
    }
  }
};

class PanelEmitter {
public:
  PanelEmitter(KernelBuilder &k, const PanelProduct &product)
      : k(k), p(product), packing(product.packing), weights(k, packing.getFormat(), product.compute),
        steps(packing.getK() / packing.getStep()), hasRest(packing.getK() % packing.getStep() != 0),
        perBlock(blockSteps(k.target, packing, product.compute)),
        hasTiles(usesTiles(k.target, packing, product.compute)), f32(k.f32Type()),
        plan(k.target, packing, product.compute) {
    unpacked = k.address(k.scratch, k.integer(plan.unpacked), k.builder.getI8Type());
    tileScratch = k.address(k.scratch, k.integer(plan.tiles), k.builder.getI8Type());
  }

  void emit(Value firstPanel, Value endPanel) {
    int64_t mostStreamed = mostStreamedRows(k.target, packing, p.compute);
    k.ifElse(
        k.greater(p.rows, k.integer(mostStreamed)), {},
        [&] {
          emitChunks(firstPanel, endPanel);
          return Values{};
        },
        [&] {
          if (TileStream::supports(k.target, packing, p.compute)) {
            k.ifThen(k.greater(p.rows, k.integer(0)), [&] { emitTileStream(firstPanel, endPanel); });
            return Values{};
          }
          for (int64_t rows = 1; rows <= mostStreamed; ++rows) {
            k.ifThen(k.equal(p.rows, k.integer(rows)), [&] {
              forEachPanel(firstPanel, endPanel, [&] {
                emitStream(rows);
                emitEpilogue(k.integer(0), p.rows);
              });
            });
          }
          return Values{};
        });
  }

private:
  using Values = KernelBuilder::Values;

  /// Whether the second way scales weights as it converts them.
  bool scalesWeights() const { return packing.isScaled() && p.compute == kernel::Compute::F32; }

  /// Calls `body` with each panel as the one that is worked on.
  void forEachPanel(Value firstPanel, Value endPanel, function_ref<void()> body) {
    k.loop(firstPanel, endPanel, k.integer(1), [&](Value index) {
      Value place = k.rem(k.sub(index, firstPanel), k.integer(groupPanels(k.target, p.compute)));
      setPanel(index, k.mul(place, k.integer(plan.panelSums)));
      body();
    });
  }

  void setPanel(Value index, Value sumsOffset) {
    panel = index;
    panelWeights = k.address(p.weight, k.mul(panel, k.integer(packing.getPanelBytes())), k.builder.getI8Type());
    sums = k.address(k.scratch, sumsOffset, k.builder.getI8Type());
  }

  Values zeros(int64_t rows) { return Values(rows * vectorsPerPanel, k.splat(0, k.lanes())); }

  /// Where a row's values begin; the high parts of split ones, and the low parts.
  using Row = SmallVector<Value, 2>;

  /// `rows` input rows from `first` on.
  SmallVector<Row> inputRows(Value first, int64_t rows) {
    SmallVector<Row> result;
    for (int64_t i = 0; i < rows; ++i) {
      Row &row = result.emplace_back();
      row.push_back(k.address(p.input, p.inputIndex(k.add(first, k.integer(i))), p.inputElement));
      if (p.inputLow != 0) {
        row.push_back(k.address(row.front(), k.integer(p.inputLow), p.inputElement));
      }
    }
    return result;
  }

  /// A pair of bf16, in all lanes.
  Value loadPair(Value part, Value step, bool isRest) {
    OpBuilder &b = k.builder;
    Type i32 = b.getI32Type(), i16 = b.getI16Type();
    // The last step of an odd k is a single value: what lies behind it is not ours to read.
    Value pair =
        isRest ? Value(arith::ExtUIOp::create(b, k.location, i32, k.loadRaw(i16, part, k.mul(step, k.integer(2)), i16)))
               : k.loadRaw(i32, part, step, i32);
    return vector::BitCastOp::create(b, k.location, VectorType::get({2 * k.lanes()}, b.getBF16Type()),
                                     k.broadcast(pair, k.lanes()));
  }

  /// One step: sums += row value(s) * weights.
  Values multiply(ArrayRef<Row> rows, Value step, bool isRest, ArrayRef<Value> vectors, ArrayRef<Value> so) {
    OpBuilder &b = k.builder;
    Values next;
    // Values of k, each with four vectors; of a last step that is padded, the first one alone is a row's.
    int64_t values = isRest ? 1 : static_cast<int64_t>(vectors.size()) / vectorsPerPanel;
    Value firstValue = weights.parts() > 1 ? k.mul(step, k.integer(weights.parts())) : step;
    for (auto [row, parts] : llvm::enumerate(rows)) {
      if (p.compute == kernel::Compute::F32) {
        Values rowSums(so.slice(row * vectorsPerPanel, vectorsPerPanel));
        for (int64_t i = 0; i < values; ++i) {
          Value place = i == 0 ? firstValue : k.add(firstValue, k.integer(i));
          Value value = k.broadcast(k.load(parts.front(), place, p.inputElement, 0), k.lanes());
          for (int64_t v = 0; v < vectorsPerPanel; ++v) {
            rowSums[v] = k.fma(value, vectors[i * vectorsPerPanel + v], rowSums[v]);
          }
        }
        next.append(rowSums);
        continue;
      }
      Values rowSums(so.slice(row * vectorsPerPanel, vectorsPerPanel));
      for (Value part : parts) {
        Value pairs = loadPair(part, step, isRest);
        for (auto [sum, vector] : llvm::zip_equal(rowSums, vectors)) {
          sum = LLVM::CallIntrinsicOp::create(b, k.location, sum.getType(),
                                              b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512"),
                                              ValueRange{sum, pairs, vector})
                    .getResult(0);
        }
      }
      next.append(rowSums);
    }
    return next;
  }

  /// Adds the products of steps begin .. end to `sums`; `load(step)` gives a step's four vectors of
  /// weights.
  Values multiplySteps(ArrayRef<Row> rows, Value begin, Value end, ArrayRef<Value> initial,
                       function_ref<Values(Value)> load) {
    return k.loop(begin, end, k.integer(1), initial, [&](Value step, ArrayRef<Value> so) {
      return multiply(rows, step, /*isRest=*/false, load(step), so);
    });
  }

  //===--- Scales ---===//
  /// The scales of a block of k, one for each vector of the panel, and then the zero points of what is loaded. Either
  /// each column has its own, or a block's rows are whole panels, so that the panel has one scale, or one for the
  /// gate's half and one for the up projection's.
  Values scalesOf(Value firstStep) {
    Value blockColumn = k.div(k.mul(firstStep, k.integer(packing.getStep())), k.integer(packing.getBlockK()));
    if (packing.hasColumnScales()) {
      Value block = k.add(k.mul(panel, k.integer(packing.getBlockColumns())), blockColumn);
      Value first = k.mul(block, k.integer(packing.getPanelScales()));
      auto loadAll = [&](int64_t offset) {
        Values values;
        for (int64_t v = 0; v < vectorsPerPanel; ++v) {
          values.push_back(k.load(p.scales, k.add(first, k.integer(offset + v * k.lanes())), f32, k.lanes()));
        }
        return values;
      };
      if (packing.getZeros()) {
        weights.setZeros(loadAll(packing.getPanel()));
      }
      return loadAll(0);
    }
    Value blockRow = k.div(k.mul(panel, k.integer(packing.getPanelColumns())), k.integer(packing.getBlockN()));
    Values scales;
    for (int64_t v = 0; v < vectorsPerPanel; ++v) {
      int64_t half = v * k.lanes() / packing.getPanelColumns();
      Value row = k.add(blockRow, k.integer(half * packing.getBlockRows()));
      Value index = k.add(k.mul(row, k.integer(packing.getBlockColumns())), blockColumn);
      scales.push_back(k.broadcast(k.load(p.scales, index, f32, 0), k.lanes()));
    }
    return scales;
  }

  Values addScaled(ArrayRef<Value> products, ArrayRef<Value> scales, ArrayRef<Value> totals) {
    Values next;
    for (auto [index, product] : llvm::enumerate(products)) {
      next.push_back(k.fma(product, scales[index % vectorsPerPanel], totals[index]));
    }
    return next;
  }

  //===--- Few rows: one stream ---===//
  void emitTileStream(Value firstPanel, Value endPanel) {
    TileStream stream(k, p, tileScratch);
    // Sums on their way from AMX's registers to memory would keep the next panel waiting: they are left alone for the
    // time of a panel. The places of two panels' sums, by turns, stay in the first-level cache.
    auto set = [&](Value index) {
      setPanel(index, k.mul(k.rem(index, k.integer(2)), k.integer(TileStream::mostRows * packing.getPanel() * 4)));
    };
    k.loop(firstPanel, k.add(endPanel, k.integer(1)), k.integer(1), [&](Value index) {
      k.ifThen(k.less(index, endPanel), [&] {
        set(index);
        stream.multiply(panelWeights, sums);
      });
      k.ifThen(k.greater(index, firstPanel), [&] {
        set(k.sub(index, k.integer(1)));
        emitEpilogue(k.integer(0), p.rows);
      });
    });
    stream.end();
  }

  void emitStream(int64_t rows) {
    SmallVector<Row> inputs = inputRows(k.integer(0), rows);
    // High and low parts have sums of their own where there are registers for them: fewer products wait for others.
    bool isApart = p.inputLow != 0 && 2 * rows <= k.target.tileRows;
    if (isApart) {
      for (int64_t row = 0; row < rows; ++row) {
        inputs.push_back({inputs[row].pop_back_val()});
      }
    }
    int64_t sumRows = static_cast<int64_t>(inputs.size());
    auto load = [&](Value step) {
      weights.prefetch(panelWeights, step);
      return weights.load(panelWeights, step);
    };
    Values totals;
    if (!packing.isScaled()) {
      totals = multiplySteps(inputs, k.integer(0), k.integer(steps), zeros(sumRows), load);
      if (hasRest) {
        totals =
            multiply(inputs, k.integer(steps), /*isRest=*/true, weights.load(panelWeights, k.integer(steps)), totals);
      }
    } else {
      totals = k.loop(k.integer(0), k.integer(steps), k.integer(perBlock), zeros(sumRows),
                      [&](Value begin, ArrayRef<Value> so) {
                        Value end = k.min(k.add(begin, k.integer(perBlock)), k.integer(steps));
                        Values scales = scalesOf(begin);
                        Values products = multiplySteps(inputs, begin, end, zeros(sumRows), load);
                        return addScaled(products, scales, so);
                      });
      if (hasRest) {
        Values scales = scalesOf(k.integer(steps));
        Values products = multiply(inputs, k.integer(steps), /*isRest=*/true,
                                   weights.load(panelWeights, k.integer(steps)), zeros(sumRows));
        totals = addScaled(products, scales, totals);
      }
    }
    if (isApart) {
      int64_t count = rows * vectorsPerPanel;
      for (int64_t i = 0; i < count; ++i) {
        totals[i] = k.add(totals[i], totals[count + i]);
      }
      totals.truncate(count);
    }
    storeSums(totals, k.integer(0));
  }

  //===--- Many rows: blocks of k ---===//
  void emitChunks(Value firstPanel, Value endPanel) {
    AmxTiles amx(k);
    if (hasTiles) {
      amx.configure(tileScratch);
    }
    Value chunk = k.integer(chunkRows(k.target, p.compute)), group = k.integer(groupPanels(k.target, p.compute));
    k.loop(k.integer(0), p.rows, chunk, [&](Value first) {
      Value count = k.min(chunk, k.sub(p.rows, first));
      k.loop(firstPanel, endPanel, group, [&](Value firstOfGroup) {
        Value endOfGroup = k.min(k.add(firstOfGroup, group), endPanel);
        if (!hasTiles || packing.isScaled()) {
          forEachPanel(firstOfGroup, endOfGroup, [&] { clearSums(count); });
        }
        if (hasTiles) {
          emitTileBlocks(first, count, firstOfGroup, endOfGroup);
        } else {
          emitBlocks(first, count, firstOfGroup, endOfGroup);
        }
        forEachPanel(firstOfGroup, endOfGroup, [&] { emitEpilogue(first, count); });
      });
    });
    if (hasTiles) {
      amx.release();
    }
  }

  void emitBlocks(Value first, Value count, Value firstPanel, Value endPanel) {
    k.loop(k.integer(0), k.integer(steps), k.integer(perBlock), [&](Value begin) {
      Value end = k.min(k.add(begin, k.integer(perBlock)), k.integer(steps));
      forEachPanel(firstPanel, endPanel, [&] { emitBlock(first, count, begin, end, /*isRest=*/false); });
    });
    if (hasRest) {
      forEachPanel(firstPanel, endPanel,
                   [&] { emitBlock(first, count, k.integer(steps), k.integer(steps + 1), /*isRest=*/true); });
    }
  }

  void emitBlock(Value first, Value count, Value begin, Value end, bool isRest) {
    Values scales;
    if (packing.isScaled()) {
      scales = scalesOf(begin);
    }
    if (weights.isConverted()) {
      k.loop(begin, end, k.integer(1), [&](Value step) {
        Values vectors = weights.load(panelWeights, step);
        Value place = k.mul(k.sub(step, begin), k.integer(weights.parts()));
        for (auto [i, vector] : llvm::enumerate(vectors)) {
          int64_t v = static_cast<int64_t>(i) % vectorsPerPanel, part = static_cast<int64_t>(i) / vectorsPerPanel;
          weights.storeConverted(scalesWeights() ? k.mul(vector, scales[v]) : vector, unpacked,
                                 part == 0 ? place : k.add(place, k.integer(part)), v);
        }
      });
    }
    auto load = [&](Value step) {
      if (!weights.isConverted()) {
        return weights.load(panelWeights, step);
      }
      Value place = k.mul(k.sub(step, begin), k.integer(weights.parts()));
      Values vectors;
      for (int64_t part = 0; part < weights.parts(); ++part) {
        vectors.append(weights.loadConverted(unpacked, part == 0 ? place : k.add(place, k.integer(part))));
      }
      return vectors;
    };
    bool scalesProducts = packing.isScaled() && !scalesWeights();
    auto tile = [&](Value row, int64_t rows) {
      SmallVector<Row> inputs = inputRows(k.add(first, row), rows);
      Values before = loadSums(row, rows);
      Values initial = scalesProducts ? zeros(rows) : before;
      Values products = isRest ? multiply(inputs, begin, /*isRest=*/true, load(begin), initial)
                               : multiplySteps(inputs, begin, end, initial, load);
      storeSums(scalesProducts ? addScaled(products, scales, before) : products, row);
    };
    int64_t tileRows = k.target.tileRows;
    Value rest = k.rem(count, k.integer(tileRows)), whole = k.sub(count, rest);
    k.loop(k.integer(0), whole, k.integer(tileRows), [&](Value row) { tile(row, tileRows); });
    for (int64_t rows = 1; rows < tileRows; ++rows) {
      k.ifThen(k.equal(rest, k.integer(rows)), [&] { tile(whole, rows); });
    }
  }

  //===--- Many rows with AMX ---===//
  void emitTileBlocks(Value first, Value count, Value firstPanel, Value endPanel) {
    int64_t tiles = packing.getK() / tileValues, tilesPerBlock = perBlock / AmxTiles::pairs;
    k.loop(k.integer(0), k.integer(tiles), k.integer(tilesPerBlock), [&](Value tile) {
      TileBlock block = tileBlock(first, count);
      block.tiles = k.min(k.integer(tilesPerBlock), k.sub(k.integer(tiles), tile));
      block.firstValue = k.mul(tile, k.integer(tileValues));
      emitTileCopies(k, block);
      Value begin = k.mul(tile, k.integer(AmxTiles::pairs));
      forEachPanel(firstPanel, endPanel, [&] {
        Values scales = packing.isScaled() ? scalesOf(begin) : Values();
        if (weights.isConverted()) {
          k.loop(k.integer(0), k.mul(block.tiles, k.integer(AmxTiles::pairs)), k.integer(1),
                 [&](Value step) { convertStep(k.add(begin, step), step); });
          block.weights = unpacked;
        } else {
          Value offset = k.mul(begin, k.integer(packing.getPanel() * 4));
          block.weights = k.address(panelWeights, offset, k.builder.getI8Type());
          block.ahead = k.address(block.weights, k.integer(packing.getPanelBytes()), k.builder.getI8Type());
        }
        emitTileBlockOfPanel(block, scales, k.equal(tile, k.integer(0)));
      });
    });
    // What is left of k, filled up with zeros.
    if (int64_t rest = packing.getK() % tileValues) {
      int64_t restSteps = packing.getSteps() - tiles * AmxTiles::pairs;
      Value begin = k.integer(tiles * AmxTiles::pairs);
      TileBlock block = tileBlock(first, count);
      block.firstValue = k.integer(tiles * tileValues);
      block.tiles = k.integer(1);
      block.restValues = rest;
      block.weights = unpacked;
      emitTileCopies(k, block);
      forEachPanel(firstPanel, endPanel, [&] {
        Values scales = packing.isScaled() ? scalesOf(begin) : Values();
        k.loop(k.integer(0), k.integer(restSteps), k.integer(1),
               [&](Value step) { convertStep(k.add(begin, step), step); });
        k.loop(k.integer(restSteps * packing.getPanel()), k.integer(AmxTiles::pairs * packing.getPanel()),
               k.integer(k.lanes()), [&](Value index) { k.store(k.splat(0, k.lanes()), unpacked, index, f32); });
        emitTileBlockOfPanel(block, scales, tiles == 0 ? k.equal(begin, begin) : Value());
      });
    }
  }

  TileBlock tileBlock(Value first, Value count) {
    TileBlock block(p);
    block.first = first;
    block.count = count;
    block.mostRows = chunkRows(k.target, p.compute);
    block.mostTiles = perBlock / AmxTiles::pairs;
    block.scratch = tileScratch;
    return block;
  }

  void emitTileBlockOfPanel(TileBlock &block, ArrayRef<Value> scales, Value isFirst) {
    if (!packing.isScaled()) {
      block.isFirst = isFirst;
    }
    block.scales = scales;
    block.sums = sums;
    emitTileBlock(k, block);
  }

  /// Converts a step of the panel, or moves it, to its place in a block.
  void convertStep(Value step, Value place) {
    weights.prefetch(panelWeights, step);
    for (auto [v, vector] : llvm::enumerate(weights.load(panelWeights, step))) {
      weights.storeConverted(vector, unpacked, place, static_cast<int64_t>(v));
    }
  }

  //===--- Sums of a chunk, in scratch memory ---===//
  void clearSums(Value count) {
    // Whole register tiles of AMX, as no one looks at what they hold beyond the last row but it should be numbers.
    int64_t unit = hasTiles ? AmxTiles::rows : 1;
    Value rows = k.mul(k.div(k.add(count, k.integer(unit - 1)), k.integer(unit)), k.integer(unit));
    k.loop(k.integer(0), k.mul(rows, k.integer(packing.getPanel())), k.integer(k.lanes()),
           [&](Value index) { k.store(k.splat(0, k.lanes()), sums, index, f32); });
  }
  Value sumIndex(Value row, int64_t index) {
    return k.add(k.mul(row, k.integer(packing.getPanel())), k.integer(index * k.lanes()));
  }
  Values loadSums(Value row, int64_t rows) {
    Values values;
    for (int64_t i = 0; i < rows * vectorsPerPanel; ++i) {
      values.push_back(k.load(sums, sumIndex(row, i), f32, k.lanes()));
    }
    return values;
  }
  void storeSums(ArrayRef<Value> values, Value row) {
    for (auto [i, value] : llvm::enumerate(values)) {
      k.store(value, sums, sumIndex(row, i), f32);
    }
  }

  //===--- Epilogue ---===//
  void emitEpilogue(Value first, Value count) {
    int64_t columns = packing.getPanelColumns(), ofLast = packing.getColumns() - (packing.getPanels() - 1) * columns;
    if (ofLast == columns) {
      emitEpilogue(first, count, columns);
      return;
    }
    k.ifElse(
        k.equal(panel, k.integer(packing.getPanels() - 1)), {},
        [&] {
          emitEpilogue(first, count, ofLast);
          return Values{};
        },
        [&] {
          emitEpilogue(first, count, columns);
          return Values{};
        });
  }

  void emitEpilogue(Value first, Value count, int64_t columns) {
    Value firstColumn = k.mul(panel, k.integer(packing.getPanelColumns()));
    k.loop(k.integer(0), count, k.integer(1), [&](Value row) {
      Value source = k.mul(row, k.integer(packing.getPanel()));
      Value target = k.add(p.outputIndex(k.add(first, row)), firstColumn);
      for (int64_t column = 0; column < columns; column += k.lanes()) {
        int64_t width = std::min(k.lanes(), columns - column);
        auto product = [&](int64_t half) {
          Value value = k.load(sums, k.add(source, k.integer(half * packing.getPanelColumns() + column)), f32, width);
          if (!p.bias) {
            return value;
          }
          Value index = k.add(firstColumn, k.integer(half * packing.getColumns() + column));
          return k.add(value, k.load(p.bias, index, f32, width));
        };
        Value result = product(0);
        if (p.swiglu) {
          result = k.mul(k.silu(result), product(1));
        }
        Value place = k.add(target, k.integer(column));
        if (p.accumulate) {
          result = k.add(result, k.load(p.output, place, f32, width));
        }
        k.store(result, p.output, place, p.outputElement, p.outputLow);
      }
    });
  }

  KernelBuilder &k;
  const PanelProduct &p;
  kernel::PackingAttr packing;
  WeightVectors weights;
  int64_t steps; ///< Whole steps of k.
  bool hasRest;  ///< One more that is padded.
  int64_t perBlock;
  bool hasTiles;
  Type f32;
  ScratchPlan plan;
  Value unpacked, tileScratch;
  Value panel, panelWeights, sums; ///< Of the panel that is worked on.
};

} // namespace

void emitPanelProducts(KernelBuilder &kernel, const PanelProduct &product, Value firstPanel, Value endPanel) {
  PanelEmitter(kernel, product).emit(firstPanel, endPanel);
}

int64_t mostStreamedRows(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute) {
  return TileStream::supports(target, packing, compute) ? TileStream::mostRows
         : usesTiles(target, packing, compute)          ? mostStreamedTileRows
                                                        : target.tileRows;
}

uint64_t panelProductScratch(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute) {
  return ScratchPlan(target, packing, compute).end;
}

void forEachMatrix(KernelBuilder &k, kernel::PackingAttr packing, function_ref<void(Value, Value, Value)> body) {
  if (packing.getBatch() == 1) {
    body(k.integer(0), k.blockBegin, k.blockEnd);
    return;
  }
  Value panels = k.integer(packing.getPanels());
  Value end = k.div(k.add(k.blockEnd, k.integer(packing.getPanels() - 1)), panels);
  k.loop(k.div(k.blockBegin, panels), end, k.integer(1), [&](Value matrix) {
    Value firstBlock = k.mul(matrix, panels);
    body(matrix, k.max(k.sub(k.blockBegin, firstBlock), k.integer(0)), k.min(k.sub(k.blockEnd, firstBlock), panels));
  });
}

} // namespace elah
