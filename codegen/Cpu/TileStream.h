#ifndef CODEGEN_CPU_TILESTREAM_H
#define CODEGEN_CPU_TILESTREAM_H

#include "codegen/Cpu/AmxTiles.h"
#include "codegen/Cpu/PanelProduct.h"

namespace elah {

/// Up to `mostRows` rows times panels, computed with AMX while weights come from memory.
class TileStream {
public:
  static constexpr int64_t mostRows = AmxTiles::rows;

  /// Whether there is such a way for these weights.
  static bool supports(const CpuTarget &target, kernel::PackingAttr packing, kernel::Compute compute);
  /// For weights that it supports.
  static uint64_t scratchBytes(kernel::PackingAttr packing, kernel::Compute compute);

  /// Rows are read where they lie, gathered ones from a copy. `scratch` has `scratchBytes`; from here to `end` AMX's
  /// registers are in use.
  TileStream(KernelBuilder &kernel, const PanelProduct &product, mlir::Value scratch);
  /// Sets `sums`, rows of a panel's width, to the products of all rows with the panel at `weights`.
  void multiply(mlir::Value weights, mlir::Value sums);
  void end();

private:
  /// Where the first row begins, and how many bytes it is from a row to the next.
  struct Rows {
    mlir::Value address, stride;
  };
  Rows rowsInPlace();
  Rows gathered(mlir::Value copies);

  KernelBuilder &k;
  const PanelProduct &p;
  AmxTiles amx;
  Rows rows;
};

} // namespace elah

#endif
