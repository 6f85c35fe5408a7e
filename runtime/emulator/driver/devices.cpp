// cuInit, versions, error texts, and cuDevice*.

#include "driver/api/functions.h"
#include "driver/device_attributes.h"
#include "driver/driver.h"
#include "driver/pool.h"
#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace emulator::driver;

namespace emulator::cuda {

static constexpr int driverVersion = 13000;

CUresult cuInit(unsigned int flags) {
  {
    CallScope scope;
    Driver::instance().prepare();
    Driver::instance().initialised = true;
  }
  return call([&] {
    if (flags != 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "flags 0x%x, where 0 is expected", flags);
    }
    if (Driver::instance().devices.empty()) {
      fail(CUDA_ERROR_NO_DEVICE, "ELAH_EMULATOR_DEVICE asks for no device");
    }
  });
}

CUresult cuDriverGetVersion(int *version) {
  if (!version) {
    logFailure("cuDriverGetVersion", CUDA_ERROR_INVALID_VALUE, "version is null");
    return CUDA_ERROR_INVALID_VALUE;
  }
  *version = driverVersion;
  return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult code, const char **text) {
  if (!text) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *text = textOf(code);
  return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorName(CUresult code, const char **name) {
  if (!name) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *name = nameOf(code);
  return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  return call([&] {
    requirePointer(device, "device");
    *device = Driver::instance().device(ordinal).ordinal;
  });
}

CUresult cuDeviceGetCount(int *count) {
  return call([&] {
    requirePointer(count, "count");
    *count = static_cast<int>(Driver::instance().devices.size());
  });
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  return call([&] {
    requirePointer(name, "name");
    if (length <= 0) {
      fail(CUDA_ERROR_INVALID_VALUE, "a buffer of %d characters", length);
    }
    const std::string_view text = Driver::instance().device(device).properties->name;
    const size_t kept = std::min(text.size(), static_cast<size_t>(length) - 1);
    std::memcpy(name, text.data(), kept);
    std::memset(name + kept, 0, static_cast<size_t>(length) - kept);
  });
}

/// Stable, and different for each target and ordinal.
static CUuuid uuidOf(const Device &device) {
  CUuuid uuid{};
  uint64_t hash = 1469598103934665603u; // FNV-1a
  for (char c : device.properties->target) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  std::memcpy(uuid.bytes, "elahemu", 7);
  uuid.bytes[7] = static_cast<char>(device.ordinal);
  std::memcpy(uuid.bytes + 8, &hash, 8);
  return uuid;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
  return call([&] {
    requirePointer(uuid, "uuid");
    *uuid = uuidOf(Driver::instance().device(device));
  });
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

CUresult cuDeviceGetLuid(char *luid, unsigned int *nodeMask, CUdevice device) {
  return call([&] {
    Driver::instance().device(device);
    fail(CUDA_ERROR_NOT_SUPPORTED, "LUIDs are of Windows");
  });
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  return call([&] {
    requirePointer(bytes, "bytes");
    *bytes = Driver::instance().device(device).properties->memoryBytes;
  });
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  return call([&] {
    requirePointer(value, "value");
    *value = deviceAttribute(Driver::instance().device(device), attribute);
  });
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
  return call([&] {
    requirePointer(major, "major");
    requirePointer(minor, "minor");
    const Device &found = Driver::instance().device(device);
    *major = deviceAttribute(found, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    *minor = deviceAttribute(found, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  });
}

CUresult cuDeviceGetProperties(CUdevprop *properties, CUdevice device) {
  return call([&] {
    requirePointer(properties, "properties");
    const Device &found = Driver::instance().device(device);
    auto value = [&](CUdevice_attribute attribute) { return deviceAttribute(found, attribute); };
    *properties = {};
    properties->maxThreadsPerBlock = value(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    for (int i = 0; i < 3; ++i) {
      properties->maxThreadsDim[i] = value(static_cast<CUdevice_attribute>(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i));
      properties->maxGridSize[i] = value(static_cast<CUdevice_attribute>(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i));
    }
    properties->sharedMemPerBlock = value(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
    properties->totalConstantMemory = value(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY);
    properties->SIMDWidth = value(CU_DEVICE_ATTRIBUTE_WARP_SIZE);
    properties->memPitch = value(CU_DEVICE_ATTRIBUTE_MAX_PITCH);
    properties->regsPerBlock = value(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
    properties->clockRate = value(CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
    properties->textureAlign = value(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT);
  });
}

CUresult cuDeviceGetPCIBusId(char *text, int length, CUdevice device) {
  return call([&] {
    requirePointer(text, "pciBusId");
    const std::string id = formatted("0000:%02X:00.0", pciBus(Driver::instance().device(device)));
    if (length <= static_cast<int>(id.size())) {
      fail(CUDA_ERROR_INVALID_VALUE, "a buffer of %d characters for %zu", length, id.size() + 1);
    }
    std::memcpy(text, id.c_str(), id.size() + 1);
  });
}

CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *text) {
  return call([&] {
    requirePointer(device, "device");
    requirePointer(text, "pciBusId");
    unsigned domain = 0, bus = 0, slot = 0;
    if (std::sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3 && std::sscanf(text, "%x:%x", &bus, &slot) != 2) {
      fail(CUDA_ERROR_INVALID_VALUE, "found '%s', expected domain:bus:device.function", text);
    }
    for (const Device &candidate : Driver::instance().devices) {
      if (domain == 0 && slot == 0 && static_cast<unsigned>(pciBus(candidate)) == bus) {
        *device = candidate.ordinal;
        return;
      }
    }
    fail(CUDA_ERROR_INVALID_DEVICE, "no device at %s", text);
  });
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
  return call([&] {
    requirePointer(can, "canAccessPeer");
    *can = Driver::instance().device(device).ordinal != Driver::instance().device(peer).ordinal;
  });
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice source, CUdevice destination) {
  return call([&] {
    requirePointer(value, "value");
    if (Driver::instance().device(source).ordinal == Driver::instance().device(destination).ordinal) {
      fail(CUDA_ERROR_INVALID_DEVICE, "both are device %d", source);
    }
    switch (attribute) {
    case CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK:
    case CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED:
    case CU_DEVICE_P2P_ATTRIBUTE_ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED:
      *value = 0;
      return;
    case CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED:
    case CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED:
      *value = 1;
      return;
    }
    fail(CUDA_ERROR_INVALID_VALUE, "%d is no attribute between devices", static_cast<int>(attribute));
  });
}

} // namespace emulator::cuda
