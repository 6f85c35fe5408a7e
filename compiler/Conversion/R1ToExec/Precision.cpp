// Products in bf16 need their input in bf16. Whether a value can be had so is known from what makes
// it: a norm is written as often as there are types to read it in, other results are stored once,
// and then all readers must agree.
//
// Rounding an activation to bf16 takes off 2^-9 of it, two layers of which move logits by 5e-5 (1 - 2<x,y> / (|x|^2 +
// |y|^2)), and a router's choice where scores are nearly equal; so does a cache in bf16, by 1e-5. Split into two bf16,
// it loses 2^-17: the same weights are read, and only the multiplications double.
#include "compiler/Conversion/R1ToExec/Precision.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace elah {

std::optional<PrecisionMode> precisionModeOf(StringRef name) {
  return llvm::StringSwitch<std::optional<PrecisionMode>>(name)
      .Case("auto", PrecisionMode::Auto)
      .Case("bf16", PrecisionMode::BF16)
      .Case("f32", PrecisionMode::F32)
      .Default(std::nullopt);
}

kernel::Compute Precision::compute(bool isBF16) const {
  if (!isBF16) {
    return kernel::Compute::F32;
  }
  return mode == PrecisionMode::Auto ? kernel::Compute::BF16X2 : kernel::Compute::BF16;
}

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
  return hasBF16 && mode != PrecisionMode::F32 && (element.isBF16() || isa<Float8E4M3FNType>(element));
}

bool Precision::wantsF32Cache(Value weight) const {
  Type element = cast<RankedTensorType>(weight.getType()).getElementType();
  return mode != PrecisionMode::BF16 || element.isF32() || element.isF16();
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

kernel::Compute Precision::storageOf(Value activation) const { return compute(isStoredAsBF16(activation)); }

kernel::Compute Precision::computeOf(Value weight) const { return compute(prefersBF16(weight)); }

kernel::Compute Precision::computeOf(OpOperand &use) const { return compute(prefersBF16(use) && canBeBF16(use.get())); }

kernel::Compute Precision::computeOf(r1::LinearOp linear) const { return computeOf(linear.getInputMutable()); }

kernel::Compute Precision::computeOf(r1::ExpertsOp experts) const { return computeOf(experts.getInputMutable()); }

} // namespace elah
