// Opens a CUDA driver by name: which one, NVIDIA's or the emulator's, is all that tells a real device from an emulated
// one.
#include "drivers/cuda/driver_library.h"
#include <dlfcn.h>

namespace elah::cuda {

Result<std::unique_ptr<DriverLibrary>> DriverLibrary::open(const std::string &path) {
  void *handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = ::dlerror();
    return failure(ELAH_UNSUPPORTED, "there is no CUDA driver here: %s", reason ? reason : path.c_str());
  }
  std::unique_ptr<DriverLibrary> library(new DriverLibrary(handle));
#define ELAH_CUDA_FIND(member, symbol, parameters)                                                                     \
  library->table.member = reinterpret_cast<CUresult(*) parameters>(library->find(#symbol));                            \
  if (!library->table.member) {                                                                                        \
    return failure(ELAH_UNSUPPORTED, "%s: the CUDA driver lacks %s: expected one of CUDA 12.0 or later", path.c_str(), \
                   #symbol);                                                                                           \
  }
  ELAH_CUDA_DRIVER_FUNCTIONS(ELAH_CUDA_FIND)
#undef ELAH_CUDA_FIND
  if (CUresult code = library->table.init(0); code != CUDA_SUCCESS) {
    return library->explain(code, "the CUDA driver does not start");
  }
  return library;
}

DriverLibrary::~DriverLibrary() {
  // Never closed: a driver has threads of its own.
}

void *DriverLibrary::find(const char *symbol) const { return ::dlsym(handle, symbol); }

Status DriverLibrary::explain(CUresult code, const char *what) const {
  const char *text = nullptr, *name = nullptr;
  if (table.getErrorString(code, &text) != CUDA_SUCCESS || table.getErrorName(code, &name) != CUDA_SUCCESS || !text ||
      !name) {
    return failure(ELAH_INTERNAL, "%s: CUDA error %d", what, code);
  }
  elah_code kind = ELAH_INTERNAL;
  if (code == CUDA_ERROR_OUT_OF_MEMORY) {
    kind = ELAH_OUT_OF_MEMORY;
  } else if (code == CUDA_ERROR_NO_DEVICE || code == CUDA_ERROR_INVALID_DEVICE) {
    kind = ELAH_UNSUPPORTED;
  }
  return failure(kind, "%s: %s (%s)", what, text, name);
}

} // namespace elah::cuda
