#ifndef COMPILER_DRIVER_DIAGNOSTICS_H
#define COMPILER_DRIVER_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include <string>

namespace elah {

/// A diagnostic as a user reads it: "config.json: error: ...", or the module path in the model where a file is not what
/// is wrong, "model.layers.3.mlp: error: ..."; notes follow on lines of their own. No line feed at the end.
std::string formatDiagnostic(const mlir::Diagnostic &diagnostic);

} // namespace elah

#endif
