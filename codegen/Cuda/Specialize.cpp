// From an operation of the kernel dialect to the shape that a kernel family takes: what memrefs and attributes say
// becomes numbers, and the family chooses the schedule for the target and the bucket.
#include "codegen/Cuda/Specialize.h"
#include "codegen/Cuda/Bf16Gemm.h"
#include "codegen/Cuda/Fp8Gemm.h"
#include "codegen/Cuda/GroupedGemm.h"
#include "dialects/Exec/Exec.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace elah {
namespace {

using Specs = llvm::Expected<std::vector<cuda::KernelSpec>>;

Type elementOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementType(); }
int64_t widthOf(Value rows) { return cast<MemRefType>(rows.getType()).getDimSize(1); }

/// Elements from one row to the next.
int64_t pitchOf(Value rows) {
  SmallVector<int64_t> strides;
  int64_t offset;
  LogicalResult isStrided = cast<MemRefType>(rows.getType()).getStridesAndOffset(strides, offset);
  assert(succeeded(isStrided) && "rows are strided");
  static_cast<void>(isStrided);
  return strides.front();
}

llvm::Error noKernel(Operation *op, const std::string &reason) {
  return llvm::createStringError(op->getName().getStringRef() + ": " + reason);
}

class Specializer {
public:
  Specializer(const CudaTarget &target, int64_t tokens) : target(target), tokens(tokens) {}

  Specs specialize(Operation *op) {
    return TypeSwitch<Operation *, Specs>(op)
        .Case<kernel::GemmOp, kernel::GroupedGemmOp, kernel::HeadGemmOp>([&](auto known) { return specs(known); })
        .Default([](Operation *unknown) -> Specs {
          return noKernel(unknown, "there is no CUDA kernel that does what it says");
        });
  }

private:
  //===--- Products ---===//
  static cuda::GemmOutput outputOf(Value output, kernel::Activation activation, bool accumulates) {
    if (activation == kernel::Activation::Swiglu) {
      return isa<Float8E4M3FNType>(elementOf(output)) ? cuda::GemmOutput::SwigluF8 : cuda::GemmOutput::SwigluBF16;
    }
    return accumulates                 ? cuda::GemmOutput::F32Add
           : elementOf(output).isF32() ? cuda::GemmOutput::F32
                                       : cuda::GemmOutput::BF16;
  }

  Specs product(Operation *op, const cuda::GemmProblem &problem, int64_t rows,
                llvm::function_ref<cuda::KernelSpec(const cuda::GemmSchedule &)> specialize) {
    if (std::string reason = cuda::whyNoGemm(problem); !reason.empty()) {
      return noKernel(op, reason);
    }
    return std::vector{specialize(cuda::chooseGemmSchedule(problem, rows, target))};
  }

  Specs specs(kernel::GemmOp op) {
    kernel::PackingAttr packing = op.getPacking();
    bool ofLogits = exec::rowsOf(op.getInput()).getCoefficient(exec::Dim::LogitRows) > 0;
    cuda::GemmRows rows = ofLogits ? cuda::GemmRows::LogitRows : cuda::GemmRows::Tokens;
    cuda::GemmOutput output = outputOf(op.getOutput(), op.getActivation(), op.getAccumulate());
    if (op.getCompute() == kernel::Compute::F8) {
      cuda::Fp8GemmShape shape{packing.getColumns(),    packing.getK(),          output,
                               op.getBias() != nullptr, pitchOf(op.getOutput()), rows};
      return product(op, shape.problem(), tokens,
                     [&](const cuda::GemmSchedule &schedule) { return cuda::specializeFp8Gemm(shape, schedule); });
    }
    cuda::Bf16GemmShape shape{packing.getColumns(),   packing.getK(),          output, op.getBias() != nullptr,
                              pitchOf(op.getInput()), pitchOf(op.getOutput()), rows};
    return product(op, shape.problem(), tokens,
                   [&](const cuda::GemmSchedule &schedule) { return cuda::specializeBf16Gemm(shape, schedule); });
  }

  Specs specs(kernel::GroupedGemmOp op) {
    kernel::PackingAttr packing = op.getPacking();
    int64_t rowsOfToken = exec::rowsOf(op.getInput()).getCoefficient(exec::Dim::Tokens);
    cuda::GroupedGemmShape shape{op.getCompute() == kernel::Compute::F8 ? cuda::GemmElement::F8
                                                                        : cuda::GemmElement::BF16,
                                 packing.getBatch(),
                                 packing.getColumns(),
                                 packing.getK(),
                                 outputOf(op.getOutput(), op.getActivation(), false),
                                 rowsOfToken};
    return product(op, shape.problem(), tokens * rowsOfToken,
                   [&](const cuda::GemmSchedule &schedule) { return cuda::specializeGroupedGemm(shape, schedule); });
  }

  Specs specs(kernel::HeadGemmOp op) {
    kernel::PackingAttr packing = op.getPacking();
    cuda::HeadGemmShape shape;
    shape.heads = packing.getBatch();
    shape.columns = packing.getN();
    shape.depth = packing.getK();
    shape.inputStride = op.getInputStride();
    shape.inputOffset = op.getInputOffset();
    shape.outputStride = op.getOutputStride();
    shape.outputOffset = op.getOutputOffset();
    shape.inputPitch = pitchOf(op.getInput());
    shape.outputPitch = pitchOf(op.getOutput());
    return product(op, shape.problem(), tokens,
                   [&](const cuda::GemmSchedule &schedule) { return cuda::specializeHeadGemm(shape, schedule); });
  }

  const CudaTarget &target;
  int64_t tokens;
};

} // namespace

llvm::Expected<std::vector<cuda::KernelSpec>> specializeForCuda(Operation *op, const CudaTarget &target,
                                                                int64_t tokens) {
  return Specializer(target, tokens).specialize(op);
}

} // namespace elah
