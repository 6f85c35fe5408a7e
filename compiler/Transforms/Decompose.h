#ifndef COMPILER_TRANSFORMS_DECOMPOSE_H
#define COMPILER_TRANSFORMS_DECOMPOSE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include <cstdint>

namespace mlir {
class Operation;
} // namespace mlir

namespace elah {

/// Decomposes all composites in `root` that are `chosen`, and those that decompositions are made of. Returns how many.
int64_t decomposeComposites(
    mlir::Operation *root, llvm::function_ref<bool(mlir::Operation *)> chosen = [](mlir::Operation *) { return true; });

} // namespace elah

#endif
