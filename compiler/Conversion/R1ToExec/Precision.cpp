// Products in bf16 need their input in bf16. Whether a value can be had so is known from what makes
// it: a norm is written as often as there are types to read it in, other results are stored once,
// and then all readers must agree.
//
// Rounding an activation to bf16 takes off 2^-9 of it, two layers of which move logits by 5e-5 (1 - 2<x,y> / (|x|^2 +
// |y|^2)), and a router's choice where scores are nearly equal; so does a cache in bf16, by 1e-5. Split into two bf16,
// it loses 2^-17: the same weights are read, and only the multiplications double.
#include "compiler/Conversion/R1ToExec/Precision.h"
#include "compiler/Conversion/R1ToExec/Leftovers.h"
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

LinearRole roleOf(r1::LinearOp linear) {
  Value result = linear.getResult();
  if (llvm::any_of(result.getUsers(), llvm::IsaPred<r1::RouteOp>)) {
    return LinearRole::RouterLogits;
  }
  if (!result.hasOneUse()) {
    return LinearRole::Plain;
  }
  Operation *user = *result.getUsers().begin();
  if (auto sum = dyn_cast<r1::AddOp>(user); sum && isResidualSum(sum)) {
    return LinearRole::Residual;
  }
  if (isa<r1::SwigluOp>(user)) {
    return LinearRole::GateOrUp;
  }
  return becomesLogits(result) ? LinearRole::Logits : LinearRole::Plain;
}

kernel::Compute Precision::computeOf(Value weight) const {
  auto type = cast<RankedTensorType>(weight.getType());
  Type element = type.getElementType();
  bool isF8 = isa<Float8E4M3FNType>(element);
  if (isCuda) {
    // What a tensor map can describe: rows of whole 16 bytes. Scales are of 128 values, as those of quantized rows.
    auto blocks = dyn_cast_or_null<r1::BlocksAttr>(type.getEncoding());
    bool fits =
        isF8 && blocks && blocks.getRows() == 128 && blocks.getColumns() == 128 && type.getShape().back() % 16 == 0;
    return fits ? kernel::Compute::F8 : kernel::Compute::BF16;
  }
  // Integers of a byte less their zero point are exact in bf16, too.
  if (!hasBF16 || mode == PrecisionMode::F32 || !(element.isBF16() || isF8 || isa<IntegerType>(element))) {
    return kernel::Compute::F32;
  }
  return mode == PrecisionMode::Auto ? kernel::Compute::BF16X2 : kernel::Compute::BF16;
}

bool Precision::wantsF32Cache(Value weight) const {
  Type element = cast<RankedTensorType>(weight.getType()).getElementType();
  return !isCuda && (mode != PrecisionMode::BF16 || element.isF32() || element.isF16());
}

kernel::Compute Precision::preferredBy(OpOperand &use) const {
  if (auto experts = dyn_cast<r1::ExpertsOp>(use.getOwner())) {
    kernel::Compute gate = computeOf(experts.getGate());
    bool isInput = use.get() == experts.getInput() && use.get() != experts.getWeights();
    return isInput && gate == computeOf(experts.getUp()) ? gate : byDefault();
  }
  auto linear = dyn_cast<r1::LinearOp>(use.getOwner());
  if (!linear) {
    return byDefault();
  }
  kernel::Compute preferred = computeOf(linear.getWeight());
  switch (roleOf(linear)) {
  case LinearRole::RouterLogits:
    return byDefault();
  case LinearRole::GateOrUp: {
    auto swiglu = cast<r1::SwigluOp>(*linear.getResult().getUsers().begin());
    bool isAlike = llvm::all_of(swiglu->getOperands(), [&](Value factor) {
      auto other = factor.getDefiningOp<r1::LinearOp>();
      return other && computeOf(other.getWeight()) == preferred;
    });
    return isAlike ? preferred : byDefault();
  }
  case LinearRole::Residual:
  case LinearRole::Logits:
  case LinearRole::Plain:
    return preferred;
  }
  llvm_unreachable("unknown role");
}

kernel::Compute Precision::storageOf(Value activation) const {
  Operation *producer = activation.getDefiningOp();
  if (!producer || !isa<r1::AttentionOp, r1::LatentAttentionOp, r1::SwigluOp>(producer) || activation.use_empty()) {
    return byDefault();
  }
  kernel::Compute preferred = preferredBy(*activation.getUses().begin());
  bool isAlike = llvm::all_of(activation.getUses(), [&](OpOperand &use) { return preferredBy(use) == preferred; });
  return isAlike ? preferred : byDefault();
}

kernel::Compute Precision::computeOf(OpOperand &use) const {
  kernel::Compute preferred = preferredBy(use);
  bool canBe = use.get().getDefiningOp<r1::RmsNormOp>() || storageOf(use.get()) == preferred;
  return canBe ? preferred : byDefault();
}

kernel::Compute Precision::computeOf(r1::LinearOp linear) const { return computeOf(linear.getInputMutable()); }

kernel::Compute Precision::computeOf(r1::ExpertsOp experts) const { return computeOf(experts.getInputMutable()); }

} // namespace elah
