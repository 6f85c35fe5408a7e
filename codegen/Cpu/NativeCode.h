// MLIR of the vector, scf, arith, math and llvm dialects to native code for a processor: what kernels and plain graphs
// share on their way.
#ifndef CODEGEN_CPU_NATIVECODE_H
#define CODEGEN_CPU_NATIVECODE_H

#include "codegen/Target/CpuTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace elah {

/// Loads the dialects that code is written in, and their way to LLVM IR.
void loadNativeDialects(mlir::MLIRContext *context);

struct NativeOptions {
  std::string dumpFolder = {};  ///< If not empty: <symbol>.mlir, <symbol>.ll and <symbol>.s land there.
  bool vectorizesLoops = false; ///< Whether LLVM's vectorizers look at scalar loops.
};

/// Lowers a module, which is used up, to LLVM IR in `llvmContext`. `symbol` names it in messages and dumps.
llvm::Expected<std::unique_ptr<llvm::Module>> lowerToLlvm(mlir::ModuleOp module, llvm::StringRef symbol,
                                                          llvm::LLVMContext &llvmContext, const NativeOptions &options);

/// Optimises and compiles LLVM IR to an ELF object that calls nothing outside of itself.
llvm::Expected<std::string> compileToObject(llvm::Module &module, llvm::StringRef symbol, const CpuTarget &target,
                                            const NativeOptions &options);

} // namespace elah

#endif
