#ifndef CODEGEN_CPU_GRAPH_EMITGRAPH_H
#define CODEGEN_CPU_GRAPH_EMITGRAPH_H

#include "codegen/Cpu/NativeCode.h"
#include "codegen/Target/CpuTarget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Error.h"
#include <optional>

namespace elah {

/// Compiles a function of r1 primitives (composites decomposed, shapes inferred) to an ELF shared object that exports
/// it as `symbol`, an `elah_cpu_graph` (cpu_graph.h). `weights` numbers its r1.weight operations. Nothing, where an
/// operation is no primitive that can be compiled: its diagnostic has been emitted.
llvm::Expected<std::optional<std::string>> emitGraph(mlir::func::FuncOp function, llvm::StringRef symbol,
                                                     const llvm::DenseMap<mlir::Operation *, int64_t> &weights,
                                                     const CpuTarget &target, const NativeOptions &options = {});

} // namespace elah

#endif
