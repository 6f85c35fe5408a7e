// Registration of the kernel dialect, and its verifiers.
#include "dialects/Kernel/Kernel.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace elah::kernel;

#include "dialects/Kernel/KernelDialect.cpp.inc"
#include "dialects/Kernel/KernelEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/KernelAttrs.cpp.inc"
#include "dialects/Kernel/KernelInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.cpp.inc"

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Kernel/KernelAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Kernel/KernelOps.cpp.inc"
      >();
}

namespace {

int64_t width(Value rows) { return cast<MemRefType>(rows.getType()).getDimSize(1); }

/// What all matrix products ask of their packed weight, its scales and their input's type.
LogicalResult verifyProduct(Operation *op, PackingAttr packing, Compute compute, Value input, Value weight,
                            Value scales) {
  int64_t bytes = cast<MemRefType>(weight.getType()).getDimSize(0);
  if (bytes != packing.getBytes()) {
    return op->emitOpError() << "weight must have the " << packing.getBytes() << " bytes of its packing, found " << bytes;
  }
  if (packing.isScaled() != static_cast<bool>(scales)) {
    return op->emitOpError() << "must have scales exactly if the packing has blocks";
  }
  if (scales && cast<MemRefType>(scales.getType()).getDimSize(0) != packing.getScaleCount()) {
    return op->emitOpError() << "must have " << packing.getScaleCount() << " scales, found "
                             << cast<MemRefType>(scales.getType()).getDimSize(0);
  }
  bool isBF16 = cast<MemRefType>(input.getType()).getElementType().isBF16();
  if (isBF16 != (compute == Compute::BF16)) {
    return op->emitOpError() << "computes in " << stringifyCompute(compute) << " and needs an input of that type, found "
                             << input.getType();
  }
  int64_t step = compute == Compute::BF16 ? 2 : 1;
  if (packing.getStep() != step) {
    return op->emitOpError() << "computes in " << stringifyCompute(compute) << " and needs a packing with step " << step
                             << ", found " << packing.getStep();
  }
  return success();
}

} // namespace

LogicalResult GemmOp::verify() {
  PackingAttr packing = getPacking();
  if (failed(verifyProduct(*this, packing, getCompute(), getInput(), getWeight(), getScales()))) {
    return failure();
  }
  if (width(getInput()) != packing.getK() || width(getOutput()) != packing.getColumns()) {
    return emitOpError() << "input and output must be " << packing.getK() << " and " << packing.getColumns()
                         << " wide, found " << width(getInput()) << " and " << width(getOutput());
  }
  if (getAccumulate() && !cast<MemRefType>(getOutput().getType()).getElementType().isF32()) {
    return emitOpError() << "accumulates into f32 only, found " << getOutput().getType();
  }
  return success();
}

LogicalResult GroupedGemmOp::verify() {
  PackingAttr packing = getPacking();
  if (failed(verifyProduct(*this, packing, getCompute(), getInput(), getWeight(), getScales()))) {
    return failure();
  }
  if (width(getInput()) != packing.getK() || width(getOutput()) != packing.getColumns()) {
    return emitOpError() << "input and output must be " << packing.getK() << " and " << packing.getColumns()
                         << " wide, found " << width(getInput()) << " and " << width(getOutput());
  }
  return success();
}

LogicalResult HeadGemmOp::verify() {
  PackingAttr packing = getPacking();
  if (failed(verifyProduct(*this, packing, getCompute(), getInput(), getWeight(), {}))) {
    return failure();
  }
  int64_t heads = packing.getBatch();
  if ((heads - 1) * static_cast<int64_t>(getInputStride()) + static_cast<int64_t>(getInputOffset()) + packing.getK() >
          width(getInput()) ||
      (heads - 1) * static_cast<int64_t>(getOutputStride()) + static_cast<int64_t>(getOutputOffset()) +
              packing.getN() > width(getOutput())) {
    return emitOpError() << "the slices of " << heads << " heads must lie within the rows, found widths "
                         << width(getInput()) << " and " << width(getOutput());
  }
  return success();
}
