// A kernel's way to machine code: its family writes MLIR (vector, scf, arith, math); that becomes
// LLVM IR, is optimised and compiled for the target, and all objects are linked into one. Kernels
// are told in full: loop and straight-line vectorizers stay off, and nothing outside the object may
// be called, so LLVM is not told of any library.
#include "codegen/Cpu/Emit.h"
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/Link.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace mlir;

namespace elah {
namespace {

/// Writes the kernel's body; returns the bytes of scratch memory that it needs.
uint64_t emitFamily(Operation *op, KernelBuilder &kernel) {
  return llvm::TypeSwitch<Operation *, uint64_t>(op)
      .Case([&](kernel::AttentionOp op) { return emitAttention(op, kernel); })
      .Case([&](kernel::CombineOp op) { return emitCombine(op, kernel); })
      .Case([&](kernel::EmbedOp op) { return emitEmbed(op, kernel); })
      .Case([&](kernel::ExpertPlanOp op) { return emitExpertPlan(op, kernel); })
      .Case([&](kernel::GemmOp op) { return emitGemm(op, kernel); })
      .Case([&](kernel::GroupedGemmOp op) { return emitGroupedGemm(op, kernel); })
      .Case([&](kernel::HeadGemmOp op) { return emitHeadGemm(op, kernel); })
      .Case([&](kernel::LatentAppendOp op) { return emitLatentAppend(op, kernel); })
      .Case([&](kernel::LatentAttentionOp op) { return emitLatentAttention(op, kernel); })
      .Case([&](kernel::RmsNormOp op) { return emitRmsNorm(op, kernel); })
      .Case([&](kernel::RopeAppendOp op) { return emitRopeAppend(op, kernel); })
      .Case([&](kernel::RopeTableOp op) { return emitRopeTable(op, kernel); })
      .Case([&](kernel::RouteOp op) { return emitRoute(op, kernel); });
}

llvm::Error unsupported(const CpuKernelRequest &request, const llvm::Twine &what) {
  return llvm::createStringError(std::make_error_code(std::errc::not_supported),
                                 "kernel '" + request.symbol + "': " + what);
}

/// What the target's matrix kernels cannot do, whatever the verifier allows.
llvm::Error checkRequest(const CpuKernelRequest &request, const CpuTarget &target) {
  auto packing = request.op->getAttrOfType<kernel::PackingAttr>("packing");
  if (!packing) {
    return llvm::Error::success();
  }
  auto compute = request.op->getAttrOfType<kernel::ComputeAttr>("compute").getValue();
  if (compute == kernel::Compute::BF16 && !target.hasBF16Dot) {
    return unsupported(request, "computes in bf16, for which " + target.name + " has no instruction");
  }
  if (packing.getPanel() != target.panel()) {
    return unsupported(request, "has panels of " + llvm::Twine(packing.getPanel()) + " columns, " + target.name +
                                    " needs " + llvm::Twine(target.panel()));
  }
  return llvm::Error::success();
}

llvm::Error writeDump(const CpuEmitOptions &options, llvm::StringRef symbol, llvm::StringRef extension,
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

/// A kernel between its two halves: MLIR is lowered in one thread, LLVM compiles in many.
struct Compilation {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
  std::string object;
  std::string failure; ///< Empty: none.
};

/// Lowers one kernel to LLVM IR; sets its scratch size.
llvm::Error lower(const CpuKernelRequest &request, const CpuTarget &target, MLIRContext *context,
                  const CpuEmitOptions &options, uint64_t &scratchBytes, Compilation &compilation) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(request.op->getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  KernelBuilder kernel(builder, request.op, request.symbol, target);
  scratchBytes = emitFamily(request.op, kernel);
  kernel.finish();
  if (!options.dumpFolder.empty()) {
    if (llvm::Error error = writeDump(options, request.symbol, ".mlir",
                                      [&](llvm::raw_pwrite_stream &stream) { module->print(stream); })) {
      return error;
    }
  }
  PassManager passes(context);
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  if (failed(passes.run(*module))) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "internal error: cannot lower kernel '%s'",
                                   request.symbol.c_str());
  }
  compilation.module = translateModuleToLLVMIR(*module, compilation.context, request.symbol);
  if (!compilation.module) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "internal error: cannot translate kernel '%s'",
                                   request.symbol.c_str());
  }
  return llvm::Error::success();
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

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
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
    return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                   "internal error: kernel '%s' calls outside its object: %s", symbol.str().c_str(),
                                   undefined.c_str());
  }
  return llvm::Error::success();
}

llvm::Error compile(llvm::StringRef symbol, const CpuTarget &target, const CpuEmitOptions &options,
                    Compilation &compilation) {
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(target);
  llvm::Module &module = *compilation.module;
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
  optimize(module, *machine);
  if (!options.dumpFolder.empty()) {
    if (llvm::Error error = writeDump(options, symbol, ".ll",
                                      [&](llvm::raw_pwrite_stream &stream) { module.print(stream, nullptr); })) {
      return error;
    }
    if (llvm::Error error = writeDump(options, symbol, ".s", [&](llvm::raw_pwrite_stream &stream) {
          generate(*llvm::CloneModule(module), *machine, llvm::CodeGenFileType::AssemblyFile, stream);
        })) {
      return error;
    }
  }
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  generate(module, *machine, llvm::CodeGenFileType::ObjectFile, stream);
  compilation.object.assign(object.begin(), object.end());
  return checkUndefined(symbol, compilation.object);
}

} // namespace

llvm::Expected<CpuObject> emitCpuObject(llvm::ArrayRef<CpuKernelRequest> kernels, const CpuTarget &target,
                                        MLIRContext *context, const CpuEmitOptions &options) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
  context->loadDialect<arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect, LLVM::LLVMDialect,
                       math::MathDialect, scf::SCFDialect, vector::VectorDialect>();

  CpuObject result;
  std::vector<Compilation> compilations(kernels.size());
  for (auto [request, compilation] : llvm::zip_equal(kernels, compilations)) {
    if (llvm::Error error = checkRequest(request, target)) {
      return error;
    }
    uint64_t scratchBytes = 0;
    if (llvm::Error error = lower(request, target, context, options, scratchBytes, compilation)) {
      return error;
    }
    result.scratchBytes[request.symbol] = scratchBytes;
  }
  {
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.threads));
    for (size_t i = 0; i < kernels.size(); ++i) {
      pool.async([&, i] {
        if (llvm::Error error = compile(kernels[i].symbol, target, options, compilations[i])) {
          compilations[i].failure = llvm::toString(std::move(error));
        }
      });
    }
    pool.wait();
  }
  std::vector<std::string> objects;
  for (Compilation &compilation : compilations) {
    if (!compilation.failure.empty()) {
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "%s", compilation.failure.c_str());
    }
    objects.push_back(std::move(compilation.object));
  }
  llvm::Expected<std::string> image = linkSharedObject(objects, target);
  if (!image) {
    return image.takeError();
  }
  result.image = std::move(*image);
  return result;
}

} // namespace elah
