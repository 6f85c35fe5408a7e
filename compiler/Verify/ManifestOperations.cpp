#include "compiler/Verify/ManifestOperations.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

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

/// Of an operation with so many operands.
static cuda::KernelSpec kernelSpecOf(const proto::Kernel &kernel, const proto::Grid &grid, unsigned operands) {
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

VariantKernels::VariantKernels(const proto::Manifest &manifest, llvm::StringRef modules, const proto::Variant &variant,
                               unsigned operands) {
  for (const proto::Step &step : variant.steps()) {
    specs.push_back(kernelSpecOf(manifest.kernels(static_cast<int>(step.kernel())), step.grid(), operands));
  }
  for (auto [spec, step] : llvm::zip_equal(specs, variant.steps())) {
    const proto::CudaKernel &code = manifest.kernels(static_cast<int>(step.kernel())).cuda();
    kernels.push_back({&spec, std::string_view(modules.data() + code.ptx_offset(), code.ptx_size())});
  }
}

std::string VariantKernels::symbols() const {
  return llvm::join(llvm::map_range(specs, [](const cuda::KernelSpec &spec) { return spec.symbol; }), " + ");
}

} // namespace elah
