#ifndef TESTS_FRONTENDS_ONNX_BACKENDCASES_H
#define TESTS_FRONTENDS_ONNX_BACKENDCASES_H

#include "codegen/Reference/Interpreter.h"
#include "mlir/IR/BuiltinOps.h"
#include <functional>
#include <map>
#include <string>

namespace elah {

/// Runs @main of an imported model, whose file lies in `folder`. A failure has been emitted.
using Engine = std::function<mlir::FailureOr<llvm::SmallVector<HostValue>>(
    mlir::ModuleOp module, llvm::ArrayRef<HostValue> inputs, llvm::StringRef folder)>;

/// How a case of ONNX's backend tests ended.
struct CaseResult {
  enum State { Pass, Unsupported, Fail } state = Fail;
  std::string message; ///< Why it did not pass.
};

/// The suite's cases: folders "node/test_abs" with a model.onnx and sets of inputs and expected outputs.
std::vector<std::string> backendCases(llvm::StringRef suite);

/// Imports a case's model for each of its sets, runs it, and holds the outputs against the expected ones, with the
/// tolerance of ONNX's own runner.
CaseResult runBackendCase(llvm::StringRef suite, llvm::StringRef name, const Engine &engine);

} // namespace elah

#endif
