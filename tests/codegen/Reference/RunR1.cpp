#include "tests/codegen/Reference/RunR1.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/R1/R1.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

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
      FailureOr<SmallVector<HostValue>> results = interpret(*module, "f", inputs, options);
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

HostValue emptyCacheOf(const std::string &text) {
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, ParserConfig(&sharedContext()));
  return emptyCache(cast<r1::CacheType>(module->lookupSymbol<func::FuncOp>("f").getArgumentTypes().back()));
}

HostValue floats(ArrayRef<int64_t> shape, Floats elements) { return hostValue(HostTensor(shape, std::move(elements))); }

HostValue integers(ArrayRef<int64_t> shape, Integers elements) {
  return hostValue(HostTensor(shape, std::move(elements)));
}

void expectFloats(const HostValue &value, ArrayRef<int64_t> shape, const Floats &elements, double bound) {
  const HostTensor &tensor = tensorOf(value);
  ASSERT_TRUE(tensor.isFloat());
  ASSERT_EQ(ArrayRef<int64_t>(tensor.shape), shape);
  ASSERT_EQ(tensor.floats().size(), elements.size());
  for (size_t index = 0; index < elements.size(); ++index) {
    double found = tensor.floats()[index], expected = elements[index];
    bool isSame = found == expected || (std::isnan(found) && std::isnan(expected));
    if (!isSame && !(std::abs(found - expected) <= bound * std::max(1.0, std::abs(expected)))) {
      ADD_FAILURE() << "element " << index << ": expected " << expected << ", found " << found;
      return;
    }
  }
}

void expectIntegers(const HostValue &value, ArrayRef<int64_t> shape, const Integers &elements) {
  const HostTensor &tensor = tensorOf(value);
  ASSERT_FALSE(tensor.isFloat());
  EXPECT_EQ(ArrayRef<int64_t>(tensor.shape), shape);
  EXPECT_EQ(tensor.integers(), elements);
}

} // namespace elah
