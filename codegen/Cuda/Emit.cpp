// The closure: which kernels can be reached within the declared limits? Each operation of the program is specialised
// for each bucket; what comes out twice is compiled once. A kernel that is missing at run time would be a stall or a
// failure on a rented GPU, so one that cannot be had is an error here.
#include "codegen/Cuda/Emit.h"
#include "codegen/Cuda/CompileKernels.h"
#include "codegen/Cuda/Specialize.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace elah {
namespace {

llvm::Error writeText(llvm::StringRef folder, llvm::StringRef name, llvm::StringRef text) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (!code) {
    stream << text;
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  return code ? llvm::createStringError(code, "%s: cannot write: %s", path.c_str(), code.message().c_str())
              : llvm::Error::success();
}

} // namespace

std::vector<int64_t> cudaBuckets(int64_t maxTokens) {
  std::vector<int64_t> buckets;
  for (int64_t tokens = 1; tokens < maxTokens; tokens *= 2) {
    buckets.push_back(tokens);
  }
  buckets.push_back(maxTokens);
  return buckets;
}

llvm::Expected<CudaCode> emitCudaCode(llvm::ArrayRef<std::pair<std::string, Operation *>> kernels,
                                      const CudaTarget &target, std::vector<int64_t> buckets,
                                      const CudaEmitOptions &options) {
  CudaCode code;
  code.target = &target;
  code.buckets = std::move(buckets);
  std::map<std::string, size_t> known;
  for (const auto &[symbol, op] : kernels) {
    std::vector<std::vector<size_t>> &steps = code.steps[symbol];
    std::vector<double> &seconds = code.seconds[symbol];
    for (int64_t tokens : code.buckets) {
      llvm::Expected<std::vector<cuda::KernelSpec>> specs = specializeForCuda(op, target, tokens);
      if (!specs) {
        return llvm::createStringError(symbol + ": " + llvm::toString(specs.takeError()));
      }
      std::vector<size_t> &step = steps.emplace_back();
      seconds.push_back(0);
      for (cuda::KernelSpec &spec : *specs) {
        auto [entry, isNew] = known.try_emplace(spec.symbol, code.specs.size());
        assert((isNew || code.specs[entry->second].source == spec.source) && "a symbol names one kernel");
        seconds.back() += spec.seconds;
        if (isNew) {
          code.specs.push_back(std::move(spec));
        } else { // Of the largest step.
          code.specs[entry->second].seconds = std::max(code.specs[entry->second].seconds, spec.seconds);
        }
        step.push_back(entry->second);
      }
    }
  }
  cuda::CompileKernelsOptions compiling;
  compiling.cacheFolder = options.cacheFolder;
  compiling.jobs = options.threads;
  compiling.onProgress = options.progress;
  cuda::CompileKernelsOutcome outcome = cuda::compileKernels(code.specs, target, compiling);
  if (!outcome.errors.empty()) {
    llvm::Error error = llvm::Error::success();
    for (const std::string &message : outcome.errors) {
      error = llvm::joinErrors(std::move(error), llvm::createStringError(llvm::inconvertibleErrorCode(), message));
    }
    return error;
  }
  code.compiled = std::move(outcome.kernels);
  code.foundInCache = outcome.found;
  if (!options.dumpFolder.empty()) {
    for (auto [spec, compiled] : llvm::zip_equal(code.specs, code.compiled)) {
      if (llvm::Error error = writeText(options.dumpFolder, spec.symbol + ".cu", spec.source)) {
        return error;
      }
      if (llvm::Error error = writeText(options.dumpFolder, spec.symbol + ".ptx", compiled.ptx)) {
        return error;
      }
    }
  }
  return code;
}

} // namespace elah
