// Matrix products in AMX's registers of 16 x 16 sums. Packed weights are the right factor as they lie: a step of the
// panel is a row of pairs, 64 columns wide, so that four registers side by side hold 16 steps. The left factor is read
// from the rows themselves where 32 of them lie evenly; otherwise (the last rows, gathered rows, the end of a row that
// is no multiple of 32 values) they are copied once for all panels, with zeros where nothing is.
//
// Two row tiles by two column tiles are computed at a time: four registers of sums, two and two of factors; every
// factor is used twice. Up to 16 rows take one row tile by four column tiles instead.
#include "codegen/Cpu/TileBlock.h"
#include "codegen/Cpu/AmxTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t tileValues = 2 * AmxTiles::pairs;
constexpr int64_t pairRows = 2 * AmxTiles::rows;
constexpr int64_t panelColumns = 64;
constexpr int64_t tileBytes = AmxTiles::rows * AmxTiles::rowBytes;
constexpr int64_t panelRowBytes = panelColumns * 4; ///< A step of bf16 pairs, or a row of sums.

/// Rows as registers of the left factor: where the first one's first values of the block lie, and how far it is from
/// there.
struct TileRows {
  Value address, stride;           ///< From a row to the next.
  int64_t tileBytes, rowTileBytes; ///< To the next 32 values, and to the next 16 rows.
  int64_t lowBytes;                ///< From high to low parts.
};

class TileBlockEmitter {
public:
  TileBlockEmitter(KernelBuilder &k, const TileBlock &block)
      : k(k), b(block), amx(k), bytes(k.builder.getI8Type()), parts(block.product.inputLow == 0 ? 1 : 2),
        rowTileBytes(block.mostTiles * tileBytes), copyBytes(block.mostRows / AmxTiles::rows * rowTileBytes),
        copies(at(block.scratch, 0)), products(at(block.scratch, parts * copyBytes)),
        panelStride(k.integer(panelRowBytes)) {
    rest = k.rem(b.count, k.integer(pairRows));
    whole = k.sub(b.count, rest);
  }

  void emitCopies() {
    if (!isDirect()) {
      copyRows(k.integer(0), whole, pairRows);
    }
    k.ifElse(
        k.greater(rest, k.integer(AmxTiles::rows)), {},
        [&] {
          copyRows(whole, b.count, pairRows);
          return KernelBuilder::Values{};
        },
        [&] {
          copyRows(whole, b.count, AmxTiles::rows);
          return KernelBuilder::Values{};
        });
  }

  void emit() {
    linesAhead = k.div(k.integer(panelRowBytes * AmxTiles::pairs / 64 / 2 + pairRows - 1),
                       k.max(k.div(b.count, k.integer(pairRows)), k.integer(1)));
    k.loop(k.integer(0), whole, k.integer(pairRows),
           [&](Value row) { emitPair(row, isDirect() ? rowsAt(row) : copiesAt(row), k.integer(pairRows)); });
    k.ifThen(k.greater(rest, k.integer(AmxTiles::rows)), [&] { emitPair(whole, copiesAt(whole), rest); });
    Value isSingle = arith::AndIOp::create(k.builder, k.location, k.greater(rest, k.integer(0)),
                                           k.less(rest, k.integer(AmxTiles::rows + 1)));
    k.ifThen(isSingle, [&] { emitSingle(whole, rest); });
  }

private:
  Value at(Value base, int64_t offset) { return k.address(base, k.integer(offset), bytes); }
  Value at(Value base, Value offset) { return k.address(base, offset, bytes); }

  /// Whether 32 rows are read where they lie.
  bool isDirect() const { return b.product.inputStride != 0 && b.restValues == 0; }

  TileRows rowsAt(Value row) {
    Value index = k.add(b.product.inputIndex(k.add(b.first, row)), b.firstValue);
    int64_t stride = b.product.inputStride * 2;
    return {k.address(b.product.input, index, b.product.inputElement), k.integer(stride), AmxTiles::rowBytes,
            stride * AmxTiles::rows, b.product.inputLow * 2};
  }

  /// Copies lie register by register.
  TileRows copiesAt(Value row) {
    Value offset = k.mul(k.div(row, k.integer(AmxTiles::rows)), k.integer(rowTileBytes));
    return {at(copies, offset), k.integer(AmxTiles::rowBytes), tileBytes, rowTileBytes, copyBytes};
  }

  /// Copies rows begin .. end, and zeros up to a multiple of `unit` rows: all high parts before all low ones.
  void copyRows(Value begin, Value end, int64_t unit) {
    Value padded = k.mul(k.div(k.add(end, k.integer(unit - 1)), k.integer(unit)), k.integer(unit));
    k.loop(begin, padded, k.integer(1), [&](Value row) {
      for (int64_t part = 0; part < parts; ++part) {
        Value inTile = k.mul(k.rem(row, k.integer(AmxTiles::rows)), k.integer(AmxTiles::rowBytes));
        copyRow(row, end, part * b.product.inputLow, at(at(copiesAt(row).address, part * copyBytes), inTile));
      }
    });
  }

  void copyRow(Value row, Value end, int64_t partOffset, Value target) {
    Type i16 = k.builder.getI16Type();
    auto vector = VectorType::get({tileValues}, i16);
    Value zero = arith::ConstantOp::create(k.builder, k.location, DenseElementsAttr::get(vector, int16_t(0)));
    k.ifElse(
        k.less(row, end), {},
        [&] {
          Value index = k.add(b.product.inputIndex(k.add(b.first, row)), k.add(b.firstValue, k.integer(partOffset)));
          if (b.restValues != 0) {
            Type part = k.vectorType(b.restValues, i16);
            k.storeRaw(zero, target, k.integer(0), i16);
            k.storeRaw(k.loadRaw(part, b.product.input, index, i16), target, k.integer(0), i16);
          } else {
            k.loop(k.integer(0), b.tiles, k.integer(1), [&](Value tile) {
              Value values = k.loadRaw(vector, b.product.input, k.add(index, k.mul(tile, k.integer(tileValues))), i16);
              k.storeRaw(values, target, k.mul(tile, k.integer(tileBytes / 2)), i16);
            });
          }
          return KernelBuilder::Values{};
        },
        [&] {
          k.loop(k.integer(0), b.tiles, k.integer(1),
                 [&](Value tile) { k.storeRaw(zero, target, k.mul(tile, k.integer(tileBytes / 2)), i16); });
          return KernelBuilder::Values{};
        });
  }

  /// Where a register of sums lies: in the chunk's sums, or apart to be scaled.
  Value sumsAt(Value row, int64_t rowTile, int64_t columnTile) {
    int64_t offset = rowTile * AmxTiles::rows * panelRowBytes + columnTile * AmxTiles::rowBytes;
    return b.scales.empty() ? at(b.sums, k.add(k.mul(row, panelStride), k.integer(offset))) : at(products, offset);
  }

  /// Sets the four registers of sums to what they have so far, which lies at `address(register)`.
  void begin(function_ref<Value(int)> address) {
    auto zero = [&] {
      for (int i = 0; i < 4; ++i) {
        amx.zero(i);
      }
      return KernelBuilder::Values{};
    };
    auto load = [&] {
      for (int i = 0; i < 4; ++i) {
        amx.load(i, address(i), panelStride);
      }
      return KernelBuilder::Values{};
    };
    if (!b.scales.empty()) {
      zero();
    } else if (b.isFirst) {
      k.ifElse(b.isFirst, {}, zero, load);
    } else {
      load();
    }
  }

  Value weightsAt(Value tile, int64_t columnTile) {
    return at(b.weights, k.add(k.mul(tile, k.integer(AmxTiles::pairs * panelRowBytes)),
                               k.integer(columnTile * AmxTiles::rowBytes)));
  }

  void emitPair(Value row, const TileRows &left, Value count) {
    for (int64_t half = 0; half < 2; ++half) {
      begin([&](int i) { return sumsAt(row, i / 2, half * 2 + i % 2); });
      k.loop(k.integer(0), b.tiles, k.integer(1), [&](Value tile) {
        if (b.ahead) {
          Value turn = k.add(k.add(k.mul(k.div(row, k.integer(pairRows)), k.mul(b.tiles, k.integer(2))), tile),
                             half == 0 ? k.integer(0) : b.tiles);
          Value first = k.mul(k.mul(turn, linesAhead), k.integer(64));
          k.loop(k.integer(0), linesAhead, k.integer(1), [&](Value line) {
            Value address = at(b.ahead, k.add(first, k.mul(line, k.integer(64))));
            LLVM::Prefetch::create(k.builder, k.location, address, /*rw=*/0, /*hint=*/2, /*cache=*/1);
          });
        }
        // Weights stay in the first-level cache for all rows, whose values pass through.
        Value upper = at(left.address, k.mul(tile, k.integer(left.tileBytes)));
        for (int64_t part = 0; part < parts; ++part) {
          Value high = at(upper, part * left.lowBytes), low = at(high, left.rowTileBytes);
          amx.stream(4, high, left.stride);
          if (part == 0) {
            amx.load(6, weightsAt(tile, half * 2), panelStride);
          }
          amx.multiply(0, 4, 6);
          if (part == 0) {
            amx.load(7, weightsAt(tile, half * 2 + 1), panelStride);
          }
          amx.multiply(1, 4, 7);
          amx.stream(5, low, left.stride);
          amx.multiply(2, 5, 6);
          amx.multiply(3, 5, 7);
        }
      });
      for (int i = 0; i < 4; ++i) {
        amx.store(i, sumsAt(row, i / 2, half * 2 + i % 2), panelStride);
      }
    }
    addScaled(row, count);
  }

  void emitSingle(Value row, Value count) {
    TileRows rows = copiesAt(row);
    begin([&](int i) { return sumsAt(row, 0, i); });
    k.loop(k.integer(0), b.tiles, k.integer(1), [&](Value tile) {
      Value left = at(rows.address, k.mul(tile, k.integer(rows.tileBytes)));
      for (int part = 0; part < parts; ++part) {
        amx.load(4 + part, at(left, part * rows.lowBytes), rows.stride);
      }
      for (int i = 0; i < 4; ++i) {
        int right = 6 + i % 2;
        amx.load(right, weightsAt(tile, i), panelStride);
        for (int part = 0; part < parts; ++part) {
          amx.multiply(i, 4 + part, right);
        }
      }
    });
    for (int i = 0; i < 4; ++i) {
      amx.store(i, sumsAt(row, 0, i), panelStride);
    }
    addScaled(row, count);
  }

  void addScaled(Value row, Value count) {
    if (b.scales.empty()) {
      return;
    }
    Type f32 = k.f32Type();
    k.loop(k.integer(0), count, k.integer(1), [&](Value i) {
      for (auto [v, scale] : llvm::enumerate(b.scales)) {
        Value offset = k.integer(static_cast<int64_t>(v) * k.lanes());
        Value source = k.add(k.mul(i, k.integer(panelColumns)), offset);
        Value target = k.add(k.mul(k.add(row, i), k.integer(panelColumns)), offset);
        Value product = k.load(products, source, f32, k.lanes());
        k.store(k.fma(product, scale, k.load(b.sums, target, f32, k.lanes())), b.sums, target, f32);
      }
    });
  }

  KernelBuilder &k;
  const TileBlock &b;
  AmxTiles amx;
  Type bytes;
  int64_t parts;        ///< Two if values are split.
  int64_t rowTileBytes; ///< Of the copies of 16 rows.
  int64_t copyBytes;    ///< Of the copies of one part.
  Value copies, products, panelStride;
  Value rest, whole; ///< Rows that make no pair of registers, and the others.
  Value linesAhead;  ///< To be fetched in each step, so that a block is there when it is needed.
};

} // namespace

void emitTileCopies(KernelBuilder &kernel, const TileBlock &block) { TileBlockEmitter(kernel, block).emitCopies(); }

void emitTileBlock(KernelBuilder &kernel, const TileBlock &block) { TileBlockEmitter(kernel, block).emit(); }

uint64_t tileBlockScratch(int64_t mostRows, int64_t mostTiles, int64_t parts) {
  return static_cast<uint64_t>(parts * mostRows * mostTiles * AmxTiles::rowBytes + pairRows * panelRowBytes);
}

} // namespace elah
