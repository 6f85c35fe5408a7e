// Runs an artifact's program on the CPU. Everything is allocated once, for the largest step that the limits allow, as
// address space only: pages that a step does not touch cost nothing.
#include "drivers/cpu/program.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>

namespace elah {
namespace {

/// Address space whose pages come when they are touched.
Result<uint8_t *> reserve(uint64_t size, const char *what) {
  void *address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    return failure(ELAH_OUT_OF_MEMORY, "cannot reserve %llu bytes for the %s: %s",
                   static_cast<unsigned long long>(size), what, std::strerror(errno));
  }
  ::madvise(address, size, MADV_HUGEPAGE);
  return static_cast<uint8_t *>(address);
}

struct LaunchContext {
  elah_cpu_kernel kernel;
  void *const *buffers;
  const int64_t *dims;
  uint8_t *scratch;
  uint64_t scratchOfThread;
};

} // namespace

Result<std::unique_ptr<CpuProgram>> CpuProgram::create(const Artifact &artifact, const uint8_t *weights,
                                                       unsigned threads, uint64_t cacheRows) {
  std::unique_ptr<CpuProgram> program(new CpuProgram(artifact, weights));
  if (artifact.manifest().launches().empty()) {
    return failure(ELAH_NOT_FOUND, "the artifact has no program");
  }
  Result<std::unique_ptr<CpuObject>> object = CpuObject::load(artifact);
  if (!object.ok()) {
    return object.status();
  }
  program->object = std::move(*object);
  ELAH_RETURN_IF_ERROR(program->findKernels());
  ELAH_RETURN_IF_ERROR(program->allocate(threads, cacheRows));
  return program;
}

CpuProgram::~CpuProgram() {
  pool.reset();
  for (auto [address, size] :
       {std::pair(arena, arenaSize), std::pair(cache, cacheSize), std::pair(scratch, scratchSize)}) {
    if (address) {
      ::munmap(address, size);
    }
  }
}

Status CpuProgram::findKernels() {
  for (const proto::Kernel &kernel : artifact.manifest().kernels()) {
    Result<void *> symbol = object->find(kernel.symbol());
    if (!symbol.ok()) {
      return symbol.status();
    }
    kernels.push_back(reinterpret_cast<elah_cpu_kernel>(*symbol));
  }
  return Status();
}

Status CpuProgram::allocate(unsigned threads, uint64_t cacheRows) {
  const proto::Manifest &manifest = artifact.manifest();
  const proto::Limits &limits = manifest.limits();
  totalCacheRows = cacheRows;
  uint64_t pages = (limits.max_context() + manifest.cache().page_tokens() - 1) / manifest.cache().page_tokens();
  Dims largest = {limits.max_tokens(), limits.max_sequences(), limits.max_tokens(), static_cast<int64_t>(cacheRows),
                  static_cast<int64_t>(pages)};
  // Whatever the manifest says, no sum or product of a step may wrap: the largest are computed with room to spare.
  __uint128_t total = 0;
  for (const proto::Slot &slot : manifest.slots()) {
    __int128_t bytes = bytesOf(slot, largest);
    if (bytes > (__int128_t(1) << 46)) {
      return failure(ELAH_OUT_OF_MEMORY, "a buffer of the arena is larger than an address space");
    }
    total += roundUp(static_cast<uint64_t>(bytes), 64);
  }
  for (int i = 0; i < manifest.launches_size(); ++i) {
    const proto::Launch &launch = manifest.launches(i);
    __int128_t rows = evaluate(launch.grid().rows(), largest);
    if (rows * launch.grid().outer() > (__int128_t(1) << 60) || launch.grid().row_tile() > (uint64_t(1) << 60)) {
      return failure(ELAH_INVALID_DATA, "manifest: launch %d ('%s') has too many blocks", i, launch.name().c_str());
    }
  }
  if (total > (__uint128_t(1) << 46)) {
    return failure(ELAH_OUT_OF_MEMORY, "the arena is larger than an address space");
  }
  arenaSize = roundUp(static_cast<uint64_t>(total) + 4096, 4096);
  Result<uint8_t *> arenaMemory = reserve(arenaSize, "arena");
  if (!arenaMemory.ok()) {
    return arenaMemory.status();
  }
  arena = *arenaMemory;

  cacheSize = 4096;
  for (uint32_t rowBytes : manifest.cache().pool_row_bytes()) {
    // Whatever the file says, the product must not wrap: rows and layers are bounded, row bytes too.
    __uint128_t bytes = static_cast<__uint128_t>(rowBytes) * cacheRows * manifest.cache().layers();
    if (bytes > (__uint128_t(1) << 45)) {
      return failure(ELAH_OUT_OF_MEMORY, "a KV cache of %llu tokens is larger than an address space",
                     static_cast<unsigned long long>(cacheRows));
    }
    cacheSize += roundUp(static_cast<uint64_t>(bytes), 4096);
  }
  Result<uint8_t *> cacheMemory = reserve(cacheSize, "KV cache");
  if (!cacheMemory.ok()) {
    return cacheMemory.status();
  }
  cache = *cacheMemory;

  uint64_t most = 64;
  for (const proto::Kernel &kernel : manifest.kernels()) {
    most = std::max(most, kernel.scratch_bytes());
  }
  scratchOfThread = roundUp(most, 4096);
  scratchSize = scratchOfThread * threads;
  Result<uint8_t *> scratchMemory = reserve(scratchSize, "scratch memory");
  if (!scratchMemory.ok()) {
    return scratchMemory.status();
  }
  scratch = *scratchMemory;
  Result<std::unique_ptr<ThreadPool>> created = ThreadPool::create(threads);
  if (!created.ok()) {
    return created.status();
  }
  pool = std::move(*created);
  addresses.resize(manifest.buffers_size());
  slotOffsets.resize(manifest.slots_size());
  return Status();
}

Status CpuProgram::run(const Dims &dims, const Inputs &inputs, LaunchWatcher *watcher) {
  const proto::Manifest &manifest = artifact.manifest();
  uint64_t offset = 0;
  for (int i = 0; i < manifest.slots_size(); ++i) {
    slotOffsets[i] = offset;
    offset += roundUp(static_cast<uint64_t>(bytesOf(manifest.slots(i), dims)), 64);
  }
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    const proto::Buffer &buffer = manifest.buffers(i);
    uint8_t *address = nullptr;
    switch (buffer.place_case()) {
    case proto::Buffer::kWeight:
      // Kernels read their inputs only; the mapping is read-only.
      address = const_cast<uint8_t *>(weights) + manifest.weights(buffer.weight()).offset();
      break;
    case proto::Buffer::kSlot:
      address = arena + slotOffsets[buffer.slot()];
      break;
    case proto::Buffer::kInput:
      address = reinterpret_cast<uint8_t *>(const_cast<int32_t *>(inputs[buffer.input()].data()));
      break;
    case proto::Buffer::kCache: {
      uint64_t begin = 0;
      for (uint32_t pool = 0; pool < buffer.cache().pool(); ++pool) {
        begin += roundUp(totalCacheRows * manifest.cache().pool_row_bytes(pool) * manifest.cache().layers(), 4096);
      }
      uint64_t layerBytes = totalCacheRows * manifest.cache().pool_row_bytes(buffer.cache().pool());
      address = cache + begin + buffer.cache().layer() * layerBytes;
      break;
    }
    case proto::Buffer::PLACE_NOT_SET:
      break;
    }
    addresses[i] = address + buffer.byte_offset();
  }
  logitsAddress = static_cast<const float *>(addresses[manifest.logits()]);

  std::vector<void *> operands;
  for (int index = 0; index < manifest.launches_size(); ++index) {
    const proto::Launch &launch = manifest.launches(index);
    operands.clear();
    for (uint32_t buffer : launch.buffers()) {
      operands.push_back(addresses[buffer]);
    }
    int64_t tile = static_cast<int64_t>(launch.grid().row_tile());
    int64_t rows = static_cast<int64_t>(evaluate(launch.grid().rows(), dims));
    int64_t blocks = static_cast<int64_t>(launch.grid().outer()) * ((rows + tile - 1) / tile);
    LaunchContext context = {kernels[launch.kernel()], operands.data(), dims.data(), scratch, scratchOfThread};
    pool->run(
        blocks,
        [](void *opaque, int64_t begin, int64_t end, unsigned thread) {
          const LaunchContext &launched = *static_cast<LaunchContext *>(opaque);
          launched.kernel(launched.buffers, launched.dims, begin, end,
                          launched.scratch + thread * launched.scratchOfThread);
        },
        &context);
    if (watcher) {
      ELAH_RETURN_IF_ERROR(watcher->launched(static_cast<size_t>(index), *this, dims));
    }
  }
  return Status();
}

Status CpuProgram::read(uint32_t buffer, std::span<uint8_t> bytes) {
  std::memcpy(bytes.data(), addresses[buffer], bytes.size());
  return Status();
}

Status CpuProgram::write(uint32_t buffer, std::span<const uint8_t> bytes) {
  std::memcpy(addresses[buffer], bytes.data(), bytes.size());
  return Status();
}

} // namespace elah
