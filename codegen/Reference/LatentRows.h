#ifndef CODEGEN_REFERENCE_LATENTROWS_H
#define CODEGEN_REFERENCE_LATENTROWS_H

#include "codegen/Reference/KernelRows.h"
#include "llvm/ADT/DenseMap.h"

namespace elah {

/// Value `column` of a row of an FP8 cache: of the latent, and behind it of the rotated key.
double loadFromLatentRow(const kernel::Fp8LatentRow &layout, std::span<const uint8_t> row, int64_t column);

/// Writes a row: latents quantized by block, with the least power of two as a scale that takes them into the range of
/// e4m3, keys rounded to bf16. What lies between the parts keeps its bytes.
void storeLatentRow(const kernel::Fp8LatentRow &layout, std::span<uint8_t> row, llvm::ArrayRef<double> values);

/// The rows of a cache of latents, in FP8 or not.
class LatentCache {
public:
  LatentCache(const KernelOperand &operand, std::optional<kernel::Fp8LatentRow> fp8) : rows(operand), fp8(fp8) {}

  void set(int64_t row, llvm::ArrayRef<double> values) const;

  /// Reads rows, once for all heads and tokens. By one thread; then any may ask for their parts.
  void read(llvm::ArrayRef<int64_t> numbers);
  llvm::ArrayRef<double> part(int64_t row, int64_t first, int64_t count) const {
    return llvm::ArrayRef(known.find(row)->second).slice(static_cast<size_t>(first), static_cast<size_t>(count));
  }

private:
  std::span<uint8_t> bytesOf(int64_t row) const;

  Rows rows;
  std::optional<kernel::Fp8LatentRow> fp8;
  llvm::DenseMap<int64_t, std::vector<double>> known;
};

} // namespace elah

#endif
