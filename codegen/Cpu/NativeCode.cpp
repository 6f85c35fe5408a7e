// Optimised by LLVM for the target, nothing outside the object is called, so LLVM is not told of any library.
#include "codegen/Cpu/NativeCode.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace mlir;

namespace elah {
namespace {

llvm::Error writeDump(const NativeOptions &options, llvm::StringRef symbol, llvm::StringRef extension,
                      llvm::function_ref<void(llvm::raw_pwrite_stream &)> write) {
  llvm::SmallString<128> path(options.dumpFolder);
  std::error_code error = llvm::sys::fs::create_directories(path);
  llvm::sys::path::append(path, symbol + extension);
  if (!error) {
    llvm::raw_fd_ostream file(path, error);
    if (!error) {
      write(file);
      return llvm::Error::success();
    }
  }
  return llvm::createStringError(error, "cannot write '%s'", path.c_str());
}

std::unique_ptr<llvm::TargetMachine> createMachine(const CpuTarget &target) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  });
  llvm::Triple triple(target.triple);
  std::string message;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, message);
  assert(found && "LLVM has the targets of CpuTarget.cpp");
  return std::unique_ptr<llvm::TargetMachine>(
      found->createTargetMachine(triple, target.processor, target.features, llvm::TargetOptions(), llvm::Reloc::PIC_,
                                 std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine, bool vectorizesLoops) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = vectorizesLoops;
  tuning.SLPVectorization = vectorizesLoops;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  // No library: a loop that copies or clears memory stays a loop.
  llvm::TargetLibraryInfoImpl noLibrary(machine.getTargetTriple());
  noLibrary.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(noLibrary); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

void generate(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type,
              llvm::raw_pwrite_stream &stream) {
  llvm::legacy::PassManager passes;
  llvm::TargetLibraryInfoImpl noLibrary(machine.getTargetTriple());
  noLibrary.disableAllFunctions();
  passes.add(new llvm::TargetLibraryInfoWrapperPass(noLibrary));
  [[maybe_unused]] bool cannotEmit = machine.addPassesToEmitFile(passes, stream, nullptr, type);
  assert(!cannotEmit && "the targets of CpuTarget.cpp emit files");
  passes.run(module);
}

/// The contract of cpu_kernel.h: nothing outside the object is called.
llvm::Error checkUndefined(llvm::StringRef symbol, llvm::StringRef object) {
  auto file = llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(object, symbol));
  if (!file) {
    return file.takeError();
  }
  std::string undefined;
  for (const llvm::object::SymbolRef &entry : (*file)->symbols()) {
    uint32_t flags = llvm::cantFail(entry.getFlags());
    llvm::StringRef name = llvm::cantFail(entry.getName());
    if ((flags & llvm::object::SymbolRef::SF_Undefined) && !name.empty()) {
      undefined += (undefined.empty() ? "" : ", ") + name.str();
    }
  }
  if (!undefined.empty()) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "internal error: '%s' calls outside its object: %s",
                                   symbol.str().c_str(), undefined.c_str());
  }
  return llvm::Error::success();
}

} // namespace

void loadNativeDialects(MLIRContext *context) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
  context->loadDialect<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect, LLVM::LLVMDialect,
                       math::MathDialect, scf::SCFDialect, vector::VectorDialect>();
}

llvm::Expected<std::unique_ptr<llvm::Module>>
lowerToLlvm(ModuleOp module, llvm::StringRef symbol, llvm::LLVMContext &llvmContext, const NativeOptions &options) {
  if (!options.dumpFolder.empty()) {
    if (llvm::Error error =
            writeDump(options, symbol, ".mlir", [&](llvm::raw_pwrite_stream &stream) { module.print(stream); })) {
      return std::move(error);
    }
  }
  PassManager passes(module.getContext());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  if (failed(passes.run(module))) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "internal error: cannot lower '%s'",
                                   symbol.str().c_str());
  }
  std::unique_ptr<llvm::Module> translated = translateModuleToLLVMIR(module, llvmContext, symbol);
  if (!translated) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "internal error: cannot translate '%s'",
                                   symbol.str().c_str());
  }
  return translated;
}

llvm::Expected<std::string> compileToObject(llvm::Module &module, llvm::StringRef symbol, const CpuTarget &target,
                                            const NativeOptions &options) {
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target);
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : module) {
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", target.processor);
      function.addFnAttr("target-features", target.features);
      function.addFnAttr("prefer-vector-width", llvm::utostr(target.vectorBits));
      function.addFnAttr("no-builtins");
      function.addFnAttr(llvm::Attribute::NoUnwind);
    }
  }
  optimize(module, *machine, options.vectorizesLoops);
  if (!options.dumpFolder.empty()) {
    if (llvm::Error error = writeDump(options, symbol, ".ll",
                                      [&](llvm::raw_pwrite_stream &stream) { module.print(stream, nullptr); })) {
      return std::move(error);
    }
    if (llvm::Error error = writeDump(options, symbol, ".s", [&](llvm::raw_pwrite_stream &stream) {
          generate(*llvm::CloneModule(module), *machine, llvm::CodeGenFileType::AssemblyFile, stream);
        })) {
      return std::move(error);
    }
  }
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  generate(module, *machine, llvm::CodeGenFileType::ObjectFile, stream);
  std::string result(object.begin(), object.end());
  if (llvm::Error error = checkUndefined(symbol, result)) {
    return std::move(error);
  }
  return result;
}

} // namespace elah
