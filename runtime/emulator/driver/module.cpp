#include "driver/module.h"
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace emulator::driver {

JitOptions::JitOptions(unsigned count, const CUjit_option *options, void **values) {
  if (count != 0 && (!options || !values)) {
    fail(CUDA_ERROR_INVALID_VALUE, "%u options, and no array of them", count);
  }
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] < 0 || options[i] >= CU_JIT_NUM_OPTIONS) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no option of the compiler", static_cast<int>(options[i]));
    }
    given[static_cast<unsigned>(options[i])] = &values[i];
  }
}

/// The buffer's size is in its option's value, and what was written of it is given back there.
void JitOptions::write(unsigned bufferOption, unsigned sizeOption, const std::string &text) {
  auto buffer = given.find(bufferOption);
  auto size = given.find(sizeOption);
  if (buffer == given.end() || size == given.end()) {
    return;
  }
  const size_t room = static_cast<size_t>(reinterpret_cast<uintptr_t>(*size->second) & 0xffffffffu);
  char *to = static_cast<char *>(*buffer->second);
  if (!to || room == 0) {
    return;
  }
  const size_t kept = std::min(room - 1, text.size());
  std::memcpy(to, text.data(), kept);
  to[kept] = '\0';
  *size->second = reinterpret_cast<void *>(kept);
}

void JitOptions::writeError(const std::string &text) {
  write(CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, text);
}

void JitOptions::writeInfo(const std::string &text) {
  write(CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, text);
}

// Containers, by their first bytes (little endian): a fatbin, the wrapper that points to one, a cubin.
static constexpr uint32_t fatbinMagic = 0xba55ed50, wrapperMagic = 0x466243b1, elfMagic = 0x464c457f;

static std::string ptxOfFatbin(const void *fatbin, uint64_t bytes, JitOptions &options) {
  std::variant<std::string, ptx::Error> found = ptx::ptxOfFatbin(fatbin, bytes, 90);
  if (const ptx::Error *error = std::get_if<ptx::Error>(&found)) {
    options.writeError(error->text);
    fail(CUDA_ERROR_NO_BINARY_FOR_GPU, "%s", error->text.c_str());
  }
  return std::get<std::string>(std::move(found));
}

/// The first word, byte by byte: a text may be shorter.
static uint32_t magicOf(const char *bytes) {
  uint32_t magic = 0;
  for (unsigned i = 0; i < 4 && (i == 0 || bytes[i - 1] != 0); ++i) {
    magic |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return magic;
}

static std::string ptxOf(const char *image, uint64_t bytes, JitOptions &options) {
  const uint32_t magic = magicOf(image);
  if (magic == fatbinMagic || magic == wrapperMagic) {
    return ptxOfFatbin(image, bytes, options);
  }
  if (magic == elfMagic) {
    const char *why = "a cubin: the emulator executes PTX; compile to PTX, or to a fatbin that holds it";
    options.writeError(why);
    fail(CUDA_ERROR_NO_BINARY_FOR_GPU, "%s", why);
  }
  if (!std::strstr(image, ".version")) {
    options.writeError("neither PTX nor a fatbin");
    fail(CUDA_ERROR_INVALID_IMAGE, "neither PTX nor a fatbin");
  }
  return image;
}

std::string ptxOfImage(const void *image, JitOptions &options) {
  requirePointer(image, "image");
  return ptxOf(static_cast<const char *>(image), UINT64_MAX, options); // A container says how long it is.
}

std::string ptxOfFile(const std::string &bytes, JitOptions &options) {
  if (magicOf(bytes.c_str()) == wrapperMagic) {
    fail(CUDA_ERROR_INVALID_IMAGE, "a wrapper points into the memory of a program; a file cannot be one");
  }
  return ptxOf(bytes.c_str(), bytes.size(), options);
}

std::string readImageFile(const char *path) {
  requirePointer(path, "the file's name");
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    fail(CUDA_ERROR_FILE_NOT_FOUND, "%s: %s", path, std::strerror(errno));
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// "sm_90a" -> 90; 0 where it is no such name.
static unsigned architectureOf(std::string_view target) {
  const size_t digits = target.find_first_of("0123456789");
  unsigned number = 0;
  for (size_t i = digits; i < target.size() && target[i] >= '0' && target[i] <= '9'; ++i) {
    number = number * 10 + static_cast<unsigned>(target[i] - '0');
  }
  return digits == std::string_view::npos ? 0 : number;
}

static constexpr unsigned newestPtx = 90; ///< 9.0, of CUDA 13.0

std::shared_ptr<Module> loadModule(Context &context, const std::string &text, JitOptions &options) {
  auto refuse = [&](CUresult code, const std::string &reason) {
    options.writeError(reason + "\n");
    fail(code, "%s", reason.c_str());
  };
  std::variant<ptx::Module, ptx::Error> parsed = ptx::parse(text);
  if (const ptx::Error *error = std::get_if<ptx::Error>(&parsed)) {
    refuse(CUDA_ERROR_INVALID_PTX,
           formatted("line %u, column %u: %s", error->place.line, error->place.column, error->text.c_str()));
  }
  ptx::Module &module = std::get<ptx::Module>(parsed);
  if (module.versionMajor * 10 + module.versionMinor > newestPtx) {
    refuse(CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
           formatted("found .version %u.%u, expected 9.0 or less", module.versionMajor, module.versionMinor));
  }
  const unsigned architecture = architectureOf(module.target);
  const unsigned capability =
      context.device.properties->majorCapability * 10 + context.device.properties->minorCapability;
  const bool exact = !module.target.empty() && (module.target.back() == 'a' || module.target.back() == 'f');
  if (architecture > capability || (exact && architecture != capability)) {
    refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, formatted("found .target %s, and the device is of compute capability %u.%u",
                                                   module.target.c_str(), capability / 10, capability % 10));
  }
  std::variant<std::shared_ptr<LoadedModule>, ptx::Error> loaded =
      LoadedModule::load(std::move(module), context.device.ordinal);
  if (const ptx::Error *error = std::get_if<ptx::Error>(&loaded)) {
    refuse(CUDA_ERROR_INVALID_PTX,
           formatted("line %u, column %u: %s", error->place.line, error->place.column, error->text.c_str()));
  }
  auto made = std::make_shared<Module>(context);
  made->loaded = std::get<std::shared_ptr<LoadedModule>>(std::move(loaded));
  Driver::instance().modules.add<CUmodule>(made);
  return made;
}

std::shared_ptr<Module> moduleOf(CUmodule handle) {
  std::shared_ptr<Module> module = Driver::instance().modules.find(handle);
  if (!module) {
    fail(CUDA_ERROR_INVALID_HANDLE, "%p is no module", static_cast<void *>(handle));
  }
  return module;
}

std::shared_ptr<Function> functionOf(Module &module, const char *name) {
  requirePointer(name, "name");
  std::shared_ptr<Function> &function = module.functions[name];
  if (!function) {
    const Kernel *kernel = module.loaded->kernel(name);
    if (!kernel) {
      module.functions.erase(name);
      fail(CUDA_ERROR_NOT_FOUND, "the module has no kernel '%s'", name);
    }
    function = std::make_shared<Function>();
    function->module = &module;
    function->kernel = kernel;
    Driver::instance().functions.add<CUfunction>(function);
  }
  return function;
}

std::shared_ptr<Function> functionOf(LibraryKernel &kernel, Context &context) {
  Library &library = *kernel.library;
  std::shared_ptr<Module> &module = library.modules[&context];
  if (!module) {
    JitOptions none;
    module = loadModule(context, library.ptx, none);
    module->library = &library;
  }
  const std::shared_ptr<Function> function = functionOf(*module, kernel.name.c_str());
  auto settings = kernel.settings.find(context.device.ordinal);
  if (settings != kernel.settings.end()) {
    function->settings = settings->second;
  }
  return function;
}

std::shared_ptr<Function> functionOf(CUfunction handle, Context &context) {
  if (std::shared_ptr<Function> function = Driver::instance().functions.find(handle)) {
    return function;
  }
  if (const std::shared_ptr<LibraryKernel> kernel = Driver::instance().libraryKernels.find(handle)) {
    return functionOf(*kernel, context);
  }
  fail(CUDA_ERROR_INVALID_HANDLE, "%p is no function", static_cast<void *>(handle));
}

} // namespace emulator::driver
