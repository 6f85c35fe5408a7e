// A decode step reads every weight once for a few rows, and memory is what it waits for. Vector products do not let it
// wait well: those of a step stand in the scheduler until their weights arrive, twice as many of them where values are
// split, and what has not entered the scheduler asks for nothing. An AMX product takes sixteen steps of all rows in one
// instruction, and its loads pass by the first-level cache, so that more of memory is on its way at any time.
#include "codegen/Cpu/TileStream.h"
#include "codegen/Cpu/WeightVectors.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace elah {
namespace {

constexpr int64_t tileValues = 2 * AmxTiles::pairs; ///< Of k.
constexpr int64_t columnTiles = 4;
constexpr int64_t panelRowBytes = columnTiles * AmxTiles::rowBytes; ///< A step of bf16 pairs, or a row of sums.
constexpr int64_t tileStepBytes = AmxTiles::pairs * panelRowBytes;
constexpr int64_t lineBytes = 64;
/// How far ahead of its use memory is asked for. Measured, two threads, experts of 4 MiB anywhere in 3.5 GiB: 35 GB/s
/// at 512 bytes and 1 KiB, 32 at 1.5 KiB and more or with no prefetch; vectors 30 at their best distance.
constexpr int64_t prefetchBytes = 1024;

int64_t partsOf(kernel::Compute compute) { return compute == kernel::Compute::BF16X2 ? 2 : 1; }

/// Of copied rows. Not a power of two: all rows would share a set of the first-level cache.
int64_t copyStride(kernel::PackingAttr packing, kernel::Compute compute) {
  return partsOf(compute) * packing.getK() * 2 + lineBytes;
}

} // namespace

bool TileStream::supports(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute) {
  return target.hasAmxBF16 && compute != kernel::Compute::F32 && !packing.isScaled() &&
         !WeightVectors::isConverted(packing.getFormat(), compute) && packing.getK() % tileValues == 0;
}

uint64_t TileStream::scratchBytes(kernel::PackingAttr packing, kernel::Compute compute) {
  return static_cast<uint64_t>(AmxTiles::configBytes + mostRows * copyStride(packing, compute));
}

TileStream::TileStream(KernelBuilder &kernel, const PanelProduct &product, Value scratch)
    : k(kernel), p(product), amx(kernel) {
  amx.configure(scratch, p.rows);
  rows = p.inputStride != 0 ? rowsInPlace()
                            : gathered(k.address(scratch, k.integer(AmxTiles::configBytes), k.builder.getI8Type()));
}

TileStream::Rows TileStream::rowsInPlace() {
  return {k.address(p.input, p.inputIndex(k.integer(0)), p.inputElement), k.integer(p.inputStride * 2)};
}

TileStream::Rows TileStream::gathered(Value copies) {
  int64_t values = partsOf(p.compute) * p.packing.getK(), stride = copyStride(p.packing, p.compute);
  assert((p.inputLow == 0 || p.inputLow == p.packing.getK()) && "the parts of a gathered row lie together");
  Type i16 = k.builder.getI16Type(), pointer = copies.getType();
  // A single row need not be copied.
  KernelBuilder::Values address = k.ifElse(
      k.greater(p.rows, k.integer(1)), {pointer},
      [&] {
        k.loop(k.integer(0), p.rows, k.integer(1), [&](Value row) {
          Value source = p.inputIndex(row), target = k.mul(row, k.integer(stride / 2));
          k.loop(k.integer(0), k.integer(values), k.integer(tileValues), [&](Value i) {
            Value part = k.loadRaw(k.vectorType(tileValues, i16), p.input, k.add(source, i), i16);
            k.storeRaw(part, copies, k.add(target, i), i16);
          });
        });
        return KernelBuilder::Values{copies};
      },
      [&] { return KernelBuilder::Values{k.address(p.input, p.inputIndex(k.integer(0)), p.inputElement)}; });
  return {address.front(), k.integer(stride)};
}

void TileStream::multiply(Value weights, Value sums) {
  Type bytes = k.builder.getI8Type();
  Value panelStride = k.integer(panelRowBytes);
  for (int column = 0; column < columnTiles; ++column) {
    amx.zero(column);
  }
  k.loop(k.integer(0), k.integer(p.packing.getK() / tileValues), k.integer(1), [&](Value tile) {
    Value right = k.address(weights, k.mul(tile, k.integer(tileStepBytes)), bytes);
    for (int64_t line = 0; line < tileStepBytes; line += lineBytes) {
      Value address = k.address(right, k.integer(prefetchBytes + line), bytes);
      LLVM::Prefetch::create(k.builder, k.location, address, /*rw=*/0, /*hint=*/3, /*cache=*/1);
    }
    Value left = k.address(rows.address, k.mul(tile, k.integer(AmxTiles::rowBytes)), bytes);
    int parts = static_cast<int>(partsOf(p.compute));
    for (int part = 0; part < parts; ++part) {
      amx.load(AmxTiles::firstLeft + part, k.address(left, k.integer(part * p.inputLow * 2), bytes), rows.stride);
    }
    for (int column = 0; column < columnTiles; ++column) {
      int factor = AmxTiles::firstRight + column % 2;
      amx.stream(factor, k.address(right, k.integer(column * AmxTiles::rowBytes), bytes), panelStride);
      for (int part = 0; part < parts; ++part) {
        amx.multiply(column, AmxTiles::firstLeft + part, factor);
      }
    }
  });
  for (int column = 0; column < columnTiles; ++column) {
    amx.store(column, k.address(sums, k.integer(column * AmxTiles::rowBytes), bytes), panelStride);
  }
}

void TileStream::end() { amx.release(); }

} // namespace elah
