#ifndef COMPILER_VERIFY_COMPAREOPERANDS_H
#define COMPILER_VERIFY_COMPAREOPERANDS_H

#include "codegen/Reference/EvaluateKernel.h"
#include "compiler/Verify/VerifyKernels.h"
#include "dialects/Exec/Exec.h"

namespace elah {

/// A kernel's operands before it ran, after its operation was evaluated, and after the kernel.
struct ComparedOperands {
  llvm::ArrayRef<cuda::Operand> initial, expected, actual;
};

/// Compares what a kernel wrote with what its operation means; the farthest output and what is wrong go into `verdict`.
void compareOperands(exec::KernelOp kernel, const EvaluateKernelOptions &options, const ComparedOperands &operands,
                     const std::string &where, KernelVerdict &verdict);

} // namespace elah

#endif
