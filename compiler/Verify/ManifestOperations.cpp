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

cuda::KernelSpec kernelSpecOf(const proto::Kernel &kernel, const proto::Grid &grid, unsigned operands) {
  const proto::CudaKernel &code = kernel.cuda();
  cuda::KernelSpec spec;
  spec.symbol = kernel.symbol();
  spec.family = kernel.family();
  spec.schedule = code.schedule();
  spec.operands = operands;
  spec.threads = code.threads();
  spec.cluster = code.cluster();
  spec.sharedBytes = code.shared_bytes();
  spec.scratchBytes = extentOf(code.scratch_bytes());
  spec.usesSemaphores = code.uses_scratch();
  for (const proto::TensorMap &map : code.maps()) {
    cuda::TensorMap &made = spec.maps.emplace_back();
    made.operand = map.operand();
    made.byteOffset = map.byte_offset();
    made.element = static_cast<cuda::MapElement>(map.element());
    for (const proto::Extent &size : map.sizes()) {
      made.sizes.push_back(extentOf(size));
    }
    made.strides.assign(map.strides().begin(), map.strides().end());
    made.box.assign(map.box().begin(), map.box().end());
    made.swizzle = static_cast<cuda::MapSwizzle>(map.swizzle());
  }
  spec.grid = {static_cast<int64_t>(grid.outer()), extentOf(grid.rows()), static_cast<int64_t>(grid.row_tile()),
               static_cast<int64_t>(grid.max_blocks())};
  return spec;
}

} // namespace elah
