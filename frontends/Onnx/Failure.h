#ifndef FRONTENDS_ONNX_FAILURE_H
#define FRONTENDS_ONNX_FAILURE_H

#include "llvm/ADT/Twine.h"
#include <string>

namespace elah::onnx_import {

/// What is wrong with a model. An operator is an expression over its inputs, and a check in each subexpression would
/// hide it; so this folder alone throws, and the importer's entry point catches. Nothing is thrown through MLIR.
struct Failure {
  Failure(llvm::StringRef code, const llvm::Twine &message) : code(code.str()), message(message.str()) {}

  std::string code;    ///< What kind of mistake: stable, for scripts.
  std::string message; ///< What was found and what was expected.
  std::string node;    ///< The name of the node, or whatever else it is about; empty for the file.
};

/// The codes of failures.
namespace code {
constexpr llvm::StringLiteral file = "onnx-file", format = "onnx-format", version = "onnx-version",
                              limit = "onnx-limit", graph = "onnx-graph", undefined = "onnx-undefined",
                              cycle = "onnx-cycle", function = "onnx-function", attribute = "onnx-attribute",
                              type = "onnx-type", tensor = "onnx-tensor", external = "onnx-external-data",
                              unsupported = "onnx-unsupported";
} // namespace code

} // namespace elah::onnx_import

#endif
