// cuMemcpy* and cuMemset*.
//
// A copy between the host and pageable memory is staged by CUDA: to the device the source has been read when the call
// returns, from the device the copy has ended by then. Between pinned memory and the device it is truly asynchronous,
// and the bytes are read when the stream gets there: a program that changes them too early shows it here.

#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/host_access.h"
#include "driver/memory_map.h"
#include "driver/stream.h"
#include <cstring>

using namespace emulator::driver;

namespace emulator::driver {

void copyBytes(const CopyOperation &operation) {
  const uint64_t source = operation.staged ? reinterpret_cast<uint64_t>(operation.staged->data()) : operation.from;
  // Staged bytes lie densely.
  const size_t fromPitch = operation.staged ? operation.width : operation.fromPitch;
  const size_t fromSlice = operation.staged ? operation.width * operation.height : operation.fromSlice;
  for (size_t z = 0; z < operation.depth; ++z) {
    for (size_t y = 0; y < operation.height; ++y) {
      const uint64_t from = source + z * fromSlice + y * fromPitch;
      const uint64_t to = operation.to + z * operation.toSlice + y * operation.toPitch;
      std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), operation.width);
      if (operation.staged) {
        hostWrote(to, operation.width);
      } else {
        hostCopied(to, from, operation.width);
      }
    }
  }
}

void setBytes(const CUDA_MEMSET_NODE_PARAMS &what) {
  const size_t height = what.height ? what.height : 1;
  for (size_t y = 0; y < height; ++y) {
    const uint64_t row = what.dst + y * what.pitch;
    if (what.elementSize == 1) {
      std::memset(reinterpret_cast<void *>(row), static_cast<int>(what.value), what.width);
    } else {
      for (size_t x = 0; x < what.width; ++x) {
        std::memcpy(reinterpret_cast<void *>(row + x * what.elementSize), &what.value, what.elementSize);
      }
    }
    hostWrote(row, what.width * what.elementSize);
  }
}

namespace {
struct Side {
  CUmemorytype type;
  uint64_t base;
  size_t x, y, z, pitch, slice;
};
} // namespace

/// The address where a side's box begins; checks that the whole box is there.
static uint64_t placeOf(Side &side, const char *what, size_t width, size_t height, size_t depth) {
  if (side.type == CU_MEMORYTYPE_ARRAY) {
    fail(CUDA_ERROR_NOT_SUPPORTED, "%s is an array; the emulator has none", what);
  }
  if (side.type < CU_MEMORYTYPE_HOST || side.type > CU_MEMORYTYPE_UNIFIED) {
    fail(CUDA_ERROR_INVALID_VALUE, "%s: %d is no memory type", what, static_cast<int>(side.type));
  }
  if (side.pitch == 0) {
    side.pitch = width + side.x;
  }
  if (side.slice == 0) {
    side.slice = side.pitch * (height + side.y);
  }
  if (side.pitch < width + side.x) {
    fail(CUDA_ERROR_INVALID_VALUE, "%s: a pitch of %zu bytes for rows of %zu from %zu", what, side.pitch, width,
         side.x);
  }
  if (!side.base) {
    fail(CUDA_ERROR_INVALID_VALUE, "%s is null", what);
  }
  const uint64_t address = side.base + side.z * side.slice + side.y * side.pitch + side.x;
  const uint64_t extent = (depth - 1) * side.slice + (height - 1) * side.pitch + width;
  const bool known = GlobalMemory::instance().find(address) != nullptr;
  // Unified addresses that the driver does not know are pageable host memory.
  if (side.type == CU_MEMORYTYPE_DEVICE || known) {
    requireRange(address, extent, what);
  }
  return address;
}

/// Whether host memory at the address is pageable: unknown to the driver.
static bool pageable(uint64_t address) { return GlobalMemory::instance().find(address) == nullptr; }

CopyOperation copyOf(const CUDA_MEMCPY3D &asked) {
  CopyOperation copy;
  copy.asked = asked;
  if (asked.WidthInBytes == 0 || asked.Height == 0 || asked.Depth == 0) {
    copy.width = copy.height = copy.depth = 0;
    return copy;
  }
  auto baseOf = [](CUmemorytype type, const void *host, CUdeviceptr device) {
    return type == CU_MEMORYTYPE_HOST ? reinterpret_cast<uint64_t>(host) : static_cast<uint64_t>(device);
  };
  Side from{asked.srcMemoryType,
            baseOf(asked.srcMemoryType, asked.srcHost, asked.srcDevice),
            asked.srcXInBytes,
            asked.srcY,
            asked.srcZ,
            asked.srcPitch,
            asked.srcHeight * asked.srcPitch};
  Side to{asked.dstMemoryType,
          baseOf(asked.dstMemoryType, asked.dstHost, asked.dstDevice),
          asked.dstXInBytes,
          asked.dstY,
          asked.dstZ,
          asked.dstPitch,
          asked.dstHeight * asked.dstPitch};
  copy.width = asked.WidthInBytes;
  copy.height = asked.Height;
  copy.depth = asked.Depth;
  copy.from = placeOf(from, "the source", copy.width, copy.height, copy.depth);
  copy.to = placeOf(to, "the destination", copy.width, copy.height, copy.depth);
  copy.fromPitch = from.pitch;
  copy.fromSlice = from.slice;
  copy.toPitch = to.pitch;
  copy.toSlice = to.slice;
  return copy;
}

static CUDA_MEMCPY3D flat(CUmemorytype toType, uint64_t to, CUmemorytype fromType, uint64_t from, size_t bytes) {
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = fromType;
  copy.srcHost = reinterpret_cast<const void *>(from);
  copy.srcDevice = from;
  copy.dstMemoryType = toType;
  copy.dstHost = reinterpret_cast<void *>(to);
  copy.dstDevice = to;
  copy.WidthInBytes = bytes;
  copy.Height = copy.Depth = 1;
  return copy;
}

static CUDA_MEMCPY3D solid(const CUDA_MEMCPY2D &copy) {
  CUDA_MEMCPY3D result{};
  result.srcXInBytes = copy.srcXInBytes;
  result.srcY = copy.srcY;
  result.srcMemoryType = copy.srcMemoryType;
  result.srcHost = copy.srcHost;
  result.srcDevice = copy.srcDevice;
  result.srcArray = copy.srcArray;
  result.srcPitch = copy.srcPitch;
  result.dstXInBytes = copy.dstXInBytes;
  result.dstY = copy.dstY;
  result.dstMemoryType = copy.dstMemoryType;
  result.dstHost = copy.dstHost;
  result.dstDevice = copy.dstDevice;
  result.dstArray = copy.dstArray;
  result.dstPitch = copy.dstPitch;
  result.WidthInBytes = copy.WidthInBytes;
  result.Height = copy.Height;
  result.Depth = 1;
  return result;
}

static CUDA_MEMCPY3D withoutContexts(const CUDA_MEMCPY3D_PEER &copy) {
  static_assert(sizeof(CUDA_MEMCPY3D_PEER) == sizeof(CUDA_MEMCPY3D));
  contextOf(copy.srcContext);
  contextOf(copy.dstContext);
  CUDA_MEMCPY3D result;
  std::memcpy(&result, &copy, sizeof result);
  return result;
}

static void readNow(CopyOperation &copy) {
  copy.staged = std::make_shared<std::vector<std::byte>>(copy.width * copy.height * copy.depth);
  std::byte *to = copy.staged->data();
  for (size_t z = 0; z < copy.depth; ++z) {
    for (size_t y = 0; y < copy.height; ++y, to += copy.width) {
      std::memcpy(to, reinterpret_cast<const void *>(copy.from + z * copy.fromSlice + y * copy.fromPitch), copy.width);
    }
  }
}

static CUresult copyAsync(const CUDA_MEMCPY3D &asked, CUstream handle,
                          const std::source_location where = std::source_location::current()) {
  return callInContext(
      [&](Context &context) {
        const std::shared_ptr<Stream> stream = streamOf(handle, context);
        CopyOperation copy = copyOf(asked);
        if (copy.width == 0) {
          return;
        }
        if (!stream->capture && pageable(copy.from)) {
          readNow(copy);
        }
        if (!stream->capture && pageable(copy.to)) {
          enqueueAndWait(*stream, std::move(copy));
        } else {
          enqueue(*stream, std::move(copy));
        }
      },
      where);
}

static CUresult copyNow(const CUDA_MEMCPY3D &asked,
                        const std::source_location where = std::source_location::current()) {
  return callInContext(
      [&](Context &context) {
        requireNoUnsafeCapture("a synchronous copy");
        CopyOperation copy = copyOf(asked);
        if (copy.width != 0) {
          enqueueAndWait(*streamOf(nullptr, context), std::move(copy));
        }
      },
      where);
}

static CUDA_MEMSET_NODE_PARAMS fill(CUdeviceptr to, size_t pitch, unsigned value, unsigned elementSize, size_t width,
                                    size_t height) {
  return {to, pitch, value, elementSize, width, height};
}

void requireMemset(const CUDA_MEMSET_NODE_PARAMS &what) {
  if (what.elementSize != 1 && what.elementSize != 2 && what.elementSize != 4) {
    fail(CUDA_ERROR_INVALID_VALUE, "elements of %u bytes, expected 1, 2 or 4", what.elementSize);
  }
  if (what.width == 0 || what.height == 0) {
    return;
  }
  if (what.dst % what.elementSize != 0 || (what.height > 1 && what.pitch % what.elementSize != 0)) {
    fail(CUDA_ERROR_INVALID_VALUE, "0x%llx with pitch %zu is not aligned to elements of %u bytes", what.dst, what.pitch,
         what.elementSize);
  }
  const size_t row = what.width * what.elementSize;
  if (what.height > 1 && what.pitch < row) {
    fail(CUDA_ERROR_INVALID_VALUE, "a pitch of %zu bytes for rows of %zu", what.pitch, row);
  }
  requireRange(what.dst, (what.height - 1) * what.pitch + row, "the destination");
}

static CUresult set(const CUDA_MEMSET_NODE_PARAMS &what, const CUstream *handle,
                    const std::source_location where = std::source_location::current()) {
  return callInContext(
      [&](Context &context) {
        const std::shared_ptr<Stream> stream = streamOf(handle ? *handle : nullptr, context);
        if (!handle) {
          requireNoUnsafeCapture("a synchronous memset");
        }
        requireMemset(what);
        if (what.width != 0 && what.height != 0) {
          // Also the synchronous variants return before the device has done its work, on device memory.
          enqueue(*stream, MemsetOperation{what});
        }
      },
      where);
}

} // namespace emulator::driver

namespace emulator::cuda {

constexpr CUmemorytype host = CU_MEMORYTYPE_HOST, device = CU_MEMORYTYPE_DEVICE, unified = CU_MEMORYTYPE_UNIFIED;

static uint64_t number(const void *pointer) { return reinterpret_cast<uint64_t>(pointer); }

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copyNow(flat(unified, to, unified, from, bytes));
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  return copyNow(flat(device, to, host, number(from), bytes));
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return copyNow(flat(host, number(to), device, from, bytes));
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copyNow(flat(device, to, device, from, bytes));
}
CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext toContext, CUdeviceptr from, CUcontext fromContext, size_t bytes) {
  const CUresult valid = call([&] {
    contextOf(toContext);
    contextOf(fromContext);
  });
  return valid ? valid : copyNow(flat(device, to, device, from, bytes));
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copyAsync(flat(unified, to, unified, from, bytes), stream);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  return copyAsync(flat(device, to, host, number(from), bytes), stream);
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copyAsync(flat(host, number(to), device, from, bytes), stream);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copyAsync(flat(device, to, device, from, bytes), stream);
}
CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext toContext, CUdeviceptr from, CUcontext fromContext, size_t bytes,
                           CUstream stream) {
  const CUresult valid = call([&] {
    contextOf(toContext);
    contextOf(fromContext);
  });
  return valid ? valid : copyAsync(flat(device, to, device, from, bytes), stream);
}

template <typename Copy, typename Do>
static CUresult withCopy(const Copy *copy, Do perform,
                         const std::source_location where = std::source_location::current()) {
  if (!copy) {
    return call([] { fail(CUDA_ERROR_INVALID_VALUE, "pCopy is null"); }, where);
  }
  return perform(*copy);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
  return withCopy(copy, [](const CUDA_MEMCPY2D &c) { return copyNow(solid(c)); });
}
CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *copy) { return cuMemcpy2D_v2(copy); }
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) {
  return withCopy(copy, [&](const CUDA_MEMCPY2D &c) { return copyAsync(solid(c), stream); });
}
CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy) {
  return withCopy(copy, [](const CUDA_MEMCPY3D &c) { return copyNow(c); });
}
CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream) {
  return withCopy(copy, [&](const CUDA_MEMCPY3D &c) { return copyAsync(c, stream); });
}
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *copy, CUstream stream) {
  CUDA_MEMCPY3D plain{};
  const CUresult valid = call([&] {
    requirePointer(copy, "pCopy");
    plain = withoutContexts(*copy);
  });
  return valid ? valid : copyAsync(plain, stream);
}
CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *copy) {
  CUDA_MEMCPY3D plain{};
  const CUresult valid = call([&] {
    requirePointer(copy, "pCopy");
    plain = withoutContexts(*copy);
  });
  return valid ? valid : copyNow(plain);
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count,
                               CUmemcpyAttributes *attributes, size_t *attributeIndices, size_t attributeCount,
                               CUstream stream) {
  const CUresult valid = call([&] {
    if (!to || !from || !sizes || count == 0 || !attributes || !attributeIndices || attributeCount == 0 ||
        attributeCount > count || attributeIndices[0] != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu copies with %zu attributes", count, attributeCount);
    }
    if (!stream || stream == streamLegacy) {
      fail(CUDA_ERROR_INVALID_VALUE, "batched copies need a stream other than the legacy one");
    }
  });
  if (valid) {
    return valid;
  }
  for (size_t i = 0; i < count; ++i) {
    if (const CUresult code = cuMemcpyAsync(to[i], from[i], sizes[i], stream)) {
      return code;
    }
  }
  return CUDA_SUCCESS;
}

CUresult cuMemcpyBatchAsync(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count,
                            CUmemcpyAttributes *attributes, size_t *attributeIndices, size_t attributeCount,
                            size_t *failed, CUstream stream) {
  const CUresult code =
      cuMemcpyBatchAsync_v2(to, from, sizes, count, attributes, attributeIndices, attributeCount, stream);
  if (code && failed) {
    *failed = SIZE_MAX;
  }
  return code;
}

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return set(fill(to, 0, value, 1, count, 1), nullptr);
}
CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return set(fill(to, 0, value, 2, count, 1), nullptr);
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned int value, size_t count) {
  return set(fill(to, 0, value, 4, count, 1), nullptr);
}
CUresult cuMemsetD2D8_v2(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height) {
  return set(fill(to, pitch, value, 1, width, height), nullptr);
}
CUresult cuMemsetD2D16_v2(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height) {
  return set(fill(to, pitch, value, 2, width, height), nullptr);
}
CUresult cuMemsetD2D32_v2(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height) {
  return set(fill(to, pitch, value, 4, width, height), nullptr);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return set(fill(to, 0, value, 1, count, 1), &stream);
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
  return set(fill(to, 0, value, 2, count, 1), &stream);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
  return set(fill(to, 0, value, 4, count, 1), &stream);
}
CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height,
                           CUstream stream) {
  return set(fill(to, pitch, value, 1, width, height), &stream);
}
CUresult cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height,
                            CUstream stream) {
  return set(fill(to, pitch, value, 2, width, height), &stream);
}
CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height,
                            CUstream stream) {
  return set(fill(to, pitch, value, 4, width, height), &stream);
}

} // namespace emulator::cuda
