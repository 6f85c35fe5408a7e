#include "commands/nvrtc.h"
#include <dlfcn.h>
#include <filesystem>

namespace emulator {

Nvrtc::Nvrtc(const std::string &path) {
  std::vector<std::string> names = {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12",
                                    "/usr/local/cuda/lib64/libnvrtc.so"};
  if (!path.empty()) {
    names = {path};
  }
  for (const std::string &name : names) {
    library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) {
      return;
    }
  }
  const char *error = dlerror();
  why = "NVRTC is not here (" + std::string(error ? error : "no reason given") + ")";
}

// NVRTC's interface (its documentation, "basic usage"): an opaque program, results of 0 for success.
using Program = struct NvrtcProgram *;

Nvrtc::Result Nvrtc::compile(const std::string &source, const std::string &name,
                             std::vector<std::string> options) const {
  auto create =
      reinterpret_cast<int (*)(Program *, const char *, const char *, int, const char *const *, const char *const *)>(
          dlsym(library, "nvrtcCreateProgram"));
  auto build = reinterpret_cast<int (*)(Program, int, const char *const *)>(dlsym(library, "nvrtcCompileProgram"));
  auto destroy = reinterpret_cast<int (*)(Program *)>(dlsym(library, "nvrtcDestroyProgram"));
  using Size = int (*)(Program, size_t *);
  using Text = int (*)(Program, char *);
  auto logSize = reinterpret_cast<Size>(dlsym(library, "nvrtcGetProgramLogSize"));
  auto log = reinterpret_cast<Text>(dlsym(library, "nvrtcGetProgramLog"));
  auto ptxSize = reinterpret_cast<Size>(dlsym(library, "nvrtcGetPTXSize"));
  auto ptx = reinterpret_cast<Text>(dlsym(library, "nvrtcGetPTX"));
  Result result;
  if (!create || !build || !destroy || !logSize || !log || !ptxSize || !ptx) {
    result.log = "the library is not NVRTC";
    return result;
  }
  Program program = nullptr;
  if (create(&program, source.c_str(), name.c_str(), 0, nullptr, nullptr) != 0) {
    result.log = "NVRTC does not take the program";
    return result;
  }
  options.insert(options.begin(), {"--gpu-architecture=compute_90a", "--std=c++20", "--generate-line-info"});
  for (const char *headers : {"/usr/local/cuda/include", "/usr/local/cuda/include/cccl"}) {
    if (std::filesystem::exists(headers)) {
      options.push_back("--include-path=" + std::string(headers));
    }
  }
  std::vector<const char *> words;
  for (const std::string &option : options) {
    words.push_back(option.c_str());
  }
  result.good = build(program, static_cast<int>(words.size()), words.data()) == 0;
  auto read = [&](Size sizeOf, Text give) {
    size_t size = 0;
    std::string text;
    if (sizeOf(program, &size) == 0 && size > 1) {
      text.resize(size);
      give(program, text.data());
      text.pop_back(); // Its terminating zero.
    }
    return text;
  };
  result.log = read(logSize, log);
  if (result.good) {
    result.ptx = read(ptxSize, ptx);
  }
  destroy(&program);
  return result;
}

} // namespace emulator
