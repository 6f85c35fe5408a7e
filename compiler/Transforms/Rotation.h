#ifndef COMPILER_TRANSFORMS_ROTATION_H
#define COMPILER_TRANSFORMS_ROTATION_H

#include "dialects/R1/R1.h"
#include <optional>

namespace elah {

/// Columns of the input, as factors: column = start + sum of index * stride.
struct Columns {
  int64_t start = 0;
  llvm::SmallVector<std::pair<int64_t, int64_t>> factors; ///< (size, stride), the outer ones first.
};

/// A rotation as its numbers show it.
struct Rotation {
  Columns columns; ///< Where its elements come from, head by head.
  int64_t tokenAxis = 0, heads = 1, width = 0;
  r1::RopeLayout layout = r1::RopeLayout::Half;
  llvm::SmallVector<double> frequencies;
  double scale = 1;
};

/// The rotation that `end` is of rows `input`, by position; nothing if it is none, or one that depends on more.
std::optional<Rotation> findRotation(mlir::Value end, mlir::Value input);

} // namespace elah

#endif
