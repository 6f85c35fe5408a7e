// elah-emu: runs one kernel from a file under the emulator, for people who write kernels.

#include "commands/launch_arguments.h"
#include "commands/nvrtc.h"
#include "driver/api/functions.h"
#include "include/elah_emulator.h"
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace emulator;
using namespace emulator::cuda;

namespace {

constexpr int statusUsage = 2, statusFault = 3, statusReports = 4;

constexpr const char *footer = R"(
Arguments, in the order of the kernel's parameters, one --arg each:
  --arg x.npy              the address of a buffer with the file's contents
  --arg y=f32[128,64]      of a buffer that nobody has written; afterwards written to y.npy
  --arg y=x.npy            of a buffer with the file's contents; afterwards written to y.npy
  --arg '&x'               of a buffer that stands before
  --arg i32:5              a number: i8 to u64, f32, f64; bf16, f16, e4m3, e5m2 by their bits
  --arg map:x:box=64x32:swizzle=128:type=bf16
                           a tensor map of buffer x, for tensor copies of 64 rows of 32 elements each;
                           also l2=64|128|256 and fill=nan
numpy has no bf16, e4m3, e5m2: such buffers are u16 and u8 in files.

Examples:
  elah-emu add.cu --arg a.npy --arg b.npy --arg c=f32[1000] --arg u32:1000 --grid 8 --block 128
  elah-emu gemm.ptx --kernel gemm --arg a.npy --arg b.npy --arg c=f32[128,128] --grid 1 --block 128 --shared 65536 \
    --order random --seed 7 --adversarial --check
  elah-emu copy.cu --buffer x.npy --arg map:x:box=64x64:swizzle=128 --arg y=u16[64,64] --block 64 --check
  elah-emu gemm.ptx --list

.cu files are compiled by NVRTC (found by the loader, in /usr/local/cuda/lib64, or by --nvrtc).
What no option says is as the environment has it: ELAH_EMULATOR_ORDER, _SEED, _CHECK ...

Exit status: 0 ok, 2 usage, 3 the kernel faulted, 4 the checker has reports)";

struct Settings {
  std::string file, kernel, out = ".", nvrtc;
  std::string order, numerics, device, seed, threads, trace; ///< empty: as the environment says
  std::string counters;                                      ///< a file, "-" for stdout; empty: not asked for
  std::vector<std::string> buffers, arguments, compilerOptions;
  std::vector<unsigned> grid = {1}, block = {128}, cluster;
  unsigned shared = 0;
  bool adversarial = false, check = false, cooperative = false, list = false, json = false;
};

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw UsageError(path + ": cannot be read");
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Fails with the driver's own words.
void require(CUresult code, const std::string &what, CUlogIterator since) {
  if (code == CUDA_SUCCESS) {
    return;
  }
  char log[2048] = "";
  size_t size = sizeof log;
  cuLogsDumpToMemory(&since, log, &size, 0);
  const std::string words(log, size ? size - 1 : 0);
  throw UsageError(what + ":\n" + words);
}

CUmodule load(const Settings &settings) {
  std::string image = readFile(settings.file);
  if (settings.file.size() > 3 && settings.file.compare(settings.file.size() - 3, 3, ".cu") == 0) {
    const Nvrtc nvrtc(settings.nvrtc);
    if (!nvrtc.available()) {
      throw UsageError(settings.file + ": " + nvrtc.reason());
    }
    Nvrtc::Result result = nvrtc.compile(image, settings.file, settings.compilerOptions);
    if (!result.log.empty()) {
      std::fprintf(stderr, "%s\n", result.log.c_str());
    }
    if (!result.good) {
      throw UsageError(settings.file + " does not compile");
    }
    image = std::move(result.ptx);
    CUmodule module = nullptr;
    require(cuModuleLoadData(&module, image.c_str()), settings.file, 0);
    return module;
  }
  CUmodule module = nullptr;
  require(cuModuleLoad(&module, settings.file.c_str()), settings.file, 0);
  return module;
}

std::string readable(const char *name) {
  int status = 0;
  char *text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  const std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

std::vector<CUfunction> kernelsOf(CUmodule module) {
  unsigned count = 0;
  require(cuModuleGetFunctionCount(&count, module), "kernels", 0);
  std::vector<CUfunction> functions(count);
  require(cuModuleEnumerateFunctions(functions.data(), count, module), "kernels", 0);
  return functions;
}

int attribute(CUfunction function, CUfunction_attribute which) {
  int value = 0;
  cuFuncGetAttribute(&value, which, function);
  return value;
}

/// Sizes of the parameters.
std::vector<size_t> parametersOf(CUfunction function) {
  std::vector<size_t> sizes;
  size_t offset = 0, size = 0;
  while (cuFuncGetParamInfo(function, sizes.size(), &offset, &size) == CUDA_SUCCESS) {
    sizes.push_back(size);
  }
  return sizes;
}

void list(CUmodule module) {
  for (CUfunction function : kernelsOf(module)) {
    const char *name = nullptr;
    cuFuncGetName(&name, function);
    std::printf("%s\n", readable(name).c_str());
    std::printf("  parameters:");
    for (size_t size : parametersOf(function)) {
      std::printf(" %zu", size);
    }
    std::printf(" bytes\n  about %d registers, %d bytes of shared and %d of local memory, up to %d threads\n",
                attribute(function, CU_FUNC_ATTRIBUTE_NUM_REGS),
                attribute(function, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES),
                attribute(function, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES),
                attribute(function, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
  }
}

CUfunction choose(CUmodule module, const std::string &wanted) {
  std::vector<CUfunction> fitting;
  std::string names;
  for (CUfunction function : kernelsOf(module)) {
    const char *name = nullptr;
    cuFuncGetName(&name, function);
    const std::string text = readable(name);
    names += "\n  " + text;
    if (wanted == name) {
      return function;
    }
    if (wanted.empty() || text.substr(0, text.find_first_of("(<")) == wanted || text == wanted) {
      fitting.push_back(function);
    }
  }
  if (fitting.size() != 1) {
    throw UsageError(wanted.empty()
                         ? "--kernel is needed: the file has" + names
                         : "--kernel " + wanted + " names " + std::to_string(fitting.size()) + " kernels of:" + names);
  }
  return fitting.front();
}

/// Of the one launch, also where it faulted: how far it came.
void writeCounters(const std::string &to) {
  if (to.empty() || elah_emulator_launch_count() == 0) {
    return;
  }
  if (to == "-") {
    std::printf("%s", elah_emulator_launch_text(0));
    return;
  }
  std::ofstream file(to);
  file << elah_emulator_launch_json(0) << "\n";
  if (!file.flush()) {
    throw UsageError(to + ": cannot be written");
  }
}

unsigned dimension(const std::vector<unsigned> &given, size_t index) { return index < given.size() ? given[index] : 1; }

int run(const Settings &settings) {
  if (!settings.device.empty()) {
    setenv("ELAH_EMULATOR_DEVICE", settings.device.c_str(), 1);
  }
  const std::pair<const char *, std::string> options[] = {{"order", settings.order},
                                                          {"numerics", settings.numerics},
                                                          {"seed", settings.seed},
                                                          {"threads", settings.threads},
                                                          {"adversarial", settings.adversarial ? "1" : ""},
                                                          {"check", settings.check ? "1" : ""},
                                                          {"count", settings.counters.empty() ? "" : "1"},
                                                          {"trace", settings.trace},
                                                          {"print", "0"}};
  for (const auto &[name, value] : options) {
    if (!value.empty() && elah_emulator_set_option(name, value.c_str()) != 0) {
      throw UsageError(std::string("--") + name + ": found '" + value + "'");
    }
  }
  CUcontext context = nullptr;
  require(cuInit(0), "the emulator", 0);
  require(cuDevicePrimaryCtxRetain(&context, 0), "the emulator", 0);
  require(cuCtxSetCurrent(context), "the emulator", 0);
  const CUmodule module = load(settings);
  if (settings.list) {
    list(module);
    return 0;
  }
  const CUfunction function = choose(module, settings.kernel);
  LaunchArguments arguments;
  for (const std::string &text : settings.buffers) {
    arguments.addBufferOnly(text);
  }
  for (const std::string &text : settings.arguments) {
    arguments.add(text);
  }
  const std::vector<size_t> parameters = parametersOf(function);
  if (parameters.size() != arguments.count()) {
    std::string list;
    for (size_t size : parameters) {
      list += (list.empty() ? " of " : ", ") + std::to_string(size);
    }
    throw UsageError("the kernel has " + std::to_string(parameters.size()) + " parameters" + list +
                     (list.empty() ? "" : " bytes") + ", and " + std::to_string(arguments.count()) +
                     " --arg are given");
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i] != arguments.bytesOf(i)) {
      throw UsageError("--arg " + arguments.textOf(i) + " has " + std::to_string(arguments.bytesOf(i)) +
                       " bytes, and parameter " + std::to_string(i) + " of the kernel " +
                       std::to_string(parameters[i]));
    }
  }
  CUlogIterator since = 0;
  cuLogsCurrent(&since, 0);
  if (settings.shared > 48 * 1024) {
    require(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                               static_cast<int>(settings.shared)),
            "--shared", since);
  }
  cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1);
  std::vector<CUlaunchAttribute> attributes;
  if (!settings.cluster.empty()) {
    attributes.emplace_back().id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attributes.back().value.clusterDim = {dimension(settings.cluster, 0), dimension(settings.cluster, 1),
                                          dimension(settings.cluster, 2)};
  }
  if (settings.cooperative) {
    attributes.emplace_back().id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    attributes.back().value.cooperative = 1;
  }
  const CUlaunchConfig config{dimension(settings.grid, 0),
                              dimension(settings.grid, 1),
                              dimension(settings.grid, 2),
                              dimension(settings.block, 0),
                              dimension(settings.block, 1),
                              dimension(settings.block, 2),
                              settings.shared,
                              nullptr,
                              attributes.data(),
                              static_cast<unsigned>(attributes.size())};
  require(cuLaunchKernelEx(&config, function, arguments.pointers().data(), nullptr), "the launch", since);
  const CUresult ended = cuCtxSynchronize();

  writeCounters(settings.counters);
  const size_t reports = elah_emulator_report_count();
  if (settings.json) {
    std::printf("[");
    for (size_t i = 0; i < reports; ++i) {
      std::printf("%s%s", i ? ",\n " : "", elah_emulator_report_json(i));
    }
    std::printf("]\n");
  } else {
    for (size_t i = 0; i < reports; ++i) {
      std::fprintf(stderr, "%s\n", elah_emulator_report_text(i));
    }
  }
  if (ended != CUDA_SUCCESS) {
    const char *text = nullptr;
    cuGetErrorString(ended, &text);
    std::fprintf(stderr, "elah-emu: %s; no results are written\n", text);
    return statusFault;
  }
  if (!settings.out.empty()) {
    std::error_code ignored; // Writing says what is wrong with it.
    std::filesystem::create_directories(settings.out, ignored);
  }
  for (const std::string &file : arguments.writeResults(settings.out)) {
    std::fprintf(settings.json ? stderr : stdout, "wrote %s\n", file.c_str());
  }
  return reports ? statusReports : 0;
}

} // namespace

int main(int argc, char **argv) {
  Settings settings;
  CLI::App app("Runs a kernel from PTX, a fatbin or CUDA C++ on the CPU, and says what hardware would let pass.",
               "elah-emu");
  app.footer(footer);
  app.add_option("file", settings.file, "a .ptx, .fatbin or .cu file")->required();
  app.add_option("--kernel", settings.kernel, "which kernel; needed where the file has several");
  app.add_option("--arg", settings.arguments, "an argument, see below")->allow_extra_args(false);
  app.add_option("--buffer", settings.buffers, "a buffer that is no argument itself: what a tensor map is of")
      ->allow_extra_args(false);
  app.add_option("--grid", settings.grid, "CTAs: X or X,Y or X,Y,Z")->delimiter(',')->expected(1, 3);
  app.add_option("--block", settings.block, "threads of a CTA, likewise; 128")->delimiter(',')->expected(1, 3);
  app.add_option("--cluster", settings.cluster, "CTAs of a cluster, likewise")->delimiter(',')->expected(1, 3);
  app.add_option("--shared", settings.shared, "bytes of dynamic shared memory");
  app.add_flag("--cooperative", settings.cooperative, "a cooperative launch: all CTAs are resident");
  app.add_option("--order", settings.order, "when asynchronous work happens: eager, lazy (as late as it may) or random")
      ->check(CLI::IsMember({"eager", "lazy", "random"}));
  app.add_option("--seed", settings.seed, "of --order random and --adversarial");
  app.add_flag("--adversarial", settings.adversarial, "whoever may choose, chooses badly");
  app.add_flag("--check", settings.check, "look for races, missing fences and waits, memory that nobody wrote");
  app.add_option("--numerics", settings.numerics, "tensor cores' accumulators: f32, or hardware's narrower ones")
      ->check(CLI::IsMember({"f32", "hardware"}));
  app.add_option("--threads", settings.threads, "host threads; with 1 a run repeats to the instruction");
  app.add_option("--device", settings.device, "h800, h100, h100-pcie, h200, h20, gh200");
  app.add_option("--out", settings.out, "the folder for results, made where there is none; the current one");
  app.add_flag("--json", settings.json, "reports as JSON on stdout");
  app.add_option("--counters", settings.counters,
                 "what the kernel executed and moved: as JSON to a file, or as text to stdout for -");
  app.add_option("--trace", settings.trace, "a file for the warps over emulated time, for Perfetto or Chrome");
  app.add_flag("--list", settings.list, "show the file's kernels and end");
  app.add_option("--nvrtc", settings.nvrtc, "NVRTC's library, for .cu files");
  app.add_option("--compiler-option", settings.compilerOptions, "for NVRTC, as -DN=4")->allow_extra_args(false);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : statusUsage;
  }
  try {
    return run(settings);
  } catch (const UsageError &error) {
    std::fprintf(stderr, "elah-emu: %s\n", error.what());
    return statusUsage;
  }
}
