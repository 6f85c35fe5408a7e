// Virtual memory management: cuMemAddressReserve, cuMemCreate, cuMemMap and their like.
//
// Physical memory is an anonymous file of the host's, so that one piece of it can be mapped at several addresses, as
// on the device. An address range may be used from cuMemSetAccess on.

#include "driver/api/functions.h"
#include "driver/context.h"
#include "driver/memory_map.h"
#include <cerrno>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

using namespace emulator::driver;

namespace emulator::cuda {

static constexpr size_t granularity = 2 << 20;

namespace {
struct Physical {
  int file = -1;
  size_t size = 0;
  CUmemAllocationProp properties{};
  unsigned references = 1; ///< handles
  ~Physical() {
    if (file >= 0) {
      close(file);
    }
  }
};

struct Mapping {
  size_t size = 0;
  std::shared_ptr<Physical> physical;
  std::map<int, CUmemAccess_flags> access; ///< by device
};

/// Guarded by the driver's lock.
struct VirtualMemory {
  std::map<uint64_t, size_t> reserved;
  std::map<uint64_t, Mapping> mapped;
  std::map<CUmemGenericAllocationHandle, std::shared_ptr<Physical>> physical;
  CUmemGenericAllocationHandle lastHandle = 0;
};
} // namespace

static VirtualMemory &state() {
  static VirtualMemory *memory = new VirtualMemory;
  return *memory;
}

static void requireGranular(size_t value, const char *what) {
  if (value % granularity != 0) {
    fail(CUDA_ERROR_INVALID_VALUE, "%s of 0x%zx is no multiple of the granularity, 2 MiB", what, value);
  }
}

static std::shared_ptr<Physical> physicalOf(CUmemGenericAllocationHandle handle) {
  auto found = state().physical.find(handle);
  if (found == state().physical.end()) {
    fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is no handle of cuMemCreate", handle);
  }
  return found->second;
}

CUresult cuMemAddressReserve(CUdeviceptr *address, size_t size, size_t alignment, CUdeviceptr wanted,
                             unsigned long long flags) {
  return callInContext([&](Context &) {
    requirePointer(address, "ptr");
    if (size == 0 || flags != 0 || (alignment & (alignment - 1))) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes, alignment %zu, flags 0x%llx", size, alignment, flags);
    }
    requireGranular(size, "a size");
    alignment = std::max(alignment, granularity);
    const size_t held = size + alignment;
    void *range =
        mmap(reinterpret_cast<void *>(wanted), held, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
      fail(CUDA_ERROR_OUT_OF_MEMORY, "%zu bytes of addresses: %s", size, std::strerror(errno));
    }
    // Keep the aligned part alone.
    const uint64_t begin = reinterpret_cast<uint64_t>(range);
    const uint64_t aligned = (begin + alignment - 1) / alignment * alignment;
    if (aligned > begin) {
      munmap(range, aligned - begin);
    }
    munmap(reinterpret_cast<void *>(aligned + size), begin + held - aligned - size);
    state().reserved[aligned] = size;
    *address = aligned;
  });
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t size) {
  return callInContext([&](Context &) {
    auto found = state().reserved.find(address);
    if (found == state().reserved.end() || found->second != size) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx were not reserved so", size, address);
    }
    auto mapping = state().mapped.lower_bound(address);
    if (mapping != state().mapped.end() && mapping->first < address + size) {
      fail(CUDA_ERROR_INVALID_VALUE, "0x%llx is still mapped", (unsigned long long)mapping->first);
    }
    munmap(reinterpret_cast<void *>(address), size);
    state().reserved.erase(found);
  });
}

static void requireProperties(const CUmemAllocationProp *properties) {
  requirePointer(properties, "prop");
  if (properties->type != CU_MEM_ALLOCATION_TYPE_PINNED) {
    fail(CUDA_ERROR_INVALID_VALUE, "allocation type %d", static_cast<int>(properties->type));
  }
  if (properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE) {
    Driver::instance().device(properties->location.id);
  } else {
    fail(CUDA_ERROR_NOT_SUPPORTED, "physical memory is of devices alone, found location type %d",
         static_cast<int>(properties->location.type));
  }
  if (properties->requestedHandleTypes != CU_MEM_HANDLE_TYPE_NONE) {
    fail(CUDA_ERROR_NOT_SUPPORTED, "memory that other processes can open is not emulated");
  }
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *properties,
                     unsigned long long flags) {
  return callInContext([&](Context &) {
    requirePointer(handle, "handle");
    requireProperties(properties);
    if (size == 0 || flags != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes, flags 0x%llx", size, flags);
    }
    requireGranular(size, "a size");
    auto physical = std::make_shared<Physical>();
    physical->file = memfd_create("emulated device memory", MFD_CLOEXEC);
    if (physical->file < 0 || ftruncate(physical->file, static_cast<off_t>(size)) != 0) {
      fail(CUDA_ERROR_OUT_OF_MEMORY, "%zu bytes: %s", size, std::strerror(errno));
    }
    physical->size = size;
    physical->properties = *properties;
    *handle = ++state().lastHandle;
    state().physical[*handle] = std::move(physical);
  });
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  return callInContext([&](Context &) {
    if (--physicalOf(handle)->references == 0) {
      state().physical.erase(handle); // Mappings keep it.
    }
  });
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
  return callInContext([&](Context &) {
    requirePointer(handle, "handle");
    const uint64_t where = reinterpret_cast<uint64_t>(address);
    auto above = state().mapped.upper_bound(where);
    if (above == state().mapped.begin() || where - std::prev(above)->first >= std::prev(above)->second.size) {
      fail(CUDA_ERROR_INVALID_VALUE, "nothing is mapped at %p", address);
    }
    const std::shared_ptr<Physical> &physical = std::prev(above)->second.physical;
    for (const auto &[known, candidate] : state().physical) {
      if (candidate == physical) {
        ++physical->references;
        *handle = known;
        return;
      }
    }
    physical->references = 1;
    *handle = ++state().lastHandle;
    state().physical[*handle] = physical;
  });
}

CUresult cuMemMap(CUdeviceptr address, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
  return callInContext([&](Context &) {
    const std::shared_ptr<Physical> physical = physicalOf(handle);
    if (size == 0 || flags != 0 || offset != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes from offset %zu, flags 0x%llx; expected offset and flags of 0", size,
           offset, flags);
    }
    requireGranular(size, "a size");
    if (size > physical->size) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes, where there are %zu", size, physical->size);
    }
    auto range = state().reserved.upper_bound(address);
    if (range == state().reserved.begin() || address + size > std::prev(range)->first + std::prev(range)->second) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx are not all reserved", size, address);
    }
    auto next = state().mapped.lower_bound(address);
    const bool below =
        next != state().mapped.begin() && std::prev(next)->first + std::prev(next)->second.size > address;
    if (below || (next != state().mapped.end() && next->first < address + size)) {
      fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx are mapped in part already", size, address);
    }
    state().mapped[address] = Mapping{size, physical, {}};
  });
}

static Mapping &mappingAt(CUdeviceptr address, size_t size) {
  auto found = state().mapped.find(address);
  if (found == state().mapped.end() || found->second.size != size) {
    fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx were not mapped so", size, address);
  }
  return found->second;
}

CUresult cuMemUnmap(CUdeviceptr address, size_t size) {
  return callInContext([&](Context &context) {
    mappingAt(address, size);
    synchronise(context);
    MemoryMap::instance().free(address);
    mmap(reinterpret_cast<void *>(address), size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
    state().mapped.erase(address);
  });
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t size, const CUmemAccessDesc *descriptions, size_t count) {
  return callInContext([&](Context &) {
    requirePointer(descriptions, "desc");
    // The range may span several mappings, but no part of one.
    for (CUdeviceptr at = address; at < address + size;) {
      auto found = state().mapped.find(at);
      if (found == state().mapped.end() || at + found->second.size > address + size) {
        fail(CUDA_ERROR_INVALID_VALUE, "%zu bytes at 0x%llx are no whole mappings", size, address);
      }
      at += found->second.size;
    }
    for (size_t i = 0; i < count; ++i) {
      if (descriptions[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
        fail(CUDA_ERROR_NOT_SUPPORTED, "location type %d", static_cast<int>(descriptions[i].location.type));
      }
      Driver::instance().device(descriptions[i].location.id);
    }
    for (CUdeviceptr at = address; at < address + size;) {
      Mapping &mapping = state().mapped[at];
      bool readable = false;
      for (size_t i = 0; i < count; ++i) {
        mapping.access[descriptions[i].location.id] = descriptions[i].flags;
      }
      for (const auto &[device, flags] : mapping.access) {
        readable = readable || flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
      }
      MemoryMap::instance().free(at);
      const int protection = readable ? PROT_READ | PROT_WRITE : PROT_NONE;
      if (mmap(reinterpret_cast<void *>(at), mapping.size, protection, MAP_SHARED | MAP_FIXED, mapping.physical->file,
               0) == MAP_FAILED) {
        fail(CUDA_ERROR_OUT_OF_MEMORY, "%zu bytes: %s", mapping.size, std::strerror(errno));
      }
      if (readable) {
        Block block;
        block.kind = Block::Kind::Mapped;
        block.address = at;
        block.size = mapping.size;
        // Access is by mapping here, not by pairs of devices.
        block.device = mapping.access.size() == 1 ? mapping.access.begin()->first : everyDevice;
        MemoryMap::instance().adopt(block, "mapped memory");
      }
      at += mapping.size;
    }
  });
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address) {
  return callInContext([&](Context &) {
    requirePointer(flags, "flags");
    requirePointer(location, "location");
    auto above = state().mapped.upper_bound(address);
    if (above == state().mapped.begin() || address - std::prev(above)->first >= std::prev(above)->second.size) {
      fail(CUDA_ERROR_INVALID_VALUE, "nothing is mapped at 0x%llx", address);
    }
    const auto &access = std::prev(above)->second.access;
    auto found = access.find(location->id);
    *flags = found == access.end() ? static_cast<unsigned long long>(CU_MEM_ACCESS_FLAGS_PROT_NONE)
                                   : static_cast<unsigned long long>(found->second);
  });
}

CUresult cuMemGetAllocationGranularity(size_t *result, const CUmemAllocationProp *properties,
                                       CUmemAllocationGranularity_flags option) {
  return callInContext([&](Context &) {
    requirePointer(result, "granularity");
    requireProperties(properties);
    if (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM && option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED) {
      fail(CUDA_ERROR_INVALID_VALUE, "option %d", static_cast<int>(option));
    }
    *result = granularity;
  });
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle) {
  return callInContext([&](Context &) {
    requirePointer(properties, "prop");
    *properties = physicalOf(handle)->properties;
  });
}

} // namespace emulator::cuda
