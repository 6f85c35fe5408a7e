// Allocations: cuMemAlloc*, cuMemFree*, host memory, managed memory.

#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/host_access.h"
#include "driver/memory_map.h"
#include "driver/stream.h"
#include <algorithm>
#include <cstring>

using namespace emulator::driver;

namespace emulator::cuda {

static uint64_t allocate(Context &context, Block::Kind kind, size_t bytes, unsigned flags, const char *name) {
  if (bytes == 0) {
    fail(CUDA_ERROR_INVALID_VALUE, "0 bytes");
  }
  Block block;
  block.kind = kind;
  block.size = bytes;
  block.device = context.device.ordinal;
  block.context = &context;
  block.flags = flags;
  return MemoryMap::instance().allocate(block, name);
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  return callInContext([&](Context &context) {
    requirePointer(address, "dptr");
    requireNoUnsafeCapture("cuMemAlloc");
    *address = allocate(context, Block::Kind::Device, bytes, 0, "buffer");
  });
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned elementBytes) {
  return callInContext([&](Context &context) {
    requirePointer(address, "dptr");
    requirePointer(pitch, "pPitch");
    requireNoUnsafeCapture("cuMemAllocPitch");
    if (elementBytes != 4 && elementBytes != 8 && elementBytes != 16) {
      fail(CUDA_ERROR_INVALID_VALUE, "elements of %u bytes, expected 4, 8 or 16", elementBytes);
    }
    if (width == 0 || height == 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu x %zu bytes", width, height);
    }
    const size_t row = (width + 511) / 512 * 512;
    if (row < width || row > SIZE_MAX / height) {
      fail(CUDA_ERROR_OUT_OF_MEMORY, "%zu x %zu bytes", width, height);
    }
    *address = allocate(context, Block::Kind::Device, row * height, 0, "buffer");
    *pitch = row;
  });
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  return callInContext([&](Context &context) {
    if (address == 0) {
      return;
    }
    requireNoUnsafeCapture("cuMemFree");
    const std::optional<Block> block = MemoryMap::instance().find(address);
    if (!block || block->address != address) {
      fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is not where an allocation begins%s", address,
           block ? ", but lies inside one" : "");
    }
    if (block->kind != Block::Kind::Device && block->kind != Block::Kind::Managed && block->kind != Block::Kind::Pool) {
      fail(CUDA_ERROR_INVALID_VALUE, "0x%llx was not allocated by cuMemAlloc, cuMemAllocManaged or cuMemAllocAsync",
           address);
    }
    // Work that still uses the memory ends first, as on the device.
    synchronise(block->context && !block->context->destroyed ? *block->context : context);
    MemoryMap::instance().free(address);
  });
}

CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned int flags) {
  return callInContext([&](Context &context) {
    requirePointer(pointer, "pp");
    requireNoUnsafeCapture("cuMemHostAlloc");
    if (flags & ~(memHostPortable | memHostDeviceMap | memHostWriteCombined)) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    *pointer =
        reinterpret_cast<void *>(allocate(context, Block::Kind::Host, bytes, flags | memHostDeviceMap, "host memory"));
  });
}

CUresult cuMemAllocHost_v2(void **pointer, size_t bytes) { return cuMemHostAlloc(pointer, bytes, 0); }

CUresult cuMemFreeHost(void *pointer) {
  return callInContext([&](Context &context) {
    const uint64_t address = reinterpret_cast<uint64_t>(pointer);
    if (address == 0) {
      return;
    }
    const std::optional<Block> block = MemoryMap::instance().find(address);
    if (!block || block->address != address || block->kind != Block::Kind::Host) {
      fail(CUDA_ERROR_INVALID_VALUE, "%p is not where memory of cuMemHostAlloc begins", pointer);
    }
    synchronise(context);
    MemoryMap::instance().free(address);
  });
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *pointer, unsigned int flags) {
  return callInContext([&](Context &) {
    requirePointer(address, "pdptr");
    if (flags != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, where 0 is expected", flags);
    }
    const std::optional<Block> block = MemoryMap::instance().find(reinterpret_cast<uint64_t>(pointer));
    if (!block || (block->kind != Block::Kind::Host && block->kind != Block::Kind::Registered)) {
      fail(CUDA_ERROR_INVALID_VALUE, "%p is neither allocated by cuMemHostAlloc nor registered", pointer);
    }
    *address = reinterpret_cast<CUdeviceptr>(pointer);
  });
}

CUresult cuMemHostGetFlags(unsigned int *flags, void *pointer) {
  return callInContext([&](Context &) {
    requirePointer(flags, "pFlags");
    const std::optional<Block> block = MemoryMap::instance().find(reinterpret_cast<uint64_t>(pointer));
    if (!block || block->kind != Block::Kind::Host) {
      fail(CUDA_ERROR_INVALID_VALUE, "%p is not allocated by cuMemHostAlloc", pointer);
    }
    *flags = block->flags;
  });
}

CUresult cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned int flags) {
  return callInContext([&](Context &context) {
    requirePointer(pointer, "p");
    if (bytes == 0 || (flags & ~(memHostPortable | memHostDeviceMap | memHostIoMemory | memHostReadOnly))) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes, flags 0x%x", bytes, flags);
    }
    if (flags & memHostIoMemory) {
      fail(CUDA_ERROR_NOT_SUPPORTED, "memory of input and output devices is not emulated");
    }
    Block block;
    block.kind = Block::Kind::Registered;
    block.address = reinterpret_cast<uint64_t>(pointer);
    block.size = bytes;
    block.device = context.device.ordinal;
    block.context = &context;
    block.flags = flags;
    MemoryMap::instance().adopt(block, "registered memory");
  });
}

CUresult cuMemHostRegister(void *pointer, size_t bytes, unsigned int flags) {
  return cuMemHostRegister_v2(pointer, bytes, flags);
}

CUresult cuMemHostUnregister(void *pointer) {
  return callInContext([&](Context &context) {
    const std::optional<Block> block = MemoryMap::instance().find(reinterpret_cast<uint64_t>(pointer));
    if (!block || block->kind != Block::Kind::Registered) {
      fail(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "%p", pointer);
    }
    if (block->address != reinterpret_cast<uint64_t>(pointer)) {
      fail(CUDA_ERROR_INVALID_VALUE, "%p lies inside registered memory that begins at 0x%llx", pointer,
           (unsigned long long)block->address);
    }
    synchronise(context);
    MemoryMap::instance().free(block->address);
  });
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags) {
  return callInContext([&](Context &context) {
    requirePointer(address, "dptr");
    requireNoUnsafeCapture("cuMemAllocManaged");
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, expected CU_MEM_ATTACH_GLOBAL or _HOST", flags);
    }
    *address = allocate(context, Block::Kind::Managed, bytes, flags, "managed memory");
  });
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  return callInContext([&](Context &context) {
    const size_t bytes = context.device.properties->memoryBytes;
    if (free) {
      *free = bytes - MemoryMap::instance().usedBytes(context.device.ordinal);
    }
    if (total) {
      *total = bytes;
    }
  });
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
  return callInContext([&](Context &) {
    const Allocation *allocation = GlobalMemory::instance().find(address);
    if (!allocation) {
      fail(CUDA_ERROR_NOT_FOUND, "0x%llx lies in no allocation", address);
    }
    if (base) {
      *base = allocation->address;
    }
    if (size) {
      *size = allocation->size;
    }
  });
}

// --- managed memory's hints: all memory is the host's, so there is nothing to move.

static void requireManaged(CUdeviceptr address, size_t bytes) {
  const std::optional<Block> block = MemoryMap::instance().find(address);
  if (!block || block->kind != Block::Kind::Managed || bytes == 0 || bytes > block->address + block->size - address) {
    fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx are not all managed memory", bytes, address);
  }
}

static void requireLocation(const CUmemLocation &location) {
  if (location.type == CU_MEM_LOCATION_TYPE_DEVICE) {
    Driver::instance().device(location.id);
  } else if (location.type != CU_MEM_LOCATION_TYPE_HOST && location.type != CU_MEM_LOCATION_TYPE_HOST_NUMA &&
             location.type != CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT) {
    fail(CUDA_ERROR_INVALID_VALUE, "location type %d", static_cast<int>(location.type));
  }
}

static CUmemLocation locationOf(CUdevice device) {
  return device == -1 ? CUmemLocation{CU_MEM_LOCATION_TYPE_HOST, 0}
                      : CUmemLocation{CU_MEM_LOCATION_TYPE_DEVICE, device};
}

CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location) {
  return callInContext([&](Context &) {
    requireManaged(address, bytes);
    if (advice < CU_MEM_ADVISE_SET_READ_MOSTLY || advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY) {
      fail(CUDA_ERROR_INVALID_VALUE, "%d is no advice", static_cast<int>(advice));
    }
    if (advice >= CU_MEM_ADVISE_SET_PREFERRED_LOCATION && advice != CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION) {
      requireLocation(location);
    }
  });
}

CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device) {
  return cuMemAdvise_v2(address, bytes, advice, locationOf(device));
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned flags, CUstream s) {
  return callInContext([&](Context &context) {
    requireManaged(address, bytes);
    requireLocation(location);
    if (flags != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, where 0 is expected", flags);
    }
    enqueue(*streamOf(s, context), EmptyOperation{});
  });
}

CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream) {
  return cuMemPrefetchAsync_v2(address, bytes, locationOf(device), 0, stream);
}

CUresult cuMemRangeGetAttribute(void *data, size_t size, CUmem_range_attribute attribute, CUdeviceptr address,
                                size_t bytes) {
  return callInContext([&](Context &) {
    requirePointer(data, "data");
    requireManaged(address, bytes);
    if (attribute < CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY ||
        attribute > CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID || size < 4 || size % 4 != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "attribute %d of %zu bytes", static_cast<int>(attribute), size);
    }
    // Nothing is remembered of hints: no preference (CU_DEVICE_INVALID, -2), nobody's access.
    const bool says = attribute == CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION ||
                      attribute == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY ||
                      attribute == CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION;
    std::fill_n(static_cast<int *>(data), size / 4, says ? -2 : 0);
  });
}

CUresult cuMemRangeGetAttributes(void **data, size_t *sizes, CUmem_range_attribute *attributes, size_t count,
                                 CUdeviceptr address, size_t bytes) {
  if (!data || !sizes || !attributes || count == 0) {
    return call([&] { fail(CUDA_ERROR_INVALID_VALUE, "no attributes are asked for"); });
  }
  for (size_t i = 0; i < count; ++i) {
    if (const CUresult code = cuMemRangeGetAttribute(data[i], sizes[i], attributes[i], address, bytes)) {
      return code;
    }
  }
  return CUDA_SUCCESS;
}

CUresult cuStreamAttachMemAsync(CUstream handle, CUdeviceptr address, size_t bytes, unsigned int flags) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    const std::optional<Block> block = MemoryMap::instance().find(address);
    if (!block || block->kind != Block::Kind::Managed || block->address != address) {
      fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is not where managed memory begins", address);
    }
    if (bytes != 0 && bytes != block->size) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes, expected 0 or all %llu", bytes, (unsigned long long)block->size);
    }
    if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x", flags);
    }
    enqueue(*stream, EmptyOperation{});
  });
}

} // namespace emulator::cuda
