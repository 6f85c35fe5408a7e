// CUDA C++ to PTX and cubin, on machines without a GPU and, with NVRTC from a Python wheel, without a CUDA toolkit. The
// interface is that of NVIDIA's NVRTC documentation; the library is opened by name, so that a build needs no CUDA.
#include "codegen/Cuda/Nvrtc.h"
#include "codegen/Cuda/KernelSources.h"
#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <regex>

namespace elah::cuda {
namespace fs = std::filesystem;

using Program = struct NvrtcProgram *;

struct Nvrtc::Functions {
  int (*version)(int *major, int *minor);
  int (*create)(Program *, const char *source, const char *name, int headers, const char *const *texts,
                const char *const *includeNames);
  int (*compile)(Program, int options, const char *const *);
  int (*destroy)(Program *);
  const char *(*errorString)(int);
  using Size = int (*)(Program, size_t *);
  using Bytes = int (*)(Program, char *);
  Size logSize, ptxSize, cubinSize;
  Bytes log, ptx, cubin;

  std::string read(Program program, Size sizeOf, Bytes give) const {
    size_t size = 0;
    std::string bytes;
    if (sizeOf(program, &size) == 0 && size > 0) {
      bytes.resize(size);
      if (give(program, bytes.data()) != 0) {
        bytes.clear();
      }
    }
    return bytes;
  }
  std::string readText(Program program, Size sizeOf, Bytes give) const {
    std::string text = read(program, sizeOf, give);
    return text.substr(0, text.find('\0')); // It comes with its terminating zero.
  }
};

namespace {

/// The entries of `folder` that are called `prefix`..., newest version first.
std::vector<fs::path> named(const fs::path &folder, const std::string &prefix) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with(prefix)) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

/// Folders of Python packages: of the active environment, the user's, the system's.
std::vector<fs::path> pythonPackages() {
  std::vector<fs::path> roots;
  if (const char *environment = std::getenv("VIRTUAL_ENV")) {
    roots.push_back(fs::path(environment) / "lib");
  }
  if (const char *home = std::getenv("HOME")) {
    roots.push_back(fs::path(home) / ".local/lib");
  }
  roots.insert(roots.end(), {"/usr/local/lib", "/usr/lib"});
  std::vector<fs::path> packages;
  for (const fs::path &root : roots) {
    for (const fs::path &python : named(root, "python3")) {
      packages.push_back(python / "site-packages");
      packages.push_back(python / "dist-packages");
    }
  }
  return packages;
}

/// Where to look, in order.
std::vector<fs::path> candidates() {
  if (const char *chosen = std::getenv("ELAH_NVRTC"); chosen && *chosen) {
    return {chosen};
  }
  std::vector<fs::path> places;
  for (const char *variable : {"CUDA_PATH", "CUDA_HOME"}) {
    if (const char *root = std::getenv(variable); root && *root) {
      places.push_back(fs::path(root) / "lib64");
    }
  }
  places.push_back("/usr/local/cuda/lib64");
  places.insert(places.end(), {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"});
  for (const fs::path &packages : pythonPackages()) {
    places.push_back(packages / "nvidia/cu13/lib");       // nvidia-cuda-nvrtc
    places.push_back(packages / "nvidia/cuda_nvrtc/lib"); // nvidia-cuda-nvrtc-cu12
  }
  return places;
}

/// The library at a place: a file, a name for the loader, or the newest in a folder.
std::vector<fs::path> librariesAt(const fs::path &place) {
  std::error_code ignored;
  return fs::is_directory(place, ignored) ? named(place, "libnvrtc.so") : std::vector<fs::path>{place};
}

void *openLibrary(const fs::path &path) {
  // NVRTC opens its built-in functions by their file's name only, which the loader may not find beside it.
  if (path.has_parent_path()) {
    for (const fs::path &builtins : named(path.parent_path(), "libnvrtc-builtins.so")) {
      if (dlopen(builtins.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        break;
      }
    }
  }
  return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
}

unsigned numberBefore(const std::string &line, const char *words) {
  std::smatch match;
  return std::regex_search(line, match, std::regex("(\\d+) " + std::string(words)))
             ? static_cast<unsigned>(std::stoul(match[1]))
             : 0;
}

/// What `ptxas -v` says, line by line:
///   ptxas info    : (C7511) Potential Performance Loss: wgmma.mma_async instructions are serialized due to ...
///   ptxas         .     8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
///   ptxas info    : Used 80 registers, used 1 barriers, 512 bytes smem
void readAssemblerLog(const std::string &log, CompiledKernel &kernel) {
  size_t begin = 0;
  while (begin < log.size()) {
    size_t end = std::min(log.find('\n', begin), log.size());
    std::string line = log.substr(begin, end - begin);
    begin = end + 1;
    if (size_t remark = line.find("(C75"); remark != std::string::npos) {
      kernel.remarks.push_back(line.substr(remark));
    }
    kernel.stackBytes = std::max(kernel.stackBytes, numberBefore(line, "bytes stack frame"));
    kernel.spillBytes += numberBefore(line, "bytes spill stores") + numberBefore(line, "bytes spill loads");
    if (line.find(": Used ") != std::string::npos) {
      kernel.registers = std::max(kernel.registers, numberBefore(line, "registers"));
      kernel.staticSharedBytes = std::max(kernel.staticSharedBytes, numberBefore(line, "bytes smem"));
    }
  }
}

} // namespace

std::vector<std::string> Nvrtc::options(LineInfo lineInfo) {
  std::vector<std::string> options = {"--gpu-architecture=sm_90a", "--std=c++20", "--ptxas-options=-v"};
  if (lineInfo == LineInfo::With) {
    options.push_back("--generate-line-info");
  }
  return options;
}

std::unique_ptr<Nvrtc> Nvrtc::open(std::string &error) {
  std::string places;
  for (const fs::path &place : candidates()) {
    places += (places.empty() ? "" : ", ") + place.string();
    for (const fs::path &path : librariesAt(place)) {
      void *library = openLibrary(path);
      if (!library) {
        continue;
      }
      Functions functions;
      bool complete = true;
      auto find = [&](auto &function, const char *symbol) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
        complete = complete && function;
      };
      find(functions.version, "nvrtcVersion");
      find(functions.create, "nvrtcCreateProgram");
      find(functions.compile, "nvrtcCompileProgram");
      find(functions.destroy, "nvrtcDestroyProgram");
      find(functions.errorString, "nvrtcGetErrorString");
      find(functions.logSize, "nvrtcGetProgramLogSize");
      find(functions.log, "nvrtcGetProgramLog");
      find(functions.ptxSize, "nvrtcGetPTXSize");
      find(functions.ptx, "nvrtcGetPTX");
      find(functions.cubinSize, "nvrtcGetCUBINSize");
      find(functions.cubin, "nvrtcGetCUBIN");
      int major = 0, minor = 0;
      if (!complete || functions.version(&major, &minor) != 0 || major < 12) {
        places += " (" + path.string() + " is no NVRTC of CUDA 12.0 or later)";
        continue;
      }
      std::unique_ptr<Nvrtc> nvrtc(new Nvrtc());
      nvrtc->functions = std::make_shared<Functions>(functions);
      // Versions with equal numbers differ in patches, which only the file shows.
      Dl_info info;
      std::error_code ignored;
      nvrtc->libraryPath =
          dladdr(reinterpret_cast<void *>(functions.version), &info) && info.dli_fname ? info.dli_fname : path.string();
      nvrtc->libraryVersion = std::to_string(major) + "." + std::to_string(minor) + ", " +
                              std::to_string(fs::file_size(nvrtc->libraryPath, ignored)) + " bytes";
      return nvrtc;
    }
  }
  error = "found no NVRTC (libnvrtc.so, CUDA's run-time compiler) in " + places +
          "; install a CUDA toolkit or the Python package nvidia-cuda-nvrtc, or name the library by ELAH_NVRTC";
  return nullptr;
}

Nvrtc::Outcome Nvrtc::compile(const std::string &source, const std::string &name, LineInfo lineInfo) const {
  Outcome outcome;
  const std::vector<std::string> chosen = options(lineInfo);
  std::vector<const char *> texts, names, words;
  for (const KernelSource &header : kernelSources()) {
    names.push_back(header.name);
    texts.push_back(header.text);
  }
  for (const std::string &option : chosen) {
    words.push_back(option.c_str());
  }
  Program program = nullptr;
  int code = functions->create(&program, source.c_str(), name.c_str(), static_cast<int>(names.size()), texts.data(),
                               names.data());
  if (code != 0) {
    outcome.log = functions->errorString(code);
    return outcome;
  }
  code = functions->compile(program, static_cast<int>(words.size()), words.data());
  outcome.log = functions->readText(program, functions->logSize, functions->log);
  if (code == 0) {
    CompiledKernel kernel;
    kernel.ptx = functions->readText(program, functions->ptxSize, functions->ptx);
    kernel.cubin = functions->read(program, functions->cubinSize, functions->cubin);
    readAssemblerLog(outcome.log, kernel);
    outcome.kernel = std::move(kernel);
  } else if (outcome.log.empty()) {
    outcome.log = functions->errorString(code);
  }
  functions->destroy(&program);
  return outcome;
}

} // namespace elah::cuda
