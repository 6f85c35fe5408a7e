// Native code out of an artifact: checked against this processor before any of it runs, loaded without touching a disk.
#include "drivers/cpu/object.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <set>
#include <sstream>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace elah {
namespace {

#if defined(__x86_64__)
constexpr const char *machine = "x86_64";
#elif defined(__aarch64__)
constexpr const char *machine = "aarch64";
#endif

/// Checks that this processor has what the object was compiled for, before any of its code runs.
Status checkProcessor(const proto::Manifest &manifest) {
  bool isArm = manifest.cpu() == "aarch64";
  if (isArm != (std::strcmp(machine, "aarch64") == 0)) {
    return failure(ELAH_UNSUPPORTED, "the artifact was compiled for %s, this machine is %s", manifest.cpu().c_str(),
                   machine);
  }
  if (manifest.cpu_features_size() == 0) {
    return Status();
  }
  std::ifstream file("/proc/cpuinfo");
  std::set<std::string> flags;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) == 0) {
      std::istringstream words(line.substr(line.find(':') + 1));
      for (std::string word; words >> word;) {
        flags.insert(word);
      }
      break;
    }
  }
  for (const std::string &feature : manifest.cpu_features()) {
    if (!flags.count(feature)) {
      return failure(ELAH_UNSUPPORTED,
                     "the artifact was compiled for %s and needs %s, which this processor lacks; compile it with "
                     "--cpu for this machine",
                     manifest.cpu().c_str(), feature.c_str());
    }
  }
#if defined(__x86_64__)
  // Linux saves AMX's large registers only for processes that asked for it, once for all their threads.
  bool usesTiles = std::find(manifest.cpu_features().begin(), manifest.cpu_features().end(), "amx_tile") !=
                   manifest.cpu_features().end();
  constexpr int requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  if (usesTiles && ::syscall(SYS_arch_prctl, requestPermission, tileData) != 0) {
    return failure(ELAH_UNSUPPORTED,
                   "the artifact was compiled for %s and uses AMX, which this system does not permit (%s); compile it "
                   "with --cpu for another processor",
                   manifest.cpu().c_str(), std::strerror(errno));
  }
#endif
  return Status();
}

} // namespace

Result<std::unique_ptr<CpuObject>> CpuObject::load(const Artifact &artifact) {
  ELAH_RETURN_IF_ERROR(checkProcessor(artifact.manifest()));
  std::string_view image = artifact.section(ELAH_SECTION_CPU_OBJECT);
  if (image.empty()) {
    return failure(ELAH_NOT_FOUND, "the artifact has no code for a CPU");
  }
  // The dynamic loader reads files: an anonymous one in memory will do.
  int descriptor = ::memfd_create("elah-kernels", MFD_CLOEXEC);
  if (descriptor < 0) {
    return failure(ELAH_IO, "cannot create a file in memory: %s", std::strerror(errno));
  }
  for (size_t done = 0; done < image.size();) {
    ssize_t written = ::write(descriptor, image.data() + done, image.size() - done);
    if (written <= 0) {
      ::close(descriptor);
      return failure(ELAH_IO, "cannot write the CPU object to memory: %s", std::strerror(errno));
    }
    done += static_cast<size_t>(written);
  }
  std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  void *handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ::close(descriptor);
  if (!handle) {
    return failure(ELAH_INVALID_DATA, "cannot load the CPU object: %s", ::dlerror());
  }
  return std::unique_ptr<CpuObject>(new CpuObject(handle));
}

CpuObject::~CpuObject() { ::dlclose(handle); }

Result<void *> CpuObject::find(const std::string &symbol) const {
  void *address = ::dlsym(handle, symbol.c_str());
  if (!address) {
    return failure(ELAH_INVALID_DATA, "the CPU object lacks %s", symbol.c_str());
  }
  return address;
}

} // namespace elah
