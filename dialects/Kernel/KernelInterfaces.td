#ifndef DIALECTS_KERNEL_KERNELINTERFACES
#define DIALECTS_KERNEL_KERNELINTERFACES

include "mlir/IR/OpBase.td"

def Kernel_KernelOpInterface : OpInterface<"KernelOpInterface"> {
  let cppNamespace = "::elah::kernel";
  let description = "What every kernel family says about itself.";
  let methods = [
    InterfaceMethod<"Blocks of a launch that do not depend on the number of rows: panels, experts, heads.",
      "int64_t", "getOuterBlocks", (ins)>,
    InterfaceMethod<"The buffer whose rows multiply the blocks, or null.", "::mlir::Value", "getBlockRows", (ins)>,
    InterfaceMethod<"Operands that the kernel reads; the others it writes.", "unsigned", "getInputCount", (ins)>
  ];
}

#endif
