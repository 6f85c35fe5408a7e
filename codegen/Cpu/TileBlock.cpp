// Matrix products in AMX's registers of 16 x 16 sums. Packed weights are the right factor as they lie: a step of the
// panel is a row of pairs, 64 columns wide, so that four registers side by side hold 16 steps. The left factor is read
// from the rows themselves where 32 of them lie evenly; otherwise (the last rows, gathered rows, the end of a row that
// is no multiple of 32 values) they are first copied, with zeros where nothing is.
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
constexpr int64_t prefetchTiles = 2;
constexpr int64_t panelRowBytes = panelColumns * 4; ///< A step of bf16 pairs, or a row of sums.

class TileBlockEmitter {
public:
  TileBlockEmitter(KernelBuilder &k, const TileBlock &block)
      : k(k), b(block), amx(k), bytes(k.builder.getI8Type()), parts(block.product.inputLow == 0 ? 1 : 2),
        copyBytes(pairRows * block.mostTiles * AmxTiles::rowBytes), copies(at(block.scratch, 0)),
        products(at(block.scratch, parts * copyBytes)), copyStride(k.integer(block.mostTiles * AmxTiles::rowBytes)),
        panelStride(k.integer(panelRowBytes)) {}

  void emit() {
    Value rest = k.rem(b.count, k.integer(pairRows)), whole = k.sub(b.count, rest);
    k.loop(k.integer(0), whole, k.integer(pairRows), [&](Value row) {
      if (b.product.inputStride != 0 && b.restValues == 0) {
        Value index = k.add(b.product.inputIndex(k.add(b.first, row)), b.firstValue);
        emitPair(row, k.address(b.product.input, index, b.product.inputElement), b.product.inputLow * 2,
                 k.integer(b.product.inputStride * 2), k.integer(pairRows));
      } else {
        copyRows(row, k.integer(pairRows), pairRows);
        emitPair(row, copies, copyBytes, copyStride, k.integer(pairRows));
      }
    });
    k.ifThen(k.greater(rest, k.integer(AmxTiles::rows)), [&] {
      copyRows(whole, rest, pairRows);
      emitPair(whole, copies, copyBytes, copyStride, rest);
    });
    Value isSingle = arith::AndIOp::create(k.builder, k.location, k.greater(rest, k.integer(0)),
                                           k.less(rest, k.integer(AmxTiles::rows + 1)));
    k.ifThen(isSingle, [&] {
      copyRows(whole, rest, AmxTiles::rows);
      emitSingle(whole, rest);
    });
  }

private:
  Value at(Value base, int64_t offset) { return k.address(base, k.integer(offset), bytes); }
  Value at(Value base, Value offset) { return k.address(base, offset, bytes); }

  /// Copies `count` rows from `row` on, and zeros up to `padded` rows: all high parts before all low ones.
  void copyRows(Value row, Value count, int64_t padded) {
    for (int64_t part = 0; part < parts; ++part) {
      copyRows(row, count, padded, part * b.product.inputLow, at(copies, part * copyBytes));
    }
  }

  void copyRows(Value row, Value count, int64_t padded, int64_t partOffset, Value targets) {
    Type i16 = k.builder.getI16Type();
    auto vector = VectorType::get({tileValues}, i16);
    Value zero = arith::ConstantOp::create(k.builder, k.location, DenseElementsAttr::get(vector, int16_t(0)));
    k.loop(k.integer(0), k.integer(padded), k.integer(1), [&](Value i) {
      Value target = at(targets, k.mul(i, copyStride));
      k.ifElse(
          k.less(i, count), {},
          [&] {
            Value index =
                k.add(b.product.inputIndex(k.add(b.first, k.add(row, i))), k.add(b.firstValue, k.integer(partOffset)));
            if (b.restValues != 0) {
              Type part = k.vectorType(b.restValues, i16);
              k.storeRaw(zero, target, k.integer(0), i16);
              k.storeRaw(k.loadRaw(part, b.product.input, index, i16), target, k.integer(0), i16);
            } else {
              k.loop(k.integer(0), k.mul(b.tiles, k.integer(tileValues)), k.integer(tileValues), [&](Value offset) {
                k.storeRaw(k.loadRaw(vector, b.product.input, k.add(index, offset), i16), target, offset, i16);
              });
            }
            return KernelBuilder::Values{};
          },
          [&] {
            k.loop(k.integer(0), k.mul(b.tiles, k.integer(tileValues)), k.integer(tileValues),
                   [&](Value offset) { k.storeRaw(zero, target, offset, i16); });
            return KernelBuilder::Values{};
          });
    });
  }

  /// Where a register of sums lies: in the chunk's sums, or apart to be scaled.
  Value sumsAt(Value row, int64_t rowTile, int64_t columnTile) {
    int64_t offset = rowTile * AmxTiles::rows * panelRowBytes + columnTile * AmxTiles::rowBytes;
    return b.scales.empty() ? at(b.sums, k.add(k.mul(row, panelStride), k.integer(offset))) : at(products, offset);
  }

  void begin(int tile, Value address) {
    if (b.scales.empty()) {
      amx.load(tile, address, panelStride);
    } else {
      amx.zero(tile);
    }
  }

  Value weightsAt(Value tile, int64_t columnTile) {
    return at(b.weights, k.add(k.mul(tile, k.integer(AmxTiles::pairs * panelRowBytes)),
                               k.integer(columnTile * AmxTiles::rowBytes)));
  }

  /// `left`: the rows' first values of the block; low parts lie `lowBytes` behind high ones.
  void emitPair(Value row, Value left, int64_t lowBytes, Value leftStride, Value count) {
    for (int64_t half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) {
        begin(i, sumsAt(row, i / 2, half * 2 + i % 2));
      }
      k.loop(k.integer(0), b.tiles, k.integer(1), [&](Value tile) {
        Value offset = k.mul(tile, k.integer(AmxTiles::rowBytes));
        if (b.ahead) {
          Value turn = k.add(k.add(k.mul(k.div(row, k.integer(pairRows)), k.mul(b.tiles, k.integer(2))), tile),
                             half == 0 ? k.integer(0) : b.tiles);
          fetch(k.mul(turn, panelStride), panelRowBytes, b.ahead, /*hint=*/2);
        }
        for (int64_t part = 0; part < parts; ++part) {
          Value upper = at(left, k.add(offset, k.integer(part * lowBytes)));
          amx.load(4, upper, leftStride);
          if (part == 0) {
            amx.load(6, weightsAt(tile, half * 2), panelStride);
          }
          amx.multiply(0, 4, 6);
          if (part == 0) {
            amx.load(7, weightsAt(tile, half * 2 + 1), panelStride);
          }
          amx.multiply(1, 4, 7);
          amx.load(5, at(upper, k.mul(leftStride, k.integer(AmxTiles::rows))), leftStride);
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
    for (int i = 0; i < 4; ++i) {
      begin(i, sumsAt(row, 0, i));
    }
    k.loop(k.integer(0), b.tiles, k.integer(1), [&](Value tile) {
      prefetch(tile);
      Value left = at(copies, k.mul(tile, k.integer(AmxTiles::rowBytes)));
      for (int part = 0; part < parts; ++part) {
        amx.load(4 + part, at(left, part * copyBytes), copyStride);
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

  /// So few rows read their weights once: a stream from memory, if no block of them was converted first.
  void prefetch(Value tile) {
    if (!b.isConverted) {
      int64_t tileBytes = AmxTiles::pairs * panelRowBytes;
      fetch(k.mul(k.add(tile, k.integer(prefetchTiles)), k.integer(tileBytes)), tileBytes, b.weights, /*hint=*/3);
    }
  }

  /// Asks for memory: hint 3 is the first-level cache, 2 the second.
  void fetch(Value offset, int64_t size, Value base, unsigned hint) {
    for (int64_t line = 0; line < size; line += 64) {
      Value address = at(base, k.add(offset, k.integer(line)));
      LLVM::Prefetch::create(k.builder, k.location, address, /*rw=*/0, hint, /*cache=*/1);
    }
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
  int64_t parts;     ///< Two if values are split.
  int64_t copyBytes; ///< Of the copies of one part.
  Value copies, products, copyStride, panelStride;
};

} // namespace

void emitTileBlock(KernelBuilder &kernel, const TileBlock &block) { TileBlockEmitter(kernel, block).emit(); }

uint64_t tileBlockScratch(int64_t mostTiles, int64_t parts) {
  return static_cast<uint64_t>(parts * pairRows * mostTiles * AmxTiles::rowBytes + pairRows * panelRowBytes);
}

} // namespace elah
