#ifndef CODEGEN_REFERENCE_KERNELROWS_H
#define CODEGEN_REFERENCE_KERNELROWS_H

#include "codegen/Reference/EvaluateKernel.h"
#include "dialects/Kernel/Kernel.h"
#include <optional>
#include <vector>

namespace elah {

/// Reads elements of one type as numbers. Which type it is, is asked once: operands have billions of elements.
class ElementReader {
public:
  explicit ElementReader(mlir::Type element);
  /// Element `index` of memory that holds such elements.
  double operator()(std::span<const uint8_t> bytes, int64_t index) const;
  int64_t bytes() const { return size; }

private:
  enum class Kind { F32, BF16, F8, OtherFloat, I32, OtherInteger };
  mlir::Type element;
  Kind kind;
  int64_t size;
};

/// Rows of an operand.
class Rows {
public:
  explicit Rows(const KernelOperand &operand);

  double get(int64_t row, int64_t column = 0) const { return read(bytes, row * stride + column); }
  int64_t integer(int64_t row, int64_t column = 0) const { return static_cast<int64_t>(get(row, column)); }
  void set(int64_t row, int64_t column, double value) const {
    storeElement(element, bytes, row * stride + column, value);
  }
  /// Elements [first, first + count) of a row.
  std::vector<double> part(int64_t row, int64_t first, int64_t count) const;

  mlir::Type element;
  ElementReader read;
  std::span<uint8_t> bytes;
  int64_t width, stride;
};

/// Rows that may be quantized: with scales, element (r, c) is worth value * scales(r, c / 128).
class Values {
public:
  Values(const KernelOperand &rows, const KernelOperand *scales);
  double get(int64_t row, int64_t column) const {
    return rows.get(row, column) * (scales ? scales->get(row, column / 128) : 1);
  }
  /// Stores values[0 .. count) from a column on that begins a block.
  void set(int64_t row, int64_t first, llvm::ArrayRef<double> values) const;

private:
  Rows rows;
  std::optional<Rows> scales;
};

/// Matrices that lie in rows, with their block scales.
class Weights {
public:
  Weights(kernel::PackingAttr packing, const KernelOperand &bytes, const KernelOperand *scales);
  /// Row n of matrix `batch`, k values.
  std::vector<double> row(int64_t batch, int64_t n) const;

private:
  kernel::PackingAttr packing;
  std::span<const uint8_t> bytes;
  std::optional<Rows> scales;
  std::optional<ElementReader> read; ///< None: integers.
  int64_t pitch;
};

/// The sum of a[i] * b[i].
double dot(llvm::ArrayRef<double> a, llvm::ArrayRef<double> b);

} // namespace elah

#endif
