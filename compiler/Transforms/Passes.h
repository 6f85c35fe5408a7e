// Passes within a dialect; what each does and why is in Passes.td.
#ifndef COMPILER_TRANSFORMS_PASSES_H
#define COMPILER_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace elah {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Passes.h.inc"

} // namespace elah

#endif
