#ifndef CODEGEN_CPU_TILEBLOCK_H
#define CODEGEN_CPU_TILEBLOCK_H

#include "codegen/Cpu/PanelProduct.h"

namespace elah {

/// A block of k of a panel product, computed with AMX: 32 values of k at a time.
struct TileBlock {
  explicit TileBlock(const PanelProduct &product) : product(product) {}

  const PanelProduct &product;
  mlir::Value first, count;           ///< Rows.
  int64_t mostRows = 0;               ///< At most.
  mlir::Value firstValue;             ///< Where the block begins along k.
  mlir::Value tiles;                  ///< How many times 32 values it has.
  int64_t mostTiles = 0;              ///< At most.
  int64_t restValues = 0;             ///< If not 0: one tile, of which only so many values lie in a row.
  mlir::Value weights;                ///< Address of the block's first step, in bf16.
  mlir::Value ahead;                  ///< Address of the weights that come next, to be fetched meanwhile; or null.
  mlir::Value sums;                   ///< Of these rows: f32, a panel wide.
  mlir::Value isFirst;                ///< Whether sums begin here, whatever lies there. Null: they do not.
  mlir::Value scratch;                ///< Of `tileBlockScratch` bytes.
  llvm::ArrayRef<mlir::Value> scales; ///< For the block's products, one for each vector of the panel; or none.
};

/// Copies the rows that cannot be read where they lie, for this block with any panel.
void emitTileCopies(KernelBuilder &kernel, const TileBlock &block);

/// sums += rows * weights, behind `emitTileCopies`.
void emitTileBlock(KernelBuilder &kernel, const TileBlock &block);

/// For rows of `parts` parts, high and low or only one.
uint64_t tileBlockScratch(int64_t mostRows, int64_t mostTiles, int64_t parts);

} // namespace elah

#endif
