// Rows times one panel of a packed weight, the inner part of all matrix families. A register tile
// is up to `tileRows` rows by four vectors of columns; a step of k multiplies four vectors of
// weights with a value (bf16: a pair of values) of each row, broadcast from where it lies.
//
// Decode and prefill take different ways through the same bytes. Rows that fit one register tile
// read the panel once, as one stream from memory: weights are converted in registers and sums stay
// there. Of more rows, a chunk of up to `chunkRows` at a time takes the panel in blocks of k: a
// block is converted once into scratch memory, where it stays in the first- or second-level cache
// for all tiles of the chunk, and sums wait in scratch memory between blocks.
//
// Block scales (fp8) multiply the sums of a block of k, not the weights: e4m3 is exact in bf16, its
// product with a scale is not. Computing in f32, blocks that are converted once are scaled then.
#include "codegen/Cpu/PanelProduct.h"
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

int64_t chunkRows(const CpuTarget &target) { return 192 / target.tileRows * target.tileRows; }

/// The steps of a block of k: one scale's, or an even part of them, or as many as caches like.
int64_t blockSteps(kernel::PackingAttr packing) {
  if (!packing.isScaled()) {
    int64_t steps = packing.getK() / packing.getStep();
    int64_t blocks = std::max<int64_t>(1, llvm::divideCeil(steps, mostBlockSteps));
    return std::max<int64_t>(1, llvm::divideCeil(steps, blocks));
  }
  int64_t steps =
      std::min(packing.getBlockK(), packing.getK() + packing.getK() % packing.getStep()) / packing.getStep();
  while (steps > mostBlockSteps && steps % 2 == 0) {
    steps /= 2;
  }
  return steps;
}

class PanelEmitter {
public:
  PanelEmitter(KernelBuilder &k, const PanelProduct &product, Value panel)
      : k(k), p(product), packing(product.packing), weights(k, packing.getFormat(), product.compute), panel(panel),
        steps(packing.getK() / packing.getStep()), hasRest(packing.getK() % packing.getStep() != 0),
        perBlock(blockSteps(packing)), f32(k.f32Type()), sums(k.scratch) {
    panelWeights = k.address(p.weight, k.mul(panel, k.integer(packing.getPanelBytes())), k.builder.getI8Type());
    unpacked = k.address(k.scratch, k.integer(chunkRows(k.target) * packing.getPanel()), f32);
  }

  void emit() {
    Value chunk = k.integer(chunkRows(k.target));
    k.loop(k.integer(0), p.rows, chunk, [&](Value first) {
      Value count = k.min(chunk, k.sub(p.rows, first));
      k.ifElse(
          k.greater(count, k.integer(k.target.tileRows)), {},
          [&] {
            emitBlocks(first, count);
            return KernelBuilder::Values{};
          },
          [&] {
            for (int64_t rows = 1; rows <= k.target.tileRows; ++rows) {
              k.ifThen(k.equal(count, k.integer(rows)), [&] { emitStream(first, rows); });
            }
            return KernelBuilder::Values{};
          });
      emitEpilogue(first, count);
    });
  }

private:
  using Values = KernelBuilder::Values;

  bool scalesSums() const { return packing.isScaled(); }
  /// Whether the second way scales weights as it converts them.
  bool scalesWeights() const { return packing.isScaled() && p.compute == kernel::Compute::F32; }

  Values zeros(int64_t rows) { return Values(rows * vectorsPerPanel, k.splat(0, k.lanes())); }

  /// Addresses of `rows` input rows from `first` on.
  Values rowAddresses(Value first, int64_t rows) {
    Values addresses;
    for (int64_t row = 0; row < rows; ++row) {
      addresses.push_back(k.address(p.input, p.inputIndex(k.add(first, k.integer(row))), p.inputElement));
    }
    return addresses;
  }

  /// One step: sums += row value(s) * weights.
  Values multiply(ArrayRef<Value> rows, Value step, bool isRest, ArrayRef<Value> vectors, ArrayRef<Value> so) {
    OpBuilder &b = k.builder;
    Values next;
    for (auto [row, address] : llvm::enumerate(rows)) {
      if (p.compute == kernel::Compute::F32) {
        Value value = k.broadcast(k.load(address, step, p.inputElement, 0), k.lanes());
        for (int64_t v = 0; v < vectorsPerPanel; ++v) {
          next.push_back(k.fma(value, vectors[v], so[row * vectorsPerPanel + v]));
        }
        continue;
      }
      Type i32 = b.getI32Type(), i16 = b.getI16Type();
      // The last step of an odd k is a single value: what lies behind it is not ours to read.
      Value pair = isRest ? Value(arith::ExtUIOp::create(b, k.location, i32,
                                                         k.loadRaw(i16, address, k.mul(step, k.integer(2)), i16)))
                          : k.loadRaw(i32, address, step, i32);
      Value pairs = vector::BitCastOp::create(b, k.location, VectorType::get({2 * k.lanes()}, b.getBF16Type()),
                                              k.broadcast(pair, k.lanes()));
      for (int64_t v = 0; v < vectorsPerPanel; ++v) {
        Value sum = so[row * vectorsPerPanel + v];
        next.push_back(LLVM::CallIntrinsicOp::create(b, k.location, sum.getType(),
                                                     b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512"),
                                                     ValueRange{sum, pairs, vectors[v]})
                           .getResult(0));
      }
    }
    return next;
  }

  /// Adds the products of steps begin .. end to `sums`; `load(step)` gives a step's four vectors of
  /// weights.
  Values multiplySteps(ArrayRef<Value> rows, Value begin, Value end, ArrayRef<Value> initial,
                       function_ref<Values(Value)> load) {
    return k.loop(begin, end, k.integer(1), initial, [&](Value step, ArrayRef<Value> so) {
      return multiply(rows, step, /*isRest=*/false, load(step), so);
    });
  }

  //===--- Scales ---===//
  /// The scales of a block of k, for each vector of the panel: scalars, or vectors where a vector's
  /// columns have several.
  Values scalesOf(Value firstStep) {
    Value blockColumn = k.div(k.mul(firstStep, k.integer(packing.getStep())), k.integer(packing.getBlockK()));
    Value firstColumn = k.mul(panel, k.integer(packing.getPanelColumns()));
    auto scaleOf = [&](int64_t half, int64_t column) {
      // Columns beyond the last are zero, whatever their scale.
      Value row = k.min(k.div(k.add(firstColumn, k.integer(column)), k.integer(packing.getBlockN())),
                        k.integer(packing.getBlockRows() - 1));
      Value index = k.mul(k.add(row, k.integer(half * packing.getBlockRows())), k.integer(packing.getBlockColumns()));
      return k.load(p.scales, k.add(index, blockColumn), f32, 0);
    };
    Values scales;
    for (int64_t v = 0; v < vectorsPerPanel; ++v) {
      int64_t column = v * k.lanes(), half = column / packing.getPanelColumns();
      column -= half * packing.getPanelColumns();
      if (packing.getBlockN() % packing.getPanelColumns() == 0 && column > 0) {
        scales.push_back(scales.back());
      } else if (packing.getBlockN() % k.lanes() == 0) {
        scales.push_back(k.broadcast(scaleOf(half, column), k.lanes()));
      } else {
        Values lanes;
        for (int64_t lane = 0; lane < k.lanes(); ++lane) {
          lanes.push_back(scaleOf(half, column + lane));
        }
        scales.push_back(
            vector::FromElementsOp::create(k.builder, k.location, VectorType::get({k.lanes()}, f32), lanes));
      }
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
  void emitStream(Value first, int64_t rows) {
    Values addresses = rowAddresses(first, rows);
    auto load = [&](Value step) {
      weights.prefetch(panelWeights, step);
      return weights.load(panelWeights, step);
    };
    Values totals;
    if (!packing.isScaled()) {
      totals = multiplySteps(addresses, k.integer(0), k.integer(steps), zeros(rows), load);
      if (hasRest) {
        totals = multiply(addresses, k.integer(steps), /*isRest=*/true, weights.load(panelWeights, k.integer(steps)),
                          totals);
      }
    } else {
      totals = k.loop(k.integer(0), k.integer(steps), k.integer(perBlock), zeros(rows),
                      [&](Value begin, ArrayRef<Value> so) {
                        Value end = k.min(k.add(begin, k.integer(perBlock)), k.integer(steps));
                        Values products = multiplySteps(addresses, begin, end, zeros(rows), load);
                        return addScaled(products, scalesOf(begin), so);
                      });
      if (hasRest) {
        Values products = multiply(addresses, k.integer(steps), /*isRest=*/true,
                                   weights.load(panelWeights, k.integer(steps)), zeros(rows));
        totals = addScaled(products, scalesOf(k.integer(steps)), totals);
      }
    }
    storeSums(totals, k.integer(0));
  }

  //===--- Many rows: blocks of k ---===//
  void emitBlocks(Value first, Value count) {
    Value size = k.integer(packing.getPanel());
    k.loop(k.integer(0), k.mul(count, size), k.integer(k.lanes()),
           [&](Value index) { k.store(k.splat(0, k.lanes()), sums, index, f32); });
    k.loop(k.integer(0), k.integer(steps), k.integer(perBlock), [&](Value begin) {
      emitBlock(first, count, begin, k.min(k.add(begin, k.integer(perBlock)), k.integer(steps)),
                /*isRest=*/false);
    });
    if (hasRest) {
      emitBlock(first, count, k.integer(steps), k.integer(steps + 1), /*isRest=*/true);
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
        for (auto [v, vector] : llvm::enumerate(vectors)) {
          weights.storeConverted(scalesWeights() ? k.mul(vector, scales[v]) : vector, unpacked, k.sub(step, begin), v);
        }
      });
    }
    auto load = [&](Value step) {
      return weights.isConverted() ? weights.loadConverted(unpacked, k.sub(step, begin))
                                   : weights.load(panelWeights, step);
    };
    bool scalesProducts = packing.isScaled() && !scalesWeights();
    auto tile = [&](Value row, int64_t rows) {
      Values addresses = rowAddresses(k.add(first, row), rows);
      Values before = loadSums(row, rows);
      Values initial = scalesProducts ? zeros(rows) : before;
      Values products = isRest ? multiply(addresses, begin, /*isRest=*/true, load(begin), initial)
                               : multiplySteps(addresses, begin, end, initial, load);
      storeSums(scalesProducts ? addScaled(products, scales, before) : products, row);
    };
    int64_t tileRows = k.target.tileRows;
    Value rest = k.rem(count, k.integer(tileRows)), whole = k.sub(count, rest);
    k.loop(k.integer(0), whole, k.integer(tileRows), [&](Value row) { tile(row, tileRows); });
    for (int64_t rows = 1; rows < tileRows; ++rows) {
      k.ifThen(k.equal(rest, k.integer(rows)), [&] { tile(whole, rows); });
    }
  }

  //===--- Sums of a chunk, in scratch memory ---===//
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
        k.store(result, p.output, place, p.outputElement);
      }
    });
  }

  KernelBuilder &k;
  const PanelProduct &p;
  kernel::PackingAttr packing;
  WeightVectors weights;
  Value panel;
  int64_t steps; ///< Whole steps of k.
  bool hasRest;  ///< One more that is padded.
  int64_t perBlock;
  Type f32;
  Value sums, unpacked, panelWeights;
};

} // namespace

void emitPanelProduct(KernelBuilder &kernel, const PanelProduct &product, Value panel) {
  PanelEmitter(kernel, product, panel).emit();
}

uint64_t panelProductScratch(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute) {
  uint64_t bytes = static_cast<uint64_t>(chunkRows(target) * packing.getPanel()) * 4;
  if (WeightVectors::isConverted(packing.getFormat(), compute)) {
    bytes += static_cast<uint64_t>(blockSteps(packing) * packing.getPanel()) * 4;
  }
  return bytes;
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
