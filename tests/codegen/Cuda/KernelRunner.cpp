#include "tests/codegen/Cuda/KernelRunner.h"
#include "codegen/Cuda/KernelCache.h"
#include "codegen/Cuda/KernelGates.h"
#include "codegen/Cuda/Nvrtc.h"
#include "drivers/cuda/launch.h"
#include "emulator/include/elah_emulator.h"
#include <algorithm>
#include <elah/cuda_kernel.h>
#include <map>
#include <memory>

namespace elah::cuda {
namespace {

using Dims = std::array<int64_t, 5>;

/// Writes what other kernels of a step would have written. It lets the kernel under test start first, and waits until
/// that is launched (`gate`) and then some: a kernel that forgets griddepcontrol.wait reads memory that nobody wrote.
constexpr char predecessorSource[] = R"(
struct Copy { unsigned char *to; const unsigned char *from; unsigned long long bytes; };
extern "C" __global__ void __launch_bounds__(256)
elah_test_predecessor(const Copy *copies, const unsigned *gate) {
  asm volatile("griddepcontrol.launch_dependents;");
  for (unsigned open = 0, more = 0; more < 1000; more += open) {
    asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(open) : "l"(gate) : "memory");
  }
  Copy copy = copies[blockIdx.x];
  for (unsigned long long i = threadIdx.x; i < copy.bytes; i += 256) {
    copy.to[i] = copy.from[i];
  }
}
)";

struct Copy {
  CUdeviceptr to, from;
  uint64_t bytes;
};

/// The emulator's libcuda and a stream of its device, for the whole process.
struct Emulator {
  std::unique_ptr<DriverLibrary> library;
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUstream stream = nullptr, gateStream = nullptr;
  decltype(&elah_emulator_set_option) setOption = nullptr;
  decltype(&elah_emulator_report_count) reportCount = nullptr;
  decltype(&elah_emulator_report_text) reportText = nullptr;
  decltype(&elah_emulator_launch_count) launchCount = nullptr;
  decltype(&elah_emulator_launch_json) launchJson = nullptr;
  decltype(&elah_emulator_clear) clear = nullptr;
  std::string error;

  static Emulator &instance() {
    static Emulator emulator;
    return emulator;
  }
  const DriverFunctions &functions() const { return library->functions(); }

private:
  Emulator() {
    Result<std::unique_ptr<DriverLibrary>> opened = DriverLibrary::open(ELAH_EMULATOR_LIBRARY);
    if (!opened.ok()) {
      error = opened.status().message();
      return;
    }
    library = std::move(*opened);
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(library->find(name));
      error = function ? error : std::string("the emulator lacks ") + name;
    };
    find(setOption, "elah_emulator_set_option");
    find(reportCount, "elah_emulator_report_count");
    find(reportText, "elah_emulator_report_text");
    find(launchCount, "elah_emulator_launch_count");
    find(launchJson, "elah_emulator_launch_json");
    find(clear, "elah_emulator_clear");
    if (error.empty() && (functions().deviceGet(&device, 0) != CUDA_SUCCESS ||
                          functions().devicePrimaryCtxRetain(&context, device) != CUDA_SUCCESS ||
                          functions().ctxSetCurrent(context) != CUDA_SUCCESS ||
                          functions().streamCreate(&stream, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS ||
                          functions().streamCreate(&gateStream, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS)) {
      error = "the emulator gives no device";
    }
  }
};

/// Device memory and modules of one run, freed at its end.
class Run {
public:
  explicit Run(Emulator &emulator) : emulator(emulator) {}
  Run(const Run &) = delete;
  ~Run() {
    for (CUdeviceptr address : allocations) {
      emulator.functions().memFree(address);
    }
    for (CUmodule module : modules) {
      emulator.functions().moduleUnload(module);
    }
  }

  const DriverLibrary &library() const { return *emulator.library; }

  Status allocate(size_t bytes, CUdeviceptr &address) {
    ELAH_CUDA_RETURN_IF_ERROR(library(), memAlloc(&address, std::max<size_t>(bytes, 1)), "allocating");
    allocations.push_back(address);
    return Status();
  }
  Status upload(const void *bytes, size_t size, CUdeviceptr &address) {
    ELAH_RETURN_IF_ERROR(allocate(size, address));
    if (size) {
      ELAH_CUDA_RETURN_IF_ERROR(library(), memcpyHtoDAsync(address, bytes, size, emulator.stream), "copying");
    }
    return Status();
  }
  Status load(const std::string &ptx, const std::string &symbol, CUfunction &function) {
    CUmodule module = nullptr;
    ELAH_CUDA_RETURN_IF_ERROR(library(), moduleLoadData(&module, ptx.c_str()), symbol.c_str());
    modules.push_back(module);
    ELAH_CUDA_RETURN_IF_ERROR(library(), moduleGetFunction(&function, module, symbol.c_str()), symbol.c_str());
    return Status();
  }
  Status synchronize() {
    ELAH_CUDA_RETURN_IF_ERROR(library(), streamSynchronize(emulator.stream), "running the kernels");
    return Status();
  }

private:
  Emulator &emulator;
  std::vector<CUdeviceptr> allocations;
  std::vector<CUmodule> modules;
};

CUtensorMapDataType typeOf(MapElement element) {
  switch (element) {
  case MapElement::F8:
  case MapElement::U8:
    return CU_TENSOR_MAP_DATA_TYPE_UINT8;
  case MapElement::BF16:
    return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  case MapElement::F16:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  case MapElement::F32:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  case MapElement::I32:
    return CU_TENSOR_MAP_DATA_TYPE_INT32;
  }
  __builtin_unreachable();
}

CUtensorMapSwizzle swizzleOf(MapSwizzle swizzle) {
  switch (swizzle) {
  case MapSwizzle::None:
    return CU_TENSOR_MAP_SWIZZLE_NONE;
  case MapSwizzle::B32:
    return CU_TENSOR_MAP_SWIZZLE_32B;
  case MapSwizzle::B64:
    return CU_TENSOR_MAP_SWIZZLE_64B;
  case MapSwizzle::B128:
    return CU_TENSOR_MAP_SWIZZLE_128B;
  }
  __builtin_unreachable();
}

std::optional<CompiledKernel> compileSource(const std::string &source, const std::string &symbol, std::string &error) {
  static std::string missing;
  static const std::unique_ptr<Nvrtc> nvrtc = Nvrtc::open(missing);
  static const KernelCache cache(ELAH_TEST_KERNEL_CACHE);
  if (!nvrtc) {
    error = missing;
    return std::nullopt;
  }
  std::string key = KernelCache::keyOf(source, nvrtc->version(), LineInfo::With);
  if (std::optional<CompiledKernel> found = cache.find(key)) {
    return found;
  }
  Nvrtc::Outcome outcome = nvrtc->compile(source, symbol + ".cu", LineInfo::With);
  if (!outcome.kernel) {
    error = symbol + " does not compile:\n" + outcome.log;
    return std::nullopt;
  }
  cache.store(key, *outcome.kernel);
  return outcome.kernel;
}

Status encodeMaps(const DriverLibrary &library, const KernelSpec &spec, const std::vector<CUdeviceptr> &addresses,
                  const Dims &bucket, std::vector<CUtensorMap> &encoded) {
  for (const TensorMap &map : spec.maps) {
    TiledMap tiled;
    tiled.type = typeOf(map.element);
    tiled.swizzle = swizzleOf(map.swizzle);
    tiled.address = addresses.at(map.operand) + map.byteOffset;
    for (const Extent &size : map.sizes) {
      tiled.sizes.push_back(static_cast<uint64_t>(size.evaluate(bucket)));
    }
    tiled.strides = map.strides;
    tiled.box = map.box;
    encoded.emplace_back();
    ELAH_RETURN_IF_ERROR(encode(library, tiled, encoded.back()));
  }
  return Status();
}

Status runAll(Emulator &emulator, std::span<const KernelSpec> kernels, std::vector<Operand> &operands,
              const Dims &bucket, const Dims &dims, RunOutcome &outcome) {
  Run run(emulator);
  const DriverLibrary &library = *emulator.library;

  // Operands: weights at once, inputs by the predecessor.
  std::vector<CUdeviceptr> addresses;
  std::vector<Copy> copies;
  for (const Operand &operand : operands) {
    CUdeviceptr address = 0;
    if (operand.within) {
      address = addresses.at(*operand.within) + operand.byteOffset;
    } else if (operand.kind == Operand::Kind::Weight) {
      ELAH_RETURN_IF_ERROR(run.upload(operand.bytes.data(), operand.bytes.size(), address));
    } else {
      ELAH_RETURN_IF_ERROR(run.allocate(operand.bytes.size(), address));
    }
    addresses.push_back(address);
    if (!operand.within && operand.kind == Operand::Kind::Input && !operand.bytes.empty()) {
      CUdeviceptr staged = 0;
      ELAH_RETURN_IF_ERROR(run.upload(operand.bytes.data(), operand.bytes.size(), staged));
      copies.push_back({address, staged, operand.bytes.size()});
    }
  }
  std::array<int32_t, ELAH_DIM_COUNT> deviceDims;
  std::copy(dims.begin(), dims.end(), deviceDims.begin());
  const uint32_t closed = 0, open = 1;
  CUdeviceptr dimsAddress = 0, copiesAddress = 0, gate = 0;
  ELAH_RETURN_IF_ERROR(run.upload(&closed, sizeof(closed), gate));
  ELAH_RETURN_IF_ERROR(run.upload(deviceDims.data(), sizeof(deviceDims), dimsAddress));
  ELAH_RETURN_IF_ERROR(run.upload(copies.data(), copies.size() * sizeof(Copy), copiesAddress));

  size_t scratchBytes = 0;
  for (const KernelSpec &spec : kernels) {
    scratchBytes = std::max<size_t>(scratchBytes, spec.scratchBytes.evaluate(bucket));
  }
  CUdeviceptr scratch = 0;
  ELAH_RETURN_IF_ERROR(run.allocate(ELAH_CUDA_SEMAPHORE_BYTES + scratchBytes, scratch));
  ELAH_CUDA_RETURN_IF_ERROR(library, memsetD8Async(scratch, 0, ELAH_CUDA_SEMAPHORE_BYTES, emulator.stream),
                            "clearing semaphores");

  std::vector<KernelLaunch> launches;
  if (!copies.empty()) {
    std::string error;
    std::optional<CompiledKernel> compiled = compileSource(predecessorSource, "elah_test_predecessor", error);
    if (!compiled) {
      return Status(ELAH_INTERNAL, error);
    }
    KernelLaunch predecessor;
    ELAH_RETURN_IF_ERROR(run.load(compiled->ptx, "elah_test_predecessor", predecessor.function));
    predecessor.blocks = static_cast<unsigned>(copies.size());
    predecessor.threads = 256;
    predecessor.operands = {copiesAddress};
    predecessor.dims = gate; // The last parameter.
    launches.push_back(predecessor);
  }
  for (const KernelSpec &spec : kernels) {
    std::string error;
    std::optional<CompiledKernel> compiled = compileForTest(spec, error);
    if (!compiled) {
      return Status(ELAH_INVALID_ARGUMENT, error);
    }
    if (spec.operands != operands.size()) {
      return failure(ELAH_INVALID_ARGUMENT, "%s takes %u operands, found %zu", spec.symbol.c_str(), spec.operands,
                     operands.size());
    }
    KernelLaunch launch;
    ELAH_RETURN_IF_ERROR(run.load(compiled->ptx, spec.symbol, launch.function));
    ELAH_RETURN_IF_ERROR(prepare(library, launch.function, spec.sharedBytes, spec.cluster));
    BlockCount blocks =
        countBlocks(static_cast<uint64_t>(spec.grid.outer), spec.grid.rows.evaluate(bucket),
                    static_cast<uint64_t>(spec.grid.rowTile), static_cast<uint64_t>(spec.grid.maxBlocks), spec.cluster);
    if (!blocks.fits || blocks.blocks == 0) {
      return failure(ELAH_INVALID_ARGUMENT, "%s has a grid of no or too many blocks", spec.symbol.c_str());
    }
    launch.blocks = blocks.blocks;
    launch.threads = spec.threads;
    launch.cluster = spec.cluster;
    launch.sharedBytes = spec.sharedBytes;
    launch.operands = addresses;
    launch.dims = dimsAddress;
    launch.scratch = spec.usesScratch() ? scratch : 0;
    ELAH_RETURN_IF_ERROR(encodeMaps(library, spec, addresses, bucket, launch.maps));
    launches.push_back(std::move(launch));
  }

  ELAH_RETURN_IF_ERROR(run.synchronize());
  emulator.clear();
  for (KernelLaunch &kernel : launches) {
    ELAH_RETURN_IF_ERROR(launch(library, kernel, emulator.stream));
  }
  ELAH_CUDA_RETURN_IF_ERROR(library, memcpyHtoDAsync(gate, &open, sizeof(open), emulator.gateStream),
                            "opening the gate");
  ELAH_RETURN_IF_ERROR(run.synchronize());
  for (size_t i = 0; i < emulator.launchCount(); ++i) {
    // The predecessor's is not of interest.
    if (copies.empty() || i > 0) {
      outcome.counters.push_back(emulator.launchJson(i));
    }
  }

  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i].within && !operands[i].bytes.empty()) {
      ELAH_CUDA_RETURN_IF_ERROR(
          library, memcpyDtoHAsync(operands[i].bytes.data(), addresses[i], operands[i].bytes.size(), emulator.stream),
          "copying back");
    }
  }
  std::vector<uint8_t> semaphores(ELAH_CUDA_SEMAPHORE_BYTES);
  ELAH_CUDA_RETURN_IF_ERROR(library, memcpyDtoHAsync(semaphores.data(), scratch, semaphores.size(), emulator.stream),
                            "copying back");
  ELAH_RETURN_IF_ERROR(run.synchronize());
  for (size_t i = 0; i < semaphores.size(); ++i) {
    if (semaphores[i] != 0) {
      outcome.reports.push_back("semaphore " + std::to_string(i / 4) + " was not left zero");
      break;
    }
  }
  return Status();
}

} // namespace

std::string RunOrder::describe() const {
  return std::string(order) + ", seed " + std::to_string(seed) + (adversarial ? ", adversarial" : "");
}

std::vector<RunOrder> testOrders(unsigned randomSeeds) {
  std::vector<RunOrder> orders = {{.order = "lazy"}};
  for (uint64_t seed = 1; seed <= randomSeeds; ++seed) {
    orders.push_back({.order = "random", .seed = seed, .adversarial = true});
  }
  return orders;
}

std::string RunOutcome::describe() const {
  std::string text = error;
  for (size_t i = 0; i < reports.size() && i < 8; ++i) {
    text += (text.empty() ? "" : "\n") + reports[i];
  }
  return reports.size() > 8 ? text + "\n... and " + std::to_string(reports.size() - 8) + " more" : text;
}

std::optional<CompiledKernel> compileForTest(const KernelSpec &spec, std::string &error) {
  return compileSource(spec.source, spec.symbol, error);
}

std::string complaintsOf(const KernelSpec &spec, const CompiledKernel &kernel) {
  std::string complaints;
  for (const std::string &finding : gateFindings(spec, kernel, *findCudaTarget("h800"))) {
    complaints += (complaints.empty() ? spec.symbol + " (" + spec.schedule + "): " : "; ") + finding;
  }
  return complaints;
}

RunOutcome runKernels(std::span<const KernelSpec> kernels, std::vector<Operand> &operands, const Dims &bucket,
                      const Dims &dims, const RunOrder &order) {
  Emulator &emulator = Emulator::instance();
  RunOutcome outcome;
  if (!emulator.error.empty()) {
    outcome.error = emulator.error;
    return outcome;
  }
  const std::pair<const char *, std::string> options[] = {
      {"order", order.order},
      {"seed", std::to_string(order.seed)},
      {"adversarial", order.adversarial ? "1" : "0"},
      {"check", order.check ? "1" : "0"},
      {"count", order.count ? "1" : "0"},
      {"threads", std::to_string(order.threads)},
      {"print", "0"},
  };
  for (const auto &[name, value] : options) {
    if (emulator.setOption(name, value.c_str()) != 0) {
      outcome.error = std::string("the emulator has no option ") + name + " of " + value;
      return outcome;
    }
  }
  emulator.clear();
  Status status = runAll(emulator, kernels, operands, bucket, dims, outcome);
  outcome.error = status.message();
  for (size_t i = 0; i < emulator.reportCount(); ++i) {
    outcome.reports.push_back(emulator.reportText(i));
  }
  emulator.clear();
  return outcome;
}

double relativeDifference(std::span<const double> x, std::span<const double> y) {
  double product = 0, squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    product += x[i] * y[i];
    squares += x[i] * x[i] + y[i] * y[i];
  }
  return squares == 0 ? 0 : 1 - 2 * product / squares;
}

} // namespace elah::cuda
