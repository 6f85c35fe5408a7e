// From kernel operations to the one native object that an artifact carries for the CPU.
#ifndef CODEGEN_CPU_EMIT_H
#define CODEGEN_CPU_EMIT_H

#include "codegen/Target/CpuTarget.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/StringMap.h"

namespace elah {

struct CpuKernelRequest {
  std::string symbol;
  mlir::Operation *op; ///< A kernel-dialect operation inside an exec.kernel.
};

struct CpuObject {
  std::string image;                      ///< An ELF shared object; each symbol is an `elah_cpu_kernel`.
  llvm::StringMap<uint64_t> scratchBytes; ///< What each kernel needs per thread.
};

struct CpuEmitOptions {
  unsigned threads = 1;        ///< Of the compiler; the image does not depend on them.
  std::string dumpFolder = {}; ///< If not empty: <symbol>.mlir, <symbol>.ll and <symbol>.s land there.
};

/// Compiles the kernels for `target`. Fails if the target cannot compute what a kernel asks for, or
/// if a file cannot be written.
llvm::Expected<CpuObject> emitCpuObject(llvm::ArrayRef<CpuKernelRequest> kernels, const CpuTarget &target,
                                        mlir::MLIRContext *context, const CpuEmitOptions &options = {});

} // namespace elah

#endif
