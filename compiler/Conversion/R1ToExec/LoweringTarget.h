#ifndef COMPILER_CONVERSION_R1TOEXEC_LOWERINGTARGET_H
#define COMPILER_CONVERSION_R1TOEXEC_LOWERINGTARGET_H

#include "codegen/Target/CpuTarget.h"

namespace elah {

/// What the conversion asks of the device that it converts for.
struct LoweringTarget {
  /// Products on Hopper's tensor cores: weights lie in rows, as tensor maps describe them; f8 weights are multiplied
  /// with quantized rows, all others in bf16; what kernels hand to each other is bf16, sums and the residual stream
  /// f32.
  bool isCuda = false;
  bool hasBF16Dot = false; ///< A CPU's products of bf16 pairs.
  bool hasAmxBF16 = false; ///< A CPU's tiles of such products.
  int64_t panel = 1;       ///< Columns of a weight panel.

  static LoweringTarget of(const CpuTarget &cpu) { return {false, cpu.hasBF16Dot, cpu.hasAmxBF16, cpu.panel()}; }
  static LoweringTarget cuda() { return {true, false, false, 1}; }

  /// Elements of a weight row that stand together, in products with elements of so many bits.
  int64_t stepOf(bool isF32Product, int64_t elementBits) const {
    return isCuda ? 128 / elementBits : isF32Product && elementBits >= 8 ? 1 : 2;
  }
};

} // namespace elah

#endif
