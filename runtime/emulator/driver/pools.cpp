// Memory in the order of streams: cuMemAllocAsync, cuMemFreeAsync, cuMemPool*.

#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/memory_map.h"
#include "driver/pool.h"
#include "driver/stream.h"

namespace emulator::driver {

void Pool::allocated(uint64_t bytes) {
  const uint64_t now = used += bytes;
  uint64_t high = usedHigh;
  while (now > high && !usedHigh.compare_exchange_weak(high, now)) {
  }
}

std::shared_ptr<Pool> createPool(int device, uint64_t maxBytes) {
  auto pool = std::make_shared<Pool>();
  pool->device = device;
  pool->maxBytes = maxBytes;
  pool->byDefault = maxBytes == 0;
  pool->attributes = {{CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES, 1},
                      {CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, 1},
                      {CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES, 1},
                      {CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 0}};
  pool->access[device] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  Driver::instance().pools.add<CUmemoryPool>(pool);
  return pool;
}

static std::shared_ptr<Pool> sharedPoolOf(CUmemoryPool handle) {
  std::shared_ptr<Pool> pool = Driver::instance().pools.find(handle);
  if (!pool) {
    fail(CUDA_ERROR_INVALID_VALUE, "%p is no memory pool", static_cast<void *>(handle));
  }
  return pool;
}

Pool &poolOf(CUmemoryPool handle) { return *sharedPoolOf(handle); }

static CUdeviceptr allocateFrom(const std::shared_ptr<Pool> &pool, size_t bytes, Context &context, Stream &stream) {
  if (bytes == 0) {
    fail(CUDA_ERROR_INVALID_VALUE, "0 bytes");
  }
  if (pool->maxBytes != 0 && bytes > pool->maxBytes - pool->used) {
    fail(CUDA_ERROR_OUT_OF_MEMORY, "%zu bytes from a pool of %llu", bytes, (unsigned long long)pool->maxBytes);
  }
  if (stream.capture) {
    AllocOperation operation;
    operation.what.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    operation.what.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, pool->device};
    operation.what.bytesize = bytes;
    allocateForNode(operation, context);
    const CUdeviceptr address = operation.what.dptr;
    enqueue(stream, std::move(operation));
    return address;
  }
  Block block;
  block.kind = Block::Kind::Pool;
  block.size = bytes;
  block.device = pool->device;
  block.context = &context;
  block.pool = pool;
  const uint64_t address = MemoryMap::instance().allocate(block, "pool buffer");
  pool->allocated(bytes);
  return address;
}

void allocateForNode(AllocOperation &operation, Context &context) {
  const CUmemLocation &location = operation.what.poolProps.location;
  if (operation.what.bytesize == 0 || operation.what.poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
      location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
    fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes, allocation type %d, location type %d", operation.what.bytesize,
         static_cast<int>(operation.what.poolProps.allocType), static_cast<int>(location.type));
  }
  Block block;
  block.kind = Block::Kind::Pool;
  block.size = operation.what.bytesize;
  block.device = Driver::instance().device(location.id).ordinal;
  block.context = &context;
  operation.memory = std::shared_ptr<uint64_t>(new uint64_t(MemoryMap::instance().allocate(block, "graph buffer")),
                                               [](uint64_t *address) {
                                                 MemoryMap::instance().free(*address);
                                                 delete address;
                                               });
  operation.what.dptr = *operation.memory;
  operation.what.accessDescs = nullptr;
  operation.what.accessDescCount = 0;
}

} // namespace emulator::driver

using namespace emulator::driver;

namespace emulator::cuda {

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream handle) {
  return callInContext([&](Context &context) {
    requirePointer(address, "dptr");
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    *address = allocateFrom(stream->context.device.pool, bytes, context, *stream);
  });
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream handle) {
  return callInContext([&](Context &context) {
    requirePointer(address, "dptr");
    *address = allocateFrom(sharedPoolOf(pool), bytes, context, *streamOf(handle, context));
  });
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  return callInContext([&](Context &context) {
    const std::shared_ptr<Stream> stream = streamOf(handle, context);
    const std::optional<Block> block = MemoryMap::instance().find(address);
    if (!block || block->address != address ||
        (block->kind != Block::Kind::Pool && block->kind != Block::Kind::Device)) {
      fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is not where device memory begins", address);
    }
    enqueue(*stream, FreeOperation{address, block->kind == Block::Kind::Pool && !block->pool});
  });
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties) {
  return callInContext([&](Context &) {
    requirePointer(pool, "pool");
    requirePointer(properties, "poolProps");
    if (properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
        properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
      fail(CUDA_ERROR_INVALID_VALUE, "allocation type %d, location type %d; expected pinned memory on a device",
           static_cast<int>(properties->allocType), static_cast<int>(properties->location.type));
    }
    if (properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE) {
      fail(CUDA_ERROR_NOT_SUPPORTED, "pools that other processes can open are not emulated");
    }
    const std::shared_ptr<Pool> made =
        createPool(Driver::instance().device(properties->location.id).ordinal, properties->maxSize);
    made->byDefault = false;
    *pool = handleOf<CUmemoryPool>(made.get());
  });
}

CUresult cuMemPoolDestroy(CUmemoryPool handle) {
  return call([&] {
    const std::shared_ptr<Pool> pool = sharedPoolOf(handle);
    Driver &driver = Driver::instance();
    if (pool->byDefault) {
      fail(CUDA_ERROR_INVALID_VALUE, "a device's default pool cannot be destroyed");
    }
    for (Device &device : driver.devices) {
      if (device.pool == pool) {
        device.pool = device.defaultPool;
      }
    }
    driver.pools.remove(handle);
  });
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t) {
  return call([&] { poolOf(pool); }); // Nothing unused is kept.
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value) {
  return call([&] {
    requirePointer(value, "value");
    Pool &pool = poolOf(handle);
    if (attribute >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES &&
        attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES) {
      pool.attributes[attribute] = *static_cast<int *>(value) != 0;
    } else if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
      pool.attributes[attribute] = *static_cast<cuuint64_t *>(value);
    } else if ((attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH || attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH) &&
               *static_cast<cuuint64_t *>(value) == 0) {
      pool.usedHigh = pool.used.load();
    } else {
      fail(CUDA_ERROR_INVALID_VALUE, "pool attribute %d cannot be set so", static_cast<int>(attribute));
    }
  });
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value) {
  return call([&] {
    requirePointer(value, "value");
    Pool &pool = poolOf(handle);
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      *static_cast<int *>(value) = static_cast<int>(pool.attributes[attribute]);
      return;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      *static_cast<cuuint64_t *>(value) = pool.attributes[attribute];
      return;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      *static_cast<cuuint64_t *>(value) = pool.used;
      return;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      *static_cast<cuuint64_t *>(value) = pool.usedHigh;
      return;
    }
    fail(CUDA_ERROR_INVALID_VALUE, "%d is no attribute of pools", static_cast<int>(attribute));
  });
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *map, size_t count) {
  return call([&] {
    Pool &pool = poolOf(handle);
    requirePointer(map, "map");
    for (size_t i = 0; i < count; ++i) {
      if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
        fail(CUDA_ERROR_INVALID_VALUE, "location type %d", static_cast<int>(map[i].location.type));
      }
      const Device &device = Driver::instance().device(map[i].location.id);
      if (device.ordinal == pool.device && map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE) {
        fail(CUDA_ERROR_INVALID_VALUE, "a pool's own device always has access");
      }
      pool.access[device.ordinal] = map[i].flags;
      if (device.ordinal != pool.device) {
        setPeerAccess(Driver::instance().device(device.ordinal), Driver::instance().device(pool.device),
                      map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
      }
    }
  });
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle, CUmemLocation *location) {
  return call([&] {
    requirePointer(flags, "flags");
    requirePointer(location, "location");
    Pool &pool = poolOf(handle);
    auto found = pool.access.find(location->id);
    *flags = location->type == CU_MEM_LOCATION_TYPE_DEVICE && found != pool.access.end()
                 ? found->second
                 : CU_MEM_ACCESS_FLAGS_PROT_NONE;
  });
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) {
  return call([&] {
    requirePointer(pool, "pool_out");
    *pool = handleOf<CUmemoryPool>(Driver::instance().device(device).defaultPool.get());
  });
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device) {
  return call([&] {
    requirePointer(pool, "pool");
    *pool = handleOf<CUmemoryPool>(Driver::instance().device(device).pool.get());
  });
}

CUresult cuDeviceSetMemPool(CUdevice ordinal, CUmemoryPool handle) {
  return call([&] {
    Device &device = Driver::instance().device(ordinal);
    const std::shared_ptr<Pool> pool = sharedPoolOf(handle);
    if (pool->device != ordinal) {
      fail(CUDA_ERROR_INVALID_VALUE, "the pool is of device %d, not of %d", pool->device, ordinal);
    }
    device.pool = pool;
  });
}

static CUdevice deviceOf(const CUmemLocation *location, CUmemAllocationType type) {
  requirePointer(location, "location");
  if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || type != CU_MEM_ALLOCATION_TYPE_PINNED) {
    fail(CUDA_ERROR_NOT_SUPPORTED, "pools are of device memory alone");
  }
  return location->id;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type) {
  CUdevice device = 0;
  const CUresult valid = call([&] { device = deviceOf(location, type); });
  return valid ? valid : cuDeviceGetDefaultMemPool(pool, device);
}

CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type) {
  CUdevice device = 0;
  const CUresult valid = call([&] { device = deviceOf(location, type); });
  return valid ? valid : cuDeviceGetMemPool(pool, device);
}

CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool) {
  CUdevice device = 0;
  const CUresult valid = call([&] { device = deviceOf(location, type); });
  return valid ? valid : cuDeviceSetMemPool(device, pool);
}

} // namespace emulator::cuda
