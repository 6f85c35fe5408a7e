#ifndef COMPILER_CONVERSION_R1TOEXEC_PRECISION_H
#define COMPILER_CONVERSION_R1TOEXEC_PRECISION_H

#include "compiler/Conversion/R1ToExec/LoweringTarget.h"
#include "dialects/Kernel/Kernel.h"
#include <optional>

namespace elah {

/// What becomes of a linear map's result; decides how it is computed.
enum class LinearRole {
  Residual,     ///< Its only use is a sum: it is added in place.
  GateOrUp,     ///< Its only use is a swiglu: both factors are one product.
  RouterLogits, ///< Chooses experts: its input is not quantized, and on a CPU not rounded.
  Logits,       ///< The program's result, for the tokens that are asked for.
  Plain,        ///< Rows of a buffer, beside those of its siblings.
};
LinearRole roleOf(r1::LinearOp linear);

/// How much of a value may be lost on the way, beyond f32 sums in any order.
enum class PrecisionMode {
  Auto, ///< Nothing that shows: logits stay within 1e-9 of f32's. Products of bf16 and f8 weights with split values.
  BF16, ///< Bits: what such products read, and the cache beside them, is rounded to bf16. Logits are some 1e-4 off.
  F32,  ///< Nothing: products are formed in f32, whatever the weights.
};
/// The mode of that name: auto, bf16 or f32.
std::optional<PrecisionMode> precisionModeOf(llvm::StringRef name);

/// In which precision products are formed and values are stored.
class Precision {
public:
  Precision(const LoweringTarget &target, PrecisionMode mode)
      : isCuda(target.isCuda), hasBF16(target.hasBF16Dot), mode(mode) {}

  kernel::Compute computeOf(r1::LinearOp linear) const;
  kernel::Compute computeOf(r1::ExpertsOp experts) const;
  /// Of an activation that an operation reads through a product; otherwise as values are stored by default.
  kernel::Compute computeOf(mlir::OpOperand &use) const;
  /// Of the only readers of an activation, which is stored as these read it; the default if they differ.
  kernel::Compute storageOf(mlir::Value activation) const;
  /// Of products with this weight, if their input can be had so.
  kernel::Compute computeOf(mlir::Value weight) const;
  /// As values are stored that nobody wants otherwise: f32, on Hopper bf16.
  kernel::Compute byDefault() const { return isCuda ? kernel::Compute::BF16 : kernel::Compute::F32; }
  /// Whether everything is computed in f32, whatever it costs.
  bool isF32Only() const { return mode == PrecisionMode::F32; }
  /// Whether a model with this weight keeps f32 in its cache.
  bool wantsF32Cache(mlir::Value weight) const;

private:
  kernel::Compute preferredBy(mlir::OpOperand &use) const;

  bool isCuda, hasBF16;
  PrecisionMode mode;
};

} // namespace elah

#endif
