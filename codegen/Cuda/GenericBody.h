#ifndef CODEGEN_CUDA_GENERICBODY_H
#define CODEGEN_CUDA_GENERICBODY_H

#include "mlir/IR/Block.h"
#include <string>
#include <vector>

namespace elah {

/// The body of kernel.generic as CUDA C++ statements: its arguments are x0, x1, ..., and what it yields becomes y.
std::vector<std::string> cudaStatementsOf(mlir::Block &body);

} // namespace elah

#endif
