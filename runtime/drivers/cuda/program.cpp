// Runs an artifact's program on a GPU. Everything is allocated when the session begins, and the kernels of each bucket
// are captured in a graph, whose grids, tensor maps and addresses are the bucket's: a step is one copy of its inputs,
// with its real dimensions before them, one launch of the smallest graph that serves it, and one copy of its logits.
// On the emulator, whose device memory is this machine's, weights stay in the mapped file.
#include "drivers/cuda/program.h"
#include "src/cuda_manifest.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <elah/cuda_kernel.h>
#include <map>
#include <utility>

namespace elah {

using namespace cuda;

namespace {

/// Of every buffer that is not a view (cuda_kernel.h).
constexpr uint64_t alignment = 256;
/// More than any device has: what is larger does not fit, and what is not can be added up.
constexpr uint64_t maxBytes = uint64_t(1) << 45;

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
                                                         std::shared_ptr<Device> opened, unsigned threads,
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
  for (const proto::Weight &weight : manifest.weights()) {
    program->weightBytes = std::max(program->weightBytes, weight.offset() + weight.size());
  }
  if (device.isEmulated() && reinterpret_cast<uintptr_t>(weights) % alignment == 0 && program->weightBytes > 0) {
    Result<RegisteredMemory> registered = RegisteredMemory::share(program->device, weights, program->weightBytes);
    if (!registered.ok()) {
      return registered.status();
    }
    program->registeredWeights = std::move(*registered);
  }
  ELAH_RETURN_IF_ERROR(program->allocate());
  ELAH_RETURN_IF_ERROR(program->placeWeights(weights, threads));
  ELAH_RETURN_IF_ERROR(program->loadKernels());
  const char *graphs = std::getenv("ELAH_CUDA_GRAPHS");
  for (Bucket &bucket : program->buckets) {
    ELAH_RETURN_IF_ERROR(program->prepareBucket(bucket));
    if (!graphs || std::strcmp(graphs, "0") != 0) {
      ELAH_RETURN_IF_ERROR(program->capture(bucket));
    }
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
  for (uint32_t tokens : manifest.buckets()) {
    Bucket bucket;
    bucket.dims = {tokens, std::min(tokens, limits.max_sequences()), std::min(tokens, maxLogitRows(limits)),
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
  const uint64_t copiedBytes = registeredWeights ? 0 : weightBytes;
  const uint64_t needed = copiedBytes + largest.arenaBytes + cacheBytes + scratchBytes + inputBytes;
  size_t free = 0, total = 0;
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memGetInfo(&free, &total), "asking for free memory");
  if (needed > free) {
    return failure(ELAH_OUT_OF_MEMORY,
                   "%s has %.2f GiB of memory free, of %.2f; the artifact needs %.2f: %.2f for weights, %.2f for a KV "
                   "cache of %llu tokens, %.2f for buffers",
                   device->description().c_str(), gibibytes(free), gibibytes(total), gibibytes(needed),
                   gibibytes(copiedBytes), gibibytes(cacheBytes), static_cast<unsigned long long>(totalCacheRows),
                   gibibytes(needed - copiedBytes - cacheBytes));
  }
  struct Request {
    DeviceMemory &memory;
    uint64_t bytes;
    const char *what;
  };
  for (const Request &request :
       {Request{weightMemory, copiedBytes, "weights"}, Request{cache, cacheBytes, "KV cache"},
        Request{arena, largest.arenaBytes, "arena"}, Request{scratch, scratchBytes, "scratch memory"},
        Request{inputMemory, inputBytes, "inputs"}}) {
    if (request.bytes == 0) {
      continue;
    }
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
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memsetD8Async(arena.address(), 0, arena.bytes(), stream),
                            "clearing the arena");
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamSynchronize(stream), "clearing memory");
  return Status();
}

Status CudaProgram::placeWeights(const uint8_t *weights, unsigned threads) {
  if (registeredWeights) {
    weightAddress = reinterpret_cast<CUdeviceptr>(weights);
    return Status();
  }
  weightAddress = weightMemory.address();
  return within(device->description(), upload(*device, weights, weightAddress, weightBytes, std::min(threads, 8u)));
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

Status CudaProgram::prepareBucket(Bucket &bucket) {
  const int64_t tokens = bucket.dims[ELAH_DIM_TOKENS];
  for (int i = 0; i < artifact.manifest().launches_size(); ++i) {
    const proto::Launch &launch = artifact.manifest().launches(i);
    for (const proto::Step &step : variantFor(launch, tokens).steps()) {
      ELAH_RETURN_IF_ERROR(within("launch '" + launch.name() + "' in steps of " + std::to_string(tokens) + " tokens",
                                  prepareStep(bucket, static_cast<size_t>(i), step)));
    }
  }
  return Status();
}

Status CudaProgram::capture(Bucket &bucket) {
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                            "beginning a capture");
  Status launched = launchAll(bucket, bucket.dims, nullptr);
  CUgraph graph = nullptr;
  CUresult code = device->functions().streamEndCapture(stream, &graph);
  if (launched.ok() && code == CUDA_SUCCESS) {
    code = device->functions().graphInstantiate(&bucket.graph, graph, 0);
  }
  if (launched.ok() && code == CUDA_SUCCESS) {
    code = device->functions().graphUpload(bucket.graph, stream);
  }
  if (graph) {
    device->functions().graphDestroy(graph);
  }
  if (code == CUDA_ERROR_OUT_OF_MEMORY) { // Then kernel by kernel.
    if (bucket.graph) {
      device->functions().graphExecDestroy(std::exchange(bucket.graph, nullptr));
    }
    return launched;
  }
  return launched.ok() && code != CUDA_SUCCESS ? device->library().explain(code, "making a graph of a step") : launched;
}

Status CudaProgram::launchAll(Bucket &bucket, const Dims &dims, LaunchWatcher *watcher) {
  for (size_t i = 0; i < bucket.kernels.size(); ++i) {
    const size_t index = bucket.kernels[i].launch;
    const std::string &name = artifact.manifest().launches(static_cast<int>(index)).name();
    if (Status status = cuda::launch(device->library(), bucket.kernels[i].kernel, stream); !status.ok()) {
      return within("launch '" + name + "'", status);
    }
    const bool isLast = i + 1 == bucket.kernels.size() || bucket.kernels[i + 1].launch != index;
    if (watcher && isLast) {
      const std::string doing = "running launch '" + name + "' on " + device->description();
      ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamSynchronize(stream), doing.c_str());
      ELAH_RETURN_IF_ERROR(watcher->launched(index, *this, dims));
    }
  }
  return Status();
}

Status CudaProgram::prepareStep(Bucket &bucket, size_t index, const proto::Step &step) {
  const proto::Manifest &manifest = artifact.manifest();
  const proto::CudaKernel &cuda = manifest.kernels(static_cast<int>(step.kernel())).cuda();
  KernelLaunch kernel;
  for (uint32_t buffer : manifest.launches(static_cast<int>(index)).buffers()) {
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
  bucket.kernels.push_back({index, std::move(kernel)});
  return Status();
}

CUdeviceptr CudaProgram::addressOf(const Bucket &bucket, const proto::Buffer &buffer) const {
  const proto::Manifest &manifest = artifact.manifest();
  CUdeviceptr address = 0;
  switch (buffer.place_case()) {
  case proto::Buffer::kWeight:
    address = weightAddress + manifest.weights(static_cast<int>(buffer.weight())).offset();
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

Status CudaProgram::read(uint32_t buffer, std::span<uint8_t> bytes) {
  Device::Scope scope(*device);
  const CUdeviceptr from = addressOf(*current, artifact.manifest().buffers(static_cast<int>(buffer)));
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memcpyDtoHAsync(bytes.data(), from, bytes.size(), stream),
                            "copying a buffer");
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamSynchronize(stream), "copying a buffer");
  return Status();
}

Status CudaProgram::write(uint32_t buffer, std::span<const uint8_t> bytes) {
  Device::Scope scope(*device);
  const CUdeviceptr to = addressOf(*current, artifact.manifest().buffers(static_cast<int>(buffer)));
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), memcpyHtoDAsync(to, bytes.data(), bytes.size(), stream),
                            "writing a buffer");
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamSynchronize(stream), "writing a buffer");
  return Status();
}

Status CudaProgram::run(const Dims &dims, const Inputs &inputs, LaunchWatcher *watcher) {
  const proto::Manifest &manifest = artifact.manifest();
  // The limits hold: the last bucket, at least, serves.
  auto bucket = std::find_if(buckets.begin(), buckets.end(), [&](const Bucket &candidate) {
    return dims[ELAH_DIM_TOKENS] <= candidate.dims[ELAH_DIM_TOKENS];
  });
  Device::Scope scope(*device);
  current = &*bucket;
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
  if (bucket->graph && !watcher) {
    ELAH_CUDA_RETURN_IF_ERROR(device->library(), graphLaunch(bucket->graph, stream), doing.c_str());
  } else {
    ELAH_RETURN_IF_ERROR(launchAll(*bucket, dims, watcher));
  }
  if (logitBytes > 0) {
    CUdeviceptr logits = addressOf(*bucket, manifest.buffers(static_cast<int>(manifest.logits())));
    ELAH_CUDA_RETURN_IF_ERROR(device->library(), memcpyDtoHAsync(hostLogits.data(), logits, logitBytes, stream),
                              doing.c_str());
  }
  ELAH_CUDA_RETURN_IF_ERROR(device->library(), streamSynchronize(stream), doing.c_str());
  return Status();
}

} // namespace elah
