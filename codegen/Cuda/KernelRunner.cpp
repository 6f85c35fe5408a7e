// Runs single kernels on the emulator, as a step of a program would: behind a kernel that is still writing what they
// read, on memory that holds nothing else.
#include "codegen/Cuda/KernelRunner.h"
#include "drivers/cuda/device.h"
#include "drivers/cuda/launch.h"
#include "emulator/include/elah_emulator.h"
#include <algorithm>
#include <atomic>
#include <elah/cuda_kernel.h>

namespace elah::cuda {
namespace {

using Dims = std::array<int64_t, 5>;

/// Writes what other kernels of a step would have written. It lets the kernel under test start first, and waits until
/// that is launched (`gate`) and then some: a kernel that forgets griddepcontrol.wait reads memory that nobody wrote.
/// Parameters: Copy per block, and the gate.
constexpr char predecessorPtx[] = R"(
.version 8.0
.target sm_90
.address_size 64
.visible .entry elah_predecessor(.param .u64 copies, .param .u64 gate)
.maxntid 256, 1, 1
{
  .reg .pred %p<4>;
  .reg .b32 %r<12>;
  .reg .b64 %d<12>;
  griddepcontrol.launch_dependents;
  ld.param.u64 %d0, [gate];
  mov.u32 %r0, 0;
WAIT:
  ld.acquire.sys.global.u32 %r1, [%d0];
  add.u32 %r0, %r0, %r1;
  setp.lt.u32 %p0, %r0, 1000;
  @%p0 bra WAIT;
  ld.param.u64 %d1, [copies];
  mov.u32 %r2, %ctaid.x;
  mad.wide.u32 %d1, %r2, 24, %d1;
  ld.global.u64 %d2, [%d1];
  ld.global.u64 %d3, [%d1+8];
  ld.global.u64 %d4, [%d1+16];
  mov.u32 %r3, %tid.x;
  cvt.u64.u32 %d5, %r3;
  and.b64 %d6, %d4, -16;
  shl.b64 %d7, %d5, 4;
PIECES:
  setp.ge.u64 %p1, %d7, %d6;
  @%p1 bra TAIL;
  add.u64 %d8, %d3, %d7;
  ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d8];
  add.u64 %d8, %d2, %d7;
  st.global.v4.u32 [%d8], {%r4, %r5, %r6, %r7};
  add.u64 %d7, %d7, 4096;
  bra PIECES;
TAIL:
  add.u64 %d7, %d6, %d5;
  setp.ge.u64 %p2, %d7, %d4;
  @%p2 bra DONE;
  add.u64 %d8, %d3, %d7;
  ld.global.u8 %r8, [%d8];
  add.u64 %d8, %d2, %d7;
  st.global.u8 [%d8], %r8;
DONE:
  ret;
}
)";

struct Copy {
  CUdeviceptr to, from;
  uint64_t bytes;
};

} // namespace

/// The emulator's libcuda, and streams of its device.
struct KernelRunner::Emulator {
  std::unique_ptr<DriverLibrary> library;
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  /// Of the predecessor, in the host's memory: a copy would be dropped once a kernel has failed.
  std::atomic<uint32_t> *gate = nullptr;
  decltype(&elah_emulator_set_option) setOption = nullptr;
  decltype(&elah_emulator_report_count) reportCount = nullptr;
  decltype(&elah_emulator_report_text) reportText = nullptr;
  decltype(&elah_emulator_launch_count) launchCount = nullptr;
  decltype(&elah_emulator_launch_json) launchJson = nullptr;
  decltype(&elah_emulator_clear) clear = nullptr;

  const DriverFunctions &functions() const { return library->functions(); }

  /// What is missing; empty if nothing.
  std::string open(const std::string &path) {
    Result<std::unique_ptr<DriverLibrary>> opened = DriverLibrary::open(path);
    if (!opened.ok()) {
      return opened.status().message();
    }
    library = std::move(*opened);
    std::string error;
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(library->find(name));
      if (!function && error.empty()) {
        error = path + " is no emulator: it lacks " + name;
      }
    };
    find(setOption, "elah_emulator_set_option");
    find(reportCount, "elah_emulator_report_count");
    find(reportText, "elah_emulator_report_text");
    find(launchCount, "elah_emulator_launch_count");
    find(launchJson, "elah_emulator_launch_json");
    find(clear, "elah_emulator_clear");
    if (error.empty() && (functions().deviceGet(&device, 0) != CUDA_SUCCESS || !beginContext())) {
      error = path + " gives no device";
    }
    return error;
  }

  bool beginContext() {
    return functions().devicePrimaryCtxRetain(&context, device) == CUDA_SUCCESS &&
           functions().ctxSetCurrent(context) == CUDA_SUCCESS &&
           functions().streamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
           functions().memHostAlloc(reinterpret_cast<void **>(&gate), sizeof(*gate), 0) == CUDA_SUCCESS;
  }
  /// After a kernel that has failed no call works in its context.
  bool renewContext() { return functions().devicePrimaryCtxRelease(device) == CUDA_SUCCESS && beginContext(); }

  Status run(std::span<const RunnableKernel> kernels, std::vector<Operand> &operands, const Dims &bucket,
             const Dims &dims, uint64_t patience, RunOutcome &outcome);
};

namespace {

/// Device memory and modules of one run, freed at its end.
class Run {
public:
  Run(const DriverLibrary &driver, CUstream stream) : driver(driver), stream(stream) {}
  Run(const Run &) = delete;
  ~Run() {
    for (CUdeviceptr address : allocations) {
      driver.functions().memFree(address);
    }
    for (const uint8_t *bytes : registered) {
      driver.functions().memHostUnregister(const_cast<uint8_t *>(bytes));
    }
    for (CUmodule module : modules) {
      driver.functions().moduleUnload(module);
    }
  }

  Status allocate(size_t bytes, CUdeviceptr &address) {
    ELAH_CUDA_RETURN_IF_ERROR(driver, memAlloc(&address, std::max<size_t>(bytes, 1)), "allocating");
    allocations.push_back(address);
    return Status();
  }
  Status upload(const void *bytes, size_t size, CUdeviceptr &address) {
    ELAH_RETURN_IF_ERROR(allocate(size, address));
    if (size) {
      ELAH_CUDA_RETURN_IF_ERROR(driver, memcpyHtoDAsync(address, bytes, size, stream), "copying");
    }
    return Status();
  }
  Status useInPlace(std::span<const uint8_t> bytes, CUdeviceptr &address) {
    ELAH_CUDA_RETURN_IF_ERROR(
        driver, memHostRegister(const_cast<uint8_t *>(bytes.data()), bytes.size(), CU_MEMHOSTREGISTER_READ_ONLY),
        "registering weights");
    registered.push_back(bytes.data());
    address = reinterpret_cast<CUdeviceptr>(bytes.data());
    return Status();
  }
  Status load(const char *ptx, const std::string &symbol, CUfunction &function) {
    CUmodule module = nullptr;
    ELAH_CUDA_RETURN_IF_ERROR(driver, moduleLoadData(&module, ptx), symbol.c_str());
    modules.push_back(module);
    ELAH_CUDA_RETURN_IF_ERROR(driver, moduleGetFunction(&function, module, symbol.c_str()), symbol.c_str());
    return Status();
  }
  Status synchronize() {
    ELAH_CUDA_RETURN_IF_ERROR(driver, streamSynchronize(stream), "running the kernels");
    return Status();
  }

private:
  const DriverLibrary &driver;
  CUstream stream;
  std::vector<CUdeviceptr> allocations;
  std::vector<const uint8_t *> registered;
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

} // namespace

Status KernelRunner::Emulator::run(std::span<const RunnableKernel> kernels, std::vector<Operand> &operands,
                                   const Dims &bucket, const Dims &dims, uint64_t patience, RunOutcome &outcome) {
  Run run(*library, stream);

  // Operands: weights at once, inputs by the predecessor.
  std::vector<CUdeviceptr> addresses;
  std::vector<Copy> copies;
  for (const Operand &operand : operands) {
    CUdeviceptr address = 0;
    if (operand.within) {
      address = addresses.at(*operand.within) + operand.byteOffset;
    } else if (!operand.inPlace.empty()) {
      ELAH_RETURN_IF_ERROR(run.useInPlace(operand.inPlace, address));
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
  CUdeviceptr dimsAddress = 0, copiesAddress = 0;
  ELAH_RETURN_IF_ERROR(run.upload(deviceDims.data(), sizeof(deviceDims), dimsAddress));
  ELAH_RETURN_IF_ERROR(run.upload(copies.data(), copies.size() * sizeof(Copy), copiesAddress));

  size_t scratchBytes = 0;
  for (const RunnableKernel &kernel : kernels) {
    const KernelSpec &spec = *kernel.spec;
    scratchBytes = std::max<size_t>(scratchBytes, spec.scratchBytes.evaluate(bucket));
  }
  CUdeviceptr scratch = 0;
  ELAH_RETURN_IF_ERROR(run.allocate(ELAH_CUDA_SEMAPHORE_BYTES + scratchBytes, scratch));
  ELAH_CUDA_RETURN_IF_ERROR(*library, memsetD8Async(scratch, 0, ELAH_CUDA_SEMAPHORE_BYTES, stream),
                            "clearing semaphores");

  std::vector<KernelLaunch> launches;
  if (!copies.empty()) {
    KernelLaunch predecessor;
    ELAH_RETURN_IF_ERROR(run.load(predecessorPtx, "elah_predecessor", predecessor.function));
    predecessor.blocks = static_cast<unsigned>(copies.size());
    predecessor.threads = 256;
    predecessor.operands = {copiesAddress};
    predecessor.dims = reinterpret_cast<CUdeviceptr>(gate); // The last parameter.
    launches.push_back(predecessor);
  }
  for (const RunnableKernel &kernel : kernels) {
    const KernelSpec &spec = *kernel.spec;
    if (spec.operands != operands.size()) {
      return failure(ELAH_INVALID_ARGUMENT, "%s takes %u operands, found %zu", spec.symbol.c_str(), spec.operands,
                     operands.size());
    }
    KernelLaunch launch;
    ELAH_RETURN_IF_ERROR(run.load(std::string(kernel.ptx).c_str(), spec.symbol, launch.function));
    ELAH_RETURN_IF_ERROR(prepare(*library, launch.function, spec.sharedBytes, spec.cluster));
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
    ELAH_RETURN_IF_ERROR(encodeMaps(*library, spec, addresses, bucket, launch.maps));
    launches.push_back(std::move(launch));
  }

  ELAH_RETURN_IF_ERROR(run.synchronize());
  clear();
  gate->store(0, std::memory_order_release);
  Status launched;
  for (size_t i = 0; i < launches.size() && launched.ok(); ++i) {
    // The predecessor waits for this thread, however long that takes.
    const bool isPredecessor = !copies.empty() && i == 0;
    setOption("patience", std::to_string(isPredecessor ? RunOrder().patience : patience).c_str());
    launched = launch(*library, launches[i], stream);
  }
  gate->store(1, std::memory_order_release);
  const Status ran = run.synchronize(); // Before memory is freed, also where a launch has failed.
  ELAH_RETURN_IF_ERROR(launched);
  ELAH_RETURN_IF_ERROR(ran);
  for (size_t i = 0; i < launchCount(); ++i) {
    // The predecessor's is not of interest.
    if (copies.empty() || i > 0) {
      outcome.counters.push_back(launchJson(i));
    }
  }

  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i].within && !operands[i].bytes.empty()) {
      ELAH_CUDA_RETURN_IF_ERROR(*library,
                                memcpyDtoHAsync(operands[i].bytes.data(), addresses[i],
                                                operands[i].writtenBytes.value_or(operands[i].bytes.size()), stream),
                                "copying back");
    }
  }
  std::vector<uint8_t> semaphores(ELAH_CUDA_SEMAPHORE_BYTES);
  ELAH_CUDA_RETURN_IF_ERROR(*library, memcpyDtoHAsync(semaphores.data(), scratch, semaphores.size(), stream),
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

std::string RunOrder::describe() const {
  return std::string(order) + ", seed " + std::to_string(seed) + (adversarial ? ", adversarial" : "");
}

std::string RunOutcome::describe() const {
  std::string text = error;
  for (size_t i = 0; i < reports.size() && i < 8; ++i) {
    text += (text.empty() ? "" : "\n") + reports[i];
  }
  return reports.size() > 8 ? text + "\n... and " + std::to_string(reports.size() - 8) + " more" : text;
}

KernelRunner::KernelRunner(std::unique_ptr<Emulator> emulator) : emulator(std::move(emulator)) {}
KernelRunner::~KernelRunner() = default;

std::unique_ptr<KernelRunner> KernelRunner::open(const std::string &library, std::string &error) {
  auto emulator = std::make_unique<Emulator>();
  error = emulator->open(library);
  return error.empty() ? std::unique_ptr<KernelRunner>(new KernelRunner(std::move(emulator))) : nullptr;
}

std::unique_ptr<KernelRunner> KernelRunner::open(std::string &error) {
  Result<std::string> library = findEmulator();
  if (!library.ok()) {
    error = library.status().message();
    return nullptr;
  }
  return open(*library, error);
}

std::string KernelRunner::setOrder(const RunOrder &order) {
  const std::pair<const char *, std::string> options[] = {
      {"order", order.order},
      {"seed", std::to_string(order.seed)},
      {"adversarial", order.adversarial ? "1" : "0"},
      {"check", order.check ? "1" : "0"},
      {"count", order.count ? "1" : "0"},
      {"threads", std::to_string(order.threads)},
      {"patience", std::to_string(order.patience)},
      {"print", "0"},
  };
  for (const auto &[name, value] : options) {
    if (emulator->setOption(name, value.c_str()) != 0) {
      return std::string("the emulator has no option ") + name + " of " + value;
    }
  }
  emulator->clear();
  return "";
}

std::vector<std::string> KernelRunner::takeReports() {
  std::vector<std::string> reports;
  for (size_t i = 0; i < emulator->reportCount(); ++i) {
    reports.push_back(emulator->reportText(i));
  }
  emulator->clear();
  return reports;
}

RunOutcome KernelRunner::run(std::span<const RunnableKernel> kernels, std::vector<Operand> &operands,
                             const Dims &bucket, const Dims &dims, const RunOrder &order) {
  RunOutcome outcome;
  outcome.error = setOrder(order);
  if (!outcome.error.empty()) {
    return outcome;
  }
  Status status = emulator->run(kernels, operands, bucket, dims, order.patience, outcome);
  outcome.error = status.message();
  std::vector<std::string> reports = takeReports();
  outcome.reports.insert(outcome.reports.end(), reports.begin(), reports.end());
  if (!status.ok() && !emulator->renewContext()) {
    outcome.error += "; the emulator gives no new context after it";
  }
  return outcome;
}

} // namespace elah::cuda
