#ifndef CODEGEN_TARGET_CPUTARGET_H
#define CODEGEN_TARGET_CPUTARGET_H

#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace elah {

/// What codegen needs to know of a processor: data, not behaviour.
struct CpuTarget {
  std::string name;      ///< What users say: "znver4", "aarch64".
  std::string processor; ///< LLVM's name: "znver4", "generic".
  std::string triple;    ///< "x86_64-unknown-linux-gnu".
  std::string features;  ///< LLVM's feature string, beyond what the name implies.
  unsigned vectorBits;   ///< Width of the registers that kernels use.
  unsigned tileRows;     ///< Rows of a register tile with four vectors of columns, so that nothing spills.
  bool hasBF16Dot;       ///< AVX512-BF16: products of bf16 pairs, summed in f32.
  bool hasAmxBF16;       ///< AMX: registers of 16 x 16 sums of such products.
  /// What the object needs, as /proc/cpuinfo spells it; the runtime refuses to load it elsewhere.
  std::vector<std::string> requiredFlags;

  unsigned lanes() const { return vectorBits / 32; } ///< f32 values in a register.
  unsigned panel() const { return 4 * lanes(); }     ///< Columns of a weight panel.
};

/// The target of that name; `host` is the machine that compiles. The error lists all names.
llvm::Expected<CpuTarget> lookupCpuTarget(llvm::StringRef name);

/// All names that `lookupCpuTarget` knows.
std::vector<std::string> cpuTargetNames();

} // namespace elah

#endif
