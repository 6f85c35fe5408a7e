#ifndef COMPILER_VERIFY_RANDOMOPERANDS_H
#define COMPILER_VERIFY_RANDOMOPERANDS_H

#include "codegen/Cuda/KernelRunner.h"
#include "dialects/Exec/Exec.h"
#include <array>
#include <cstdint>
#include <vector>

namespace elah {

/// A step that a kernel is tried in: numbers in the order of enum elah_dim, and what follows from the artifact's
/// limits.
struct VerifyStep {
  std::array<int64_t, 5> bucket; ///< Of the largest step that the kernel's grid serves.
  std::array<int64_t, 5> dims;   ///< Of this one.
  int64_t pageTokens = 64;
  int64_t maxPosition = 256; ///< No token stands behind it.
};

/// Operands that a step could hand to the kernel, with random values: tokens of sequences of unequal lengths, pages in
/// no order, experts with none or many rows, activations around one. Whatever the kernel does not write whole, or lies
/// between the rows of a view, holds bytes that must survive. Equal seeds give equal operands.
std::vector<cuda::Operand> randomOperands(exec::KernelOp kernel, const VerifyStep &step, uint64_t seed);

/// Whether an operation writes only some of that output, or adds to it.
bool keepsContents(mlir::OpOperand &output);

} // namespace elah

#endif
