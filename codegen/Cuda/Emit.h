#ifndef CODEGEN_CUDA_EMIT_H
#define CODEGEN_CUDA_EMIT_H

#include "codegen/Cuda/CudaCode.h"
#include "mlir/IR/Operation.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <utility>

namespace elah {

struct CudaEmitOptions {
  std::string cacheFolder; ///< Of compiled kernels; empty: none.
  unsigned threads = 1;
  std::string dumpFolder; ///< If not empty: each kernel's CUDA C++ and PTX land there.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

/// Chooses kernels and schedules for the operations of exec.kernel symbols, for each bucket, and compiles them. Errors
/// name the operation or the kernel that cannot be had; there is no code with holes.
llvm::Expected<CudaCode> emitCudaCode(llvm::ArrayRef<std::pair<std::string, mlir::Operation *>> kernels,
                                      const CudaTarget &target, std::vector<int64_t> buckets,
                                      const CudaEmitOptions &options);

} // namespace elah

#endif
