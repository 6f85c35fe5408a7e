#include "compiler/Verify/ManifestOperations.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;

namespace elah {

llvm::Expected<OwningOpRef<ModuleOp>> parseOperation(const proto::Manifest &manifest, uint32_t index,
                                                     MLIRContext &context) {
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(manifest.operations(static_cast<int>(index)), &context);
  if (!module || module->getBody()->empty() || !isa<exec::KernelOp>(module->getBody()->front())) {
    return llvm::createStringError("the artifact's operation %u is none that this compiler knows", index);
  }
  return module;
}

exec::KernelOp kernelOf(ModuleOp module) { return cast<exec::KernelOp>(module.getBody()->front()); }

cuda::Extent extentOf(const proto::Extent &extent) {
  cuda::Extent result = cuda::Extent::of(extent.constant());
  std::copy(extent.coefficients().begin(), extent.coefficients().end(), result.coefficients.begin());
  return result;
}

} // namespace elah
