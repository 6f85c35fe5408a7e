// Exporters write a head split as reshape and transpose, a shared head as expand, a half as slice, in any order and any
// number. What counts is which element of the computed tensor stands where: a view says that, whatever spelled it.
#ifndef COMPILER_TRANSFORMS_TENSORVIEW_H
#define COMPILER_TRANSFORMS_TENSORVIEW_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include <optional>
#include <vector>

namespace elah {

/// A run of indices along one axis of a view's source: 0, stride, 2 * stride, ... (size - 1) * stride. Without an axis
/// the same elements are repeated.
struct Factor {
  static constexpr int64_t repeated = -1;

  int64_t axis = repeated;
  int64_t size = 1; ///< ShapedType::kDynamic if the program knows it only when it runs.
  int64_t stride = 1;

  bool isRepeated() const { return axis == repeated; }
  bool operator==(const Factor &other) const = default;
};

/// What a value is through reshapes, transposes, slices and broadcasts: element [i0, i1, ...] is the element of
/// `source` whose index along each axis is `starts[axis]` plus what the factors of the dimensions add.
struct TensorView {
  using Dimension = llvm::SmallVector<Factor, 2>; ///< The outer factor first; none for a size of 1.

  mlir::Value source;
  llvm::SmallVector<int64_t> starts;
  llvm::SmallVector<Dimension> dims;

  /// Looks through as many operations as views can say. With `scale`, products and quotients by a number are looked
  /// through, too, and `scale` is multiplied by it.
  static TensorView of(mlir::Value value, double *scale = nullptr, int maxDepth = 64);
  /// The value itself.
  static TensorView whole(mlir::Value value);

  /// The same elements, seen as those of `inner`, which has the source's shape but for sizes that are not known;
  /// nothing if that cannot be said.
  std::optional<TensorView> through(mlir::Value inner, double *scale = nullptr) const;
  /// The view of each input of the concatenation that is the source, where dimension `dim` runs over more than one; of
  /// the one input that it lies in, if there is one. The view itself if the source is no concatenation.
  std::vector<TensorView> parts(int64_t dim) const;

  mlir::RankedTensorType sourceType() const { return llvm::cast<mlir::RankedTensorType>(source.getType()); }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  /// All dimensions' factors, one behind the other.
  Dimension factors() const;
  /// Whether the view's elements are the source's, in the source's order, whatever the shape.
  bool isReshape() const;
  /// Whether dimension `dim` runs once over the whole of source axis `axis`, and nothing else.
  bool isWholeAxis(int64_t dim, int64_t axis) const;
};

/// Splits and merges the factors of two dimensions so that both have the same sizes; false if they cannot.
bool alignFactors(TensorView::Dimension &lhs, TensorView::Dimension &rhs);
/// Merges neighbours that run on, and drops sizes of 1.
void mergeFactors(TensorView::Dimension &factors);

/// `value` as [rows, columns], where the last `trailing` dimensions make the columns: the source itself where the value
/// is a reshape of such a tensor, a reshape otherwise.
mlir::Value asRows(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value, int64_t trailing = 1);

/// Whether at most one size is not known: then a reshape to the type needs no computed shape.
bool hasOneUnknownSize(mlir::RankedTensorType type);
/// A reshape to `type`, whose dynamic sizes are those of the first dimensions of `like` if there are several.
mlir::Value reshapeTo(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value, mlir::RankedTensorType type,
                      mlir::Value like);

} // namespace elah

#endif
