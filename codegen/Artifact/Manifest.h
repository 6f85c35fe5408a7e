#ifndef CODEGEN_ARTIFACT_MANIFEST_H
#define CODEGEN_ARTIFACT_MANIFEST_H

#include "codegen/Cuda/CudaCode.h"
#include "codegen/Target/CpuTarget.h"
#include "elah/manifest.pb.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace elah {

/// Writes down what an exec module says, one to one. `scratchBytes` holds each kernel's scratch
/// memory by its symbol. With `cuda` the kernels are that code's, and the target is it. Weights get their places in the
/// weights section in the order of the module, and their recipes; of the shards only the names are filled in, in
/// alphabetical order.
proto::Manifest buildManifest(mlir::ModuleOp module, const CpuTarget &target,
                              const llvm::StringMap<uint64_t> &scratchBytes, const CudaCode *cuda = nullptr);

/// The section of CUDA modules: each kernel's cubin and PTX, where buildManifest says.
std::string cudaModules(const CudaCode &cuda);

/// Bytes of the weights section.
uint64_t weightsSectionSize(const proto::Manifest &manifest);

} // namespace elah

#endif
