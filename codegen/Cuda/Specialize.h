#ifndef CODEGEN_CUDA_SPECIALIZE_H
#define CODEGEN_CUDA_SPECIALIZE_H

#include "codegen/Cuda/KernelSpec.h"
#include "codegen/Target/CudaTarget.h"
#include "mlir/IR/Operation.h"
#include "llvm/Support/Error.h"

namespace elah {

/// The kernels that do what an operation of the kernel dialect says, one after the other on its operands, in steps of
/// at most `tokens` tokens. An error if there are none.
llvm::Expected<std::vector<cuda::KernelSpec>> specializeForCuda(mlir::Operation *op, const CudaTarget &target,
                                                                int64_t tokens);

} // namespace elah

#endif
