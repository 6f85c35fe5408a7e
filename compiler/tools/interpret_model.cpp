// The oracle on the command line: import or parse, decompose, interpret.
#include "compiler/tools/interpret_model.h"
#include "codegen/Reference/Interpreter.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/tools/npy.h"
#include "dialects/R1/R1.h"
#include "frontends/HuggingFace/Import.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace elah {
namespace {

// As sysexits.h has them.
constexpr int badData = 65, cannotWrite = 74;

int reportError(const Twine &message, int code) {
  llvm::errs() << "error: " << message << "\n";
  return code;
}

/// `@forward(tokens, positions, cache) -> (logits, cache)`.
bool isForward(func::FuncOp function) {
  if (!function || function.getNumArguments() != 3 || function.getNumResults() != 2) {
    return false;
  }
  auto isIndices = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() == 1 && tensor.getElementType().isInteger(32);
  };
  auto logits = dyn_cast<RankedTensorType>(function.getResultTypes()[0]);
  Type cache = function.getArgumentTypes()[2];
  return isIndices(function.getArgumentTypes()[0]) && isIndices(function.getArgumentTypes()[1]) &&
         isa<r1::CacheType>(cache) && function.getResultTypes()[1] == cache && logits && logits.getRank() == 2;
}

} // namespace

int interpretModel(const InterpretModelOptions &options) {
  DialectRegistry registry;
  registry.insert<func::FuncDialect, r1::R1Dialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  InterpretOptions how;
  how.precision = options.isSingle ? Precision::F32 : Precision::F64;
  how.weightFolder = options.weightFolder;
  OwningOpRef<ModuleOp> module;
  if (llvm::sys::fs::is_directory(options.model)) {
    how.weightFolder = options.model;
    module = importHuggingFace(&context, options.model);
  } else {
    if (how.weightFolder.empty()) {
      how.weightFolder = llvm::sys::path::parent_path(options.model).str();
    }
    module = parseSourceFile<ModuleOp>(options.model, sources, ParserConfig(&context));
  }
  if (!module) {
    return badData;
  }
  if (!isForward(module->lookupSymbol<func::FuncOp>("forward"))) {
    return reportError(options.model + ": expected a function @forward(tokens, positions, cache) -> (logits, cache)",
                       badData);
  }
  PassManager passes(&context);
  passes.addPass(createDecomposeCompositesPass());
  if (failed(passes.run(*module))) {
    return badData;
  }

  Type cacheType = module->lookupSymbol<func::FuncOp>("forward").getArgumentTypes()[2];
  HostValue cache = emptyCache(cast<r1::CacheType>(cacheType));
  std::vector<float> logits;
  ArrayRef<int64_t> left = options.tokens;
  int64_t position = 0, vocabulary = 0;
  while (!left.empty()) {
    ArrayRef<int64_t> chunk = left.take_front(options.chunk == 0 ? left.size() : options.chunk);
    left = left.drop_front(chunk.size());
    int64_t count = static_cast<int64_t>(chunk.size());
    Integers positions;
    while (static_cast<int64_t>(positions.size()) < count) {
      positions.push_back(position++);
    }
    FailureOr<SmallVector<HostValue>> results =
        interpret(*module, "forward",
                  {hostValue(HostTensor({count}, Integers(chunk.begin(), chunk.end()))),
                   hostValue(HostTensor({count}, std::move(positions))), cache},
                  how);
    if (failed(results)) {
      return badData;
    }
    const HostTensor &rows = tensorOf((*results)[0]);
    logits.insert(logits.end(), rows.floats().begin(), rows.floats().end());
    vocabulary = rows.shape[1];
    cache = (*results)[1];
  }
  HostTensor rows({position, vocabulary}, Floats(logits.begin(), logits.end()));
  std::string problem = writeNpy(options.logitsFile, rows, Float32Type::get(&context));
  return problem.empty() ? 0 : reportError(problem, cannotWrite);
}

} // namespace elah
