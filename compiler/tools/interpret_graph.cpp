// The oracle for any graph: named tensors in, named tensors out.
#include "codegen/Reference/Interpreter.h"
#include "compiler/Driver/Diagnostics.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/tools/interpret_model.h"
#include "compiler/tools/npy.h"
#include "frontends/Onnx/Import.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace elah {
namespace {

// As sysexits.h has them.
constexpr int usage = 2, badData = 65, cannotWrite = 74;

int reportError(const Twine &message, int code) {
  llvm::errs() << "error: " << message << "\n";
  return code;
}

/// The name of an output's file: names of exported values have slashes and colons in them.
std::string fileNameOf(StringRef name) {
  std::string result;
  for (char character : name) {
    bool isPlain = llvm::isAlnum(character) || character == '.' || character == '-' || character == '_';
    result += isPlain ? character : '_';
  }
  return (result.empty() || result[0] == '.' ? "_" + result : result) + ".npy";
}

} // namespace

int interpretGraph(const InterpretModelOptions &options) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
    llvm::errs() << formatDiagnostic(diagnostic) << "\n";
    return success();
  });
  OwningOpRef<ModuleOp> module = importOnnx(&context, options.model);
  if (!module) {
    return badData;
  }
  PassManager passes(&context);
  passes.addPass(createDecomposeCompositesPass());
  if (failed(passes.run(*module))) {
    return badData;
  }
  auto function = module->lookupSymbol<func::FuncOp>("main");
  SmallVector<HostValue> inputs(function.getNumArguments());
  SmallVector<bool> isGiven(function.getNumArguments(), false);
  for (const auto &[name, file] : options.inputs) {
    auto hasName = [&, &wanted = name](unsigned index) {
      return function.getArgAttrOfType<StringAttr>(index, "r1.name").getValue() == wanted;
    };
    auto indices = llvm::seq<unsigned>(0, function.getNumArguments());
    auto found = llvm::find_if(indices, hasName);
    if (found == indices.end()) {
      return reportError("the graph has no input '" + name + "'", usage);
    }
    HostTensor tensor;
    if (std::string problem = readNpy(file, tensor); !problem.empty()) {
      return reportError(problem, badData);
    }
    inputs[*found] = hostValue(std::move(tensor));
    isGiven[*found] = true;
  }
  for (auto [index, given] : llvm::enumerate(isGiven)) {
    if (!given) {
      std::string type;
      llvm::raw_string_ostream(type) << function.getArgumentTypes()[index];
      return reportError("input '" + function.getArgAttrOfType<StringAttr>(index, "r1.name").getValue() + "' (" + type +
                             ") is missing; give it with --input",
                         usage);
    }
  }
  InterpretOptions how;
  how.precision = options.isSingle ? Precision::F32 : Precision::F64;
  StringRef folder = llvm::sys::path::parent_path(options.model);
  how.weightFolder = folder.empty() ? "." : folder.str();
  FailureOr<SmallVector<HostValue>> results = interpret(*module, "main", inputs, how);
  if (failed(results)) {
    return badData;
  }
  if (std::error_code code = llvm::sys::fs::create_directories(options.outputFolder)) {
    return reportError(options.outputFolder + ": cannot create the folder: " + code.message(), cannotWrite);
  }
  for (auto [index, result] : llvm::enumerate(*results)) {
    StringRef name = function.getResultAttrOfType<StringAttr>(index, "r1.name").getValue();
    const auto *tensor = std::get_if<std::shared_ptr<const HostTensor>>(&result);
    if (!tensor) {
      return reportError("output '" + name + "' is a sequence, which no .npy file holds", badData);
    }
    llvm::SmallString<256> path(options.outputFolder);
    llvm::sys::path::append(path, fileNameOf(name));
    Type element = cast<RankedTensorType>(function.getResultTypes()[index]).getElementType();
    if (std::string problem = writeNpy(path, **tensor, element); !problem.empty()) {
      return reportError(problem, cannotWrite);
    }
  }
  return 0;
}

} // namespace elah
