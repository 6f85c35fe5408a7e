// Products in bf16 need their input in bf16. Whether a value can be had so is known from what makes
// it: a norm is written as often as there are types to read it in, other results are stored once,
// and then all readers must agree.
#include "compiler/Conversion/R1ToExec/Precision.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace elah {
namespace {

kernel::Compute compute(bool isBF16) { return isBF16 ? kernel::Compute::BF16 : kernel::Compute::F32; }

} // namespace

LinearRole roleOf(r1::LinearOp linear) {
  Value result = linear.getResult();
  if (llvm::any_of(result.getUsers(), llvm::IsaPred<r1::RouteOp>)) {
    return LinearRole::RouterLogits;
  }
  if (!result.hasOneUse()) {
    return LinearRole::Plain;
  }
  Operation *user = *result.getUsers().begin();
  if (isa<r1::AddOp>(user)) {
    return LinearRole::Residual;
  }
  if (isa<r1::SwigluOp>(user)) {
    return LinearRole::GateOrUp;
  }
  return isa<func::ReturnOp>(user) ? LinearRole::Logits : LinearRole::Plain;
}

bool Precision::prefersBF16(Value weight) const {
  Type element = cast<RankedTensorType>(weight.getType()).getElementType();
  return hasBF16 && !f32Only && (element.isBF16() || isa<Float8E4M3FNType>(element));
}

bool Precision::wantsF32Cache(Value weight) const {
  Type element = cast<RankedTensorType>(weight.getType()).getElementType();
  return f32Only || element.isF32() || element.isF16();
}

bool Precision::prefersBF16(OpOperand &use) const {
  if (auto experts = dyn_cast<r1::ExpertsOp>(use.getOwner())) {
    return use.get() == experts.getInput() && use.get() != experts.getWeights() && prefersBF16(experts.getGate()) &&
           prefersBF16(experts.getUp());
  }
  auto linear = dyn_cast<r1::LinearOp>(use.getOwner());
  if (!linear || !prefersBF16(linear.getWeight())) {
    return false;
  }
  switch (roleOf(linear)) {
  case LinearRole::RouterLogits:
    return false;
  case LinearRole::GateOrUp: {
    auto swiglu = cast<r1::SwigluOp>(*linear.getResult().getUsers().begin());
    return llvm::all_of(swiglu->getOperands(), [&](Value factor) {
      auto other = factor.getDefiningOp<r1::LinearOp>();
      return other && prefersBF16(other.getWeight());
    });
  }
  case LinearRole::Residual:
  case LinearRole::Logits:
  case LinearRole::Plain:
    return true;
  }
  llvm_unreachable("unknown role");
}

bool Precision::canBeBF16(Value activation) const {
  Operation *producer = activation.getDefiningOp();
  return producer && (isa<r1::RmsNormOp>(producer) || isStoredAsBF16(activation));
}

bool Precision::isStoredAsBF16(Value activation) const {
  Operation *producer = activation.getDefiningOp();
  return producer && isa<r1::AttentionOp, r1::LatentAttentionOp, r1::SwigluOp>(producer) &&
         llvm::all_of(activation.getUses(), [&](OpOperand &use) { return prefersBF16(use); });
}

kernel::Compute Precision::computeOf(OpOperand &use) const { return compute(prefersBF16(use) && canBeBF16(use.get())); }

kernel::Compute Precision::computeOf(r1::LinearOp linear) const { return computeOf(linear.getInputMutable()); }

kernel::Compute Precision::computeOf(r1::ExpertsOp experts) const { return computeOf(experts.getInputMutable()); }

} // namespace elah
