// Runs an artifact's program on a GPU. Everything is allocated when the session begins, and the kernels of each bucket
// are captured in a graph, whose grids, tensor maps and addresses are the bucket's: a step is one copy of its inputs,
// with its real dimensions before them, one launch of the smallest graph that serves it, and one copy of its logits.
#include "drivers/cuda/program.h"
#include "src/cuda_manifest.h"
#include <algorithm>
#include <cstring>
#include <elah/cuda_kernel.h>
#include <map>

namespace elah {

using namespace cuda;

namespace {

/// Of every buffer that is not a view (cuda_kernel.h).
constexpr uint64_t alignment = 256;
/// More than any device has: what is larger does not fit, and what is not can be added up.
constexpr uint64_t maxBytes = uint64_t(1) << 45;

uint64_t roundUp(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

double gibibytes(uint64_t bytes) { return static_cast<double>(bytes) / (uint64_t(1) << 30); }

Status within(const std::string &place, const Status &status) {
  return status.ok() ? status : Status(status.code(), place + ": " + status.message());
}

CUtensorMapDataType typeOf(proto::MapElement element) {
  switch (element) {
  case proto::MAP_ELEMENT_BF16:
    return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  case proto::MAP_ELEMENT_F16:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  case proto::MAP_ELEMENT_F32:
    return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  case proto::MAP_ELEMENT_I32:
    return CU_TENSOR_MAP_DATA_TYPE_INT32;
  default:
    return CU_TENSOR_MAP_DATA_TYPE_UINT8;
  }
}

CUtensorMapSwizzle swizzleOf(proto::MapSwizzle swizzle) {
  switch (swizzle) {
  case proto::MAP_SWIZZLE_B32:
    return CU_TENSOR_MAP_SWIZZLE_32B;
  case proto::MAP_SWIZZLE_B64:
    return CU_TENSOR_MAP_SWIZZLE_64B;
  case proto::MAP_SWIZZLE_B128:
    return CU_TENSOR_MAP_SWIZZLE_128B;
  default:
    return CU_TENSOR_MAP_SWIZZLE_NONE;
  }
}

/// The kernels that serve steps of so many tokens.
const proto::Variant &variantFor(const proto::Launch &launch, int64_t tokens) {
  return *std::find_if(launch.variants().begin(), launch.variants().end(),
                       [&](const proto::Variant &variant) { return variant.max_tokens() >= tokens; });
}

/// Elements of an input in a step of these dimensions.
int64_t elementsOf(proto::Input input, const Dims &dims) {
  switch (input) {
  case proto::INPUT_SEQUENCE_STARTS:
    return dims[ELAH_DIM_SEQUENCES] + 1;
  case proto::INPUT_CONTEXT_LENGTHS:
    return dims[ELAH_DIM_SEQUENCES];
  case proto::INPUT_PAGE_TABLE:
    return dims[ELAH_DIM_SEQUENCES] * dims[ELAH_DIM_PAGES_PER_SEQUENCE];
  case proto::INPUT_LOGIT_TOKENS:
    return dims[ELAH_DIM_LOGIT_ROWS];
  default:
    return dims[ELAH_DIM_TOKENS];
  }
}

} // namespace

Result<std::unique_ptr<CudaProgram>> CudaProgram::create(const Artifact &artifact, const uint8_t *weights,
                                                         std::unique_ptr<Device> opened, unsigned threads,
                                                         uint64_t cacheRows) {
  const proto::Manifest &manifest = artifact.manifest();
  if (manifest.launches().empty()) {
    return failure(ELAH_NOT_FOUND, "the artifact has no program");
  }
  std::unique_ptr<CudaProgram> program(new CudaProgram(artifact, std::move(opened)));
  const Device &device = *program->device;
  if (device.computeCapability() != manifest.compute_capability()) {
    return failure(ELAH_UNSUPPORTED,
                   "the artifact was compiled for %s, of compute capability %u.%u; %s is of %u.%u, and runs other "
                   "binaries",
                   manifest.device().c_str(), manifest.compute_capability() / 10, manifest.compute_capability() % 10,
                   device.description().c_str(), device.computeCapability() / 10, device.computeCapability() % 10);
  }
  Device::Scope scope(device);
  ELAH_RETURN_IF_ERROR(program->planBuckets(cacheRows));
  ELAH_RETURN_IF_ERROR(program->planCache(cacheRows));
  ELAH_RETURN_IF_ERROR(program->allocate());
  ELAH_RETURN_IF_ERROR(within(device.description(), upload(device, weights, program->weightMemory.address(),
                                                           program->weightBytes, std::min(threads, 8u))));
  ELAH_RETURN_IF_ERROR(program->loadKernels());
  for (Bucket &bucket : program->buckets) {
    ELAH_RETURN_IF_ERROR(program->capture(bucket));
  }
  return program;
}

CudaProgram::~CudaProgram() {
  Device::Scope scope(*device);
  if (stream) {
    device->functions().streamSynchronize(stream);
  }
  for (Bucket &bucket : buckets) {
    if (bucket.graph) {
      device->functions().graphExecDestroy(bucket.graph);
    }
  }
  for (CUmodule module : modules) {
    device->functions().moduleUnload(module);
  }
  if (stream) {
    device->functions().streamDestroy(stream);
  }
  // Within the scope, for the members would outlive it.
  for (DeviceMemory *memory : {&weightMemory, &arena, &cache, &scratch, &inputMemory}) {
    *memory = DeviceMemory();
  }
  hostInputs = PinnedMemory();
  hostLogits = PinnedMemory();
}

Status CudaProgram::planBuckets(uint64_t cacheRows) {
  const proto::Manifest &manifest = artifact.manifest();
  const proto::Limits &limits = manifest.limits();
  const uint64_t pages = (uint64_t(limits.max_context()) - 1) / manifest.cache().page_tokens() + 1;
  const uint32_t maxLogitRows = limits.max_logit_rows() ? limits.max_logit_rows() : limits.max_tokens();
  for (uint32_t tokens : manifest.buckets()) {
    Bucket bucket;
    bucket.dims = {tokens, std::min(tokens, limits.max_sequences()), std::min(tokens, maxLogitRows),
                   static_cast<int64_t>(cacheRows), static_cast<int64_t>(pages)};
    for (const proto::Slot &slot : manifest.slots()) {
      __int128_t bytes = bytesOf(slot, bucket.dims);
      if (bytes > maxBytes || bucket.arenaBytes > maxBytes) {
        return failure(ELAH_OUT_OF_MEMORY, "the arena is larger than any device");
      }
      bucket.slotOffsets.push_back(bucket.arenaBytes);
      bucket.arenaBytes += roundUp(static_cast<uint64_t>(bytes), alignment);
    }
    for (const proto::Kernel &kernel : manifest.kernels()) {
      __int128_t bytes = kernel.cuda().uses_scratch() ? evaluate(kernel.cuda().scratch_bytes(), bucket.dims) : 0;
      if (bytes > maxBytes) {
        return failure(ELAH_OUT_OF_MEMORY, "the scratch memory of kernel '%s' is larger than any device",
                       kernel.symbol().c_str());
      }
      bucket.scratchBytes = std::max(bucket.scratchBytes, static_cast<uint64_t>(bytes));
    }
    // The page table comes last: most steps use little of it, and copy no more.
    bucket.inputBytes = roundUp(sizeof(int32_t) * ELAH_DIM_COUNT, alignment);
    for (int input : {proto::INPUT_TOKEN_IDS, proto::INPUT_POSITIONS, proto::INPUT_TOKEN_SEQUENCE,
                      proto::INPUT_CACHE_ROWS, proto::INPUT_SEQUENCE_STARTS, proto::INPUT_CONTEXT_LENGTHS,
                      proto::INPUT_LOGIT_TOKENS, proto::INPUT_PAGE_TABLE}) {
      bucket.inputs[static_cast<size_t>(input)] = bucket.inputBytes;
      // Limits are below 2^24: no product wraps.
      uint64_t elements = static_cast<uint64_t>(elementsOf(static_cast<proto::Input>(input), bucket.dims));
      bucket.inputBytes += roundUp(elements * sizeof(int32_t), alignment);
    }
    buckets.push_back(std::move(bucket));
  }
  return Status();
}

Status CudaProgram::planCache(uint64_t cacheRows) {
  const proto::Cache &layout = artifact.manifest().cache();
  totalCacheRows = cacheRows;
  for (uint32_t rowBytes : layout.pool_row_bytes()) {
    __uint128_t bytes = static_cast<__uint128_t>(rowBytes) * cacheRows * layout.layers();
    if (bytes > maxBytes) {
      return failure(ELAH_OUT_OF_MEMORY, "a KV cache of %llu tokens is larger than any device",
                     static_cast<unsigned long long>(cacheRows));
    }
    poolOffsets.push_back(cacheBytes);
    cacheBytes += roundUp(static_cast<uint64_t>(bytes), alignment);
  }
  return Status();
}

Status CudaProgram::allocate() {
  const Bucket &largest = *std::max_element(
      buckets.begin(), buckets.end(), [](const Bucket &a, const Bucket &b) { return a.arenaBytes < b.arenaBytes; });
  uint64_t scratchBytes = 0, inputBytes = 0;
  for (const Bucket &bucket : buckets) {
    scratchBytes = std::max(scratchBytes, bucket.scratchBytes);
    inputBytes = std::max(inputBytes, bucket.inputBytes);
  }
  scratchBytes += ELAH_CUDA_SEMAPHORE_BYTES;
  for (const proto::Weight &weight : artifact.manifest().weights()) {
    weightBytes = std::max(weightBytes, weight.offset() + weight.size());
  }
  const uint64_t needed = weightBytes + largest.arenaBytes + cacheBytes + scratchBytes + inputBytes;
  size_t free = 0, total = 0;
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memGetInfo(&free, &total), "asking for free memory");
  if (needed > free) {
    return failure(ELAH_OUT_OF_MEMORY,
                   "%s has %.2f GiB of memory free, of %.2f; the artifact needs %.2f: %.2f for weights, %.2f for a KV "
                   "cache of %llu tokens, %.2f for buffers",
                   device->description().c_str(), gibibytes(free), gibibytes(total), gibibytes(needed),
                   gibibytes(weightBytes), gibibytes(cacheBytes), static_cast<unsigned long long>(totalCacheRows),
                   gibibytes(needed - weightBytes - cacheBytes));
  }
  struct Request {
    DeviceMemory &memory;
    uint64_t bytes;
    const char *what;
  };
  for (const Request &request :
       {Request{weightMemory, weightBytes, "weights"}, Request{cache, cacheBytes, "KV cache"},
        Request{arena, largest.arenaBytes, "arena"}, Request{scratch, scratchBytes, "scratch memory"},
        Request{inputMemory, inputBytes, "inputs"}}) {
    Result<DeviceMemory> memory = DeviceMemory::allocate(*device, request.bytes, request.what);
    if (!memory.ok()) {
      return memory.status();
    }
    request.memory = std::move(*memory);
  }
  Result<PinnedMemory> pinned = PinnedMemory::allocate(*device, inputBytes, "inputs");
  if (!pinned.ok()) {
    return pinned.status();
  }
  hostInputs = std::move(*pinned);
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamCreate(&stream, CU_STREAM_NON_BLOCKING), "creating a stream");
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memsetD8Async(scratch.address(), 0, ELAH_CUDA_SEMAPHORE_BYTES, stream),
                            "clearing semaphores");
  // Rows beyond a step's have values that no kernel may need; that they are always the same makes runs repeatable.
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memsetD8Async(inputMemory.address(), 0, inputBytes, stream),
                            "clearing inputs");
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamSynchronize(stream), "clearing memory");
  return Status();
}

Status CudaProgram::loadKernels() {
  const std::string_view section = artifact.section(ELAH_SECTION_CUDA_MODULES);
  std::map<std::pair<uint64_t, uint64_t>, CUmodule> loaded;
  for (const proto::Kernel &kernel : artifact.manifest().kernels()) {
    const proto::CudaKernel &cuda = kernel.cuda();
    const uint64_t offset = device->isEmulated() ? cuda.ptx_offset() : cuda.cubin_offset();
    const uint64_t size = device->isEmulated() ? cuda.ptx_size() : cuda.cubin_size();
    CUmodule &module = loaded[{offset, size}];
    const std::string doing = "loading kernel '" + kernel.symbol() + "' on " + device->description();
    if (!module) {
      // A copy: aligned, and with a zero behind PTX.
      std::string image(section.substr(offset, size));
      ELAH_CUDA_RETURN_IF_ERROR(device->library(), moduleLoadData(&module, image.c_str()), doing.c_str());
      modules.push_back(module);
    }
    CUfunction function = nullptr;
    ELAH_CUDA_RETURN_IF_ERROR(device->library(), moduleGetFunction(&function, module, kernel.symbol().c_str()),
                              doing.c_str());
    ELAH_RETURN_IF_ERROR(within(doing, prepare(device->library(), function, cuda.shared_bytes(), cuda.cluster())));
    functions.push_back(function);
  }
  return Status();
}

Status CudaProgram::capture(Bucket &bucket) {
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                            "beginning a capture");
  Status launched = launchAll(bucket);
  CUgraph graph = nullptr;
  CUresult ended = device->functions().streamEndCapture(stream, &graph);
  if (launched.ok() && ended != CUDA_SUCCESS) {
    launched = device->library().explain(ended, "capturing a step");
  }
  if (launched.ok()) {
    CUresult code = device->functions().graphInstantiate(&bucket.graph, graph, 0);
    if (code == CUDA_SUCCESS) {
      code = device->functions().graphUpload(bucket.graph, stream);
    }
    if (code != CUDA_SUCCESS) {
      launched = device->library().explain(code, "making a graph of a step");
    }
  }
  if (graph) {
    device->functions().graphDestroy(graph);
  }
  return launched;
}

Status CudaProgram::launchAll(const Bucket &bucket) {
  for (const proto::Launch &launch : artifact.manifest().launches()) {
    for (const proto::Step &step : variantFor(launch, bucket.dims[ELAH_DIM_TOKENS]).steps()) {
      ELAH_RETURN_IF_ERROR(within("launch '" + launch.name() + "' in steps of " +
                                      std::to_string(bucket.dims[ELAH_DIM_TOKENS]) + " tokens",
                                  launchStep(bucket, launch, step)));
    }
  }
  return Status();
}

Status CudaProgram::launchStep(const Bucket &bucket, const proto::Launch &launch, const proto::Step &step) {
  const proto::Manifest &manifest = artifact.manifest();
  const proto::CudaKernel &cuda = manifest.kernels(static_cast<int>(step.kernel())).cuda();
  KernelLaunch kernel;
  for (uint32_t buffer : launch.buffers()) {
    kernel.operands.push_back(addressOf(bucket, manifest.buffers(static_cast<int>(buffer))));
  }
  for (const proto::TensorMap &map : cuda.maps()) {
    TiledMap tiled;
    tiled.type = typeOf(map.element());
    tiled.swizzle = swizzleOf(map.swizzle());
    tiled.address = kernel.operands[map.operand()] + map.byte_offset();
    for (const proto::Extent &size : map.sizes()) {
      __int128_t elements = evaluate(size, bucket.dims);
      if (elements < 1 || elements > (__int128_t(1) << 32)) {
        return failure(ELAH_INVALID_DATA, "a tensor map has a size out of range");
      }
      tiled.sizes.push_back(static_cast<uint64_t>(elements));
    }
    tiled.strides.assign(map.strides().begin(), map.strides().end());
    tiled.box.assign(map.box().begin(), map.box().end());
    kernel.maps.emplace_back();
    ELAH_RETURN_IF_ERROR(encode(device->library(), tiled, kernel.maps.back()));
  }
  __int128_t rows = evaluate(step.grid().rows(), bucket.dims);
  BlockCount count = rows > INT64_MAX ? BlockCount{0, false}
                                      : countBlocks(step.grid().outer(), static_cast<int64_t>(rows),
                                                    step.grid().row_tile(), step.grid().max_blocks(), cuda.cluster());
  if (!count.fits) {
    return failure(ELAH_INVALID_DATA, "the grid has too many blocks");
  }
  if (count.blocks == 0) {
    return Status();
  }
  kernel.function = functions[step.kernel()];
  kernel.blocks = count.blocks;
  kernel.threads = cuda.threads();
  kernel.cluster = cuda.cluster();
  kernel.sharedBytes = cuda.shared_bytes();
  kernel.dims = inputMemory.address();
  kernel.scratch = cuda.uses_scratch() ? scratch.address() : 0;
  return cuda::launch(device->library(), kernel, stream);
}

CUdeviceptr CudaProgram::addressOf(const Bucket &bucket, const proto::Buffer &buffer) const {
  const proto::Manifest &manifest = artifact.manifest();
  CUdeviceptr address = 0;
  switch (buffer.place_case()) {
  case proto::Buffer::kWeight:
    address = weightMemory.address() + manifest.weights(static_cast<int>(buffer.weight())).offset();
    break;
  case proto::Buffer::kSlot:
    address = arena.address() + bucket.slotOffsets[buffer.slot()];
    break;
  case proto::Buffer::kInput:
    address = inputMemory.address() + bucket.inputs[static_cast<size_t>(buffer.input())];
    break;
  case proto::Buffer::kCache: {
    uint64_t rowBytes = manifest.cache().pool_row_bytes(static_cast<int>(buffer.cache().pool()));
    address = cache.address() + poolOffsets[buffer.cache().pool()] + buffer.cache().layer() * rowBytes * totalCacheRows;
    break;
  }
  case proto::Buffer::PLACE_NOT_SET:
    break;
  }
  return address + buffer.byte_offset();
}

Status CudaProgram::run(const Dims &dims, const Inputs &inputs) {
  const proto::Manifest &manifest = artifact.manifest();
  auto serves = [&](const Bucket &bucket) {
    return dims[ELAH_DIM_TOKENS] <= bucket.dims[ELAH_DIM_TOKENS] &&
           dims[ELAH_DIM_LOGIT_ROWS] <= bucket.dims[ELAH_DIM_LOGIT_ROWS];
  };
  auto bucket = std::find_if(buckets.begin(), buckets.end(), serves);
  if (bucket == buckets.end()) {
    return failure(ELAH_OUT_OF_RANGE, "a step gives at most %u rows of logits, found %lld",
                   manifest.limits().max_logit_rows(), static_cast<long long>(dims[ELAH_DIM_LOGIT_ROWS]));
  }
  Device::Scope scope(*device);
  const uint64_t logitBytes = static_cast<uint64_t>(dims[ELAH_DIM_LOGIT_ROWS]) * manifest.vocabulary() * sizeof(float);
  if (hostLogits.bytes() < logitBytes) {
    Result<PinnedMemory> pinned = PinnedMemory::allocate(*device, logitBytes, "logits");
    if (!pinned.ok()) {
      return pinned.status();
    }
    hostLogits = std::move(*pinned);
  }
  auto *numbers = reinterpret_cast<int32_t *>(hostInputs.data());
  std::copy(dims.begin(), dims.end(), numbers);
  for (size_t input = 0; input < inputs.size(); ++input) {
    std::copy(inputs[input].begin(), inputs[input].end(), numbers + bucket->inputs[input] / sizeof(int32_t));
  }
  const uint64_t used = bucket->inputs[proto::INPUT_PAGE_TABLE] + inputs[proto::INPUT_PAGE_TABLE].size_bytes();
  const std::string doing = "running a step on " + device->description();
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memcpyHtoDAsync(inputMemory.address(), hostInputs.data(), used, stream),
                            doing.c_str());
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), graphLaunch(bucket->graph, stream), doing.c_str());
  if (logitBytes > 0) {
    CUdeviceptr logits = addressOf(*bucket, manifest.buffers(static_cast<int>(manifest.logits())));
    ELAH_CUDA_RETURN_IF_ERROR(device->library(), memcpyDtoHAsync(hostLogits.data(), logits, logitBytes, stream),
                              doing.c_str());
  }
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamSynchronize(stream), doing.c_str());
  return Status();
}

} // namespace elah
