// The object as a file: for every target it is one shared object with the kernels' symbols that needs nothing, and its
// bytes depend on nothing but the kernels and the target.
#include "KernelHarness.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include <gtest/gtest.h>

using namespace elah;
using namespace elah::test;

namespace {

/// One kernel of every family, for a target.
std::string everyFamily(const CpuTarget &target) {
  auto gemm = [&](const char *name, const char *format, bool isBF16, const char *blocks, int64_t scales) {
    int64_t elementBytes = format[1] == '8' ? 1 : format[0] == 'b' ? 2 : 4, step = isBF16 ? 2 : 1;
    int64_t bytes = (128 + target.panel() - 1) / target.panel() * target.panel() * 128 * elementBytes;
    std::string scale = llvm::formatv("memref<{0}xf32>", scales);
    return llvm::formatv(
               "exec.kernel @{0}(%a: memref<?x128x{1}>, %w: memref<{2}xi8>{3}, %c: memref<?x128xf32>) rows "
               "[#exec.extent<tokens>, #exec.extent<{2}>{4}, #exec.extent<tokens>] {{\nkernel.gemm %a, %w{5} to %c "
               "{{packing = #kernel.packing<{6}, n = 128, k = 128, panel = {7}, step = {8}, batch = 1, swiglu = false, "
               "blocks = {9}>, compute = #kernel<compute {1}>, activation = #kernel<activation none>} : "
               "memref<?x128x{1}>, memref<{2}xi8>{10}, memref<?x128xf32>\n}\n",
               name, isBF16 ? "bf16" : "f32", bytes, scales ? ", %s: " + scale : "",
               scales ? llvm::formatv(", #exec.extent<{0}>", scales).str() : "", scales ? " scales %s" : "", format,
               target.panel(), step, blocks, scales ? ", " + scale : "")
        .str();
  };
  std::string text = "module {\n";
  text += gemm("gemm_f32", "f32", false, "0 x 0", 0);
  text += gemm("gemm_f8", "f8", false, "128 x 128", 1);
  if (target.hasBF16Dot) {
    text += gemm("gemm_bf16", "bf16", true, "0 x 0", 0);
    text += gemm("gemm_f8_bf16", "f8", true, "128 x 128", 1);
  }
  text += R"(
    exec.kernel @embed(%t: memref<?xi32>, %e: memref<9x20xbf16>, %o: memref<?x20xf32>)
        rows [#exec.extent<tokens>, #exec.extent<9>, #exec.extent<tokens>] {
      kernel.embed %t, %e to %o : memref<?xi32>, memref<9x20xbf16>, memref<?x20xf32>
    }
    exec.kernel @norm(%x: memref<?x20xf32>, %w: memref<20xf32>, %o: memref<?x20xf16>)
        rows [#exec.extent<tokens>, #exec.extent<20>, #exec.extent<tokens>] {
      kernel.rms_norm %x, %w to %o {epsilon = 1.0e-6} : memref<?x20xf32>, memref<20xf32>, memref<?x20xf16>
    }
    exec.kernel @table(%p: memref<?xi32>, %t: memref<?x4xf32>) rows [#exec.extent<tokens>, #exec.extent<tokens>] {
      kernel.rope_table %p to %t {rope = #r1.rope<half, [1.0, 0.5], scale = 1.0 : f64>}
          : memref<?xi32>, memref<?x4xf32>
    }
    exec.kernel @append(%x: memref<?x24xf32>, %t: memref<?x4xf32>, %r: memref<?xi32>, %q: memref<?x12xf32>,
                        %k: memref<?x6xbf16>, %v: memref<?x6xbf16>)
        rows [#exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<tokens>,
              #exec.extent<cache_rows>, #exec.extent<cache_rows>] {
      kernel.rope_append %x table %t rows %r to %q, %k, %v {heads = 2, kv_heads = 1, head_dim = 6, value_dim = 6,
          rope = #r1.rope<interleaved, [1.0, 0.5], scale = 1.0 : f64>} : memref<?x24xf32>, memref<?x4xf32>,
          memref<?xi32>, memref<?x12xf32>, memref<?x6xbf16>, memref<?x6xbf16>
    }
    exec.kernel @attention(%q: memref<?x40xf32>, %k: memref<?x20xf16>, %v: memref<?x20xf16>, %p: memref<?xi32>,
                           %s: memref<?xi32>, %t: memref<?xi32>, %o: memref<?x40xbf16>)
        rows [#exec.extent<tokens>, #exec.extent<cache_rows>, #exec.extent<cache_rows>, #exec.extent<tokens>,
              #exec.extent<tokens>, #exec.extent<sequences>, #exec.extent<tokens>] {
      kernel.attention %q, %k, %v at %p, %s, %t to %o {heads = 2, kv_heads = 1, head_dim = 20, value_dim = 20,
          scale = 0.25, page_tokens = 16} : memref<?x40xf32>, memref<?x20xf16>, memref<?x20xf16>, memref<?xi32>,
          memref<?xi32>, memref<?xi32>, memref<?x40xbf16>
    }
    exec.kernel @latent(%q: memref<?x40xf32>, %c: memref<?x20xbf16>, %p: memref<?xi32>, %s: memref<?xi32>,
                        %t: memref<?xi32>, %o: memref<?x32xf32>)
        rows [#exec.extent<tokens>, #exec.extent<cache_rows>, #exec.extent<tokens>, #exec.extent<tokens>,
              #exec.extent<sequences>, #exec.extent<tokens>] {
      kernel.latent_attention %q, %c at %p, %s, %t to %o {heads = 2, rank = 16, rope_dim = 4, head_groups = 1,
          scale = 0.25, page_tokens = 16} : memref<?x40xf32>, memref<?x20xbf16>, memref<?xi32>, memref<?xi32>,
          memref<?xi32>, memref<?x32xf32>
    }
    exec.kernel @route(%l: memref<?x8xf32>, %e: memref<?x2xi32>, %w: memref<?x2xf32>)
        rows [#exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<tokens>] {
      kernel.route %l to %e, %w {routing = #r1.routing<sigmoid, top_k = 2, groups = 2, top_groups = 1,
          group_score = top2, normalize = true, scale = 1.0 : f64>}
          : memref<?x8xf32>, memref<?x2xi32>, memref<?x2xf32>
    }
    exec.kernel @plan(%e: memref<?x2xi32>, %o: memref<9xi32>, %g: memref<?xi32>, %s: memref<?x2xi32>)
        rows [#exec.extent<tokens>, #exec.extent<9>, #exec.extent<2 * tokens>, #exec.extent<tokens>] {
      kernel.expert_plan %e to %o, %g, %s : memref<?x2xi32>, memref<9xi32>, memref<?xi32>, memref<?x2xi32>
    }
    exec.kernel @combine(%r: memref<?x20xf32>, %w: memref<?x2xf32>, %s: memref<?x2xi32>, %o: memref<?x20xf32>)
        rows [#exec.extent<2 * tokens>, #exec.extent<tokens>, #exec.extent<tokens>, #exec.extent<tokens>] {
      kernel.combine %r, %w, %s to %o : memref<?x20xf32>, memref<?x2xf32>, memref<?x2xi32>, memref<?x20xf32>
    }
  )";
  return text + "}\n";
}

TEST(Emit, EveryFamilyForEveryTarget) {
  for (const std::string &name : cpuTargetNames()) {
    CpuTarget target = llvm::cantFail(lookupCpuTarget(name));
    mlir::MLIRContext context;
    auto module = parse(context, everyFamily(target));
    std::vector<CpuKernelRequest> requests = requestsOf(*module);
    CpuObject object = llvm::cantFail(emitCpuObject(requests, target, &context, {.threads = 2}));
    auto file =
        llvm::cantFail(llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(object.image, name)));
    auto &elf = llvm::cast<llvm::object::ELF64LEObjectFile>(*file);
    EXPECT_EQ(elf.getELFFile().getHeader().e_type, llvm::ELF::ET_DYN) << name;
    EXPECT_EQ(elf.getELFFile().getHeader().e_machine, name == "aarch64" ? llvm::ELF::EM_AARCH64 : llvm::ELF::EM_X86_64)
        << name;
    for (const auto &entry : llvm::cantFail(elf.getELFFile().dynamicEntries())) {
      EXPECT_NE(entry.getTag(), llvm::ELF::DT_NEEDED) << name;
    }
    std::vector<std::string> defined;
    for (const llvm::object::ELFSymbolRef &symbol : elf.getDynamicSymbolIterators()) {
      std::string symbolName = llvm::cantFail(symbol.getName()).str();
      uint32_t flags = llvm::cantFail(symbol.getFlags());
      if (!symbolName.empty()) {
        EXPECT_FALSE(flags & llvm::object::SymbolRef::SF_Undefined) << symbolName << " for " << name;
        defined.push_back(symbolName);
      }
    }
    EXPECT_EQ(defined.size(), requests.size()) << name;
    for (const CpuKernelRequest &request : requests) {
      EXPECT_NE(std::find(defined.begin(), defined.end(), request.symbol), defined.end()) << request.symbol;
      EXPECT_TRUE(object.scratchBytes.count(request.symbol));
    }
  }
}

TEST(Emit, SameBytesWhateverTheThreads) {
  CpuTarget target = llvm::cantFail(lookupCpuTarget("znver4"));
  std::vector<std::string> images;
  for (unsigned threads : {1u, 1u, 2u}) {
    mlir::MLIRContext context;
    auto module = parse(context, everyFamily(target));
    images.push_back(llvm::cantFail(emitCpuObject(requestsOf(*module), target, &context, {.threads = threads})).image);
  }
  EXPECT_EQ(images[0], images[1]);
  EXPECT_EQ(images[0], images[2]);
}

TEST(Emit, Dumps) {
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("elah-dump", folder));
  CpuTarget target = llvm::cantFail(lookupCpuTarget("x86-64-v3"));
  mlir::MLIRContext context;
  auto module = parse(context, everyFamily(target));
  std::vector<CpuKernelRequest> requests = requestsOf(*module);
  std::string plain = llvm::cantFail(emitCpuObject(requests, target, &context)).image;
  std::string dumped = llvm::cantFail(emitCpuObject(requests, target, &context, {.dumpFolder = folder.c_str()})).image;
  EXPECT_EQ(plain, dumped);
  for (auto [extension, word] :
       {std::pair(".mlir", "func.func @norm"), {".ll", "define void @norm"}, {".s", "norm:"}}) {
    auto file = llvm::MemoryBuffer::getFile(folder + "/norm" + extension);
    ASSERT_TRUE(static_cast<bool>(file)) << extension;
    EXPECT_TRUE((*file)->getBuffer().contains(word)) << extension;
  }
  llvm::sys::fs::remove_directories(folder);
}

TEST(Emit, RefusesWhatTheTargetLacks) {
  mlir::MLIRContext context;
  auto module = parse(context, everyFamily(llvm::cantFail(lookupCpuTarget("znver4"))));
  auto refused = [&](const char *name) {
    auto object = emitCpuObject(requestsOf(*module), llvm::cantFail(lookupCpuTarget(name)), &context);
    return object ? std::string() : llvm::toString(object.takeError());
  };
  EXPECT_EQ(refused("x86-64-v3"), "kernel 'gemm_f32': has panels of 64 columns, x86-64-v3 needs 32");
  EXPECT_EQ(refused("x86-64-v4"), "kernel 'gemm_bf16': computes in bf16, for which x86-64-v4 has no instruction");
}

TEST(Emit, RefusesACacheInFp8) {
  mlir::MLIRContext context;
  auto module = parse(context, R"(module {
    exec.kernel @latent(%q: memref<?x40xf32>, %c: memref<?x48xi8>, %p: memref<?xi32>, %s: memref<?xi32>,
                        %t: memref<?xi32>, %o: memref<?x32xf32>)
        rows [#exec.extent<tokens>, #exec.extent<cache_rows>, #exec.extent<tokens>, #exec.extent<tokens>,
              #exec.extent<sequences>, #exec.extent<tokens>] {
      kernel.latent_attention %q, %c at %p, %s, %t to %o {heads = 2, rank = 16, rope_dim = 4, head_groups = 1,
          scale = 0.25, page_tokens = 16} : memref<?x40xf32>, memref<?x48xi8>, memref<?xi32>, memref<?xi32>,
          memref<?xi32>, memref<?x32xf32>
    }
  })");
  auto object = emitCpuObject(requestsOf(*module), llvm::cantFail(lookupCpuTarget("znver4")), &context);
  ASSERT_FALSE(static_cast<bool>(object));
  EXPECT_EQ(llvm::toString(object.takeError()), "kernel 'latent': has a cache in FP8, which is for GPUs");
}

TEST(Target, UnknownNamesListAll) {
  auto target = lookupCpuTarget("z80");
  ASSERT_FALSE(static_cast<bool>(target));
  EXPECT_EQ(llvm::toString(target.takeError()),
            "unknown CPU 'z80': expected one of host, aarch64, sapphirerapids, x86-64-v3, x86-64-v4, znver4");
}

} // namespace
