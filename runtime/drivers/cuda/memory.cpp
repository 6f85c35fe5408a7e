#include "drivers/cuda/memory.h"
#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <pthread.h>
#include <vector>

namespace elah::cuda {

Result<DeviceMemory> DeviceMemory::allocate(const Device &device, uint64_t bytes, const char *what) {
  DeviceMemory memory;
  memory.device = &device;
  memory.size = bytes;
  std::string doing = "allocating " + std::to_string(bytes) + " bytes for the " + what + " on " + device.description();
  ELAH_CUDA_RETURN_IF_ERROR(device.library(), memAlloc(&memory.start, std::max<uint64_t>(bytes, 256)), doing.c_str());
  return Result<DeviceMemory>(std::move(memory));
}

Result<PinnedMemory> PinnedMemory::allocate(const Device &device, uint64_t bytes, const char *what) {
  PinnedMemory memory;
  memory.device = &device;
  memory.size = bytes;
  void *address = nullptr;
  std::string doing = "allocating " + std::to_string(bytes) + " bytes of pinned memory for the " + what;
  ELAH_CUDA_RETURN_IF_ERROR(device.library(), memHostAlloc(&address, std::max<uint64_t>(bytes, 1), 0), doing.c_str());
  memory.start = static_cast<uint8_t *>(address);
  return Result<PinnedMemory>(std::move(memory));
}

namespace {

/// What is registered, by whom how often. The device outlives the sessions that share it.
struct Registration {
  std::shared_ptr<const Device> device;
  unsigned owners = 0;
};
struct Registrations {
  std::mutex mutex;
  std::map<const uint8_t *, Registration> byStart;
};
Registrations &registrations() {
  static Registrations all;
  return all;
}

} // namespace

Result<RegisteredMemory> RegisteredMemory::share(std::shared_ptr<const Device> device, const uint8_t *start,
                                                 uint64_t bytes) {
  Registrations &all = registrations();
  std::lock_guard<std::mutex> lock(all.mutex);
  Registration &registration = all.byStart[start];
  if (registration.owners == 0) {
    CUresult code =
        device->functions().memHostRegister(const_cast<uint8_t *>(start), bytes, CU_MEMHOSTREGISTER_READ_ONLY);
    if (code != CUDA_SUCCESS) {
      all.byStart.erase(start);
      return device->library().explain(code, "registering the weights");
    }
    registration.device = std::move(device);
  }
  ++registration.owners;
  RegisteredMemory memory;
  memory.start = start;
  return Result<RegisteredMemory>(std::move(memory));
}

void RegisteredMemory::reset() {
  if (!start) {
    return;
  }
  Registrations &all = registrations();
  std::lock_guard<std::mutex> lock(all.mutex);
  auto entry = all.byStart.find(start);
  if (--entry->second.owners == 0) {
    std::shared_ptr<const Device> device = std::move(entry->second.device); // Beyond the scope's end.
    Device::Scope scope(*device);
    device->functions().memHostUnregister(const_cast<uint8_t *>(start));
    all.byStart.erase(entry);
  }
  start = nullptr;
}

namespace {

constexpr uint64_t pieceBytes = 8 << 20;

/// What the threads of an upload share: pieces that nobody has taken, and the first failure.
struct Upload {
  const Device &device;
  const uint8_t *from;
  CUdeviceptr to;
  uint64_t bytes;
  std::atomic<uint64_t> next{0};
  std::mutex mutex{};
  Status status{};

  /// Each thread has two buffers, each with a stream: while one is copied, the other is filled.
  Status serve() {
    Device::Scope scope(device);
    struct Lane {
      PinnedMemory buffer;
      CUstream stream = nullptr;
    } lanes[2];
    Status result;
    for (Lane &lane : lanes) {
      Result<PinnedMemory> buffer = PinnedMemory::allocate(device, std::min(bytes, pieceBytes), "weights");
      if (!buffer.ok()) {
        result = buffer.status();
        break;
      }
      lane.buffer = std::move(*buffer);
      if (CUresult code = device.functions().streamCreate(&lane.stream, CU_STREAM_NON_BLOCKING); code != CUDA_SUCCESS) {
        result = device.library().explain(code, "creating a stream");
        break;
      }
    }
    for (unsigned turn = 0; result.ok(); ++turn) {
      uint64_t begin = pieceBytes * next.fetch_add(1);
      if (begin >= bytes) {
        break;
      }
      result = copyPiece(lanes[turn % 2].buffer, lanes[turn % 2].stream, begin);
    }
    for (Lane &lane : lanes) {
      if (lane.stream) {
        CUresult code = device.functions().streamSynchronize(lane.stream);
        if (code != CUDA_SUCCESS && result.ok()) {
          result = device.library().explain(code, "copying weights");
        }
        device.functions().streamDestroy(lane.stream);
      }
    }
    return result;
  }

  Status copyPiece(const PinnedMemory &buffer, CUstream stream, uint64_t begin) {
    uint64_t size = std::min(pieceBytes, bytes - begin);
    // The buffer's last copy must be over.
    ELAH_CUDA_RETURN_IF_ERROR(device.library(), streamSynchronize(stream), "copying weights");
    std::memcpy(buffer.data(), from + begin, size);
    ELAH_CUDA_RETURN_IF_ERROR(device.library(), memcpyHtoDAsync(to + begin, buffer.data(), size, stream),
                              "copying weights");
    return Status();
  }

  static void *run(void *opaque) {
    Upload &upload = *static_cast<Upload *>(opaque);
    if (Status status = upload.serve(); !status.ok()) {
      std::lock_guard<std::mutex> lock(upload.mutex);
      upload.status = status;
      upload.next = uint64_t(1) << 40; // Nothing more to take.
    }
    return nullptr;
  }
};

} // namespace

Status upload(const Device &device, const uint8_t *from, CUdeviceptr to, uint64_t bytes, unsigned threads) {
  Upload shared{device, from, to, bytes};
  std::vector<pthread_t> others;
  uint64_t pieces = (bytes + pieceBytes - 1) / pieceBytes;
  for (unsigned i = 1; i < threads && i < pieces; ++i) {
    // Threads that cannot be had are done without.
    if (pthread_t thread; ::pthread_create(&thread, nullptr, Upload::run, &shared) == 0) {
      others.push_back(thread);
    }
  }
  Upload::run(&shared);
  for (pthread_t thread : others) {
    ::pthread_join(thread, nullptr);
  }
  return shared.status;
}

} // namespace elah::cuda
