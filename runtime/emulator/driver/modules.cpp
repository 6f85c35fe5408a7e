// cuModule*, cuLibrary*, cuKernel*, cuLink*.

#include "driver/api/functions.h"
#include "driver/module.h"
#include "driver/stream.h"
#include <cstdlib>
#include <cstring>

using namespace emulator::driver;

namespace emulator::driver {

struct LinkState {
  std::string ptx;
  bool complete = false;
};

} // namespace emulator::driver

namespace emulator::cuda {

CUresult cuModuleLoadDataEx(CUmodule *result, const void *image, unsigned int count, CUjit_option *options,
                            void **values) {
  return callInContext([&](Context &context) {
    requirePointer(result, "module");
    JitOptions jit(count, options, values);
    *result = handleOf<CUmodule>(loadModule(context, ptxOfImage(image, jit), jit).get());
    jit.writeInfo("");
  });
}

CUresult cuModuleLoadData(CUmodule *result, const void *image) {
  return cuModuleLoadDataEx(result, image, 0, nullptr, nullptr);
}

CUresult cuModuleLoadFatBinary(CUmodule *result, const void *image) { return cuModuleLoadData(result, image); }

CUresult cuModuleLoad(CUmodule *result, const char *path) {
  return callInContext([&](Context &context) {
    requirePointer(result, "module");
    JitOptions none;
    *result = handleOf<CUmodule>(loadModule(context, ptxOfFile(readImageFile(path), none), none).get());
  });
}

CUresult cuModuleUnload(CUmodule handle) {
  return callInContext([&](Context &) {
    const std::shared_ptr<Module> module = moduleOf(handle);
    if (module->library) {
      fail(CUDA_ERROR_NOT_PERMITTED, "the module belongs to a library");
    }
    synchronise(module->context);
    Driver &driver = Driver::instance();
    driver.functions.removeWhere([&](const Function &function) { return function.module == module.get(); });
    driver.modules.remove(handle);
  });
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode) {
  return call([&] {
    requirePointer(mode, "mode");
    const char *wanted = std::getenv("CUDA_MODULE_LOADING");
    *mode = wanted && std::strcmp(wanted, "EAGER") == 0 ? CU_MODULE_EAGER_LOADING : CU_MODULE_LAZY_LOADING;
  });
}

CUresult cuModuleGetFunction(CUfunction *result, CUmodule module, const char *name) {
  return callInContext([&](Context &) {
    requirePointer(result, "hfunc");
    *result = handleOf<CUfunction>(functionOf(*moduleOf(module), name).get());
  });
}

CUresult cuModuleGetFunctionCount(unsigned int *count, CUmodule module) {
  return callInContext([&](Context &) {
    requirePointer(count, "count");
    *count = static_cast<unsigned>(moduleOf(module)->loaded->kernels().size());
  });
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int count, CUmodule handle) {
  return callInContext([&](Context &) {
    requirePointer(functions, "functions");
    const std::shared_ptr<Module> module = moduleOf(handle);
    unsigned written = 0;
    for (const Kernel *kernel : module->loaded->kernels()) {
      if (written == count) {
        break;
      }
      functions[written++] = handleOf<CUfunction>(functionOf(*module, kernel->name.c_str()).get());
    }
  });
}

static void giveGlobal(const Module &module, const char *name, CUdeviceptr *address, size_t *bytes) {
  requirePointer(name, "name");
  const Allocation *variable = module.loaded->variable(name);
  if (!variable) {
    fail(CUDA_ERROR_NOT_FOUND, "the module has no variable '%s'", name);
  }
  if (address) {
    *address = variable->address;
  }
  if (bytes) {
    *bytes = variable->size;
  }
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name) {
  return callInContext([&](Context &) { giveGlobal(*moduleOf(module), name, address, bytes); });
}

// --- libraries

static std::shared_ptr<Library> libraryOf(CUlibrary handle) {
  std::shared_ptr<Library> library = Driver::instance().libraries.find(handle);
  if (!library) {
    fail(CUDA_ERROR_INVALID_HANDLE, "%p is no library", static_cast<void *>(handle));
  }
  return library;
}

static std::shared_ptr<LibraryKernel> kernelOf(CUkernel handle) {
  std::shared_ptr<LibraryKernel> kernel = Driver::instance().libraryKernels.find(handle);
  if (!kernel) {
    fail(CUDA_ERROR_INVALID_HANDLE, "%p is no kernel of a library", static_cast<void *>(handle));
  }
  return kernel;
}

static CUlibrary loadLibrary(std::string ptx, JitOptions &jit) {
  auto library = std::make_shared<Library>();
  library->ptx = std::move(ptx);
  // The kernels are decoded when a context needs them; their names are known, and the text is valid, from now on.
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(library->ptx);
  if (const ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    const std::string reason =
        formatted("line %u, column %u: %s", error->place.line, error->place.column, error->text.c_str());
    jit.writeError(reason + "\n");
    fail(CUDA_ERROR_INVALID_PTX, "%s", reason.c_str());
  }
  for (const ptx::Function &function : std::get<ptx::Module>(parsed).functions) {
    if (function.entry && !function.declared) {
      auto kernel = std::make_shared<LibraryKernel>();
      kernel->library = library.get();
      kernel->name = function.name;
      library->kernels[function.name] = kernel;
      Driver::instance().libraryKernels.add<CUkernel>(kernel);
    }
  }
  return Driver::instance().libraries.add<CUlibrary>(library);
}

CUresult cuLibraryLoadData(CUlibrary *result, const void *image, CUjit_option *options, void **values,
                           unsigned int count, CUlibraryOption *, void **, unsigned int) {
  return call([&] {
    requirePointer(result, "library");
    JitOptions jit(count, options, values);
    *result = loadLibrary(ptxOfImage(image, jit), jit);
  });
}

CUresult cuLibraryLoadFromFile(CUlibrary *result, const char *path, CUjit_option *options, void **values,
                               unsigned int count, CUlibraryOption *, void **, unsigned int) {
  return call([&] {
    requirePointer(result, "library");
    JitOptions jit(count, options, values);
    *result = loadLibrary(ptxOfFile(readImageFile(path), jit), jit);
  });
}

CUresult cuLibraryUnload(CUlibrary handle) {
  return call([&] {
    const std::shared_ptr<Library> library = libraryOf(handle);
    Driver &driver = Driver::instance();
    for (const auto &[context, module] : library->modules) {
      synchronise(*context);
      driver.functions.removeWhere([&](const Function &function) { return function.module == module.get(); });
      driver.modules.remove(module.get());
    }
    for (const auto &[name, kernel] : library->kernels) {
      driver.libraryKernels.remove(kernel.get());
    }
    driver.libraries.remove(handle);
  });
}

CUresult cuLibraryGetKernel(CUkernel *result, CUlibrary handle, const char *name) {
  return call([&] {
    requirePointer(result, "pKernel");
    requirePointer(name, "name");
    const std::shared_ptr<Library> library = libraryOf(handle);
    auto found = library->kernels.find(name);
    if (found == library->kernels.end()) {
      fail(CUDA_ERROR_NOT_FOUND, "the library has no kernel '%s'", name);
    }
    *result = handleOf<CUkernel>(found->second.get());
  });
}

CUresult cuLibraryGetKernelCount(unsigned int *count, CUlibrary library) {
  return call([&] {
    requirePointer(count, "count");
    *count = static_cast<unsigned>(libraryOf(library)->kernels.size());
  });
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int count, CUlibrary library) {
  return call([&] {
    requirePointer(kernels, "kernels");
    unsigned written = 0;
    for (const auto &[name, kernel] : libraryOf(library)->kernels) {
      if (written == count) {
        break;
      }
      kernels[written++] = handleOf<CUkernel>(kernel.get());
    }
  });
}

static std::shared_ptr<Module> moduleFor(Library &library, Context &context) {
  std::shared_ptr<Module> &module = library.modules[&context];
  if (!module) {
    JitOptions none;
    module = loadModule(context, library.ptx, none);
    module->library = &library;
  }
  return module;
}

CUresult cuLibraryGetModule(CUmodule *result, CUlibrary library) {
  return callInContext([&](Context &context) {
    requirePointer(result, "pMod");
    *result = handleOf<CUmodule>(moduleFor(*libraryOf(library), context).get());
  });
}

CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *bytes, CUlibrary library, const char *name) {
  return callInContext(
      [&](Context &context) { giveGlobal(*moduleFor(*libraryOf(library), context), name, address, bytes); });
}

CUresult cuLibraryGetManaged(CUdeviceptr *, size_t *, CUlibrary library, const char *name) {
  return call([&] {
    libraryOf(library);
    requirePointer(name, "name");
    fail(CUDA_ERROR_NOT_FOUND, "the library has no managed variable '%s'", name);
  });
}

CUresult cuKernelGetFunction(CUfunction *result, CUkernel kernel) {
  return callInContext([&](Context &context) {
    requirePointer(result, "pFunc");
    *result = handleOf<CUfunction>(functionOf(*kernelOf(kernel), context).get());
  });
}

CUresult cuKernelGetLibrary(CUlibrary *result, CUkernel kernel) {
  return call([&] {
    requirePointer(result, "pLib");
    *result = handleOf<CUlibrary>(kernelOf(kernel)->library);
  });
}

CUresult cuKernelGetName(const char **name, CUkernel kernel) {
  return call([&] {
    requirePointer(name, "name");
    *name = kernelOf(kernel)->name.c_str();
  });
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice device) {
  return callInContext([&](Context &context) {
    requirePointer(value, "pi");
    const Device &asked = Driver::instance().device(device);
    const std::shared_ptr<Function> function = functionOf(*kernelOf(kernel), context);
    const auto &settings = kernelOf(kernel)->settings;
    auto own = settings.find(device);
    *value = attributeOf(*function->kernel, own == settings.end() ? FunctionSettings{} : own->second,
                         *function->module->loaded, attribute, asked);
  });
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<LibraryKernel> kernel = kernelOf(handle);
    const Device &asked = Driver::instance().device(device);
    FunctionSettings settings = kernel->settings[device];
    setAttribute(*functionOf(*kernel, context)->kernel, settings, attribute, value, asked);
    kernel->settings[device] = settings;
    // A function that was asked for already follows.
    for (const auto &[owner, module] : kernel->library->modules) {
      if (owner->device.ordinal == device && module) {
        functionOf(*kernel, *owner);
      }
    }
  });
}

CUresult cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice device) {
  return call([&] {
    Driver::instance().device(device);
    kernelOf(kernel)->settings[device].cache = config;
  });
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *bytes) {
  CUfunction function = nullptr;
  const CUresult code = cuKernelGetFunction(&function, kernel);
  return code ? code : cuFuncGetParamInfo(function, index, offset, bytes);
}

// --- the linker: PTX goes through, as one input; linking several needs a linker of cubins, which the emulator is not.

static std::shared_ptr<LinkState> linkOf(CUlinkState handle) {
  std::shared_ptr<LinkState> state = Driver::instance().linkStates.find(handle);
  if (!state) {
    fail(CUDA_ERROR_INVALID_HANDLE, "%p is no state of the linker", static_cast<void *>(handle));
  }
  return state;
}

CUresult cuLinkCreate_v2(unsigned int count, CUjit_option *options, void **values, CUlinkState *state) {
  return callInContext([&](Context &) {
    requirePointer(state, "stateOut");
    JitOptions checked(count, options, values);
    *state = Driver::instance().linkStates.add<CUlinkState>(std::make_shared<LinkState>());
  });
}

static void addInput(CUlinkState handle, CUjitInputType type, const std::string &input, JitOptions &jit) {
  const std::shared_ptr<LinkState> state = linkOf(handle);
  if (state->complete) {
    fail(CUDA_ERROR_INVALID_HANDLE, "the link is complete");
  }
  if (type != CU_JIT_INPUT_PTX && type != CU_JIT_INPUT_FATBINARY) {
    fail(CUDA_ERROR_NOT_SUPPORTED, "inputs of type %d are not emulated: PTX and fatbins are", static_cast<int>(type));
  }
  if (!state->ptx.empty()) {
    fail(CUDA_ERROR_NOT_SUPPORTED, "linking several inputs is not emulated");
  }
  state->ptx = ptxOfFile(input, jit);
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t bytes, const char *,
                          unsigned int count, CUjit_option *options, void **values) {
  return callInContext([&](Context &) {
    requirePointer(data, "data");
    JitOptions jit(count, options, values);
    addInput(state, type, std::string(static_cast<const char *>(data), bytes), jit);
  });
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path, unsigned int count,
                          CUjit_option *options, void **values) {
  return callInContext([&](Context &) {
    JitOptions jit(count, options, values);
    addInput(state, type, readImageFile(path), jit);
  });
}

CUresult cuLinkCreate(unsigned int count, CUjit_option *options, void **values, CUlinkState *state) {
  return cuLinkCreate_v2(count, options, values, state);
}

CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void *data, size_t bytes, const char *name,
                       unsigned int count, CUjit_option *options, void **values) {
  return cuLinkAddData_v2(state, type, data, bytes, name, count, options, values);
}

CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char *path, unsigned int count,
                       CUjit_option *options, void **values) {
  return cuLinkAddFile_v2(state, type, path, count, options, values);
}

CUresult cuLinkComplete(CUlinkState handle, void **cubin, size_t *bytes) {
  return callInContext([&](Context &) {
    const std::shared_ptr<LinkState> state = linkOf(handle);
    requirePointer(cubin, "cubinOut");
    if (state->ptx.empty()) {
      fail(CUDA_ERROR_INVALID_VALUE, "nothing was added");
    }
    state->complete = true;
    *cubin = state->ptx.data();
    if (bytes) {
      *bytes = state->ptx.size() + 1;
    }
  });
}

CUresult cuLinkDestroy(CUlinkState handle) {
  return call([&] {
    linkOf(handle);
    Driver::instance().linkStates.remove(handle);
  });
}

} // namespace emulator::cuda
