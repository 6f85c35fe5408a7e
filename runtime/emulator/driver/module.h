#ifndef RUNTIME_EMULATOR_DRIVER_MODULE_H
#define RUNTIME_EMULATOR_DRIVER_MODULE_H

// Modules, libraries, and their functions.

#include "driver/context.h"
#include "machine/grid.h"
#include <map>
#include <optional>

namespace emulator::driver {

/// What cuFuncSetAttribute and its like may change.
struct FunctionSettings {
  std::optional<int> maxDynamicSharedBytes;
  int carveout = -1;
  std::optional<uint32_t> cluster[3];
  bool nonPortableCluster = false;
  int clusterPolicy = 0;
  CUfunc_cache cache = CU_FUNC_CACHE_PREFER_NONE;
};

struct Function {
  Module *module = nullptr;
  const Kernel *kernel = nullptr;
  FunctionSettings settings;
};

struct Module {
  explicit Module(Context &context) : context(context) {}

  Context &context;
  std::shared_ptr<LoadedModule> loaded;
  std::map<std::string, std::shared_ptr<Function>, std::less<>> functions;
  Library *library = nullptr; ///< of which it is one context's part
};

struct LibraryKernel {
  Library *library = nullptr;
  std::string name;
  std::map<int, FunctionSettings> settings; ///< by device
};

struct Library {
  std::string ptx;
  std::map<std::string, std::shared_ptr<LibraryKernel>, std::less<>> kernels;
  std::map<Context *, std::shared_ptr<Module>> modules; ///< loaded when a context first needs it
};

/// What cuModuleLoadDataEx's options ask for, and where the logs go.
class JitOptions {
public:
  JitOptions() = default;
  JitOptions(unsigned count, const CUjit_option *options, void **values);
  void writeError(const std::string &text);
  void writeInfo(const std::string &text);

private:
  void write(unsigned bufferOption, unsigned sizeOption, const std::string &text);
  std::map<unsigned, void **> given;
};

/// The PTX text of an image: PTX itself, a fatbin, or a fatbin's wrapper. Fails with the code that CUDA gives.
std::string ptxOfImage(const void *image, JitOptions &options);
/// As above, for bytes that come from a file: nothing beyond their end is read.
std::string ptxOfFile(const std::string &bytes, JitOptions &options);
std::string readImageFile(const char *path);

/// Parses and decodes PTX for the context's device, and gives the module a handle.
std::shared_ptr<Module> loadModule(Context &context, const std::string &ptx, JitOptions &options);
std::shared_ptr<Module> moduleOf(CUmodule handle);
/// A CUfunction, or a CUkernel in its place; for a kernel, the function of `context`.
std::shared_ptr<Function> functionOf(CUfunction handle, Context &context);
std::shared_ptr<Function> functionOf(LibraryKernel &kernel, Context &context);
std::shared_ptr<Function> functionOf(Module &module, const char *name);

int attributeOf(const Kernel &kernel, const FunctionSettings &settings, const LoadedModule &module,
                CUfunction_attribute attribute, const Device &device);
void setAttribute(const Kernel &kernel, FunctionSettings &settings, CUfunction_attribute attribute, int value,
                  const Device &device);
/// The cluster of a launch: what its attributes ask for, else what the function's do, else one CTA.
void clusterOf(const CUlaunchConfig &config, const Function &function, uint32_t (&cluster)[3]);
/// What dynamic shared memory a launch may ask for.
uint32_t dynamicSharedLimit(const Kernel &kernel, const FunctionSettings &settings, const Device &device);

} // namespace emulator::driver

#endif
