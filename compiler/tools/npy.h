#ifndef COMPILER_TOOLS_NPY_H
#define COMPILER_TOOLS_NPY_H

#include "codegen/Reference/HostTensor.h"
#include "mlir/IR/Types.h"
#include <string>

namespace elah {

/// Reads an array that numpy saved; what is wrong is returned, empty if nothing is. Numbers of all of numpy's integer
/// and float types are taken, little-endian and in C order.
std::string readNpy(llvm::StringRef path, HostTensor &tensor);

/// Writes a tensor of `element`s for numpy; types that numpy has not, such as bf16, as f32. Returns what is wrong.
std::string writeNpy(llvm::StringRef path, const HostTensor &tensor, mlir::Type element);

} // namespace elah

#endif
