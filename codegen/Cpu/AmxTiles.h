#ifndef CODEGEN_CPU_AMXTILES_H
#define CODEGEN_CPU_AMXTILES_H

#include "codegen/Cpu/KernelBuilder.h"

namespace elah {

/// AMX's eight registers of 16 rows by 64 bytes, by number.
class AmxTiles {
public:
  explicit AmxTiles(KernelBuilder &k) : k(k) {}

  static constexpr int64_t rows = 16;
  static constexpr int64_t rowBytes = 64;
  static constexpr int64_t pairs = 16; ///< Of bf16 values along k, in a row of the left factor.
  static constexpr int64_t configBytes = 64;

  /// The first left and right factor: sums come before them.
  static constexpr int firstLeft = 4, firstRight = 6;

  /// All registers in full size, or sums and left factors with `leftRows` rows; `memory` takes the description.
  void configure(mlir::Value memory, mlir::Value leftRows = {});
  void release();
  void zero(int tile);
  /// Rows of 64 bytes, `stride` bytes apart.
  void load(int tile, mlir::Value address, mlir::Value stride);
  /// The same of what is not wanted again soon: it does not drive other things out of the first-level cache.
  void stream(int tile, mlir::Value address, mlir::Value stride);
  void store(int tile, mlir::Value address, mlir::Value stride);
  /// f32 [16, 16] `sum` += bf16 [16, 32] `left` * bf16 [32, 16] `right`, whose rows are pairs of rows, interleaved.
  void multiply(int sum, int left, int right);

private:
  void call(llvm::StringRef intrinsic, mlir::ValueRange arguments);
  mlir::Value number(int tile);

  KernelBuilder &k;
};

} // namespace elah

#endif
