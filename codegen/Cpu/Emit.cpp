// A kernel's way to machine code: its family writes MLIR (vector, scf, arith, math); that becomes
// LLVM IR, is optimised and compiled for the target, and all objects are linked into one. Kernels
// are told in full: loop and straight-line vectorizers stay off, and nothing outside the object may
// be called, so LLVM is not told of any library.
#include "codegen/Cpu/Emit.h"
#include "codegen/Cpu/Families.h"
#include "codegen/Cpu/Link.h"
#include "codegen/Cpu/NativeCode.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/ThreadPool.h"

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
      .Case([&](kernel::GenericOp op) { return emitGeneric(op, kernel); })
      .Case([&](kernel::GroupedGemmOp op) { return emitGroupedGemm(op, kernel); })
      .Case([&](kernel::HeadGemmOp op) { return emitHeadGemm(op, kernel); })
      .Case([&](kernel::LatentAppendOp op) { return emitLatentAppend(op, kernel); })
      .Case([&](kernel::LatentAttentionOp op) { return emitLatentAttention(op, kernel); })
      .Case([&](kernel::RmsNormOp op) { return emitRmsNorm(op, kernel); })
      .Case([&](kernel::RopeAppendOp op) { return emitRopeAppend(op, kernel); })
      .Case([&](kernel::RopeTableOp op) { return emitRopeTable(op, kernel); })
      .Case([&](kernel::RouteOp op) { return emitRoute(op, kernel); })
      .Case([&](kernel::SplitOp op) { return emitSplit(op, kernel); });
}

llvm::Error unsupported(const CpuKernelRequest &request, const llvm::Twine &what) {
  return llvm::createStringError(std::make_error_code(std::errc::not_supported),
                                 "kernel '" + request.symbol + "': " + what);
}

/// What the target's matrix kernels cannot do, whatever the verifier allows.
llvm::Error checkRequest(const CpuKernelRequest &request, const CpuTarget &target) {
  auto append = dyn_cast<kernel::LatentAppendOp>(request.op);
  auto attention = dyn_cast<kernel::LatentAttentionOp>(request.op);
  if ((append && append.getFp8Row()) || (attention && attention.getFp8Row())) {
    return unsupported(request, "has a cache in FP8, which is for GPUs");
  }
  auto packing = request.op->getAttrOfType<kernel::PackingAttr>("packing");
  if (!packing) {
    return llvm::Error::success();
  }
  auto compute = request.op->getAttrOfType<kernel::ComputeAttr>("compute").getValue();
  if (compute != kernel::Compute::F32 && !target.hasBF16Dot) {
    return unsupported(request, "computes in bf16, for which " + target.name + " has no instruction");
  }
  if (packing.getPanel() != target.panel()) {
    return unsupported(request, "has panels of " + llvm::Twine(packing.getPanel()) + " columns, " + target.name +
                                    " needs " + llvm::Twine(target.panel()));
  }
  return llvm::Error::success();
}

/// A kernel between its two halves: MLIR is lowered in one thread, LLVM compiles in many.
struct Compilation {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
  std::string object;
  std::string failure; ///< Empty: none.
};

/// Lowers one kernel to LLVM IR; sets its scratch size.
llvm::Error lower(const CpuKernelRequest &request, const CpuTarget &target, const CpuEmitOptions &options,
                  uint64_t &scratchBytes, Compilation &compilation) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(request.op->getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  KernelBuilder kernel(builder, request.op, request.symbol, target);
  scratchBytes = emitFamily(request.op, kernel);
  kernel.finish();
  auto lowered = lowerToLlvm(*module, request.symbol, compilation.context, {options.dumpFolder});
  if (!lowered) {
    return lowered.takeError();
  }
  compilation.module = std::move(*lowered);
  return llvm::Error::success();
}

} // namespace

llvm::Expected<CpuObject> emitCpuObject(llvm::ArrayRef<CpuKernelRequest> kernels, const CpuTarget &target,
                                        MLIRContext *context, const CpuEmitOptions &options) {
  loadNativeDialects(context);
  CpuObject result;
  std::vector<Compilation> compilations(kernels.size());
  for (auto [request, compilation] : llvm::zip_equal(kernels, compilations)) {
    if (llvm::Error error = checkRequest(request, target)) {
      return error;
    }
    uint64_t scratchBytes = 0;
    if (llvm::Error error = lower(request, target, options, scratchBytes, compilation)) {
      return error;
    }
    result.scratchBytes[request.symbol] = scratchBytes;
  }
  {
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.threads));
    for (size_t i = 0; i < kernels.size(); ++i) {
      pool.async([&, i] {
        Compilation &compilation = compilations[i];
        auto object = compileToObject(*compilation.module, kernels[i].symbol, target, {options.dumpFolder});
        if (object) {
          compilation.object = std::move(*object);
        } else {
          compilation.failure = llvm::toString(object.takeError());
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
