// cuPointer*: what an address is.

#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/memory_map.h"
#include "driver/pool.h"

using namespace emulator::driver;

namespace emulator::cuda {

namespace {
/// An address, with what the driver and the machine know of it.
struct Place {
  uint64_t address;
  std::optional<Block> block;
  const Allocation *allocation;
};
} // namespace

static Place placeOf(CUdeviceptr address) {
  return {address, MemoryMap::instance().find(address), GlobalMemory::instance().find(address)};
}

static bool onHost(const Place &place) {
  return place.block && (place.block->kind == Block::Kind::Host || place.block->kind == Block::Kind::Registered);
}

/// False where the attribute says nothing of such an address: cuPointerGetAttribute fails then, cuPointerGetAttributes
/// gives a zero.
static bool write(CUpointer_attribute attribute, const Place &place, void *data) {
  const bool known = place.allocation != nullptr;
  switch (attribute) {
  case CU_POINTER_ATTRIBUTE_CONTEXT:
    *static_cast<CUcontext *>(data) =
        place.block && place.block->context ? handleOf<CUcontext>(place.block->context) : nullptr;
    return place.block && place.block->context;
  case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    *static_cast<unsigned *>(data) = !known ? 0 : onHost(place) ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    return known;
  case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    *static_cast<CUdeviceptr *>(data) = known ? place.address : 0;
    return known;
  case CU_POINTER_ATTRIBUTE_HOST_POINTER: {
    const bool visible = onHost(place) || (place.block && place.block->kind == Block::Kind::Managed);
    *static_cast<void **>(data) = visible ? reinterpret_cast<void *>(place.address) : nullptr;
    return visible;
  }
  case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
  case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
  case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
  case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
    *static_cast<int *>(data) = 0;
    return known;
  case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    *static_cast<unsigned long long *>(data) = known ? place.allocation->serial : 0;
    return known;
  case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    *static_cast<int *>(data) = place.block && place.block->kind == Block::Kind::Managed;
    return known;
  case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    *static_cast<int *>(data) = !known ? -2 : place.block ? place.block->device : place.allocation->device;
    return known;
  case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
  case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    *static_cast<CUdeviceptr *>(data) = known ? place.allocation->address : 0;
    return known;
  case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
  case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    *static_cast<size_t *>(data) = known ? place.allocation->size : 0;
    return known;
  case CU_POINTER_ATTRIBUTE_MAPPED:
    *static_cast<int *>(data) = known;
    return true;
  case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    *static_cast<unsigned long long *>(data) = 0;
    return known;
  case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    *static_cast<int *>(data) =
        known ? CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE : CU_POINTER_ATTRIBUTE_ACCESS_FLAG_NONE;
    return known;
  case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
    *static_cast<CUmemoryPool *>(data) =
        place.block && place.block->pool ? handleOf<CUmemoryPool>(place.block->pool.get()) : nullptr;
    return place.block && place.block->pool;
  case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
    *static_cast<unsigned long long *>(data) = known ? place.allocation->serial : 0;
    return known;
  case CU_POINTER_ATTRIBUTE_P2P_TOKENS:
    fail(CUDA_ERROR_NOT_SUPPORTED, "tokens for third-party peer devices are not emulated");
  }
  fail(CUDA_ERROR_INVALID_VALUE, "%d is no attribute of pointers", static_cast<int>(attribute));
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
  return call([&] {
    requirePointer(data, "data");
    if (!write(attribute, placeOf(address), data)) {
      fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is not memory that has attribute %d", address,
           static_cast<int>(attribute));
    }
  });
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **data, CUdeviceptr address) {
  return call([&] {
    requirePointer(attributes, "attributes");
    requirePointer(data, "data");
    const Place place = placeOf(address);
    for (unsigned i = 0; i < count; ++i) {
      requirePointer(data[i], "an attribute's data");
      write(attributes[i], place, data[i]);
    }
  });
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr address) {
  return call([&] {
    requirePointer(value, "value");
    if (attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !placeOf(address).allocation) {
      fail(CUDA_ERROR_INVALID_VALUE, "attribute %d of 0x%llx cannot be set", static_cast<int>(attribute), address);
    }
    // Memory operations on it wait for one another in any case where they would have to.
  });
}

} // namespace emulator::cuda
