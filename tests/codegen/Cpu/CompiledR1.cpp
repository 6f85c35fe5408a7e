// r1 in text form, compiled for this machine and run: the tests of the interpreter (tests/codegen/Reference), whose
// expectations were worked out by hand, hold for compiled graphs as well.
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "tests/codegen/Cpu/CompiledGraph.h"
#include "tests/codegen/Reference/RunR1.h"

using namespace mlir;

namespace elah {
namespace {

MLIRContext &sharedContext() {
  static DialectRegistry registry = [] {
    DialectRegistry all;
    all.insert<func::FuncDialect, r1::R1Dialect>();
    return all;
  }();
  static MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  return context;
}

} // namespace

double engineTolerance() { return 2e-6; }

SmallVector<HostValue> runR1(const std::string &text, ArrayRef<HostValue> inputs, const InterpretOptions &options,
                             std::string *error) {
  MLIRContext &context = sharedContext();
  std::string messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    messages += diagnostic.str() + "\n";
    return success();
  });
  SmallVector<HostValue> values;
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
  if (module) {
    PassManager passes(&context);
    passes.addPass(createDecomposeCompositesPass());
    if (succeeded(passes.run(*module))) {
      FailureOr<SmallVector<HostValue>> results = runCompiled(*module, "f", inputs);
      values = succeeded(results) ? *results : SmallVector<HostValue>();
    }
  }
  if (error) {
    *error = messages;
  } else {
    EXPECT_EQ(messages, "") << text;
  }
  return values;
}

} // namespace elah
