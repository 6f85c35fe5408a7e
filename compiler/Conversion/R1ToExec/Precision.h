#ifndef COMPILER_CONVERSION_R1TOEXEC_PRECISION_H
#define COMPILER_CONVERSION_R1TOEXEC_PRECISION_H

#include "codegen/Target/CpuTarget.h"
#include "dialects/Kernel/Kernel.h"

namespace elah {

/// What becomes of a linear map's result; decides how it is computed.
enum class LinearRole {
  Residual,     ///< Its only use is a sum: it is added in place.
  GateOrUp,     ///< Its only use is a swiglu: both factors are one product.
  RouterLogits, ///< Chooses experts, so it is computed in f32.
  Logits,       ///< The program's result, for the tokens that are asked for.
  Plain,        ///< Rows of a buffer, beside those of its siblings.
};
LinearRole roleOf(r1::LinearOp linear);

/// In which precision products are formed and values are stored.
class Precision {
public:
  /// `f32Only` computes everything in f32, whatever the weights.
  Precision(const CpuTarget &target, bool f32Only) : hasBF16(target.hasBF16Dot), f32Only(f32Only) {}

  kernel::Compute computeOf(r1::LinearOp linear) const;
  kernel::Compute computeOf(r1::ExpertsOp experts) const;
  /// Of an activation that `consumer` reads through a product; f32 for all other uses.
  kernel::Compute computeOf(mlir::OpOperand &use) const;
  /// Whether all uses of an activation are products in bf16, so that it is stored as such.
  bool isStoredAsBF16(mlir::Value activation) const;
  /// Whether products with this weight are formed in bf16, if their input can be had so.
  bool prefersBF16(mlir::Value weight) const;
  /// Whether everything is computed in f32, whatever it costs.
  bool isF32Only() const { return f32Only; }
  /// Whether a model with this weight keeps f32 in its cache: because it would be more precise than
  /// the weight.
  bool wantsF32Cache(mlir::Value weight) const;

private:
  bool prefersBF16(mlir::OpOperand &use) const;
  bool canBeBF16(mlir::Value activation) const;

  bool hasBF16, f32Only;
};

} // namespace elah

#endif
