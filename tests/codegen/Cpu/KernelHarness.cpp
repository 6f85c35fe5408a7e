#include "KernelHarness.h"
#include "dialects/Exec/Exec.h"
#include "dialects/R1/R1.h"
#include "mlir/Parser/Parser.h"
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace elah::test {

std::vector<std::string> runnableTargets() {
  std::vector<std::string> names;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    names.push_back("x86-64-v3");
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd")) {
    names.push_back("x86-64-v4");
    if (__builtin_cpu_supports("avx512bf16")) {
      names.push_back("bf16-dot");
    }
  }
#endif
  names.push_back("host");
  return names;
}

CpuTarget testTarget(const std::string &name) {
  if (name != "bf16-dot") {
    return llvm::cantFail(lookupCpuTarget(name));
  }
  CpuTarget target = llvm::cantFail(lookupCpuTarget("x86-64-v4"));
  target.features = "+avx512bf16";
  target.hasBF16Dot = true;
  return target;
}

std::string nameOfTarget(const testing::TestParamInfo<std::string> &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

Buffer::Buffer(size_t bytes) : bytes(bytes) {
  size_t padded = (bytes + 63) / 64 * 64;
  mapped = (padded + 4095) / 4096 * 4096 + 4096;
  mapping = static_cast<char *>(::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (mapping == MAP_FAILED) {
    std::abort();
  }
  std::memset(mapping, 0xff, mapped - 4096);
  ::mprotect(mapping + mapped - 4096, 4096, PROT_NONE);
  begin = mapping + mapped - 4096 - padded;
}

Buffer::~Buffer() { ::munmap(mapping, mapped); }

mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context, const std::string &text) {
  context.loadDialect<r1::R1Dialect, kernel::KernelDialect, exec::ExecDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  EXPECT_TRUE(module) << text;
  return module;
}

std::vector<CpuKernelRequest> requestsOf(mlir::ModuleOp module) {
  std::vector<CpuKernelRequest> requests;
  for (exec::KernelOp kernel : module.getOps<exec::KernelOp>()) {
    requests.push_back({kernel.getSymName().str(), kernel.getKernel()});
  }
  return requests;
}

Kernels::Kernels(const std::string &name, const std::string &text, const CpuEmitOptions &options) {
  auto module = parse(context, text);
  target = testTarget(name);
  if (target.hasAmxBF16) { // The kernel gives AMX's registers to those who ask.
    EXPECT_EQ(::syscall(SYS_arch_prctl, /*ARCH_REQ_XCOMP_PERM*/ 0x1023, /*XFEATURE_XTILEDATA*/ 18), 0);
  }
  auto emitted = emitCpuObject(requestsOf(*module), target, &context, options);
  if (!emitted) {
    ADD_FAILURE() << llvm::toString(emitted.takeError());
    return;
  }
  object = std::move(*emitted);
  int descriptor = ::memfd_create("kernels", MFD_CLOEXEC);
  EXPECT_EQ(::write(descriptor, object.image.data(), object.image.size()), static_cast<ssize_t>(object.image.size()));
  library = ::dlopen(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), RTLD_NOW | RTLD_LOCAL);
  ::close(descriptor);
  EXPECT_NE(library, nullptr) << ::dlerror();
}

Kernels::~Kernels() {
  if (library) {
    ::dlclose(library);
  }
}

elah_cpu_kernel Kernels::find(const std::string &symbol) const {
  return reinterpret_cast<elah_cpu_kernel>(::dlsym(library, symbol.c_str()));
}

void Kernels::run(const std::string &symbol, const std::vector<void *> &buffers, const Dims &dims, int64_t blocks) {
  elah_cpu_kernel kernel = find(symbol);
  ASSERT_NE(kernel, nullptr) << symbol;
  int64_t values[ELAH_DIM_COUNT] = {dims.tokens, dims.sequences, dims.logitRows, dims.cacheRows, dims.pagesPerSequence};
  int64_t split = blocks / 3;
  for (auto [begin, end] : {std::pair<int64_t, int64_t>{0, split}, {split, blocks}}) {
    if (begin < end) {
      Buffer scratch(object.scratchBytes.lookup(symbol));
      kernel(buffers.data(), values, begin, end, scratch.data());
    }
  }
}

} // namespace elah::test
