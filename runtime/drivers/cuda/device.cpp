#include "drivers/cuda/device.h"
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <vector>

namespace elah::cuda {
namespace {

namespace fs = std::filesystem;
constexpr char libraryName[] = "libcuda.so.1";

/// N of "cuda:N", 0 of "cuda", else -1.
int ordinalOf(const std::string &name) {
  if (name == "cuda") {
    return 0;
  }
  if (!name.starts_with("cuda:") || name.size() == 5 || name.size() > 8 ||
      name.find_first_not_of("0123456789", 5) != std::string::npos) {
    return -1;
  }
  return std::atoi(name.c_str() + 5);
}

} // namespace

/// The emulator's library, by its file. It has the same name as the system's driver, so the loader is not asked.
Result<std::string> findEmulator() {
  std::vector<fs::path> places;
  std::error_code ignored;
  if (const char *chosen = std::getenv("ELAH_EMULATOR"); chosen && *chosen) {
    fs::path place(chosen);
    places.push_back(fs::is_directory(place, ignored) ? place / libraryName : place);
  } else {
    Dl_info info;
    fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
    places.push_back(program / "../lib/emulator" / libraryName);
    if (::dladdr(reinterpret_cast<void *>(&findEmulator), &info) && info.dli_fname) {
      places.push_back(fs::path(info.dli_fname).parent_path() / "emulator" / libraryName);
    }
  }
  std::string tried;
  for (const fs::path &place : places) {
    if (fs::exists(place, ignored)) {
      return place.lexically_normal().string();
    }
    tried += (tried.empty() ? "" : ", ") + place.lexically_normal().string();
  }
  return failure(ELAH_NOT_FOUND,
                 "the emulator is not there: looked for %s; name its library or its folder by ELAH_EMULATOR",
                 tried.c_str());
}

Result<std::unique_ptr<Device>> Device::open(const std::string &name) {
  std::unique_ptr<Device> device(new Device());
  int ordinal = name == "emulator" ? 0 : ordinalOf(name);
  if (ordinal < 0) {
    return failure(ELAH_INVALID_ARGUMENT, "unknown device '%s': expected cpu, cuda, cuda:N or emulator", name.c_str());
  }
  std::string path = libraryName;
  if (name == "emulator") {
    Result<std::string> found = findEmulator();
    if (!found.ok()) {
      return found.status();
    }
    path = *found;
  }
  Result<std::unique_ptr<DriverLibrary>> opened = DriverLibrary::open(path);
  if (!opened.ok()) {
    return name == "emulator" ? opened.status()
                              : failure(ELAH_UNSUPPORTED, "%s; device 'emulator' needs no GPU, and is slow",
                                        opened.status().message().c_str());
  }
  device->driver = std::move(*opened);
  device->emulated = device->driver->find("elah_emulator_report_count") != nullptr;
  ELAH_RETURN_IF_ERROR(device->find(ordinal));
  return device;
}

Status Device::find(int ordinal) {
  int count = 0;
  ELAH_CUDA_RETURN_IF_ERROR(*driver, deviceGetCount(&count), "counting devices");
  if (ordinal >= count) {
    return failure(ELAH_UNSUPPORTED, "there is no CUDA device %d: this machine has %d", ordinal, count);
  }
  ELAH_CUDA_RETURN_IF_ERROR(*driver, deviceGet(&handle, ordinal), "opening a device");
  char name[256] = "";
  int major = 0, minor = 0;
  ELAH_CUDA_RETURN_IF_ERROR(*driver, deviceGetName(name, sizeof(name), handle), "asking for a device's name");
  ELAH_CUDA_RETURN_IF_ERROR(*driver, deviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, handle),
                            "asking for a device's compute capability");
  ELAH_CUDA_RETURN_IF_ERROR(*driver, deviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, handle),
                            "asking for a device's compute capability");
  capability = static_cast<unsigned>(10 * major + minor);
  described = (emulated ? "the emulator (" : "device " + std::to_string(ordinal) + " (") + name + ")";
  ELAH_CUDA_RETURN_IF_ERROR(*driver, devicePrimaryCtxRetain(&context, handle), described.c_str());
  return Status();
}

Device::~Device() {
  if (context) {
    functions().devicePrimaryCtxRelease(handle);
  }
}

Device::Scope::Scope(const Device &device) : device(device) {
  device.functions().ctxGetCurrent(&before);
  device.functions().ctxSetCurrent(device.context);
}

Device::Scope::~Scope() { device.functions().ctxSetCurrent(before); }

} // namespace elah::cuda
